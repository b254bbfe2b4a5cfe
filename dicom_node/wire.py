"""One connected socket, read with patience that is counted, and nothing that knows a PDU's meaning.

Patience is counted in time spent *waiting for the peer* (`waited_s`), so a deadline holds against one byte per minute
as well as against silence, and a slow disk on our side is never held against a sender.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import Protocol

from dicom_node.errors import PeerLost, PeerTooSlow
from dicom_node.receiver import PeerCertificate

_SLICE_S = 0.5  # how long one system call may sleep: bounds overshoot of deadlines and the wait for a stop
_SMALL_BYTES = 4096  # a connection that is not an association yet owns this and a thread
_DIRECT_BYTES = 16384  # from here on bytes go from the socket straight to the consumer
_HEADER_BYTES = 6  # of a PDU; a TLS record has five
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class Carrier(Protocol):
    """What a wire needs of a socket; kernel timeouts make `recv_into` and `send` raise `BlockingIOError`."""

    def recv_into(self, buffer: memoryview, /) -> int: ...
    def send(self, data: memoryview, flags: int = ..., /) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def _nothing() -> None:
    """Default of `Wire.on_wait`."""


class Wire:
    """Buffered reading and whole writing over one socket; one thread reads, any thread may `sever`."""

    def __init__(self, sock: Carrier) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_SMALL_BYTES))
        self._start = 0
        self._end = 0
        self._sending = threading.Lock()
        self.waited_s = 0.0
        self.received_bytes = 0
        self.on_wait: Callable[[], None] = _nothing
        sock.setblocking(True)
        # Kernel timeouts instead of Python's: those would cost one poll() and one GIL hand-over per read.
        slice_ = struct.pack("@ll", int(_SLICE_S), int(_SLICE_S % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, slice_)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, slice_)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self, *, patience_s: float) -> PeerCertificate | None:
        """Let the peer prove itself before a byte is read; on a plain connection there is nothing to prove."""
        return None

    @property
    def has_spoken(self) -> bool:
        """Whether as much as a header has come, read or not yet read; any thread may ask."""
        if self.received_bytes >= _HEADER_BYTES:
            return True
        try:
            waiting = fcntl.ioctl(self._sock.fileno(), termios.FIONREAD, bytes(4))
        except (OSError, ValueError):  # closed meanwhile
            return False
        return self.received_bytes + int.from_bytes(waiting, sys.byteorder) >= _HEADER_BYTES

    def grow(self, size: int) -> None:
        """Make room for `size` buffered bytes; called once, when the peer has become an association."""
        held = bytes(self._buffer[self._start : self._end])
        self._buffer = memoryview(bytearray(max(size, len(held))))
        self._buffer[: len(held)] = held
        self._start, self._end = 0, len(held)

    @property
    def buffered(self) -> int:
        """Bytes that are here already."""
        return self._end - self._start

    def read_exactly(self, size: int, *, until: float) -> memoryview:
        """`size` bytes as a view that is valid until the next read; `until` is a value of `waited_s`."""
        if size > len(self._buffer):
            self.grow(size)
        while self._end - self._start < size:
            self._fill(until)
        view = self._buffer[self._start : self._start + size]
        self._start += size
        return view

    def wait_for_byte(self, *, until: float) -> None:
        """Return when at least one byte is here."""
        while self._start == self._end:
            self._fill(until)

    def read_some(self, target: memoryview, *, until: float) -> int:
        """Between 1 and ``len(target)`` bytes; from the socket straight into `target` when that pays."""
        held = self._end - self._start
        if not held:
            if len(target) >= _DIRECT_BYTES:
                return self._receive(lambda: self._sock.recv_into(target), until)
            self._fill(until)
            held = self._end - self._start
        size = min(held, len(target))
        target[:size] = self._buffer[self._start : self._start + size]
        self._start += size
        return size

    def skip_some(self, size: int, *, until: float) -> int:
        """Throw away between 1 and `size` bytes."""
        self.wait_for_byte(until=until)
        size = min(size, self._end - self._start)
        self._start += size
        return size

    def _fill(self, until: float) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer):
            held = self._end - self._start
            self._buffer[:held] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, held
        self._end += self._receive(lambda: self._sock.recv_into(self._buffer[self._end :]), until)

    def _receive(self, receive: Callable[[], int], until: float) -> int:
        while True:
            if self.waited_s > until:  # also when bytes keep coming: one by one is no way to speak
                raise PeerTooSlow
            started = time.monotonic()
            try:
                got = receive()
            except (BlockingIOError, TimeoutError):  # the slice is over
                got = -1
            except OSError as exc:
                raise PeerLost(f"connection lost ({exc.strerror or type(exc).__name__})") from exc
            self.waited_s += time.monotonic() - started
            if got > 0:
                self.received_bytes += got
                return got
            if got == 0:
                raise PeerLost("the peer closed the connection")
            self.on_wait()

    def send(self, data: bytes | memoryview, *, patience_s: float) -> None:
        """Send all of `data`; then acknowledge at once what comes back."""
        with self._sending:
            self._send_all(memoryview(data), time.monotonic() + patience_s)
        if _QUICKACK is not None:
            # Having answered, Linux delays ACKs by 40 ms, and a sender with Nagle's algorithm holds back the
            # last part of its next object until then. Quick ACKs are switched off again by every answer.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _send_all(self, view: memoryview, deadline: float) -> None:
        while view:
            try:
                view = view[self._sock.send(view) :]
            except (BlockingIOError, TimeoutError):
                if time.monotonic() > deadline:
                    raise PeerTooSlow("the peer does not read our answer") from None
            except OSError as exc:
                raise PeerLost(f"connection lost ({exc.strerror or type(exc).__name__})") from exc

    def sever(self, last_words: bytes = b"") -> None:
        """End the connection from another thread: the reading thread finds it lost."""
        if last_words and self._sending.acquire(timeout=0.1):
            try:
                with contextlib.suppress(OSError):
                    self._sock.send(memoryview(last_words), socket.MSG_DONTWAIT)
            finally:
                self._sending.release()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; called by the owning thread only."""
        with contextlib.suppress(OSError):
            self._sock.close()
