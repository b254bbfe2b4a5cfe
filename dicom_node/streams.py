"""Byte streams that are read once: what all of them do, and pieces put in front of one; no socket and no file is opened here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from dicom_node.errors import AssociationOver

_READ_ALL_STEP_BYTES = 1 << 20


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


class ReadOnce(ABC):
    """One object as it comes from a peer, readable once; see `dicom_node.receiver.ReadableStream`.

    After it raised, `broken` holds why, and it raises the same again.
    """

    def __init__(self) -> None:
        self.received_bytes = 0
        self.ended = False
        self.broken: AssociationOver | None = None

    @abstractmethod
    def _some(self, target: memoryview, /) -> int:
        """Fill the beginning of `target`, which is not empty; 0 at the end, which it notes in `ended`."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end; everything that is left when negative."""
        if size >= 0:
            buffer = bytearray(size)
            got = self.readinto(buffer)
            return bytes(buffer) if got == size else bytes(memoryview(buffer)[:got])
        pieces = []
        while piece := self.read(_READ_ALL_STEP_BYTES):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill `buffer`; the number of bytes, 0 at the end."""
        if self.broken is not None:
            raise self.broken
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view) and (got := self._some(view[done:])):
                done += got
                self.received_bytes += got
        except AssociationOver as exc:
            self.broken = exc
            raise
        return done
