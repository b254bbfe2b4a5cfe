"""Tells the audit of those who may not come in, without letting them write it full: a few by name, then sums."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

SINGLY = 5
EVERY_S = 60.0
MOST_ADDRESSES = 1024


@dataclass(slots=True)
class _Count:
    since: float
    told: int = 0
    untold: int = 0


class Strangers:
    """Counts refusals by address: the first `SINGLY` of a minute are told one by one, the rest in sums a minute apart.

    It holds `MOST_ADDRESSES` addresses at most; the one that was silent longest falls out, and what was not told of it is
    told with the next one of anybody.
    """

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._now = clock_s
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._fallen_out = 0

    def seen(self, address: str) -> int:
        """Count one refusal; return how many to tell the audit of now, 0 when it waits for a sum."""
        now = self._now()
        with self._lock:
            count = self._counts.setdefault(address, _Count(since=now))
            self._counts.move_to_end(address)
            count.untold += 1
            if now - count.since >= EVERY_S:
                count.since, count.told = now, 0
            elif count.told >= SINGLY:
                return 0
            while len(self._counts) > MOST_ADDRESSES:
                _, fallen = self._counts.popitem(last=False)
                self._fallen_out += fallen.untold
            telling, count.untold = count.untold + self._fallen_out, 0
            count.told += 1
            self._fallen_out = 0
            return telling
