from __future__ import annotations

import io
import mmap

import pytest

from anonymizer.mapped import BLOCK_BYTES, as_file, blocks


@pytest.fixture
def mapped(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held:
        view = memoryview(held)
        yield view
        view.release()


@pytest.mark.parametrize(
    "steps",
    [
        [("read", 8), ("tell",), ("read", 4)],
        [("seek", 1020), ("read", 8), ("read", 8), ("tell",)],
        [("seek", -4, io.SEEK_END), ("read",), ("read",)],
        [("read", 10), ("seek", -2, io.SEEK_CUR), ("read", 2)],
        [("seek", 5000), ("tell",), ("read", 1)],
        [("read", 0), ("read", -1), ("tell",)],
    ],
)
def test_a_mapped_file_answers_as_one_in_memory_does(mapped, steps):
    ours, plain = as_file(mapped), io.BytesIO(bytes(mapped))
    for name, *given in steps:
        assert getattr(ours, name)(*given) == getattr(plain, name)(*given), (name, given)


def test_no_place_lies_before_the_beginning(mapped):
    stream = as_file(mapped)
    with pytest.raises(ValueError, match="before the beginning"):
        stream.seek(-1)


@pytest.mark.parametrize("size", [0, 1, 100, 1024])
def test_blocks_cover_every_byte_with_their_overlap(mapped, size):
    found = list(blocks(mapped[:size], size_bytes=100, overlap=7))
    assert b"".join(bytes(block)[:100] for _, block in found) == bytes(mapped[:size])
    assert all(bytes(block) == bytes(mapped[at : at + len(block)]) for at, block in found)


def test_the_pages_of_a_large_file_are_given_back(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(BLOCK_BYTES + 1)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as held:
        view = memoryview(held)
        assert sum(len(block) for _, block in blocks(view, size_bytes=1 << 20)) == len(view)
        view.release()
