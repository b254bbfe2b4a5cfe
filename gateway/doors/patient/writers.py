"""One writer per upload within this process, and so many at once; across processes the exact offset decides (F12)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from gateway.doors.http import Refused, plain

STALLED_S = 4.0
HAND_OVER_S = 3.0


@dataclass(slots=True, eq=False)
class Turn:
    """A writer's turn. It marks every byte that comes; a newer writer may ask a stalled one to stop."""

    moved_at: float = field(default_factory=time.monotonic)
    asked_to_stop: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def moved(self) -> None:
        self.moved_at = time.monotonic()


class Writers:
    """The turns of one door. A telephone that changed its network leaves a dead connection behind that nobody closes:
    a writer from which nothing has come for `STALLED_S` seconds gives way to the next; any other one is kept (423).
    """

    def __init__(self, *, at_once: int) -> None:
        self._turns: dict[str, Turn] = {}
        self._at_once = at_once

    @asynccontextmanager
    async def turn(self, upload_id: str) -> AsyncIterator[Turn]:
        """Take the turn for the time of the block; raises `Refused` with 423, or 503 when too many write at once."""
        held = self._turns.get(upload_id)
        if held is not None and time.monotonic() - held.moved_at >= STALLED_S:
            held.asked_to_stop.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(held.ended.wait(), HAND_OVER_S)
        if upload_id in self._turns:
            raise Refused(plain(423, headers={"Retry-After": "2"}))
        if len(self._turns) >= self._at_once:
            raise Refused(plain(503, headers={"Retry-After": "5"}))
        mine = self._turns[upload_id] = Turn()
        try:
            yield mine
        finally:
            del self._turns[upload_id]
            mine.ended.set()
