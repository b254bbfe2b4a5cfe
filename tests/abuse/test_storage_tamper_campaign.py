"""Tampering in bulk: every way of `storage_tampering`, a spread of them here and all of them in `make tamper` (E2 to E5, #2).

``CONSILIUM_TAMPERINGS=all`` tries each one, a few hundred thousand; without it every eleventh, and at least 20,000.
"""

import itertools
import multiprocessing
import os
from collections import Counter

import numpy as np
import pytest

from storage.format import FloeParameters
from storage.segments import start_sealing
from tests.abuse.storage_tampering import WAYS, accepted, keep

pytestmark = pytest.mark.abuse

ALL = os.environ.get("CONSILIUM_TAMPERINGS") == "all"
EVERY = 1 if ALL else 11
LEAST = 100_000 if ALL else 20_000
IVS = 10_000_000 if ALL else 1_000_000
CHILDREN, PER_OBJECT = 4, 500


@pytest.mark.timeout(3600 if ALL else 600)
def test_nothing_altered_is_ever_accepted():
    tried, through = Counter(), Counter()
    for way in WAYS:
        for what, attempt in itertools.islice(way(), 0, None, EVERY):
            tried[what] += 1
            through[what] += attempt()
    print(f"\n{tried.total()} tamperings tried, {through.total()} accepted:", dict(tried.most_common()))
    assert not +through
    assert tried.total() >= LEAST
    assert min(tried.values()) >= 1
    assert len(tried) >= 24


@pytest.mark.parametrize("size", [0, 1, 64, 65, 201])
def test_what_was_not_altered_is_accepted(size):
    """Else the test above could not fail."""
    assert accepted(keep(size))


def ivs_of_a_child(path, objects: int) -> None:
    """Write the IVs of many segments, each object begun anew as a store does."""
    parameters = FloeParameters(segment_bytes=64)
    plain, out = memoryview(bytes(32)), memoryview(bytearray(64))
    with path.open("wb") as file:
        for _ in range(objects):
            header, cipher = start_sealing(key=bytes(32), aad=b"", parameters=parameters)
            file.write(header[10:22])  # of the FLOE IV as many bytes as a segment's has
            for position in range(PER_OBJECT - 1):
                cipher.seal_into(position=position, final=False, plain=plain, out=out)
                file.write(out[4:16])


@pytest.mark.timeout(3600 if ALL else 600)
def test_no_iv_repeats_over_forked_workers(tmp_path):
    """E5: 10^6 here, 10^7 in the campaign; parent and children go on from one state."""
    context = multiprocessing.get_context("fork")
    paths = [tmp_path / str(number) for number in range(CHILDREN)]
    children = [
        context.Process(target=ivs_of_a_child, args=(path, IVS // CHILDREN // PER_OBJECT)) for path in paths
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    ivs = np.concatenate([np.fromfile(path, dtype="S12") for path in paths])
    assert len(ivs) == IVS
    ivs.sort()
    assert not (ivs[1:] == ivs[:-1]).any()
