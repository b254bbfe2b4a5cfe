"""The reader is a plain seekable file, at every offset and length."""

import io
import os
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import SealBrokenError

DATA = os.urandom(64 * 4 + 13)


@pytest.fixture
def sealed(store, key):
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    with store.open(ref, key=key, kind="x") as reader:
        yield reader


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END, "read", "readinto"]),
            st.integers(-300, 600),
        ),
        max_size=12,
    )
)
def test_behaves_like_bytes_io(sealed, steps):
    plain = io.BytesIO(DATA)
    sealed.seek(0)
    for what, number in steps:
        if what == "read":
            assert sealed.read(number) == plain.read(number)
        elif what == "readinto":
            one, other = bytearray(abs(number)), bytearray(abs(number))
            assert sealed.readinto(one) == plain.readinto(other)
            assert one == other
        else:
            base = {io.SEEK_SET: 0, io.SEEK_CUR: plain.tell(), io.SEEK_END: len(DATA)}[what]
            if base + number < 0:
                with pytest.raises(ValueError):
                    sealed.seek(number, what)
            else:
                assert sealed.seek(number, what) == plain.seek(base + number)
        assert sealed.tell() == plain.tell()


def test_every_range_reads_right(sealed):
    for start in range(0, len(DATA) + 2, 3):
        for length in (0, 1, 31, 63, 64, 65, 128, 1000):
            sealed.seek(start)
            assert sealed.read(length) == DATA[start : start + length]


def test_is_a_file_to_the_standard_library(store, key):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.txt", b"hello" * 50)
    ref = store.seal(io.BytesIO(archive.getvalue()), key=key, kind="x")
    with store.open(ref, key=key, kind="x") as reader, zipfile.ZipFile(io.BufferedReader(reader)) as unpacked:
        assert unpacked.read("a.txt") == b"hello" * 50
        assert reader.readable()
        assert reader.seekable()
        assert not reader.writable()


def test_closed_reader_gives_nothing(sealed):
    sealed.close()
    sealed.close()
    for act in (
        sealed.read,
        lambda: sealed.seek(0),
        lambda: sealed.readinto(bytearray(1)),
    ):
        with pytest.raises(ValueError, match="closed"):
            act()


def test_nothing_of_a_broken_segment_reaches_the_callers_buffer(store, key, objects):
    """E2: the segments before it are given, of the broken one not a byte."""
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    broken = bytearray(objects.content[ref.object_id])
    broken[82 + 96 + 50] ^= 1  # in the second segment
    objects.content[ref.object_id] = bytes(broken)
    with store.open(ref, key=key, kind="x") as reader:
        buffer = bytearray(len(DATA))
        with pytest.raises(SealBrokenError, match="segment 1"):
            reader.readinto(buffer)
        assert buffer == DATA[:64] + bytes(len(DATA) - 64)
        with pytest.raises(SealBrokenError):
            reader.read()
        reader.seek(60)
        with pytest.raises(SealBrokenError):
            reader.read(10)
        reader.seek(0)
        assert reader.read(64) == DATA[:64]
        reader.seek(64 * 2)
        assert reader.read(5) == DATA[128:133]


@pytest.mark.parametrize("size", [0, 64, 128])
def test_empty_final_segment_is_verified_before_the_end_is_told(store, key, objects, size):
    ref = store.seal(io.BytesIO(DATA[:size]), key=key, kind="x")
    broken = bytearray(objects.content[ref.object_id])
    broken[-1] ^= 1
    objects.content[ref.object_id] = bytes(broken)
    with store.open(ref, key=key, kind="x") as reader, pytest.raises(SealBrokenError):
        reader.read(max(size, 1))
    with pytest.raises(SealBrokenError):
        store.verify(ref, key=key, kind="x")


def test_object_cut_after_opening_is_noticed(store, key, objects):
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    with store.open(ref, key=key, kind="x") as reader:
        reader._stored._data = reader._stored._data[:200]
        assert reader.read(64) == DATA[:64]
        with pytest.raises(SealBrokenError, match="segment 1 is cut"):
            reader.read(64)


@pytest.mark.parametrize("broken", range(5))
def test_a_broken_segment_leaves_zeros_where_the_caller_wanted_it(store, key, objects, broken):
    """E2: the library writes plaintext before it has seen the tag, and the caller's own buffer is where it writes."""
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    altered = bytearray(objects.content[ref.object_id])
    altered[82 + 96 * broken + 16] ^= 1
    objects.content[ref.object_id] = bytes(altered)
    with store.open(ref, key=key, kind="x") as reader:
        buffer = bytearray(b"\xee" * len(DATA))
        with pytest.raises(SealBrokenError, match=f"segment {broken} does not verify"):
            reader.readinto(buffer)
        rest = DATA[64 * broken : 64 * broken + 64]
        assert buffer[: 64 * broken] == DATA[: 64 * broken]
        assert buffer[64 * broken :] == bytes(len(rest)) + b"\xee" * (len(DATA) - 64 * broken - len(rest))
        assert reader.tell() == 64 * broken


def test_whole_segments_are_decrypted_where_they_are_wanted(store, key, monkeypatch):
    """No copy: the reader's own buffer is never taken while a caller asks for whole segments."""
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    with store.open(ref, key=key, kind="x") as reader:
        monkeypatch.setattr(reader, "_load", lambda _: pytest.fail("copied"))
        buffer = bytearray(len(DATA))
        assert reader.readinto(memoryview(buffer)[:128]) == 128
        assert reader.readinto(memoryview(buffer)[128:]) == len(DATA) - 128
        assert buffer == DATA
        assert reader.readinto(buffer) == 0  # the final segment has been verified already


def test_end_is_verified_once_and_not_told_before(store, key, objects):
    ref = store.seal(io.BytesIO(DATA), key=key, kind="x")
    broken = bytearray(objects.content[ref.object_id])
    broken[-1] ^= 1
    objects.content[ref.object_id] = bytes(broken)
    with store.open(ref, key=key, kind="x") as reader:
        assert reader.read(256) == DATA[:256]
        reader.seek(0, io.SEEK_END)
        for _ in range(2):
            with pytest.raises(SealBrokenError, match="segment 4"):
                reader.read(1)
            with pytest.raises(SealBrokenError, match="segment 4"):
                reader.readinto(bytearray(1))
