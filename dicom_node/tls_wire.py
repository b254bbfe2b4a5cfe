"""A wire over TLS: the same patience and the same readers, with a socket in between that speaks TLS; whom to trust lies in `tls`.

Ciphertext goes through memory (`ssl.MemoryBIO`), never through a Python SSL socket: so the kernel's timeouts hold for
every single system call, records are taken in by the dozen instead of two calls each, and no thread is ever blocked
inside the library, where another could not end it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from dicom_node import pdu
from dicom_node.errors import CertificateError, HandshakeRefused, PeerTooSlow
from dicom_node.failures import note
from dicom_node.receiver import PeerCertificate
from dicom_node.tls import ServerTls, refusal_of
from dicom_node.wire import Wire

_SMALL_BYTES = 4096  # a whole ClientHello; a connection that proved nothing gets no more at once
_MOST_HANDSHAKE_BYTES = 131072  # the library takes chains of 100 KB
_SEND_STEP_BYTES = 262144
_RECORD_HANDSHAKE = 0x16  # RFC 8446 5.1
_LOCK_S = 0.1


class TlsSocket:
    """What `Wire` needs of a socket, over TLS; one thread reads, any thread may send a last word."""

    def __init__(self, raw: socket.socket, server: ServerTls) -> None:
        self._raw = raw
        self._server = server
        self._lock = threading.Lock()  # the library's object is not made for two threads
        self._tls: ssl.SSLObject | None = None  # not before a byte has come: silence costs no memory
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._coming = memoryview(bytearray(_SMALL_BYTES))
        self.handshake_bytes = 0
        self._unsent = memoryview(b"")
        self._unsent_plain = 0
        self._has_more = True
        self._is_open = False
        self.certificate: PeerCertificate | None = None

    # --- the handshake -------------------------------------------------------------------------------------------

    def shake(self) -> int:
        """One step of the handshake: 0 when the peer is gone, more when it is done.

        Raises
        ------
        BlockingIOError
            It is not done yet.
        HandshakeRefused
            This is no TLS, or it proves nothing that counts.
        """
        size = self._raw.recv_into(self._coming)
        if not size:
            return 0
        self.handshake_bytes += size
        try:
            if self._tls is None:
                self._tls = self._begin(self._coming[0])
            self._incoming.write(self._coming[:size])
            self._step(self._tls)
        except HandshakeRefused:
            self._give_up()
            raise
        return size

    def _begin(self, first: int) -> ssl.SSLObject:
        if first == pdu.ASSOCIATE_RQ:
            raise HandshakeRefused("plain DICOM on the port for TLS")
        if first != _RECORD_HANDSHAKE:
            raise HandshakeRefused("no TLS on the port for TLS")
        try:
            return self._server.standing().begin(self._incoming, self._outgoing)
        except CertificateError:
            raise HandshakeRefused("our own certificate or trust cannot be used now") from None
        except Exception as exc:  # noqa: BLE001 - the trust lies in a database: that is our trouble, not the peer's
            note("trust_failed", exc)
            raise HandshakeRefused("whom to trust is not known now") from None

    def _step(self, tls: ssl.SSLObject) -> None:
        if self.handshake_bytes > _MOST_HANDSHAKE_BYTES:
            raise HandshakeRefused("the TLS handshake is too long")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush_what_goes()
            raise BlockingIOError from None
        except ssl.SSLError as exc:
            raise refusal_of(exc, tls) from None
        self._flush_what_goes()
        self._is_open = True
        try:  # by the trust as it is now: it may have shrunk while the peer took its time
            self.certificate = self._server.standing().proven(tls)
        except HandshakeRefused:
            raise
        except Exception as exc:  # noqa: BLE001 - a parser of foreign bytes; who cannot be judged is refused
            note("certificate_not_judged", exc)
            raise HandshakeRefused("its certificate cannot be judged") from None

    def _give_up(self) -> None:
        """Send the alert that says why; what still comes is thrown away, lest a reset overtakes the alert."""
        if self._is_open:
            self._say_goodbye()
        self._is_open = False
        with contextlib.suppress(OSError):
            self._flush_what_goes()
            self._raw.shutdown(socket.SHUT_WR)
        self._tls = None

    # --- reading -------------------------------------------------------------------------------------------------

    def grow(self, size: int) -> None:
        """Take in up to `size` bytes of ciphertext at once; called when the peer has become an association."""
        self._coming = memoryview(bytearray(max(size, len(self._coming))))

    def recv_into(self, target: memoryview) -> int:
        """Between 1 and ``len(target)`` bytes, 0 at the end; `BlockingIOError` when there are none yet."""
        if not self._is_open or self._tls is None:
            return self._raw.recv_into(target)
        if self._has_more and (got := self._decrypted(self._tls, target)) is not None:
            return got
        size = self._raw.recv_into(self._coming)
        if not size:
            return 0
        self._incoming.write(self._coming[:size])
        got = self._decrypted(self._tls, target)
        if got is None:  # part of a record
            raise BlockingIOError
        return got

    def _decrypted(self, tls: ssl.SSLObject, target: memoryview) -> int | None:
        """As many bytes as are here already; 0 when the peer has said its last, None when a record is not whole yet."""
        done, size = 0, len(target)
        self._has_more = True
        with self._lock:
            try:
                while done < size:
                    got = tls.read(size - done, target[done:])
                    if not got:
                        return done
                    done += int(got)
            except ssl.SSLWantReadError:
                self._has_more = False
            if self._outgoing.pending:  # the peer changed its keys (RFC 8446 4.6.3)
                self._flush_what_goes()
        return done or None

    # --- sending -------------------------------------------------------------------------------------------------

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Encrypt some bytes and send them all; after `BlockingIOError` call again with the same bytes."""
        if not self._is_open or self._tls is None:
            return len(data)  # nothing is said to who proved nothing
        if not self._lock.acquire(timeout=_LOCK_S if flags else -1):
            raise BlockingIOError
        try:
            if not self._unsent:
                part = memoryview(data)[:_SEND_STEP_BYTES]
                self._tls.write(part)
                self._unsent, self._unsent_plain = memoryview(self._outgoing.read()), len(part)
            while self._unsent:
                self._unsent = self._unsent[self._raw.send(self._unsent, flags) :]
            return self._unsent_plain
        finally:
            self._lock.release()

    def _flush_what_goes(self) -> None:
        """Send what the library wants to say by itself, without waiting: it is small, and the socket's buffer is not."""
        if not self._outgoing.pending:
            return
        if not self._unsent:
            self._unsent_plain = 0
        self._unsent = memoryview(bytes(self._unsent) + self._outgoing.read())
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self._raw.send(self._unsent, socket.MSG_DONTWAIT) :]

    def _say_goodbye(self) -> None:
        """close_notify (RFC 8446 6.1); the peer's is not waited for."""
        if self._tls is not None and self._lock.acquire(timeout=_LOCK_S):
            try:
                with contextlib.suppress(ssl.SSLError, OSError, ValueError):
                    self._tls.unwrap()
                with contextlib.suppress(OSError):
                    self._flush_what_goes()
            finally:
                self._lock.release()

    # --- as a socket ---------------------------------------------------------------------------------------------

    def setblocking(self, flag: bool, /) -> None:
        self._raw.setblocking(flag)

    def setsockopt(self, level: int, name: int, value: int | bytes, /) -> None:
        self._raw.setsockopt(level, name, value)

    def shutdown(self, how: int, /) -> None:
        self._raw.shutdown(how)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        if self._is_open:
            self._say_goodbye()
        self._raw.close()


class TlsWire(Wire):
    """A `Wire` whose peer must prove itself before anything else."""

    def __init__(self, sock: socket.socket, server: ServerTls) -> None:
        self._tls_socket = TlsSocket(sock, server)
        super().__init__(self._tls_socket)

    def open(self, *, patience_s: float) -> PeerCertificate | None:
        """See `Wire.open`; the deadline holds however the bytes are spread."""
        try:
            self._receive(self._tls_socket.shake, self.waited_s + patience_s)
        except PeerTooSlow:
            raise PeerTooSlow(f"no TLS handshake within {patience_s:g} s") from None
        return self._tls_socket.certificate

    @property
    def has_spoken(self) -> bool:
        """See `Wire.has_spoken`; a ClientHello is a word."""
        return self._tls_socket.handshake_bytes > 1 or super().has_spoken

    def grow(self, size: int) -> None:
        """See `Wire.grow`."""
        super().grow(size)
        self._tls_socket.grow(size)
