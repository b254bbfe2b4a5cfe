"""A bounded pipe from the asynchronous edge into the thread that keeps objects; it never holds more than it is told to.

The edge waits for room, so that TCP holds the sender back; the thread waits for bytes. A sender is timed only while we
wait for it (as on associations): our own slowness is never held against it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from starlette.types import Receive

from dicom_node.errors import (
    AssociationOver,
    InstanceTooLarge,
    NodeStopping,
    PeerLost,
    PeerTooSlow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long nothing may come, and the slowest pace that is borne after a grace; one wait is at most a silence long."""

    silence_s: float = 30.0
    slowest_bytes_s: int = 8192
    grace_s: float = 30.0


class NoLongerAdmitted(AssociationOver):
    """The peer may not store any more: ask the operator of the exchange."""

    how = "aborted"


class BodyPipe:
    """One request's body. The edge calls `fill` once; the thread calls `take` until it gives nothing, or raises."""

    def __init__(self, *, capacity_bytes: int = 1 << 20) -> None:
        self._capacity = capacity_bytes
        self._changed = threading.Condition()
        self._pieces: list[bytes] = []
        self._held = 0
        self._rest = memoryview(b"")
        self._is_over = False
        self._broken: AssociationOver | None = None
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self.came_bytes = 0

    # the thread's side

    def take(self) -> bytes:
        """Return what has come, none at the end of the body; raises why the body will never be whole."""
        with self._changed:
            while not (self._pieces or self._is_over):
                self._changed.wait()
            if self._pieces:
                taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces.clear()
                self._held = 0
                self._call_for_more()
                return taken
            if self._broken is not None:
                raise self._broken
            return b""

    def readinto(self, target: memoryview) -> int:
        """Copy some bytes of a body that is one object; 0 at its end."""
        if not self._rest:
            self._rest = memoryview(self.take())
        got = min(len(target), len(self._rest))
        target[:got] = self._rest[:got]
        self._rest = self._rest[got:]
        return got

    def drain(self, most_bytes: int) -> None:
        """Throw away what still comes, so that the sender gets to read the answer; past the bound it is cut off."""
        while most_bytes > 0 and (piece := self.take()):
            most_bytes -= len(piece)

    def _call_for_more(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)

    # the edge's side

    async def fill(self, receive: Receive, *, most_bytes: int, patience: Patience) -> None:
        """Read the body to its end, or say to the thread why it has none."""
        try:
            await self._fill(receive, most_bytes=most_bytes, patience=patience)
        except AssociationOver as over:
            self._end(over)
        except asyncio.CancelledError:
            self._end(NodeStopping())
            raise
        except BaseException:
            self._end(PeerLost())
            raise
        else:
            self._end(None)

    async def _fill(self, receive: Receive, *, most_bytes: int, patience: Patience) -> None:
        waited_s, more = 0.0, True
        while more:
            began = time.monotonic()
            try:
                async with asyncio.timeout(patience.silence_s):
                    message = await receive()
            except TimeoutError:
                raise PeerTooSlow("nothing came for too long") from None
            waited_s += time.monotonic() - began
            if message["type"] != "http.request":
                raise PeerLost
            piece, more = message.get("body", b""), message.get("more_body", False)
            self.came_bytes += len(piece)
            if self.came_bytes > most_bytes:
                raise InstanceTooLarge(f"the request is larger than {most_bytes} bytes")
            if waited_s > patience.grace_s and self.came_bytes < waited_s * patience.slowest_bytes_s:
                raise PeerTooSlow("the request comes more slowly than the pace allows")
            if piece:
                await self._put(piece)

    def cut(self, why: AssociationOver) -> None:
        """End the body now, in the midst of an object too."""
        with self._changed:
            if not self._is_over:
                self._pieces.clear()
        self._end(why)

    async def _put(self, piece: bytes) -> None:
        with self._changed:
            if self._is_over:
                return
            self._pieces.append(piece)
            self._held += len(piece)
            is_full = self._held >= self._capacity
            if is_full:
                self._room.clear()
            self._changed.notify()
        if is_full:
            await self._room.wait()

    def _end(self, why: AssociationOver | None) -> None:
        with self._changed:
            if not self._is_over:
                self._is_over, self._broken = True, why
            self._changed.notify()
            self._room.set()
