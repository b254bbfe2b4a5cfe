"""Ids of objects and their batches, seals that took too long, and verifying without crowding the page cache."""

import ctypes
import io
import mmap
import os
import time

import pytest

from storage import (
    PROBE_BATCH,
    DiskObjects,
    MemoryKeys,
    MemoryObjects,
    ObjectUnreadableError,
    SealedStore,
    SealTooSlowError,
    batch_of,
    new_batch,
    new_object_id,
    sealed,
)

_LIBC = ctypes.CDLL(None)


def test_an_id_carries_its_batch_and_stays_of_one_shape():
    batch = new_batch()
    ids = {new_object_id(batch) for _ in range(1000)}
    assert len(ids) == 1000
    assert {batch_of(one) for one in ids} == {batch}
    assert {len(one) for one in ids} == {len(new_object_id())} == {32}


@pytest.mark.parametrize("batch", ["short", "0" * 11, "G" * 12, "../../etc/pw"])
def test_a_batch_of_another_shape_makes_no_id(batch):
    with pytest.raises(ValueError, match="32 lower-case"):
        new_object_id(batch)


def test_an_id_source_that_refuses_is_told_to_who_seals_and_nothing_is_kept():
    objects = MemoryObjects()

    def refuse():
        raise LookupError("no batch")

    store = SealedStore(objects=objects, keys=MemoryKeys(), tenant="t", new_id=refuse)
    with pytest.raises(LookupError, match="no batch"):
        store.seal(io.BytesIO(b"x"), key=store.new_key(holder="h", purpose="p"), kind="k")
    assert objects.content == {}


def test_a_seal_that_took_half_a_day_is_taken_back(monkeypatch):
    objects = MemoryObjects()
    store = SealedStore(objects=objects, keys=MemoryKeys(), tenant="t")
    key = store.new_key(holder="h", purpose="p")
    times = iter([0.0, sealed.SEAL_WITHIN_S + 1.0])
    # The clock that goes on while the machine sleeps: the other one stands still and would call the seal quick.
    clocks = {time.CLOCK_BOOTTIME: lambda: next(times), time.CLOCK_MONOTONIC: lambda: 0.0}
    monkeypatch.setattr(sealed.time, "clock_gettime", lambda clock: clocks[clock]())
    monkeypatch.setattr(sealed.time, "monotonic", lambda: 0.0)
    with pytest.raises(SealTooSlowError):
        store.seal(io.BytesIO(b"x"), key=key, kind="k")
    assert objects.content == {}


def test_a_self_test_that_dies_leaves_an_id_of_its_own_batch(tmp_path, monkeypatch):
    objects = DiskObjects(tmp_path / "objects")
    monkeypatch.setattr(objects, "remove", lambda _object_id: None)
    objects.probe()
    assert [batch_of(one) for one in objects.ids()] == [PROBE_BATCH]


def test_a_folder_that_cannot_be_listed_is_an_error_and_no_empty_store(tmp_path):
    objects = DiskObjects(tmp_path / "objects")
    (tmp_path / "objects" / "7f").rmdir()
    with pytest.raises(ObjectUnreadableError):
        list(objects.ids())


@pytest.fixture
def disk(tmp_path):
    store = SealedStore(objects=DiskObjects(tmp_path / "objects"), keys=MemoryKeys(), tenant="t")
    key = store.new_key(holder="h", purpose="p")
    return store, key, store.seal(io.BytesIO(os.urandom(3_000_000)), key=key, kind="k")


def test_verifying_at_a_pace_tells_every_byte_and_can_be_ended(disk):
    store, key, ref = disk
    told = []
    store.verify(ref, key=key, kind="k", pace=told.append)
    assert sum(told) == ref.size_bytes

    def end(_count):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.verify(ref, key=key, kind="k", pace=end)


def _is_cached(path):
    """Whether any page of a file is in memory (mincore(2)); unlike a read that does not wait, it fetches none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        pages = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE + 1))()
        start = ctypes.c_char.from_buffer(mapped)
        assert not _LIBC.mincore(
            ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), pages
        )
        del start
    return any(page & 1 for page in pages)


def test_a_scrub_leaves_the_page_cache_as_it_was(disk, tmp_path):
    store, key, ref = disk
    path = tmp_path / "objects" / ref.object_id[:2] / ref.object_id
    store.verify(ref, key=key, kind="k")
    assert _is_cached(path)
    store.verify(ref, key=key, kind="k", pace=lambda _count: None)
    assert _is_cached(path)  # somebody reads it: it stays
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if _is_cached(path):
        pytest.skip("this file system keeps everything in memory")
    store.verify(ref, key=key, kind="k", pace=lambda _count: None)
    assert not _is_cached(path)
