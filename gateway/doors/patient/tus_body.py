"""Reads the body of a PATCH in parts, with a clock on the sender; what came before a break is still handed on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.types import Message, Receive

from gateway.doors.http import Problem, plain
from gateway.doors.patient.writers import Turn

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """F12: how large a part is, how long nothing may come, and the slowest rate that is borne after a grace."""

    part_bytes: int = 4 * MIB
    silence_s: float = 30.0
    slowest_bytes_s: int = 1024
    grace_s: float = 30.0


class PartedBody:
    """Iterate for parts of at most ``part_bytes``; afterwards ``broken`` says why the body did not come whole, or None."""

    def __init__(self, receive: Receive, *, length: int, pace: Pace, turn: Turn) -> None:
        self.broken: Problem | None = None
        self._receive = receive
        self._length = length
        self._pace = pace
        self._turn = turn
        self._came = 0
        self._began = time.monotonic()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        part = bytearray()
        while self._came < self._length:
            message = await self._next()
            body = b"" if message is None else message.get("body", b"")
            self._came += len(body)
            if self._came > self._length:
                self.broken = plain(400, code="length")
                return
            part += body
            while len(part) >= self._pace.part_bytes:
                yield bytes(part[: self._pace.part_bytes])
                del part[: self._pace.part_bytes]
            if message is None or self._is_over(message):
                break
        if part:
            yield bytes(part)

    async def _next(self) -> Message | None:
        """Wait for bytes, for a newer writer, or for the clock; None when the body is broken off."""
        coming = asyncio.ensure_future(self._receive())
        stopped = asyncio.ensure_future(self._turn.asked_to_stop.wait())
        try:
            await asyncio.wait(
                {coming, stopped}, timeout=self._pace.silence_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not coming.done():
                self.broken = plain(423) if stopped.done() else plain(408)
                return None
            message = coming.result()
        finally:
            for waiting in (coming, stopped):
                if not waiting.done():
                    waiting.cancel()
        if message["type"] != "http.request":
            self.broken = plain(400, code="connection")
            return None
        self._turn.moved()
        return message

    def _is_over(self, message: Message) -> bool:
        if not message.get("more_body", False):
            if self._came < self._length:
                self.broken = plain(400, code="length")
            return True
        took = time.monotonic() - self._began
        if took > self._pace.grace_s and self._came / took < self._pace.slowest_bytes_s:
            self.broken = plain(408)
            return True
        return False
