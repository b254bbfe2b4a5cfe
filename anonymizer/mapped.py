"""Large buffers without a copy: block by block, or as a file; of a mapped file no more than a block stays in memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from typing import Any, BinaryIO

BLOCK_BYTES = 16 << 20


def blocks(
    buffer: bytes | memoryview, *, size_bytes: int = BLOCK_BYTES, overlap: int = 0
) -> Iterator[tuple[int, bytes | memoryview]]:
    """Yield (offset, block), each block ``overlap`` bytes longer than the next one's offset; no byte is copied.

    A mapped file's pages count as this process's memory once they were touched, so they are let go after each block.
    """
    if len(buffer) <= size_bytes:
        yield 0, buffer
        return
    view = memoryview(buffer)
    for start in range(0, len(view), size_bytes):
        yield start, view[start : start + size_bytes + overlap]
        let_go(view)


def let_go(buffer: bytes | memoryview) -> None:
    """Give a mapped file's pages back; they are read again where they are wanted again."""
    if isinstance(buffer, memoryview) and isinstance(buffer.obj, mmap.mmap):
        buffer.obj.madvise(mmap.MADV_DONTNEED)


def as_file(buffer: bytes | memoryview) -> BinaryIO:
    """The buffer as a file that is open for reading; it is not copied."""
    return io.BytesIO(buffer) if isinstance(buffer, bytes) else io.BufferedReader(_Mapped(buffer))


class _Mapped(io.RawIOBase):
    name = ""  # asked for by pydicom

    def __init__(self, buffer: memoryview) -> None:
        super().__init__()
        self._buffer = buffer
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._buffer)}[whence]
        return self._at

    def readinto(self, into: Any) -> int:
        piece = self._buffer[self._at : self._at + len(into)]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
