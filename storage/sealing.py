"""Turns one stream of plaintext into the pieces of a sealed object, in constant memory; writes nothing itself."""

from collections.abc import Callable, Generator
from typing import Protocol

from storage.buffers import BufferPool
from storage.case_key import CaseKey
from storage.errors import TooLargeError
from storage.format import FloeParameters
from storage.segments import start_sealing


class Readable(Protocol):
    """What `seal` reads from; a stream that also has ``readinto`` is read without a copy."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


class Sealing:
    """One object on its way into the store; after `pieces` is exhausted it knows size and digest."""

    def __init__(
        self,
        stream: Readable,
        *,
        case_key: CaseKey,
        context: bytes,
        parameters: FloeParameters,
        buffers: BufferPool,
        limit_bytes: int | None,
        still_allowed: Callable[[], None] | None = None,
    ) -> None:
        self._still_allowed = still_allowed
        self._fill = filler(stream)
        self._case_key = case_key
        self._context = context
        self._parameters = parameters
        self._buffers = buffers
        self._limit_bytes = limit_bytes
        self._digester = case_key.digester()

    @property
    def size_bytes(self) -> int:
        return self._digester.size_bytes

    def digest(self) -> bytes:
        return self._digester.digest()

    def pieces(self) -> Generator[memoryview | bytes, None, None]:
        """Yield prefix and header, then one encrypted segment at a time, the same buffer reused for each."""
        header, cipher = start_sealing(
            key=self._case_key.secret, aad=self._context, parameters=self._parameters
        )
        yield self._parameters.prefix() + header
        payload_bytes, position, final = self._parameters.payload_bytes, 0, False
        plain, used = self._buffers.take(), payload_bytes
        try:
            with self._buffers.lend() as sealed:
                while not final:
                    count = self._fill(plain[: self._allowance(payload_bytes)])
                    if self._still_allowed is not None:  # a sender may take hours
                        self._still_allowed()
                    final = count < payload_bytes
                    self._digester.update(plain[:count])
                    self._refuse_excess()
                    yield sealed[
                        : cipher.seal_into(position=position, final=final, plain=plain[:count], out=sealed)
                    ]
                    position += 1
            used = min(self.size_bytes, payload_bytes)
        finally:
            self._buffers.give(plain, wipe_bytes=used)

    def _allowance(self, wanted: int) -> int:
        """Ask for at most one byte more than allowed: enough to notice, no more of the sender's time."""
        if self._limit_bytes is None:
            return wanted
        return min(wanted, self._limit_bytes - self.size_bytes + 1)

    def _refuse_excess(self) -> None:
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise TooLargeError(f"more than {self._limit_bytes} bytes")


def filler(stream: Readable) -> Callable[[memoryview], int]:
    """A function that fills a buffer from the stream; it stops short only at the stream's end."""
    read_once: Callable[[memoryview], int | None] | None = getattr(stream, "readinto", None)
    if read_once is None:

        def read_once(buffer: memoryview) -> int:
            piece = stream.read(len(buffer))
            buffer[: len(piece)] = piece  # a piece longer than asked for does not fit and raises
            return len(piece)

    def fill(buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            count = read_once(buffer[done:])
            if count is None:
                raise BlockingIOError("a stream to be sealed must block until it has bytes")
            if count == 0:
                break
            done += count
        return done

    return fill
