"""Goes through a large buffer block by block; of a mapped file no more than a block stays in memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

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
    source = view.obj
    for start in range(0, len(view), size_bytes):
        yield start, view[start : start + size_bytes + overlap]
        if isinstance(source, mmap.mmap):
            source.madvise(mmap.MADV_DONTNEED)
