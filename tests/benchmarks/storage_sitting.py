"""One sitting of ``make bench-storage``: where its parts work, how they take turns, and what they share; measures nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage import DiskObjects, MemoryKeys, Objects, SealedRef, SealedStore, WrappedKey

MIB = 1 << 20
SEGMENTS = (1 << 16, 1 << 18, MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """Where a part works, how often it repeats, and how much it takes; `quick` only shows that it runs."""

    folder: Path
    runs: int
    quick: bool
    content_bytes: int
    passes: int
    publishes: int
    ranges: int

    def store(self, segment_bytes: int, *, objects: Objects | None = None) -> SealedStore:
        kept = DiskObjects(self.folder / "objects") if objects is None else objects
        return SealedStore(objects=kept, keys=MemoryKeys(), tenant="bench", segment_bytes=segment_bytes)

    def in_turn(self, *measured: Callable[[], float]) -> list[tuple[float, ...]]:
        """Measure all in each repetition, the first a different one every time; return each one's values."""
        found: list[list[float]] = [[] for _ in measured]
        for repetition in range(self.runs):
            for place in range(len(measured)):
                which = (repetition + place) % len(measured)
                found[which].append(measured[which]())
        return [tuple(values) for values in found]

    def rate(self, size_bytes: int, act: Callable[[], object]) -> Callable[[], float]:
        """Return a measurement: bytes a second of some passes over the same bytes, after one that does not count."""

        def measured() -> float:
            act()
            began = time.perf_counter()
            for _ in range(self.passes):
                act()
            return self.passes * size_bytes / (time.perf_counter() - began)

        return measured


def open_whole(store: SealedStore, ref: SealedRef, key: WrappedKey, buffer: memoryview) -> None:
    with store.open(ref, key=key, kind="bench") as reader:
        while reader.readinto(buffer):
            pass


def words(size_bytes: int) -> str:
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // 1024} KiB"
