"""One object in a bucket, open for reading: by windows that grow while it is read in order, and stay small while it is not."""

from storage.objects.retrying import patiently
from storage.objects.s3_errors import S3RefusalError, while_reading
from storage.objects.s3_wire import Wire

FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 1 << 20, 1 << 19, 4 << 20


class S3Object:
    """At most 4 MiB of the object in memory; for one thread at a time.

    Opening it reads the first MiB, so a small object costs one request, and can be read after it was removed.
    """

    def __init__(self, wire: Wire, key: str, object_id: str) -> None:
        self._wire = wire
        self._key = key
        self._object_id = object_id
        self._begin = 0
        self._window = memoryview(b"")
        self._is_closed = False
        self.size_bytes = FIRST_BYTES  # until the first answer tells
        self._load(0, FIRST_BYTES)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        if self._is_closed:
            raise ValueError("the object is closed")
        done, wanted = 0, max(0, min(len(buffer), self.size_bytes - offset))
        while done < wanted:
            at = offset + done - self._begin
            if not 0 <= at < len(self._window):
                self._load(offset + done, self._ahead(offset + done, wanted - done))
                at = 0
            piece = self._window[at : at + wanted - done]
            buffer[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def view(self, offset: int, length: int) -> memoryview | None:
        """See `storage.objects.port.Held`: a window is filled once and then only read."""
        at = offset - self._begin
        return self._window[at : at + length] if 0 <= at <= len(self._window) - length else None

    def close(self) -> None:
        self._is_closed, self._window = True, memoryview(b"")

    def _ahead(self, offset: int, wanted: int) -> int:
        """Twice as much as last time where reading goes on in order."""
        in_order = offset == self._begin + len(self._window)
        return min(max(2 * len(self._window) if in_order else 0, wanted, LEAST_BYTES), MOST_BYTES)

    def _load(self, offset: int, length: int) -> None:
        self._window = memoryview(b"")  # before the next one: two would be twice the memory
        try:
            self._window, self.size_bytes = patiently(
                lambda: self._wire.get(self._key, offset, min(length, self.size_bytes - offset))
            )
        except S3RefusalError as refusal:
            if refusal.kind != "beyond" or offset:
                raise while_reading(refusal, self._object_id) from refusal
            self.size_bytes = 0  # there is no first byte of nothing
        self._begin = offset
