"""Sealing and opening beside the library's AES-256-GCM with nothing around it: a part of ``make bench-storage``."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage import MemoryObjects, Readable, SealedStore
from storage.buffers import new_buffer
from storage.format import HEADER_BYTES, FloeParameters
from tests.benchmarks.storage_figures import Figure
from tests.benchmarks.storage_sitting import MIB, SEGMENTS, Sitting, open_whole, words

GB = 1e9
AAD = bytes(9)  # as long as FLOE's for a segment


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
