"""A small stock of reusable segment buffers, so that sealing allocates nothing per object."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class BufferPool:
    """Lends buffers of one size; keeps at most `keep` idle ones.

    No lock: `deque` operations are atomic, so a `fork` at any moment leaves the child with a usable pool.
    """

    def __init__(self, size_bytes: int, *, keep: int = 16) -> None:
        self.size_bytes = size_bytes
        self._idle: deque[memoryview] = deque(maxlen=keep)
        self._zeros = memoryview(bytes(size_bytes))

    def take(self) -> memoryview:
        try:
            return self._idle.pop()
        except IndexError:
            return memoryview(bytearray(self.size_bytes))

    def give(self, buffer: memoryview, *, wipe_bytes: int = 0) -> None:
        """Take a buffer back; the first `wipe_bytes`, where plaintext lay, are zeroed first."""
        buffer[:wipe_bytes] = self._zeros[:wipe_bytes]
        self._idle.append(buffer)

    @contextmanager
    def lend(self) -> Iterator[memoryview]:
        """Lend a buffer for ciphertext."""
        buffer = self.take()
        try:
            yield buffer
        finally:
            self.give(buffer)
