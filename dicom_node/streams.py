"""Byte streams that are read once: pieces put in front of a stream; no socket and no file is opened here."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """What these streams are built on."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, empty at the end."""
        ...


class Replayed:
    """`front` first, then `rest`; both methods fill up unless the end is reached."""

    def __init__(self, front: bytes, rest: Source) -> None:
        self._front = memoryview(front)
        self._rest = rest
        self._readinto = getattr(rest, "readinto", None)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left when negative; fewer only at the end."""
        if not self._front:
            piece = self._rest.read(size)
            if size < 0 or len(piece) in (0, size):
                return piece
            return piece + self._fill(size - len(piece))
        if size < 0:
            front, self._front = bytes(self._front), self._front[:0]
            return front + self._rest.read()
        piece = bytes(self._front[:size])
        self._front = self._front[size:]
        return piece + self._fill(size - len(piece)) if len(piece) < size else piece

    def _fill(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0 and (piece := self._rest.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill `buffer`; the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        done = min(len(self._front), len(view))
        if done:
            view[:done] = self._front[:done]
            self._front = self._front[done:]
        while done < len(view):
            if self._readinto is not None:
                got = int(self._readinto(view[done:]) or 0)
            else:
                piece = self._rest.read(len(view) - done)
                got = len(piece)
                view[done : done + got] = piece
            if not got:
                break
            done += got
        return done
