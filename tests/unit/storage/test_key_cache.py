"""Unwrapped keys live five minutes at most, and no longer than their holder."""

import pytest

from storage.case_key import CaseKey
from storage.key_cache import MOST_ENTRIES, TTL_S, KeyCache, WrappedKey


def wrapped(holder: str, purpose: str = "originals") -> WrappedKey:
    return WrappedKey(holder=holder, purpose=purpose, kek_id="k", kek_version=1, blob=b"blob")


class Unwrapping:
    def __init__(self) -> None:
        self.calls = 0
        self.meanwhile = lambda: None

    def __call__(self, key: WrappedKey) -> CaseKey:
        self.calls += 1
        self.meanwhile()
        return CaseKey(bytes(32))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def unwrapping():
    return Unwrapping()


@pytest.fixture
def clock():
    return Clock()


def test_key_is_unwrapped_once_until_it_expires(unwrapping, clock):
    assert TTL_S <= 300
    cache = KeyCache(unwrapping, clock=clock)
    cache.get(wrapped("a"))
    clock.now += TTL_S - 1
    cache.get(wrapped("a"))
    assert unwrapping.calls == 1
    clock.now += 1
    cache.get(wrapped("a"))
    assert unwrapping.calls == 2


def test_forgetting_a_holder_drops_all_its_keys_and_no_other(unwrapping, clock):
    cache = KeyCache(unwrapping, clock=clock)
    for key in (wrapped("a"), wrapped("a", "releases"), wrapped("b")):
        cache.get(key)
    cache.forget_holder("a")
    assert {key.holder for key in cache._entries} == {"b"}


def test_key_forgotten_while_being_unwrapped_does_not_stay(unwrapping, clock):
    cache = KeyCache(unwrapping, clock=clock)
    unwrapping.meanwhile = lambda: cache.forget_holder("a")
    cache.get(wrapped("a"))
    assert not cache._entries


def test_cache_is_bounded(unwrapping, clock):
    cache = KeyCache(unwrapping, clock=clock)
    for number in range(3 * MOST_ENTRIES):
        clock.now += 0.001
        cache.get(wrapped(str(number)))
        assert len(cache._entries) <= MOST_ENTRIES
    clock.now += TTL_S
    cache._make_room(clock.now)
    assert not cache._entries
