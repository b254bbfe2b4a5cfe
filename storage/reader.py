"""Reads a sealed object as if it were a plain file, segment by verified segment; never a byte that did not verify."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from storage.buffers import BufferPool
from storage.errors import SealBrokenError
from storage.format import HEADER_BYTES, Layout, parse_header
from storage.objects.port import StoredObject
from storage.segments import SegmentCipher, start_opening

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SealedReader(io.RawIOBase):
    """A seekable, read-only file over one sealed object; for one thread at a time.

    Opening checks the length against the size the row states and the header against key and context, so a truncated
    or foreign object fails before the first byte.
    """

    def __init__(
        self, stored: StoredObject, *, key: bytes, context: bytes, size_bytes: int, buffers: BufferPool
    ) -> None:
        self._stored = stored
        self._buffers = buffers
        self._plain: memoryview | None = None
        self._loaded = -1
        self._at = 0
        self.size_bytes = size_bytes
        header = memoryview(bytearray(HEADER_BYTES))
        if stored.read_into(0, header) != HEADER_BYTES:
            raise SealBrokenError("the object is shorter than its header")
        parameters, floe_header = parse_header(bytes(header))
        self._layout = Layout(parameters=parameters, size_bytes=size_bytes)
        if stored.size_bytes != self._layout.sealed_bytes:
            raise SealBrokenError("the object's length is not the one its row implies")
        self._cipher: SegmentCipher = start_opening(
            key=key, aad=context, parameters=parameters, header=floe_header
        )
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
        """Fill `buffer`; return fewer bytes only at the end of the object."""
        target, done = memoryview(buffer).cast("B"), 0
        for piece in self._pieces(len(target)):
            target[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end of the object."""
        pieces = self._pieces(self.size_bytes if size is None or size < 0 else size)
        return b"".join(bytes(piece) for piece in pieces)

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        if not self.closed:
            self._stored.close()
            if self._plain is not None:
                self._buffers.give(
                    self._plain, wipe_bytes=min(self.size_bytes, self._layout.parameters.payload_bytes)
                )
                self._plain = None
        super().close()

    def _pieces(self, wanted: int) -> Iterator[memoryview]:
        self._refuse_closed()
        payload_bytes = self._layout.parameters.payload_bytes
        end = min(self.size_bytes, self._at + wanted)
        if self._at >= self.size_bytes:
            self._load(
                self._layout.final_position
            )  # the end is told only after the final segment verified (E2)
        while self._at < end:
            position, start = divmod(self._at, payload_bytes)
            stop = min(payload_bytes, start + end - self._at)
            segment = self._load(position)
            self._at += stop - start
            yield segment[start:stop].toreadonly()

    def _load(self, position: int) -> memoryview:
        """Give the plaintext of one segment, verified, from a buffer that callers only ever see verified."""
        if self._plain is None:
            self._plain = self._buffers.take()
        if self._loaded != position:
            self._loaded = -1
            last = self._layout.final_position
            if position == last - 1 and not self._layout.payload_bytes(last):
                self._decrypt(last, self._plain)  # an empty final segment goes with the last full one
            self._decrypt(position, self._plain)
            self._loaded = position
        return self._plain

    def _decrypt(self, position: int, plain: memoryview) -> None:
        final = position == self._layout.final_position
        length = self._layout.payload_bytes(position) + (
            self._layout.parameters.segment_bytes - self._layout.parameters.payload_bytes
        )
        with self._buffers.lend() as sealed:
            got = self._stored.read_into(self._layout.segment_offset(position), sealed[:length])
            if got != length:
                raise SealBrokenError(f"segment {position} is cut")
            self._cipher.open_into(position=position, final=final, sealed=sealed[:length], out=plain)

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError("the sealed reader is closed")
