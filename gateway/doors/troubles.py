"""Tells the records what a door had to refuse because a part of the house is out; seldom, and never in anybody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from gateway.domain.trouble import TroubleKind, trouble_of
from gateway.journeys.tell_trouble import end_troubles, note_trouble
from gateway.ports import House

NOTED_EVERY_S = 10.0

log = structlog.get_logger(__name__)


class Troubles:
    """What one door of one process has noted; asked by many threads.

    A kind is written once in ten seconds, however many are refused. What a process before this one left goes by its time.
    """

    def __init__(self, house: House, door: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._house, self._door, self._monotonic = house, door, monotonic
        self._lock = threading.Lock()
        self._noted: dict[TroubleKind, float] = {}

    @contextmanager
    def told(self, *, proves: bool = True) -> Iterator[None]:
        """Note what stops the block; where one that proves it ends well, what stood at this door has ended."""
        try:
            yield
        except Exception as error:
            self.refused(error)
            raise
        if proves:
            self.went_well()

    def refused(self, error: BaseException) -> None:
        """Note a refusal, if it tells of the service."""
        kind = trouble_of(error)
        if kind is None:
            return
        now = self._monotonic()
        with self._lock:
            if now - self._noted.get(kind, float("-inf")) < NOTED_EVERY_S:
                return
            self._noted[kind] = now
        try:
            note_trouble(kind, door=self._door, records=self._house.records, clock=self._house.clock)
        except Exception as failed:  # noqa: BLE001 - the refusal itself must reach its sender
            log.warning("trouble_not_noted", trouble=kind, error=type(failed).__name__)

    def went_well(self) -> None:
        """End what stands at this door; costs nothing where nothing does."""
        if not self._noted:
            return
        with self._lock:
            ended, self._noted = self._noted, {}
        try:
            end_troubles(ended, door=self._door, records=self._house.records, clock=self._house.clock)
        except Exception as failed:  # noqa: BLE001 - it goes by its time as well
            log.warning("trouble_not_ended", error=type(failed).__name__)
