"""E13: what was sealed under an older suite opens for ever, new objects get the new one, and an unknown one is named.

The second suite is made here and stands in the table for the length of a test: the product has one, and no switch.
"""

import io
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from storage import SealBrokenError, SealedReader
from storage.buffers import BufferPool
from storage.format import MAGIC, ObjectNames, parse_header
from storage.objects.memory import MemoryObject
from storage.suites import SUITES, WRITES, Suite
from tests.unit.storage.test_vectors import GOLDEN

NEXT = Suite(number=250, aead_id=7, kdf_id=9, aead=ChaCha20Poly1305, kdf_hash=hashes.SHA512)
DATA = os.urandom(64 * 3 + 5)


@pytest.fixture
def upgraded(store, monkeypatch):
    """The same store in a release that has one more suite and writes it."""
    monkeypatch.setitem(SUITES, NEXT.number, NEXT)
    monkeypatch.setattr(store, "_parameters", replace(store._parameters, suite=NEXT))
    return store


def content(store, ref, key) -> bytes:
    with store.open(ref, key=key, kind="x") as reader:
        return reader.read()


def test_old_objects_open_and_new_ones_are_written_with_the_new_suite(store, key, objects, request):
    old = store.seal(io.BytesIO(DATA), key=key, kind="x")
    upgraded = request.getfixturevalue("upgraded")
    new = upgraded.seal(io.BytesIO(DATA), key=key, kind="x")

    assert [objects.content[ref.object_id][6:8] for ref in (old, new)] == [b"\1\1", b"\1\xfa"]
    for ref in (old, new):
        assert content(upgraded, ref, key) == DATA
        upgraded.verify(ref, key=key, kind="x")
        with upgraded.open(ref, key=key, kind="x") as reader:
            reader.seek(70)
            assert reader.read(60) == DATA[70:130]
    assert old.digest == new.digest  # the digest is the case key's, whatever the suite


def test_golden_objects_open_after_the_change(upgraded):
    for vector in GOLDEN["objects"]:
        reader = SealedReader(
            MemoryObject(bytes.fromhex(vector["sealed"])),
            key=bytes.fromhex(GOLDEN["case_key"]),
            names=ObjectNames(**GOLDEN["object_names"], object_id=vector["object_id"]),
            size_bytes=len(vector["plain"]) // 2,
            buffers=BufferPool(96),
        )
        assert reader.read().hex() == vector["plain"]


def test_a_release_that_does_not_know_a_suite_names_it(upgraded, key, monkeypatch):
    new = upgraded.seal(io.BytesIO(DATA), key=key, kind="x")
    monkeypatch.delitem(SUITES, NEXT.number)
    with pytest.raises(SealBrokenError, match="format 1, suite 250 is not known to this release"):
        upgraded.open(new, key=key, kind="x")


@pytest.mark.parametrize(("suite", "other"), [(WRITES, NEXT), (NEXT, WRITES)])
def test_a_header_cannot_be_turned_into_another_suites(upgraded, key, objects, monkeypatch, suite, other):
    """Neither with our number alone nor with FLOE's as well: the suite is in what the header tag commits to."""
    monkeypatch.setattr(upgraded, "_parameters", replace(upgraded._parameters, suite=suite))
    ref = upgraded.seal(io.BytesIO(DATA), key=key, kind="x")
    sealed = objects.content[ref.object_id]
    for altered, says in (
        (MAGIC + bytes((1, other.number)) + sealed[8:], "another suite"),
        (MAGIC + bytes((1, other.number, other.aead_id, other.kdf_id)) + sealed[10:], "this key and context"),
    ):
        objects.content[ref.object_id] = altered
        with pytest.raises(SealBrokenError, match=says):
            upgraded.open(ref, key=key, kind="x")


def test_every_suite_of_the_product_has_golden_files_and_stands_under_its_number():
    golden = {parse_header(bytes.fromhex(v["sealed"])[:82])[0].suite.number for v in GOLDEN["objects"]}
    assert golden == set(SUITES) == {1}
    assert all(number == suite.number for number, suite in SUITES.items())
    assert WRITES is SUITES[WRITES.number]
