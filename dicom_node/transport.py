"""Who may be connected at once, and the loop that accepts connections; no byte is read here, so nobody can block it.

Connections that are not an association yet are counted apart from associations, and when there are too many the
*oldest silent* one is dropped: a real peer speaks within milliseconds, so a silent crowd cannot keep it out.
"""

from __future__ import annotations

import _thread
import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable

from dicom_node.ae import Limits
from dicom_node.failures import note
from dicom_node.receiver import AssociationEnd, Receiver
from dicom_node.scp import Association
from dicom_node.wire import Wire

_TICK_S = 0.5
_REPORT_WINDOW_S = 10.0
_REPORT_KEYS = 256
_BACKLOG = 1024
_LOOK_AT = 64  # so many of a crowd are looked at, a microsecond each, for one that says nothing


def address_group(address: str) -> str:
    """What limits count as one address: an IPv4 address, or the /64 that one IPv6 customer commands."""
    if ":" not in address:
        return address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + b"\0" * 8)


class EndReporter:
    """Tells the receiver how connections ended; repeated ones that kept nothing are summed up.

    An audit trail that takes one transaction per connection would otherwise be the next thing a port scanner stops.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], tuple[float, AssociationEnd | None]] = {}

    def report(self, end: AssociationEnd, *, associated: bool) -> None:
        """The first of its kind at once, the others at the end of a ten-second window."""
        if associated:
            self._tell(end)
            return
        now = time.monotonic()
        with self._lock:
            key: tuple[str, ...] = (end.address, end.how, end.calling_ae, end.called_ae, end.why)
            if key not in self._held and len(self._held) >= _REPORT_KEYS:
                key = ("", end.how)  # somebody varies the titles: the rest of the window is one line
                end = dataclasses.replace(end, address="", calling_ae="", called_ae="", why="many peers")
            if key in self._held:
                since, before = self._held[key]
                count = end.connections + (before.connections if before is not None else 0)
                self._held[key] = (since, dataclasses.replace(end, connections=count))
                return
            self._held[key] = (now, None)
        self._tell(end)

    def flush(self, *, everything: bool = False) -> None:
        """Tell what windows that are over have held back."""
        now = time.monotonic()
        with self._lock:
            due = [k for k, (since, _) in self._held.items() if everything or now - since >= _REPORT_WINDOW_S]
            ends = [self._held.pop(key)[1] for key in due]
        for end in ends:
            if end is not None:
                self._tell(end)

    def _tell(self, end: AssociationEnd) -> None:
        try:
            self._receiver.ended(end)
        except Exception as exc:  # noqa: BLE001 - the association is over either way
            note("ended_failed", exc, association=end.association_id)


class SharedGate:
    """Counts connections and associations against the limits; every method is short and may be called by any thread."""

    def __init__(self, limits: Limits, reporter: EndReporter) -> None:
        self._limits = limits
        self._reporter = reporter
        self._changed = threading.Condition()
        self._pending: dict[Association, str] = {}  # in order of arrival
        self._established: dict[Association, str] = {}
        self._was_established: set[str] = set()
        self.stopping = False

    def connect(self, association: Association) -> None:
        """A new connection is always let in; one that has not become anything makes room.

        That is the oldest of those that say nothing, so that a silent crowd pushes out itself and not a peer in the midst
        of its TLS handshake; where all speak, the oldest.
        """
        group = address_group(association.address)
        with self._changed:
            crowd = [other for other, theirs in self._pending.items() if theirs == group]
            if len(crowd) < self._limits.max_pending_per_address:
                crowd = list(self._pending) if len(self._pending) >= self._limits.max_pending else []
            victim = next(
                (one for one in crowd[:_LOOK_AT] if not one.has_spoken), crowd[0] if crowd else None
            )
            if victim is not None:
                del self._pending[victim]
            self._pending[association] = group
        if victim is not None:
            victim.sever("timeout", "dropped for a newer connection: too many without an association")

    def establish(self, association: Association, most: int | None) -> bool:
        """See `dicom_node.scp.Gate`."""
        limits = self._limits
        with self._changed:
            group = self._pending.get(association)
            if group is None or self.stopping:
                return False
            everybody = self._established
            same_address = sum(theirs == group for theirs in everybody.values())
            title = association.calling_ae.strip()
            same_peer = sum(other.calling_ae.strip() == title for other in everybody)
            if (
                len(everybody) >= limits.max_associations
                or same_address >= limits.max_associations_per_address
                or (most is not None and same_peer >= most)
            ):
                return False
            del self._pending[association]
            everybody[association] = group
            self._was_established.add(association.id)
            return True

    def leave(self, association: Association) -> None:
        """See `dicom_node.scp.Gate`; what still lingers may be dropped like any other connection."""
        with self._changed:
            group = self._established.pop(association, None)
            if group is not None:
                self._pending[association] = group
            self._changed.notify_all()

    def report(self, end: AssociationEnd) -> None:
        """See `dicom_node.scp.Gate`."""
        with self._changed:
            associated = end.association_id in self._was_established
            self._was_established.discard(end.association_id)
        self._reporter.report(end, associated=associated)

    def gone(self, association: Association) -> None:
        """The connection is closed."""
        with self._changed:
            self._pending.pop(association, None)
            self._established.pop(association, None)
            self._was_established.discard(association.id)
            self._changed.notify_all()

    def established(self) -> list[Association]:
        """Associations as they stand now."""
        with self._changed:
            return list(self._established)

    def counts(self) -> tuple[int, int]:
        """Pending connections and established associations."""
        with self._changed:
            return len(self._pending), len(self._established)

    def stop(self, *, timeout_s: float) -> None:
        """Let every association finish its current instance, then abort what is left."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self.stopping = True
            pending = list(self._pending)
        for association in pending:
            association.sever("aborted", "the node is stopping")
        with self._changed:
            while self._established and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            rest = [*self._established, *self._pending]
        for association in rest:
            association.sever("aborted", "the node is stopping", say_abort=True)
        with self._changed:
            self._changed.wait_for(lambda: not self._established and not self._pending, timeout=1.0)


class Listener:
    """Accepts connections on one socket and gives each its own thread."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        gate: SharedGate,
        wire: Callable[[socket.socket], Wire],
        begin: Callable[[Wire, str, int], Association],
    ) -> None:
        self._sock = sock
        self._gate = gate
        self._wire = wire
        self._begin = begin
        self._thread = threading.Thread(target=self._accept, name="dicom-accept", daemon=True)
        sock.settimeout(_TICK_S)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Accept nobody any more; the port is free afterwards."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._sock.close()

    def _accept(self) -> None:
        while not self._gate.stopping:
            try:
                sock, address = self._sock.accept()
            except TimeoutError:
                continue
            except OSError as exc:
                if not self._gate.stopping:  # out of file descriptors, most likely
                    note("accept_failed", exc)
                    time.sleep(_TICK_S)
                continue
            self._welcome(sock, address[0], address[1])

    def _welcome(self, sock: socket.socket, address: str, port: int) -> None:
        try:
            association = self._begin(self._wire(sock), address.removeprefix("::ffff:"), port)
            self._gate.connect(association)
            # Not `threading.Thread`: its `start` waits until the new thread has run, and while a thousand strangers come
            # and go that wait is what a legitimate peer would stand behind.
            _thread.start_new_thread(self._live, (association,))
        except (OSError, RuntimeError) as exc:  # gone before it came, or no thread to be had
            note("connection_failed", exc)
            sock.close()

    def _live(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._gate.gone(association)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)
