"""The sealed store over memory: what it gives back and what it refuses."""

import io
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import (
    KeyRefusedError,
    KeyUnknownError,
    MemoryKeys,
    MemoryObjects,
    ObjectMissingError,
    SealBrokenError,
    SealedRef,
    SealedStore,
    TooLargeError,
    WrappedKey,
)

PAYLOAD = 64
SIZES = [0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 3 * PAYLOAD - 1, 3 * PAYLOAD, 3 * PAYLOAD + 1, 1000]


class Dribble:
    """Gives a few bytes at a time, as a socket does."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        self._rest, self._step = data, step

    def read(self, size: int) -> bytes:
        piece, self._rest = self._rest[: min(size, self._step)], self._rest[min(size, self._step) :]
        return piece


class Breaks(Dribble):
    def read(self, size: int) -> bytes:
        piece = super().read(size)
        if not piece:
            raise ConnectionResetError("the sender hung up")
        return piece


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_and_verifies(store, key, size):
    data = os.urandom(size)
    ref = store.seal(io.BytesIO(data), key=key, kind="original")
    assert ref.size_bytes == size
    with store.open(ref, key=key, kind="original") as reader:
        assert reader.read() == data
        assert reader.read() == b""
        assert reader.size_bytes == size
    store.verify(ref, key=key, kind="original")


def test_streams_with_read_only_and_short_reads_are_sealed_alike(store, key):
    data = os.urandom(500)
    refs = [
        store.seal(stream, key=key, kind="original")
        for stream in (
            io.BytesIO(data),
            Dribble(data),
            Dribble(data, 1),
            io.BufferedReader(io.BytesIO(data), 16),
        )
    ]
    assert len({ref.digest for ref in refs}) == 1
    assert len({ref.object_id for ref in refs}) == 4
    for ref in refs:
        store.verify(ref, key=key, kind="original")


def test_digest_tells_contents_apart_and_differs_between_keys(store, key):
    other = store.new_key(holder="case-1", purpose="releases")
    digests = {
        store.seal(io.BytesIO(data), key=k, kind="x").digest
        for data in (b"", b"\0", b"\0\0", b"\0" * 16, b"\0" * 64, b"a" * 64, b"a" * 65)
        for k in (key, other)
    }
    assert len(digests) == 14


def test_stream_over_the_limit_leaves_nothing_and_is_read_one_byte_too_far_at_most(store, key, objects):
    for size, limit in ((11, 10), (65, 64), (64, 63), (1, 0), (1000, 128)):
        stream = io.BytesIO(bytes(size))
        with pytest.raises(TooLargeError):
            store.seal(stream, key=key, kind="original", limit_bytes=limit)
        assert stream.tell() == limit + 1
    assert objects.content == {}


@pytest.mark.parametrize("size", SIZES)
def test_stream_of_exactly_the_limit_is_kept(store, key, size):
    ref = store.seal(io.BytesIO(bytes(size)), key=key, kind="original", limit_bytes=size)
    assert ref.size_bytes == size
    store.verify(ref, key=key, kind="original")


def test_error_of_the_stream_passes_through_and_leaves_nothing(store, key, objects):
    with pytest.raises(ConnectionResetError, match="hung up"):
        store.seal(Breaks(bytes(500)), key=key, kind="original")
    assert objects.content == {}


def test_stream_that_would_block_is_refused(store, key, objects):
    class WouldBlock(io.RawIOBase):
        def readinto(self, buffer):
            return None

    with pytest.raises(BlockingIOError):
        store.seal(WouldBlock(), key=key, kind="original")
    assert objects.content == {}


def test_object_opens_only_with_its_own_names(store, key):
    ref = store.seal(io.BytesIO(b"x" * 100), key=key, kind="original")
    other_key = store.new_key(holder="case-2", purpose="originals")
    twin = store.seal(io.BytesIO(b"x" * 100), key=key, kind="original")
    wrong = [
        (ref, other_key, "original"),
        (ref, key, "release"),
        (
            SealedRef(object_id=ref.object_id, size_bytes=100, digest=ref.digest, generation=2),
            key,
            "original",
        ),
        (SealedRef(object_id=ref.object_id, size_bytes=99, digest=ref.digest, generation=1), key, "original"),
        (
            SealedRef(object_id=ref.object_id, size_bytes=101, digest=ref.digest, generation=1),
            key,
            "original",
        ),
    ]
    for reference, k, kind in wrong:
        with pytest.raises(SealBrokenError):
            store.open(reference, key=k, kind=kind)
        with pytest.raises(SealBrokenError):
            store.verify(reference, key=k, kind=kind)
    store._objects.content[ref.object_id] = store._objects.content[twin.object_id]
    with pytest.raises(SealBrokenError, match="key and context"):
        store.open(ref, key=key, kind="original")


def test_verify_notices_another_digest(store, key):
    ref = store.seal(io.BytesIO(b"x"), key=key, kind="original")
    other = SealedRef(object_id=ref.object_id, size_bytes=1, digest=bytes(32), generation=1)
    with pytest.raises(SealBrokenError, match="digest"):
        store.verify(other, key=key, kind="original")


def test_object_of_another_tenant_does_not_open(objects):
    keys = MemoryKeys()
    north, south = (
        SealedStore(objects=objects, keys=keys, tenant=t, segment_bytes=96) for t in ("north", "south")
    )
    key = north.new_key(holder="case-1", purpose="originals")
    ref = north.seal(io.BytesIO(b"x"), key=key, kind="original")
    with pytest.raises(KeyRefusedError):
        south.open(ref, key=key, kind="original")


def test_wrapped_key_opens_only_in_its_own_row(store, key):
    fields = {
        "holder": key.holder,
        "purpose": key.purpose,
        "kek_id": key.kek_id,
        "kek_version": 1,
        "blob": key.blob,
    }
    changes = [{"holder": "case-2"}, {"purpose": "releases"}, {"blob": key.blob[:-1]}, {"blob": b""}]
    changes += [
        {"blob": key.blob[:n] + bytes([key.blob[n] ^ 1]) + key.blob[n + 1 :]} for n in range(len(key.blob))
    ]
    for change in changes:
        with pytest.raises(KeyRefusedError):
            store.seal_value(b"", key=WrappedKey(**{**fields, **change}), context=b"")
    for change in ({"kek_version": 2}, {"kek_id": "file-0"}):
        with pytest.raises(KeyUnknownError):
            store.seal_value(b"", key=WrappedKey(**{**fields, **change}), context=b"")


def test_forgotten_object_is_missing_and_forgetting_again_is_nothing(store, key):
    ref = store.seal(io.BytesIO(b"x"), key=key, kind="original")
    store.forget(ref.object_id)
    store.forget(ref.object_id)
    with pytest.raises(ObjectMissingError):
        store.open(ref, key=key, kind="original")


def test_object_with_another_segment_length_still_opens(objects):
    keys = MemoryKeys()
    big, small = (SealedStore(objects=objects, keys=keys, tenant="t", segment_bytes=n) for n in (4096, 64))
    key = big.new_key(holder="case-1", purpose="originals")
    data = os.urandom(10_000)
    refs = [s.seal(io.BytesIO(data), key=key, kind="x") for s in (big, small)]
    assert refs[0].digest == refs[1].digest
    for ref in refs:
        for s in (big, small):
            with s.open(ref, key=key, kind="x") as reader:
                assert reader.read() == data
            s.verify(ref, key=key, kind="x")


def test_values_open_with_their_key_and_context_only(store, key):
    blob = store.seal_value("Åsa".encode(), key=key, context=b"case|name|1")
    assert store.open_value(blob, key=key, context=b"case|name|1") == "Åsa".encode()
    assert blob != store.seal_value("Åsa".encode(), key=key, context=b"case|name|1")
    other = store.new_key(holder="case-2", purpose="records")
    for k, context in ((key, b"case|name|2"), (other, b"case|name|1")):
        with pytest.raises(SealBrokenError, match="does not belong"):
            store.open_value(blob, key=k, context=context)
    for n in range(len(blob)):
        with pytest.raises(SealBrokenError):
            store.open_value(
                blob[:n] + bytes([blob[n] ^ 128]) + blob[n + 1 :], key=key, context=b"case|name|1"
            )
        with pytest.raises(SealBrokenError):
            store.open_value(blob[:n], key=key, context=b"case|name|1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.binary(max_size=300), context=st.binary(max_size=40))
def test_any_value_comes_back(store, key, value, context):
    assert (
        store.open_value(store.seal_value(value, key=key, context=context), key=key, context=context) == value
    )


def test_derived_keys_are_stable_and_apart(store, key):
    other = store.new_key(holder="case-1", purpose="releases")
    derived = [store.derive(key=k, label=label) for k in (key, other) for label in (b"uid", b"date", b"")]
    assert len(set(derived)) == 6
    assert store.derive(key=key, label=b"uid") == derived[0]
    assert len(store.derive(key=key, label=b"uid", length=100)) == 100


def test_names_must_not_be_empty(store, key):
    with pytest.raises(ValueError, match="tenant"):
        SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="")
    with pytest.raises(ValueError, match="segment"):
        SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t", segment_bytes=63)
    with pytest.raises(ValueError, match="holder"):
        store.new_key(holder="", purpose="p")
    with pytest.raises(ValueError, match="holder"):
        store.new_key(holder="h", purpose="")
    with pytest.raises(ValueError, match="kind"):
        store.seal(io.BytesIO(b""), key=key, kind="")


def test_a_reference_is_valid_from_construction():
    good = {"object_id": "0" * 32, "size_bytes": 0, "digest": bytes(32), "generation": 1}
    SealedRef(**good)
    for bad in ({"object_id": "../../etc/passwd"}, {"size_bytes": -1}, {"digest": b""}, {"generation": 0}):
        with pytest.raises(ValueError):
            SealedRef(**{**good, **bad})


def test_errors_say_what_to_do_and_nothing_personal(store, key):
    ref = store.seal(io.BytesIO(b"Anna Andersson"), key=key, kind="original")
    store.forget(ref.object_id)
    with pytest.raises(ObjectMissingError) as caught:
        store.open(ref, key=key, kind="original")
    assert str(caught.value).startswith("There is no such object in the store; look for its id")
    assert ref.object_id in str(caught.value)


def test_probe_passes_on_a_sound_store(store):
    store.probe()
