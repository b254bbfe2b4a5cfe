"""Finds known byte strings anywhere in a large buffer; it knows neither DICOM nor documents.

A needle of seven bytes holds a whole four-byte word wherever it starts, so that only each fourth place of the buffer is
looked at: a hash table throws out nearly all of them at numpy speed, and hundreds of needles cost one pass.
Shorter needles are looked for at each second place, or at each.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from anonymizer.mapped import blocks

SMALL = 1 << 12
BLOCK = 1 << 18
WORD = 4
DIGITS = frozenset(b"0123456789")
DIGITS_AND_DOTS = DIGITS | {0x2E}
_MULTIPLIER = np.uint32(0x9E3779B1)  # Knuth's multiplicative hash
_BITS = 15  # a table of 32 KiB stays in the first cache
_SHIFT = np.uint32(32 - _BITS)
_ROOM = threading.local()


def _scratch(count: int) -> tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.bool_]]:
    """Arrays of at least ``count`` cells that belong to this thread."""
    room: tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.bool_]] | None
    room = getattr(_ROOM, "arrays", None)
    if room is None or len(room[0]) < count:
        room = np.empty(count, np.uint32), np.empty(count, np.intp), np.empty(count, np.bool_)
        _ROOM.arrays = room
    return room


class _Pass:
    """The needles that one stride finds: every aligned word of each, and the word behind it where there is one."""

    def __init__(self, needles: list[bytes], stride: int) -> None:
        self.stride = stride
        self._table = np.zeros(1 << _BITS, dtype=np.bool_)
        self._needles: dict[int, list[tuple[int, bytes]]] = {}
        single: set[int] = set()
        pairs: set[int] = set()
        for needle in needles:
            for at in range(stride):
                word = int.from_bytes(needle[at : at + WORD], "little")
                self._needles.setdefault(word, []).append((at, needle))
                if at + 2 * WORD <= len(needle):
                    pairs.add(word | int.from_bytes(needle[at + WORD : at + 2 * WORD], "little") << 32)
                else:
                    single.add(word)
        words = np.array(sorted(self._needles), dtype=np.uint32)
        self._table[words * _MULTIPLIER >> _SHIFT] = True
        self._single = np.array(sorted(single), dtype=np.uint32)
        self._pairs = np.array(sorted(pairs), dtype=np.uint64)

    def _marked(self, words: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which words the table lets through.

        In arrays that stay: new ones would be given back to the system after each block, and be zeroed by it for the next,
        which takes longer than the work.
        """
        count = len(words)
        room = _scratch(count)
        hashed, places, marked = room[0][:count], room[1][:count], room[2][:count]
        np.multiply(words, _MULTIPLIER, out=hashed)
        np.right_shift(hashed, _SHIFT, out=hashed)
        np.copyto(places, hashed)
        np.take(self._table, places, out=marked, mode="clip")
        return marked

    def places(self, block: memoryview) -> Iterator[tuple[int, bytes]]:
        """Where a needle may start in the block, and which."""
        for first in range(0, WORD, self.stride):
            count = (len(block) - first) // WORD
            if count < 1:
                continue
            words = np.frombuffer(block, dtype="<u4", offset=first, count=count)
            hits = np.flatnonzero(self._marked(words))
            if not len(hits):
                continue
            behind = words[np.minimum(hits + 1, count - 1)].astype(np.uint64)
            found = words[hits]
            kept = _within(self._single, found) | _within(self._pairs, found | behind << np.uint64(32))
            for at, word in zip((hits[kept] * WORD + first).tolist(), found[kept].tolist(), strict=True):
                for offset, needle in self._needles.get(word, ()):
                    yield at - offset, needle


class Needles:
    """Needles of at least four bytes, prepared once; ``beginnings`` are found wherever they stand, whatever is beside them."""

    def __init__(self, needles: Iterable[bytes], beginnings: Iterable[bytes] = ()) -> None:
        self.beginnings = frozenset(beginnings)
        self.needles = tuple(
            sorted({needle for needle in (*needles, *self.beginnings) if len(needle) >= WORD})
        )
        by_stride: dict[int, list[bytes]] = {}
        for needle in self.needles:
            stride = next(size for size in (4, 2, 1) if len(needle) >= WORD + size - 1)
            by_stride.setdefault(stride, []).append(needle)
        self._passes = [_Pass(several, stride) for stride, several in sorted(by_stride.items())]
        self._longest = max((len(needle) for needle in self.needles), default=0)

    def found(self, buffer: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Each (offset, needle) in the buffer; a short number counts only when no digit stands beside it."""
        if not self.needles:
            return
        if len(buffer) <= SMALL:
            yield from self._found_in_small(bytes(buffer))
            return
        view = memoryview(buffer)
        for start, block in blocks(buffer, size_bytes=BLOCK, overlap=self._longest + 1):
            places = {place for one in self._passes for place in one.places(memoryview(block))}
            for at, needle in sorted(places):
                here = 0 <= at < BLOCK and block[at : at + len(needle)] == needle
                if here and (needle in self.beginnings or alone(view, start + at, needle)):
                    yield start + at, needle

    def _found_in_small(self, plain: bytes) -> Iterator[tuple[int, bytes]]:
        for needle in self.needles:
            at = plain.find(needle)
            while at >= 0:
                if needle in self.beginnings or alone(plain, at, needle):
                    yield at, needle
                at = plain.find(needle, at + 1)

    def any_in(self, buffer: bytes | memoryview) -> bool:
        return next(self.found(buffer), None) is not None


def _within(
    sorted_values: NDArray[np.unsignedinteger], values: NDArray[np.unsignedinteger]
) -> NDArray[np.bool_]:
    if not len(sorted_values):
        return np.zeros(len(values), dtype=np.bool_)
    places = np.searchsorted(sorted_values, values)
    return sorted_values[np.minimum(places, len(sorted_values) - 1)] == values


def alone(buffer: bytes | memoryview, at: int, needle: bytes) -> bool:
    """A short number, or a UID, is found by chance inside longer ones: it must stand alone."""
    if not DIGITS_AND_DOTS.issuperset(needle) or (len(needle) >= 8 and b"." not in needle):
        return True
    before = buffer[at - 1] if at else 0
    end = at + len(needle)
    after = buffer[end] if end < len(buffer) else 0
    further = buffer[end + 1] if end + 1 < len(buffer) else 0
    if before in DIGITS_AND_DOTS or after in DIGITS:
        return False
    return after != 0x2E or further not in DIGITS
