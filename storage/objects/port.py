"""The port to a place that keeps sealed bytes, not to what they mean."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from storage.room import Room


class StoredObject(Protocol):
    """One kept object, open for reading by one thread."""

    @property
    def size_bytes(self) -> int:
        """Length of the sealed bytes, as the store counts them."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; return fewer bytes only where the object ends.

        Raises
        ------
        ObjectUnreadableError
            The place could not give the bytes back.
        """

    def close(self) -> None:
        """Let go; idempotent."""


@runtime_checkable
class Cached(Protocol):
    """A kept object whose reading leaves copies in this machine's memory; optional, and advice only."""

    def pass_by(self) -> None:
        """Call before reading what nobody needs soon: what was not in memory before is not left there."""


@runtime_checkable
class Held(Protocol):
    """A kept object whose sealed bytes are in this process's own memory, in part or whole; optional, and saves a copy."""

    def view(self, offset: int, length: int) -> memoryview | None:
        """Give exactly these bytes where they lie, for as long as the view is held; None where they are not all there.

        Nobody may be able to change them meanwhile: what is decrypted must be what was authenticated, so a mapped file
        does not qualify (docs/decisions/0053).
        """


class Objects(Protocol):
    """Immutable sealed objects under random ids of 32 lower-case hexadecimal digits.

    Safe for use by many threads and processes at once. Every method blocks on the device or the network.
    """

    def publish(self, object_id: str, pieces: Iterable[memoryview | bytes]) -> int:
        """Keep the pieces in order as one object, and return its length only when it cannot be lost (D1).

        A piece is valid only until the next one is asked for. The object appears whole or not at all. Whatever the
        iteration raises is passed on unchanged, after everything written was removed.

        Raises
        ------
        ObjectExistsError
            The id is taken; the object there is untouched.
        StoreFullError
            No room; the next call may succeed.
        StoreOutageError, StoreDeniedError
            A place beyond a network does not answer, or refuses us; nothing was kept, as far as is known.
        VolumeAwayError
            The volume is not mounted, not the one that the records know, or read-only: nothing was written.
        VolumeFailedError
            A write failed in a way that must not be retried (D2), now or earlier in this process.
        """

    def open(self, object_id: str) -> StoredObject:
        """Open an object for reading.

        Raises
        ------
        ObjectMissingError
            There is none of that id.
        ObjectUnreadableError
            The place could not tell.
        ObjectBusyError
            Not just now, for want of file handles, memory or an answer; the object may well be whole.
        StoreDeniedError
            A place beyond a network refuses us, which says nothing of the object.
        """

    def remove(self, object_id: str) -> None:
        """Remove an object for good; idempotent. Raises as `publish`."""

    def ids(self) -> Iterator[str]:
        """Ids of all objects, in no order; one published or removed meanwhile may or may not appear.

        Raises
        ------
        ObjectUnreadableError, ObjectBusyError, StoreDeniedError
            The place could not list them all: what did not appear may be there.
        """

    def room(self) -> Room | None:
        """Measure what room there is (D13); None where nobody can tell, and only a refused write does.

        Raises
        ------
        OSError, VolumeAwayError
            The volume is not there or takes no writes.
        """

    def probe(self) -> None:
        """Publish, read back and remove one small object; raise what is wrong and how to mend it (D15)."""
