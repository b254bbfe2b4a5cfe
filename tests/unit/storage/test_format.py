"""Layouts, sizes and associated data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import SealBrokenError
from storage.format import (
    HEADER_BYTES,
    MAGIC,
    FloeParameters,
    Layout,
    ObjectNames,
    canonical,
    key_context,
    parse_header,
)
from storage.suites import WRITES

field = st.one_of(st.binary(max_size=12), st.text(max_size=6), st.integers(0, 2**64 - 1))


def as_bytes(value) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(8, "big")
    return value.encode() if isinstance(value, str) else value


@given(st.lists(field, max_size=5), st.lists(field, max_size=5))
def test_different_lists_of_fields_never_give_the_same_bytes(one, other):
    same = [as_bytes(v) for v in one] == [as_bytes(v) for v in other]
    assert (canonical(*one) == canonical(*other)) == same


def test_moving_a_letter_between_fields_changes_the_context():
    names = {"object_id": "0" * 32, "kind": "original", "generation": 1}
    one, other = ({"tenant": "ab", "holder": "c"}, {"tenant": "a", "holder": "bc"})
    assert ObjectNames(**one, **names).context(WRITES) != ObjectNames(**other, **names).context(WRITES)
    rest = {"purpose": "p", "kek_id": "k", "kek_version": 1}
    assert key_context(tenant="ab", holder="c", **rest) != key_context(tenant="a", holder="bc", **rest)


@given(size=st.integers(0, 5000), segment=st.integers(64, 400))
def test_sealed_length_is_the_sum_of_its_segments(size, segment):
    layout = Layout(parameters=FloeParameters(segment_bytes=segment), size_bytes=size)
    payloads = [layout.payload_bytes(position) for position in range(layout.final_position + 1)]
    assert sum(payloads) == size
    assert all(p == layout.parameters.payload_bytes for p in payloads[:-1])
    assert payloads[-1] < layout.parameters.payload_bytes
    assert layout.sealed_bytes == HEADER_BYTES + sum(p + 32 for p in payloads)
    assert layout.segment_offset(layout.final_position) + payloads[-1] + 32 == layout.sealed_bytes


@given(
    segment=st.integers(64, 400), sizes=st.lists(st.integers(0, 3000), min_size=2, max_size=2, unique=True)
)
def test_two_plaintext_sizes_never_share_a_sealed_length(segment, sizes):
    parameters = FloeParameters(segment_bytes=segment)
    one, other = (Layout(parameters=parameters, size_bytes=size).sealed_bytes for size in sizes)
    assert one != other


@pytest.mark.parametrize("segment_bytes", [0, 32, (1 << 24) + 1])
def test_impossible_segment_length_is_refused(segment_bytes):
    with pytest.raises(ValueError, match="segment_bytes"):
        FloeParameters(segment_bytes=segment_bytes)


def header(**changes) -> bytes:
    parts = {
        "prefix": MAGIC + b"\1\1",
        "ids": b"\0\0",
        "segment": (64).to_bytes(4, "big"),
        "iv": (32).to_bytes(4, "big"),
    }
    return b"".join({**parts, **changes}.values()) + bytes(64)


def test_header_is_split():
    parameters, floe_header = parse_header(header())
    assert parameters.segment_bytes == 64
    assert len(floe_header) == 74


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"", "starts like this"),
        (header()[:-1], "starts like this"),
        (header(prefix=b"CSEAM\0\1\1"), "starts like this"),
        (header(prefix=MAGIC + b"\2\1"), "format 2, suite 1"),
        (header(prefix=MAGIC + b"\1\2"), "format 1, suite 2"),
        (header(ids=b"\1\0"), "another suite"),
        (header(ids=b"\0\1"), "another suite"),
        (header(iv=(31).to_bytes(4, "big")), "another suite"),
        (header(segment=(63).to_bytes(4, "big")), "impossible segment"),
        (header(segment=b"\xff" * 4), "impossible segment"),
    ],
)
def test_header_that_we_never_wrote_is_refused(wrong, says):
    with pytest.raises(SealBrokenError, match=says):
        parse_header(wrong)
