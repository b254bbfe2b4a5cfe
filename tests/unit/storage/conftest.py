"""Stores in memory, with segments small enough that every boundary is met."""

import pytest

from storage import MemoryKeys, MemoryObjects, SealedStore


@pytest.fixture
def objects():
    return MemoryObjects()


@pytest.fixture
def store(objects):
    return SealedStore(objects=objects, keys=MemoryKeys(), tenant="north", segment_bytes=96)


@pytest.fixture
def key(store):
    return store.new_key(holder="case-1", purpose="originals")
