"""What the doors for peers keep in mind between two questions to the records: a peer's row for a moment, its day's quota; no decision is made here.

Admission reads the rows each time. Established associations are asked about twice a second each: they share one reading.
The day's quota is counted as bytes are read, over all associations of a peer in this process, and taken from the rows
again every minute, which is how other processes and the end of yesterday's hours come in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

from dicom_node import status
from dicom_node.receiver import (
    Admitted,
    AssociationAttempt,
    ReadableStream,
    ReceivedInstance,
    Refused,
    StoreOutcome,
)
from gateway.domain.errors import TooManyError
from gateway.domain.peer import DAY, Peer
from gateway.journeys.admit_peer import admit, may_call, objection, permissions
from gateway.ports import House

ROW_FOR_S = 0.25
DAY_FOR_S = 60.0


class QuotaError(TooManyError):
    """The peer's quota for 24 hours is used up."""

    next_step = (
        "Wait until older hours have passed, or give it more: consilium peer change AET --per-day 100GiB."
    )


@dataclass(slots=True)
class _Day:
    """How many bytes are left of a quota, as counted since it was last asked of the records."""

    quota: int
    left: int
    asked_at: float


class PeerBook:
    """One for each process; its methods are called from many threads."""

    def __init__(self, house: House, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._house = house
        self._monotonic = monotonic
        self._lock = Lock()
        self._rows: dict[str, tuple[float, Peer | None]] = {}
        self._days: dict[str, _Day] = {}
        self._in_flight: dict[str, int] = {}

    def admit(self, attempt: AssociationAttempt) -> Admitted | Refused:
        """Decide on an association, and say how to ask whether that still holds."""
        answer = admit(attempt, records=self._house.records, policy=self._house.policy)
        if isinstance(answer, Refused):
            return answer
        return replace(answer, still_admitted=lambda: self._still(attempt, answer))

    def _still(self, attempt: AssociationAttempt, given: Admitted) -> bool:
        """Tell whether the peer would be let in again, and with the same rights."""
        peer = self._row(attempt.calling_ae.strip())
        policy = self._house.policy
        if peer is None or objection(peer, attempt) or not may_call(peer, attempt, policy=policy):
            return False
        return permissions(peer, policy=policy) == given

    def metered(
        self, instance: ReceivedInstance, keep: Callable[[ReceivedInstance], StoreOutcome]
    ) -> StoreOutcome:
        """Keep an instance, counted against its peer's quota where there is one; what is not kept costs nothing.

        Raises
        ------
        QuotaError
            Nothing was left, or not enough for this object.
        """
        ae_title = instance.calling_ae.strip()
        peer = self._row(ae_title)
        if peer is None or peer.day_bytes is None:
            return keep(instance)
        if self._left(peer, peer.day_bytes) <= 0:
            raise QuotaError
        stream = _Metered(instance.stream, take=lambda size: self._take(ae_title, size))
        is_kept = False
        try:
            outcome = keep(replace(instance, stream=stream))
            is_kept = status.is_kept(outcome.status)
        finally:
            self._settle(ae_title, stream.counted, is_kept=is_kept)
        return outcome

    def _settle(self, ae_title: str, counted: int, *, is_kept: bool) -> None:
        """Close the count of one object: its row tells of it now, or it costs nothing."""
        with self._lock:
            self._in_flight[ae_title] -= counted
            if not is_kept:
                self._days[ae_title].left += counted

    def _row(self, ae_title: str) -> Peer | None:
        now = self._monotonic()
        with self._lock:
            at, peer = self._rows.get(ae_title, (-ROW_FOR_S, None))
        if now - at < ROW_FOR_S:
            return peer
        with self._house.records.view() as view:
            peer = view.peers.first(ae_title=ae_title)
        with self._lock:
            if peer is None:
                self._rows.pop(ae_title, None)  # strangers leave nothing behind
            else:
                self._rows[ae_title] = (now, peer)
        return peer

    def _left(self, peer: Peer, quota: int) -> int:
        now = self._monotonic()
        with self._lock:
            day = self._days.get(peer.ae_title)
            if day is not None and day.quota == quota and now - day.asked_at < DAY_FOR_S:
                return day.left
        with self._house.records.view() as view:
            _, used = view.received_from(peer.ae_title, since=self._house.clock.now() - DAY)
        with self._lock:
            left = quota - used - self._in_flight.setdefault(peer.ae_title, 0)
            self._days[peer.ae_title] = _Day(quota=quota, left=left, asked_at=now)
        return left

    def _take(self, ae_title: str, size: int) -> int:
        with self._lock:
            self._in_flight[ae_title] += size
            day = self._days[ae_title]
            day.left -= size
            return day.left


class _Metered:
    """Counts what is read, and stops where the quota is passed."""

    def __init__(self, stream: ReadableStream, *, take: Callable[[int], int]) -> None:
        self._stream, self._take = stream, take
        self.counted = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._count(len(data))
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        size = self._stream.readinto(buffer)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self.counted += size
        if size and self._take(size) < 0:
            raise QuotaError
