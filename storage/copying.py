"""Copying sealed objects from one place to another as they are; nothing is opened, and no key is asked for.

A copy begins only where the object's length is the one that its header and its plaintext's length imply, so an object
that was cut is named here and never becomes somebody's backup.
"""

from collections.abc import Iterator
from contextlib import closing

from storage.errors import ObjectExistsError, ObjectMissingError, SealBrokenError
from storage.format import HEADER_BYTES, Layout, parse_header
from storage.objects.port import Objects, StoredObject

PIECE_BYTES = 1 << 20


def sealed_length(objects: Objects, object_id: str, *, size_bytes: int) -> int:
    """Return an object's length as it lies, having held it against its header and the plaintext's length.

    Raises
    ------
    ObjectMissingError, ObjectUnreadableError, ObjectBusyError
        As `Objects.open`.
    SealBrokenError
        It has another length.
    """
    with closing(objects.open(object_id)) as stored:
        return _checked(stored, object_id, size_bytes)


def copy_object(source: Objects, target: Objects, object_id: str, *, size_bytes: int) -> tuple[int, bool]:
    """Make sure that `target` keeps the object; return its sealed length and whether it had to be copied.

    Objects are immutable, so one that is there with the right length is not copied again; one that is there with another
    is replaced, which a name that is taken would otherwise prevent for ever. Durable when it returns (D1).

    Raises
    ------
    ObjectMissingError, ObjectUnreadableError, ObjectBusyError
        `source` does not give it.
    SealBrokenError
        In `source` it does not have the right length.
    StoreFullError, VolumeFailedError
        `target` did not keep it.
    """
    try:
        return sealed_length(target, object_id, size_bytes=size_bytes), False
    except ObjectMissingError:
        pass
    except SealBrokenError:
        return replace_object(source, target, object_id, size_bytes=size_bytes), True
    with closing(source.open(object_id)) as stored:
        length = _checked(stored, object_id, size_bytes)
        try:
            target.publish(object_id, _pieces(stored, length))
        except ObjectExistsError:  # somebody else copied it meanwhile
            return sealed_length(target, object_id, size_bytes=size_bytes), False
    return length, True


def replace_object(source: Objects, target: Objects, object_id: str, *, size_bytes: int) -> int:
    """Put `source`'s copy in the place of whatever `target` has under this id; return its sealed length.

    `source`'s is open, and has the right length, before `target`'s goes. Killed in between, `target` has none. Durable when
    it returns (D1); raises as `copy_object`.
    """
    with closing(source.open(object_id)) as stored:
        length = _checked(stored, object_id, size_bytes)
        target.remove(object_id)
        target.publish(object_id, _pieces(stored, length))
    return length


def _checked(stored: StoredObject, object_id: str, size_bytes: int) -> int:
    header = memoryview(bytearray(HEADER_BYTES))
    if stored.read_into(0, header) != HEADER_BYTES:
        raise SealBrokenError(f"{object_id}: the object is shorter than its header")
    parameters, _ = parse_header(bytes(header))
    if stored.size_bytes != Layout(parameters=parameters, size_bytes=size_bytes).sealed_bytes:
        raise SealBrokenError(f"{object_id}: the object's length is not the one its row implies")
    return stored.size_bytes


def _pieces(stored: StoredObject, length: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(PIECE_BYTES, length)))
    at = 0
    while at < length:
        count = stored.read_into(at, buffer[: min(len(buffer), length - at)])
        if count == 0:
            raise SealBrokenError("the object became shorter while it was copied")
        yield buffer[:count]
        at += count
