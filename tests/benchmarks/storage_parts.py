"""Ranges, publishing, verification and buffers: parts of ``make bench-storage``, each ours and the bare work in turn."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from storage import DiskObjects, SealedRef, SealedStore, WrappedKey
from storage.buffers import new_buffer
from storage.format import HEADER_BYTES
from storage.objects.ids import new_object_id
from tests.benchmarks.figures import MB, percentile
from tests.benchmarks.processes import quiet_disk
from tests.benchmarks.storage_figures import Figure
from tests.benchmarks.storage_sitting import MIB, SEGMENTS, Sitting, open_whole, words

OBJECT_BYTES = 1 << 19  # a CT slice
RANGE_BYTES = 1 << 16


def ranges(sitting: Sitting) -> Iterator[Figure]:
    """64 KiB at a random place of an object on disk: opened, sought, read and closed, as a range request does."""
    content = os.urandom(sitting.content_bytes)
    for segment_bytes in SEGMENTS[1:]:
        store = sitting.store(segment_bytes)
        key = store.new_key(holder="case", purpose="originals")
        ref = store.seal(io.BytesIO(content), key=key, kind="bench")
        path = sitting.folder / "objects" / ref.object_id[:2] / ref.object_id
        for cold in (False, True):
            count = sitting.ranges // 10 if cold else sitting.ranges
            open_whole(store, ref, key, memoryview(bytearray(MIB)))  # brings it into the page cache
            took = [
                [one_range(store, ref, key, path, cold=cold) for _ in range(count)]
                for _ in range(sitting.runs)
            ]
            bare = [[bare_range(path, cold=cold) for _ in range(count)] for _ in range(sitting.runs)]
            where = "the device" if cold else "the page cache"
            for at in (50, 99):
                yield Figure(
                    words=f"64 KiB range from {where}, segments of {words(segment_bytes)}, p{at}",
                    unit="ms",
                    ours=tuple(percentile(times, at) * 1e3 for times in took),
                    beside="opening the file, reading 64 KiB",
                    bare=tuple(percentile(times, at) * 1e3 for times in bare),
                    wanted="≤ 1 ms" if at == 99 else "",
                )
        store.forget(ref.object_id)


def one_range(store: SealedStore, ref: SealedRef, key: WrappedKey, path: Path, *, cold: bool) -> float:
    offset = anywhere(ref.size_bytes)
    if cold:
        let_go(path)
    began = time.perf_counter()
    with store.open(ref, key=key, kind="bench") as reader:
        reader.seek(offset)
        got = len(reader.read(RANGE_BYTES))
    took = time.perf_counter() - began
    if got != RANGE_BYTES:
        raise RuntimeError("a range came short")
    return took


def bare_range(path: Path, *, cold: bool) -> float:
    offset = anywhere(path.stat().st_size)
    if cold:
        let_go(path)
    began = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        os.pread(file.fileno(), RANGE_BYTES, offset)
    return time.perf_counter() - began


def anywhere(size_bytes: int) -> int:
    return int.from_bytes(os.urandom(6), "big") % (size_bytes - RANGE_BYTES)


def let_go(path: Path) -> None:
    """Drop what the page cache holds of one file."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def publish(sitting: Sitting) -> Iterator[Figure]:
    """Durable objects of 512 KiB a second beside a bare write, fsync, rename, fsync of the directory."""
    content = os.urandom(OBJECT_BYTES)
    pieces = [
        content[:HEADER_BYTES],
        *(content[at : at + (1 << 18)] for at in range(HEADER_BYTES, len(content), 1 << 18)),
    ]
    store = sitting.store(1 << 18)
    objects, key = DiskObjects(sitting.folder / "objects"), store.new_key(holder="case", purpose="originals")
    bare = sitting.folder / "bare"
    for name in ("", "tmp", *(f"{n:02x}" for n in range(256))):
        (bare / name).mkdir()

    def per_second(act: Callable[[], object]) -> Callable[[], float]:
        def measured() -> float:
            quiet_disk()
            began = time.perf_counter()
            for _ in range(sitting.publishes):
                act()
            return sitting.publishes / (time.perf_counter() - began)

        return measured

    sealed, ours, beside = sitting.in_turn(
        per_second(lambda: store.seal(io.BytesIO(content), key=key, kind="bench")),
        per_second(lambda: objects.publish(new_object_id(), pieces)),
        per_second(lambda: publish_barely(bare, content)),
    )
    words = "write, fsync, rename, fsync of the directory"
    yield Figure(
        words="publish 512 KiB, durable", unit="/s", ours=ours, beside=words, bare=beside, wanted="≥ 0.7"
    )
    yield Figure(words="seal and publish 512 KiB, durable", unit="/s", ours=sealed, beside=words, bare=beside)


def publish_barely(root: Path, content: bytes) -> None:
    name = new_object_id()
    draft, final = root / "tmp" / name, root / name[:2] / name
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if os.write(fd, content) != len(content):
            raise RuntimeError("a short write")
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(final)
    directory = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def verify(sitting: Sitting) -> Iterator[Figure]:
    """What a scrubber does: every segment opened and the digest compared, beside reading the same files only."""
    store = sitting.store(1 << 18)
    key = store.new_key(holder="case", purpose="originals")
    content = os.urandom(OBJECT_BYTES)
    count = max(1, sitting.content_bytes // OBJECT_BYTES)
    refs = [store.seal(io.BytesIO(content), key=key, kind="bench") for _ in range(count)]
    paths = [sitting.folder / "objects" / ref.object_id[:2] / ref.object_id for ref in refs]
    buffer = new_buffer(1 << 18)

    def read() -> None:
        for path in paths:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    def verified() -> None:
        for ref in refs:
            store.verify(ref, key=key, kind="bench")

    def cold(act: Callable[[], None]) -> Callable[[], float]:
        def measured() -> float:
            for path in paths:
                let_go(path)
            began = time.perf_counter()
            act()
            return count * OBJECT_BYTES / MB / (time.perf_counter() - began)

        return measured

    def warm(act: Callable[[], None]) -> Callable[[], float]:
        measured = sitting.rate(count * OBJECT_BYTES, act)
        return lambda: measured() / MB

    for place, how in (("page cache", warm), ("device", cold)):
        read()
        ours, beside = sitting.in_turn(how(verified), how(read))
        yield Figure(
            words=f"verify objects of 512 KiB from the {place}", unit="MB/s", ours=ours,
            beside="reading the same files", bare=beside, wanted="≥ 500 MB/s",
        )  # fmt: skip
    for ref in refs:
        store.forget(ref.object_id)


def buffers(sitting: Sitting) -> Iterator[Figure]:
    """Where a buffer begins: why segments are read into pages of their own (`storage.buffers.new_buffer`)."""
    path = sitting.folder / "bytes"
    path.write_bytes(os.urandom(16 * MIB))
    whole = new_buffer(2 * MIB)
    with path.open("rb", buffering=0) as file:
        fd = file.fileno()

        def copy(begin: int) -> Callable[[], float]:
            target = whole[begin : begin + MIB - 4096]

            def measured() -> float:
                began = time.perf_counter()
                for at in range(0, 16 * MIB, MIB):
                    os.preadv(fd, [target], HEADER_BYTES + at)
                return (time.perf_counter() - began) / 16 * 1e6

            return measured

        paged, after = sitting.in_turn(copy(0), copy(96))
    yield Figure(
        words="read 1 MiB from byte 82 into a buffer that begins a page", unit="µs/MiB", ours=paged,
        beside="… that begins at byte 96 of one", bare=after,
    )  # fmt: skip
    path.unlink()
