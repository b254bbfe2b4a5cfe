"""Streams that replay their front."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.streams import Replayed


class Dripping:
    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(min(size, 3) if size > 0 else size)


@given(st.binary(max_size=50), st.binary(max_size=200), st.lists(st.integers(1, 40)), st.booleans())
def test_every_way_to_read_yields_the_same_bytes(front, rest, sizes, into):
    for source in (io.BytesIO(rest), Dripping(rest)):
        stream, held = Replayed(front, source), b""
        for size in sizes:
            if into:
                buffer = bytearray(size)
                piece = bytes(buffer[: stream.readinto(buffer)])
                piece = bytes(memoryview(buffer)[: len(buffer)])[
                    : min(size, len(front) + len(rest) - len(held))
                ]
            else:
                piece = stream.read(size)
            assert len(piece) == min(size, len(front) + len(rest) - len(held))
            held += piece
        assert held + stream.read() == front + rest


@pytest.mark.parametrize("front", [b"", b"ab"])
def test_the_end_stays_the_end(front):
    stream = Replayed(front, io.BytesIO(b"cd"))
    assert stream.read() == front + b"cd"
    assert stream.read(5) == b""
    assert stream.readinto(bytearray(5)) == 0
