"""Reads a sealed object as if it were a plain file, segment by verified segment; never a byte that did not verify."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from storage.buffers import BufferPool
from storage.errors import SealBrokenError
from storage.format import HEADER_BYTES, SEGMENT_OVERHEAD_BYTES, Layout, ObjectNames, parse_header
from storage.objects.port import Held, StoredObject
from storage.segments import SegmentCipher, start_opening

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SealedReader(io.RawIOBase):
    """A seekable, read-only file over one sealed object; for one thread at a time.

    Opening checks the length against the size the row states and the header against key and context, so a truncated
    or foreign object fails before the first byte.
    """

    def __init__(
        self,
        stored: StoredObject,
        *,
        key: bytes,
        names: ObjectNames,
        size_bytes: int,
        buffers: BufferPool,
        still_allowed: Callable[[], None] | None = None,
    ) -> None:
        self._stored = stored
        self._view = stored.view if isinstance(stored, Held) else nothing_held
        self._still_allowed = still_allowed
        self._buffers = buffers
        self._plain: memoryview | None = None
        self._loaded = -1
        self._ended = False
        self._at = 0
        self.size_bytes = size_bytes
        header = memoryview(bytearray(HEADER_BYTES))
        if stored.read_into(0, header) != HEADER_BYTES:
            raise SealBrokenError("the object is shorter than its header")
        parameters, floe_header = parse_header(bytes(header))
        layout = Layout(parameters=parameters, size_bytes=size_bytes)
        if stored.size_bytes != layout.sealed_bytes:
            raise SealBrokenError("the object's length is not the one its row implies")
        self._cipher: SegmentCipher = start_opening(
            key=key, aad=names.context(parameters.suite), parameters=parameters, header=floe_header
        )
        self._layout, self._payload_bytes = layout, parameters.payload_bytes
        self._last, self._last_bytes = layout.final_position, layout.payload_bytes(layout.final_position)
        if buffers.size_bytes < parameters.segment_bytes:
            self._buffers = BufferPool(parameters.segment_bytes, keep=2)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._refuse_closed()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill `buffer`; return fewer bytes only at the end of the object.

        Whole segments are decrypted where they are wanted, without a copy. Until this returns, `buffer` is the reader's
        alone. When it raises, what precedes the broken segment is verified, and of that segment there is nothing (E2).
        """
        self._refuse_closed()
        target = memoryview(buffer).cast("B")
        if self._at >= self.size_bytes:
            self._tell_end()
            return 0
        done, wanted = 0, min(len(target), self.size_bytes - self._at)
        while done < wanted:
            position, start = divmod(self._at, self._payload_bytes)
            whole = self._last_bytes if position == self._last else self._payload_bytes
            count = min(whole - start, wanted - done)
            into = target[done : done + count]
            if count == whole and position != self._loaded:
                self._decrypt(position, into)
            else:
                into[:] = self._load(position)[start : start + count]
            self._at += count
            done += count
        return done

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end of the object."""
        self._refuse_closed()
        left = max(0, self.size_bytes - self._at)
        count = left if size is None or size < 0 else min(size, left)
        position, start = divmod(self._at, self._payload_bytes)
        if 0 < count <= self._payload_bytes - start:  # of one segment, as most ranges are
            piece = bytes(self._load(position)[start : start + count])
            self._at += count
            return piece
        whole = bytearray(count)
        self.readinto(whole)
        return bytes(whole)

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        if not self.closed:
            self._stored.close()
            if self._plain is not None:
                self._buffers.give(self._plain, wipe_bytes=min(self.size_bytes, self._payload_bytes))
                self._plain = None
        super().close()

    def _load(self, position: int) -> memoryview:
        """Give the plaintext of one segment from the reader's own buffer, which it shows only when verified."""
        if self._plain is None:
            self._plain = self._buffers.take()
        if self._loaded != position:
            self._loaded = -1
            self._decrypt(position, self._plain)
            self._loaded = position
        return self._plain

    def _tell_end(self) -> None:
        """Let the end be told only after the final segment verified (E2)."""
        if not self._ended:
            self._load(self._last)

    def _decrypt(self, position: int, plain: memoryview) -> None:
        """Write the verified plaintext of one segment to `plain`, or nothing."""
        if self._still_allowed is not None:  # a reader that stands open outlives its key's cache
            self._still_allowed()
        final = position == self._last
        if position == self._last - 1 and not self._last_bytes and not self._ended:
            self._decrypt(self._last, plain[:0])  # an empty final segment goes with the last full one
        length = (self._last_bytes if final else self._payload_bytes) + SEGMENT_OVERHEAD_BYTES
        offset = self._layout.segment_offset(position)
        sealed = self._view(offset, length)
        if sealed is not None:
            self._cipher.open_into(position=position, final=final, sealed=sealed, out=plain)
        else:
            with self._buffers.lend() as buffer:
                if self._stored.read_into(offset, buffer[:length]) != length:
                    raise SealBrokenError(f"segment {position} is cut")
                self._cipher.open_into(position=position, final=final, sealed=buffer[:length], out=plain)
        self._ended |= final

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError("the sealed reader is closed")


def nothing_held(_offset: int, _length: int) -> None:
    """Answer for an object whose bytes have to be read."""
