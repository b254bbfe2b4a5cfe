"""A storage administrator edits, cuts, rolls back and swaps: nothing altered is ever accepted (E2, E3, E4, #2)."""

import io
import itertools
import os
from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import (
    KeyRefusedError,
    MemoryKeys,
    MemoryObjects,
    SealBrokenError,
    SealedRef,
    SealedStore,
    StorageError,
    WrappedKey,
)
from storage.format import HEADER_BYTES, FloeParameters
from storage.segments import expand, floe_info, header_tag, start_opening

pytestmark = pytest.mark.abuse

SEGMENT, PAYLOAD = 96, 64
SIZES = (0, 1, PAYLOAD, PAYLOAD + 5, 3 * PAYLOAD, 3 * PAYLOAD + 9)


@pytest.fixture(scope="module")
def store():
    return SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="north", segment_bytes=SEGMENT)


@pytest.fixture(scope="module")
def key(store):
    return store.new_key(holder="case-1", purpose="originals")


@pytest.fixture(scope="module", params=SIZES)
def sealed(request, store, key):
    """A reference and its bytes; tests put altered bytes in their place."""
    ref = store.seal(io.BytesIO(os.urandom(request.param)), key=key, kind="original")
    return ref, store._objects.content[ref.object_id]


def accepted(store, ref, key, altered: bytes, kind: str = "original") -> bool:
    """Whether any way of reading the whole object goes through."""
    store._objects.content[ref.object_id] = altered
    outcomes = []
    for act in (lambda: read_whole(store, ref, key, kind), lambda: store.verify(ref, key=key, kind=kind)):
        try:
            act()
            outcomes.append(True)
        except SealBrokenError:
            outcomes.append(False)
    return any(outcomes)


def read_whole(store, ref, key, kind):
    with store.open(ref, key=key, kind=kind) as reader:
        while reader.read(50):
            pass


def segments(data: bytes) -> list[bytes]:
    return [data[n : n + SEGMENT] for n in range(HEADER_BYTES, len(data), SEGMENT)]


def test_untouched_object_is_accepted(store, key, sealed):
    ref, data = sealed
    assert accepted(store, ref, key, data)


def test_every_flipped_bit_is_refused(store, key, sealed):
    ref, data = sealed
    for bit in range(len(data) * 8):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        assert not accepted(store, ref, key, bytes(altered)), bit


def test_every_truncation_and_extension_is_refused(store, key, sealed):
    ref, data = sealed
    for length in range(len(data)):
        assert not accepted(store, ref, key, data[:length]), length
    for extra in (b"\0", data[-1:], data[-32:], data[-SEGMENT:], bytes(SEGMENT)):
        assert not accepted(store, ref, key, data + extra)


def test_every_order_and_repetition_of_segments_is_refused(store, key, sealed):
    ref, data = sealed
    original, head = segments(data), data[:HEADER_BYTES]
    if len(original) < 2:
        pytest.skip("one segment has one order")
    for count in range(len(original) + 2):
        for order in itertools.product(range(len(original)), repeat=count):
            if order != tuple(range(len(original))):
                assert not accepted(store, ref, key, head + b"".join(original[n] for n in order)), order


def test_truncation_with_a_row_to_match_is_refused(store, key, sealed):
    """Whoever edits the database as well as the disk still cannot cut an object at a segment's end."""
    ref, data = sealed
    for count in range(len(segments(data)) + 2):
        for cut in (0, 1, 31, 32, 33):
            length = HEADER_BYTES + count * SEGMENT + cut
            plain = count * PAYLOAD + cut - 32
            if plain < 0 or length >= len(data):
                continue
            shorter = SealedRef(object_id=ref.object_id, size_bytes=plain, digest=ref.digest, generation=1)
            for altered in (
                data[:length],
                data[: length - cut - SEGMENT] + data[len(data) - cut - SEGMENT :],
            ):
                assert not accepted(store, shorter, key, altered)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(["set", "cut", "insert", "move"]),
            st.integers(0, 500),
            st.binary(min_size=1, max_size=40),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_mixture_of_edits_is_refused(store, key, sealed, edits):
    ref, data = sealed
    altered = bytearray(data)
    for what, where, content in edits:
        at = where % (len(altered) + 1)
        if what == "set":
            altered[at : at + len(content)] = content
        elif what == "cut":
            del altered[at : at + len(content)]
        elif what == "insert":
            altered[at:at] = content
        else:
            piece = altered[at : at + SEGMENT]
            del altered[at : at + SEGMENT]
            altered[len(content) : len(content)] = piece
    if bytes(altered) != data:
        assert not accepted(store, ref, key, bytes(altered))


def test_swaps_between_fifty_objects_cases_kinds_and_generations_are_refused():
    """E3: every pair of places, files and rows swapped against each other."""
    store = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="north", segment_bytes=SEGMENT)
    places = []
    keys = [store.new_key(holder=f"case-{n}", purpose=p) for n in range(5) for p in ("originals", "releases")]
    for number in range(50):
        key, kind, generation = keys[number % 10], ("original", "report")[number // 10 % 2], 1 + number // 30
        ref = store.seal(io.BytesIO(b"s" * 150), key=key, kind=kind, generation=generation)
        places.append((ref, key, kind, store._objects.content[ref.object_id]))
    outcomes = Counter()
    for (one, key, kind, data), (other, other_key, other_kind, other_data) in itertools.product(
        places, repeat=2
    ):
        if one == other:
            outcomes["same"] += accepted(store, one, key, data, kind)
            continue
        outcomes["other file"] += accepted(store, one, key, other_data, kind)
        store._objects.content[one.object_id] = data
        if (key, kind, one.generation) != (other_key, other_kind, other.generation):
            moved = SealedRef(
                object_id=one.object_id, size_bytes=150, digest=one.digest, generation=other.generation
            )
            outcomes["other row"] += accepted(store, moved, other_key, data, other_kind)
    assert outcomes == {"same": 50, "other file": 0, "other row": 0}


def test_wrapped_keys_swapped_between_rows_are_refused():
    store = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="north")
    keys = [
        store.new_key(holder=f"case-{n}", purpose=p) for n in range(25) for p in ("originals", "releases")
    ]
    for one, other in itertools.permutations(keys, 2):
        swapped = WrappedKey(
            holder=one.holder, purpose=one.purpose, kek_id=one.kek_id, kek_version=1, blob=other.blob
        )
        with pytest.raises(KeyRefusedError):
            store.derive(key=swapped, label=b"x")


def test_values_swapped_between_rows_are_refused(store, key):
    blobs = {n: store.seal_value(b"name %d" % n, key=key, context=b"case|name|%d" % n) for n in range(50)}
    for one, other in itertools.permutations(blobs, 2):
        with pytest.raises(SealBrokenError):
            store.open_value(blobs[other], key=key, context=b"case|name|%d" % one)


def gcm_salamander(keys: tuple[bytes, bytes], iv: bytes, aad: bytes) -> bytes:
    """One GCM ciphertext and tag that both keys accept: solve one block so that the two GHASH values agree."""

    def block(key, data):
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)  # noqa: S305 - builds GCM by hand

    def multiply(x, y):
        result = 0
        for bit in range(128):
            if y >> (127 - bit) & 1:
                result ^= x
            x = (x >> 1) ^ (0xE1 << 120 if x & 1 else 0)
        return result

    def power(x, exponent):
        result = 1 << 127
        while exponent:
            if exponent & 1:
                result = multiply(result, x)
            x, exponent = multiply(x, x), exponent >> 1
        return result

    def number(data):
        return int.from_bytes(data, "big")

    h = [number(block(key, bytes(16))) for key in keys]
    mask = [number(block(key, iv + b"\0\0\0\1")) for key in keys]
    padded = number(aad + bytes(16 - len(aad)))
    lengths = number((len(aad) * 8).to_bytes(8, "big") + (128).to_bytes(8, "big"))
    fixed = [
        mask[n] ^ multiply(padded, power(h[n], 3)) ^ multiply(lengths, h[n]) for n in (0, 1)
    ]  # GHASH(aad, c) = aad·h³ + c·h² + lengths·h
    difference = power(h[0], 2) ^ power(h[1], 2)
    c = multiply(fixed[0] ^ fixed[1], power(difference, 2**128 - 2))
    tag = fixed[0] ^ multiply(c, power(h[0], 2))
    return c.to_bytes(16, "big") + tag.to_bytes(16, "big")


@pytest.mark.parametrize("_pair_of_keys", range(20))
def test_one_ciphertext_never_opens_under_two_keys(_pair_of_keys):
    """E4: the trick works against bare GCM and fails against the header's commitment."""
    parameters, aad, iv, position = (
        FloeParameters(segment_bytes=SEGMENT),
        b"context",
        os.urandom(32),
        bytes(8) + b"\1",
    )
    case_keys = os.urandom(32), os.urandom(32)
    segment_iv = os.urandom(12)
    deks = []
    for case_key in case_keys:
        header = parameters.encoded() + iv + header_tag(case_key, parameters, iv, aad)
        cipher = start_opening(key=case_key, aad=aad, parameters=parameters, header=header)
        deks.append(expand(cipher._message_key, floe_info(parameters, iv, b"DEK:" + bytes(8), aad), 32))
    forged = gcm_salamander(tuple(deks), segment_iv, position)
    plains = [AESGCM(dek).decrypt(segment_iv, forged, position) for dek in deks]
    assert plains[0] != plains[1]  # bare GCM accepts the same bytes under both keys
    headers = [parameters.encoded() + iv + header_tag(k, parameters, iv, aad) for k in case_keys]
    assert headers[0] != headers[1]
    for mine, other in ((0, 1), (1, 0)):
        with pytest.raises(SealBrokenError, match="key and context"):
            start_opening(key=case_keys[mine], aad=aad, parameters=parameters, header=headers[other])


def test_header_from_one_object_on_the_body_of_another_is_refused(store, key):
    refs = [store.seal(io.BytesIO(b"z" * 150), key=key, kind="original") for _ in range(2)]
    data = [store._objects.content[ref.object_id] for ref in refs]
    assert not accepted(store, refs[0], key, data[0][:HEADER_BYTES] + data[1][HEADER_BYTES:])
    assert not accepted(store, refs[0], key, data[1][:HEADER_BYTES] + data[0][HEADER_BYTES:])


def test_garbage_is_refused_with_our_own_error(store, key):
    ref = store.seal(io.BytesIO(b"x"), key=key, kind="original")
    for garbage in (
        b"",
        b"\0" * 500,
        os.urandom(115),
        FloeParameters(segment_bytes=64).prefix(),
        FloeParameters(segment_bytes=64).prefix() + bytes(200),
        b"%PDF-1.7",
        b"\xff" * 115,
    ):
        store._objects.content[ref.object_id] = garbage
        with pytest.raises(StorageError):
            store.verify(ref, key=key, kind="original")
