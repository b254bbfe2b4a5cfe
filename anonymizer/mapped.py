"""Large buffers without a copy: block by block, or as a file; of a mapped file no more than a block stays in memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from typing import BinaryIO, cast

BLOCK_BYTES = 16 << 20


def blocks(
    buffer: bytes | memoryview, *, size_bytes: int = BLOCK_BYTES, overlap: int = 0
) -> Iterator[tuple[int, bytes | memoryview]]:
    """Yield (offset, block), each block ``overlap`` bytes longer than the next one's offset; no byte is copied.

    The pages of a mapped file count as this process's memory once they were touched, so those of a large one are let go.
    """
    if len(buffer) <= size_bytes:
        yield 0, buffer
        return
    view = memoryview(buffer)
    large = len(view) > BLOCK_BYTES  # the pages of a small one are wanted again at once
    for start in range(0, len(view), size_bytes):
        yield start, view[start : start + size_bytes + overlap]
        if large:
            let_go(view)


def let_go(buffer: bytes | memoryview) -> None:
    """Give a mapped file's pages back; they are read again where they are wanted again."""
    if isinstance(buffer, memoryview) and isinstance(buffer.obj, mmap.mmap):
        buffer.obj.madvise(mmap.MADV_DONTNEED)


def as_file(buffer: bytes | memoryview) -> BinaryIO:
    """The buffer as a file that is open for reading; it is not copied."""
    return io.BytesIO(buffer) if isinstance(buffer, bytes) else cast("BinaryIO", _Mapped(buffer))


class _Mapped:
    """What pydicom asks of a file, and no more: `io.BufferedReader` spends longer on a `tell` than this on all of it."""

    name = ""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        end = len(self._buffer) if size < 0 else self._at + size
        piece = bytes(self._buffer[self._at : end])
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence == io.SEEK_END:
            offset += len(self._buffer)
        if offset < 0:
            raise ValueError("a place before the beginning")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at
