"""The DICOM node as one object to start and to stop: listening addresses, receiver, limits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.ae import Limits
from dicom_node.errors import ListenError
from dicom_node.receiver import Receiver
from dicom_node.scp import Association
from dicom_node.tls import ServerTls
from dicom_node.tls_wire import TlsWire
from dicom_node.transport import EndReporter, Listener, SharedGate, listen
from dicom_node.watch import AdmissionWatch
from dicom_node.wire import Wire

_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """One address: plain, or TLS from the first byte. Port 0 takes any free one; `DicomNode.start` tells which."""

    host: str
    port: int
    tls: ServerTls | None = None

    def wire(self, sock: socket.socket) -> Wire:
        """The wire of a connection that came here."""
        return Wire(sock) if self.tls is None else TlsWire(sock, self.tls)


class DicomNode:
    """Listens for associations and hands what arrives to `receiver`; one start, one stop.

    Parameters
    ----------
    receiver
        Called from many threads at once.
    listeners
        Where; all of them share one set of limits.
    limits
        What everybody is held to.
    """

    def __init__(
        self, *, receiver: Receiver, listeners: Sequence[Listening], limits: Limits | None = None
    ) -> None:
        self._receiver = receiver
        self._listening = tuple(listeners)
        self._limits = limits or Limits()
        self._reporter = EndReporter(receiver)
        self._gate = SharedGate(self._limits, self._reporter)
        self._listeners: list[Listener] = []
        self._stopped = threading.Event()
        self._watch = AdmissionWatch(self._gate.established)
        self._reports = threading.Thread(target=self._flush_reports, name="dicom-reports", daemon=True)

    def start(self) -> list[tuple[str, int]]:
        """Listen, on all addresses or on none; return what is bound, in the order of `listeners`.

        Raises
        ------
        ListenError
            An address is taken or not ours.
        """
        sockets: list[socket.socket] = []
        for at in self._listening:
            try:
                sockets.append(listen(at.host, at.port))
            except OSError as exc:
                for sock in sockets:
                    sock.close()
                raise ListenError(
                    f"{at.host}:{at.port} cannot be listened on: {exc.strerror}. {ListenError.__doc__}"
                ) from exc
        bound = [sock.getsockname() for sock in sockets]
        for at, sock in zip(self._listening, sockets, strict=True):
            self._listeners.append(Listener(sock, gate=self._gate, wire=at.wire, begin=self._begin))
        for listener in self._listeners:
            listener.start()
        self._reports.start()
        self._watch.start()
        return [(str(name[0]), int(name[1])) for name in bound]

    def stop(self, *, timeout_s: float) -> None:
        """Refuse new associations, let each finish its current instance, then A-ABORT what is left.

        Idle peers are aborted at once; returns at the latest about a second after `timeout_s`.
        """
        if not self._listeners:
            return
        self._gate.stopping = True
        self._watch.stop()
        for listener in self._listeners:
            listener.stop()
        self._listeners = []
        self._gate.stop(timeout_s=timeout_s)
        self._stopped.set()
        self._reports.join()

    def counts(self) -> tuple[int, int]:
        """Connections that are not an association yet, and established associations."""
        return self._gate.counts()

    def _begin(self, wire: Wire, address: str, port: int) -> Association:
        return Association(
            wire, address=address, port=port, receiver=self._receiver, gate=self._gate, limits=self._limits
        )

    def _flush_reports(self) -> None:
        # Not in the accept loop: the receiver may block on its database.
        while not self._stopped.wait(_TICK_S):
            self._reporter.flush()
        self._reporter.flush(everything=True)
