"""Sealed objects that die with the process: for tests, never for data to keep."""

from collections.abc import Iterable, Iterator

from storage.errors import ObjectExistsError, ObjectMissingError
from storage.objects.ids import checked_id
from storage.room import Room


class MemoryObjects:
    """`Objects` in a dictionary; `content` is open to tests that tamper."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        data = b"".join(bytes(piece) for piece in pieces)
        if self.content.setdefault(checked_id(object_id), data) is not data:
            raise ObjectExistsError(object_id)
        return len(data)

    def open(self, object_id: str) -> "MemoryObject":
        try:
            return MemoryObject(self.content[checked_id(object_id)])
        except KeyError:
            raise ObjectMissingError(object_id) from None

    def remove(self, object_id: str) -> None:
        self.content.pop(checked_id(object_id), None)

    def ids(self) -> Iterator[str]:
        return iter(list(self.content))

    def room(self) -> Room | None:
        """Nobody measures it."""
        return None

    def probe(self) -> None:
        """Memory is always fit."""


class MemoryObject:
    """One object, open for reading."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.size_bytes = len(data)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def view(self, offset: int, length: int) -> memoryview | None:
        piece = self._data[offset : offset + length]
        return piece if len(piece) == length else None

    def close(self) -> None:
        """Nothing is held."""
