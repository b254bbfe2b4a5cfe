"""The byte scan finds every needle wherever it starts, and nothing else: held against a search one place at a time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.byte_scan import BLOCK, SMALL, Needles

ALPHABET = b"anol\x00"
NEEDLES = st.lists(
    st.lists(st.sampled_from(ALPHABET), min_size=4, max_size=14).map(bytes), min_size=1, max_size=12
)


def _slowly(buffer: bytes, needles: list[bytes]) -> set[tuple[int, bytes]]:
    return {(at, one) for one in needles for at in range(len(buffer)) if buffer.startswith(one, at)}


@settings(max_examples=60, deadline=None)
@given(NEEDLES, st.lists(st.sampled_from(ALPHABET), max_size=300).map(bytes), st.integers(0, 9))
def test_it_finds_what_a_slow_search_finds(needles: list[bytes], text: bytes, before: int) -> None:
    buffer = bytes(before) + text + bytes(SMALL)
    assert set(Needles(needles).found(buffer)) == _slowly(buffer, needles)
    assert set(Needles(needles).found(text)) == _slowly(text, needles)


@pytest.mark.parametrize(
    "needle", [b"anna", b"annao", b"lindqv", b"lindqvi", "lindqvist".encode("utf-16-le"), b"198503129876"]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 5, 8190, BLOCK - 9, BLOCK - 1, BLOCK, BLOCK + 1, -40, -1])
def test_a_needle_is_found_at_any_place_up_to_the_last_byte(needle: bytes, place: int) -> None:
    buffer = bytearray(BLOCK + 20_001)
    start = place if place >= 0 else len(buffer) - len(needle) + place + 1
    buffer[start : start + len(needle)] = needle
    assert list(Needles([needle, b"something else"]).found(bytes(buffer))) == [(start, needle)]
    assert Needles([needle]).any_in(memoryview(buffer))


def test_pixels_that_look_like_letters_cost_no_more_than_others() -> None:
    """Sixteen-bit pixels around 110 are two-byte letters to the eye of a scan; only whole needles may count."""
    chance = random.Random(5)
    picture = b"".join(bytes([chance.randrange(97, 123), 0]) for _ in range(40_000))
    name = "krasheninnikova".encode("utf-16-le")
    needles = Needles([name, "lindqvist".encode("utf-16-le")])
    assert list(needles.found(picture)) == []
    assert list(needles.found(picture[:30_001] + name + picture[30_001:])) == [(30_001, name)]


@pytest.mark.parametrize(
    ("needle", "text", "found"),
    [
        (b"123456", b"no 123456 here", True), (b"123456", b"9123456", False), (b"123456", b"1234567", False), (b"123456", b"1.123456", False),
        (b"123456", b"123456.7", False), (b"123456", b"123456.", True), (b"12345678", b"9123456789", True), (b"1.2.3.4", b"1.2.3.45", False),
        (b"1.2.3.4", b"5.1.2.3.4", False), (b"1.2.3.4", b"1.2.3.4 ", True),
    ],
)  # fmt: skip
def test_a_short_number_counts_only_when_it_stands_alone(needle: bytes, text: bytes, found: bool) -> None:
    assert Needles([needle]).any_in(text) is found
    assert Needles([needle]).any_in(bytes(2 * SMALL) + text + bytes(9)) is found


def test_needles_shorter_than_a_word_are_left_out_and_none_at_all_finds_nothing() -> None:
    assert Needles([b"abc", b""]).needles == ()
    assert list(Needles([b"abc"]).found(b"abc" * 9000)) == []
