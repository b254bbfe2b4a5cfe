"""The DICOM node as one object to start and to stop: listening address, receiver, limits."""

from __future__ import annotations

import threading

from dicom_node.ae import Limits
from dicom_node.errors import ListenError
from dicom_node.receiver import Receiver
from dicom_node.scp import Association
from dicom_node.transport import EndReporter, Listener, SharedGate, listen
from dicom_node.watch import AdmissionWatch
from dicom_node.wire import Wire

_TICK_S = 1.0


class DicomNode:
    """Listens for associations and hands what arrives to `receiver`; one start, one stop.

    Parameters
    ----------
    receiver
        Called from many threads at once.
    host, port
        Port 0 takes any free one; `start` tells which.
    limits
        What everybody is held to.
    """

    def __init__(self, *, receiver: Receiver, host: str, port: int, limits: Limits | None = None) -> None:
        self._receiver = receiver
        self._address = (host, port)
        self._limits = limits or Limits()
        self._reporter = EndReporter(receiver)
        self._gate = SharedGate(self._limits, self._reporter)
        self._listener: Listener | None = None
        self._stopped = threading.Event()
        self._watch = AdmissionWatch(self._gate.established)
        self._reports = threading.Thread(target=self._flush_reports, name="dicom-reports", daemon=True)

    def start(self) -> tuple[str, int]:
        """Listen and return the bound address.

        Raises
        ------
        ListenError
            The address is taken or not ours.
        """
        host, port = self._address
        try:
            sock = listen(host, port)
        except OSError as exc:
            raise ListenError(
                f"{host}:{port} cannot be listened on: {exc.strerror}. {ListenError.__doc__}"
            ) from exc
        bound = sock.getsockname()
        self._listener = Listener(sock, gate=self._gate, begin=self._begin)
        self._listener.start()
        self._reports.start()
        self._watch.start()
        return str(bound[0]), int(bound[1])

    def stop(self, *, timeout_s: float) -> None:
        """Refuse new associations, let each finish its current instance, then A-ABORT what is left.

        Idle peers are aborted at once; returns at the latest about a second after `timeout_s`.
        """
        if self._listener is None:
            return
        self._gate.stopping = True
        self._watch.stop()
        self._listener.stop()
        self._listener = None
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
