"""Objects larger than any buffer: nothing is missed at the edges of blocks, and memory stays small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anonymizer.byte_scan import BLOCK, Needles
from anonymizer.pixels.picture import Picture, views
from anonymizer.verify import Leak, _Scan
from tests.benchmarks.deid_objects import big_multiframe
from tests.unit.anonymizer import made

UID = "1.2.840.113619.2.5.1762583153.215519.978957063.78"
SIZE = 256 << 20


def scanned(content: bytes, *known: bytes) -> list[Leak]:
    return list(_Scan(Needles(known), frozenset({UID})).found(content))


@pytest.mark.parametrize("edge", [BLOCK, 2 * BLOCK, 4096])
@pytest.mark.parametrize("before", range(len(UID) + 1))
def test_an_original_uid_is_found_across_the_edge_of_a_block(edge, before):
    content = bytearray(2 * BLOCK + 4096)
    content[edge - before : edge - before + len(UID)] = UID.encode()
    (leak,) = scanned(bytes(content))
    assert (leak.place, leak.kind) == (f"byte {edge - before}", "original UID")


def test_a_uid_longer_than_the_standard_allows_is_found_whole():
    uid = UID + ".1234567890" * 5
    (leak,) = _Scan(Needles(()), frozenset({uid})).found(bytes(9000) + uid.encode() + bytes(9000))
    assert leak.kind == "original UID"


@pytest.mark.parametrize("beside", [f"{UID}9", f"{UID}.1", f"1{UID}", f"2.{UID}", UID[:-1]])
def test_a_uid_inside_a_longer_one_is_another(beside):
    content = bytes(9000) + beside.encode() + bytes(9000)
    assert scanned(content) == []


def test_a_known_number_that_begins_like_a_uid_is_still_found():
    content = bytes(9000) + f"number {UID[:10]} here, {UID}".encode() + bytes(9000)
    kinds = [leak.kind for leak in scanned(content, UID[:10].encode())]
    assert kinds == ["known identifier in the bytes", "original UID"]


def test_frames_of_one_level_are_shown_as_they_are():
    from anonymizer.reader import read_part10

    dataset = read_part10(made.encoded(made.ct())).dataset
    picture = Picture.of(dataset, "1.2.840.10008.1.2.1")
    values = picture.stored_values(0) * 0
    (shown,) = views(picture, values)
    assert shown.shape == values.shape
    assert not shown.any()


def test_a_multi_frame_object_of_any_size_takes_little_memory(tmp_path: Path):
    big_multiframe(tmp_path / "in", SIZE)
    (tmp_path / "out").mkdir()
    said = subprocess.run(
        [
            sys.executable, "-m", "tests.benchmarks.deid_workers",
            "ours", str(tmp_path / "in"), str(tmp_path / "out"), "1",
        ],
        env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )  # fmt: skip
    assert json.loads(said.stdout.splitlines()[-1])["peak_bytes"] < 200e6 < SIZE
