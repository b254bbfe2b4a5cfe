"""What ``make bench-storage`` measures: each part sets up, measures ours and the bare work in turn, and yields figures."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage import (
    DiskObjects,
    MemoryKeys,
    MemoryObjects,
    Objects,
    Readable,
    SealedRef,
    SealedStore,
    WrappedKey,
)
from storage.buffers import new_buffer
from storage.format import HEADER_BYTES, FloeParameters
from storage.objects.ids import new_object_id
from tests.benchmarks.figures import MB, percentile
from tests.benchmarks.processes import quiet_disk
from tests.benchmarks.storage_figures import Figure

GB = 1e9
MIB = 1 << 20
OBJECT_BYTES = 1 << 19  # a CT slice
RANGE_BYTES = 1 << 16
SEGMENTS = (1 << 16, 1 << 18, MIB)
AAD = bytes(9)  # as long as FLOE's for a segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """Where a part works, how often it repeats, and how much it takes."""

    folder: Path
    runs: int
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


class Nowhere(MemoryObjects):
    """A place that takes every piece and keeps none: what is left is the sealing alone."""

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        return sum(len(piece) for piece in pieces)


class Ready:
    """A sender whose bytes are in the buffer already: what is left is the sealing alone."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._left)
        self._left -= count
        return count

    def read(self, size: int, /) -> bytes:
        return bytes(self.readinto(memoryview(bytearray(size))))


def cipher(sitting: Sitting) -> Iterator[Figure]:
    """Seal and open beside AES-256-GCM of the same library over the same number of bytes in memory."""
    content = os.urandom(sitting.content_bytes)
    for segment_bytes in SEGMENTS:
        yield from Cipher(sitting, content, segment_bytes).figures()


class Cipher:
    """Stores of one segment length, and what is done with them."""

    def __init__(self, sitting: Sitting, content: bytes, segment_bytes: int) -> None:
        self._sitting, self._content, self._segment_bytes = sitting, content, segment_bytes
        self._payload = new_buffer(FloeParameters(segment_bytes=segment_bytes).payload_bytes)
        self._round = new_buffer(MIB)
        self._nowhere, self._memory, self._disk = (
            sitting.store(segment_bytes, objects=objects) for objects in (Nowhere(), MemoryObjects(), None)
        )
        self._key = self._nowhere.new_key(holder="case", purpose="originals")
        self._kept = {}
        for store in (self._memory, self._disk):
            key = store.new_key(holder="case", purpose="originals")
            self._kept[store] = store.seal(io.BytesIO(content), key=key, kind="bench"), key

    def figures(self) -> Iterator[Figure]:
        bare = Bare(self._content, len(self._payload), self._sitting.folder / "bare")
        measured = (
            lambda: self._seal(Ready(len(self._content))),
            lambda: self._seal(io.BytesIO(self._content)),
            bare.seal,
            lambda: self._open(self._memory, self._payload),
            lambda: self._open(self._disk, self._payload),
            lambda: self._open(self._disk, self._round),
            bare.open,
            bare.read_and_open,
        )
        rates = (self._sitting.rate(len(self._content), act) for act in measured)
        taken = [tuple(value / GB for value in values) for values in self._sitting.in_turn(*rates)]
        ready, copied, raw_seal, memory, disk, pieces, raw_open, raw_file = taken
        raw, file = "AES-256-GCM of as much, in memory", "reading the file and AES-256-GCM"
        size, bars = words(self._segment_bytes), self._segment_bytes == MIB
        for what, ours, beside, bare_values, wanted in (
            ("seal", ready, raw, raw_seal, "≥ 0.5"),
            ("seal from a BytesIO, a copy more", copied, raw, raw_seal, ""),
            ("open, the sealed bytes in memory", memory, raw, raw_open, "≥ 0.7"),
            ("open from disk (page cache)", disk, file, raw_file, ""),
            ("open from disk (page cache)", disk, raw, raw_open, ""),
            ("open from disk in pieces of 1 MiB", pieces, raw, raw_open, ""),
        ):
            yield Figure(
                words=f"{size}: {what}",
                unit="GB/s",
                ours=ours,
                beside=beside,
                bare=bare_values,
                wanted=wanted if bars else "",
            )
        self._disk.forget(self._kept[self._disk][0].object_id)

    def _seal(self, stream: Readable) -> None:
        self._nowhere.seal(stream, key=self._key, kind="bench")

    def _open(self, store: SealedStore, buffer: memoryview) -> None:
        open_whole(store, *self._kept[store], buffer)


class Bare:
    """The library's AES-256-GCM with nothing around it: no header, no position, no digest, no file."""

    def __init__(self, content: bytes, payload_bytes: int, path: Path) -> None:
        self._path = path
        self._aead, self._iv, self._payload_bytes = AESGCM(bytes(32)), bytes(12), payload_bytes
        view = memoryview(content)
        self._plain = [view[at : at + payload_bytes] for at in range(0, len(content), payload_bytes)]
        self._out, self._read = new_buffer(payload_bytes + 16), new_buffer(payload_bytes + 16)
        self._opened = new_buffer(payload_bytes)
        self._sealed = []
        for piece in self._plain:
            out = memoryview(bytearray(len(piece) + 16))
            self._aead.encrypt_into(self._iv, piece, AAD, out)
            self._sealed.append(out)
        path.write_bytes(bytes(HEADER_BYTES) + b"".join(self._sealed))

    def seal(self) -> None:
        for piece in self._plain:
            self._aead.encrypt_into(self._iv, piece, AAD, self._out[: len(piece) + 16])

    def open(self) -> None:
        for piece in self._sealed:
            self._aead.decrypt_into(self._iv, piece, AAD, self._opened[: len(piece) - 16])

    def read_and_open(self) -> None:
        with self._path.open("rb", buffering=0) as file:
            at = HEADER_BYTES
            for piece in self._sealed:
                into = self._read[: len(piece)]
                at += os.preadv(file.fileno(), [into], at)
                self._aead.decrypt_into(self._iv, into, AAD, self._opened[: len(piece) - 16])


def open_whole(store: SealedStore, ref: SealedRef, key: WrappedKey, buffer: memoryview) -> None:
    with store.open(ref, key=key, kind="bench") as reader:
        while reader.readinto(buffer):
            pass


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

    for words, how in (("page cache", warm), ("device", cold)):
        read()
        ours, beside = sitting.in_turn(how(verified), how(read))
        yield Figure(
            words=f"verify objects of 512 KiB from the {words}", unit="MB/s", ours=ours,
            beside="reading the same files", bare=beside, wanted="≥ 500 MB/s",
        )  # fmt: skip
    for ref in refs:
        store.forget(ref.object_id)


def buffers(sitting: Sitting) -> Iterator[Figure]:
    """Where a buffer begins: why segments are read into pages of their own (`storage.buffers.new_buffer`)."""
    path = sitting.folder / "bytes"
    path.write_bytes(os.urandom(16 * MIB))
    whole = new_buffer(2 * MIB)
    with path.open("rb", buffering=0) as file, closing(file):
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


def words(size_bytes: int) -> str:
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // 1024} KiB"
