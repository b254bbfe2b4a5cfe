"""Finds known byte strings anywhere in a large buffer; it knows neither DICOM nor documents.

A table over the first two bytes throws out nearly all positions at numpy speed, so that hundreds of needles
cost one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

SMALL = 1 << 14
BLOCK = 1 << 20
DIGITS = frozenset(b"0123456789")
DIGITS_AND_DOTS = DIGITS | {0x2E}


class Needles:
    """Needles of at least four bytes, prepared once."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        self.needles = tuple(sorted({needle for needle in needles if len(needle) >= 4}))
        self._heads = np.zeros(1 << 16, dtype=np.bool_)
        self._seconds = np.zeros(1 << 16, dtype=np.bool_)
        self._by_head: dict[bytes, list[bytes]] = {}
        for needle in self.needles:
            self._heads[int.from_bytes(needle[:2], "little")] = True
            self._seconds[int.from_bytes(needle[2:4], "little")] = True
            self._by_head.setdefault(needle[:4], []).append(needle)
        self._longest = max((len(needle) for needle in self.needles), default=0)

    def found(self, buffer: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Each (offset, needle) in the buffer; a short number counts only when no digit stands beside it."""
        if not self.needles:
            return
        if len(buffer) <= SMALL:
            plain = bytes(buffer)
            for needle in self.needles:
                at = plain.find(needle)
                while at >= 0:
                    if _alone(plain, at, needle):
                        yield at, needle
                    at = plain.find(needle, at + 1)
            return
        view = memoryview(buffer)
        for start in range(0, len(view), BLOCK):
            block = view[start : start + BLOCK + self._longest + 1]
            for at in self._candidates(block):
                if at >= BLOCK:
                    continue
                head = bytes(block[at : at + 4])
                for needle in self._by_head.get(head, ()):
                    if bytes(block[at : at + len(needle)]) == needle and _alone(view, start + at, needle):
                        yield start + at, needle

    def any_in(self, buffer: bytes | memoryview) -> bool:
        return next(self.found(buffer), None) is not None

    def _candidates(self, block: memoryview) -> list[int]:
        places: list[int] = []
        for odd in (0, 1):
            words = np.frombuffer(block, dtype="<u2", offset=odd, count=(len(block) - odd) // 2)
            if len(words) < 2:
                continue
            hits = np.flatnonzero(self._heads[words[:-1]])
            if len(hits):
                hits = hits[self._seconds[words[hits + 1]]]
            places.extend((2 * hits + odd).tolist())
        return sorted(places)


def _alone(buffer: bytes | memoryview, at: int, needle: bytes) -> bool:
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
