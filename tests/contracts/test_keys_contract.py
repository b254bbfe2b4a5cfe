"""What every provider of master keys promises (E11)."""

import os

import pytest

from storage import FileKeys, KekRef, KeyRefusedError, KeyUnknownError, MemoryKeys, create_key_file


@pytest.fixture(params=["file", "memory"])
def keys(request, tmp_path):
    if request.param == "memory":
        return MemoryKeys()
    create_key_file(tmp_path / "kek.json")
    return FileKeys(tmp_path / "kek.json")


def test_wrapped_key_unwraps(keys):
    kek, plain = keys.current(), os.urandom(32)
    blob = keys.wrap(plain, kek=kek, aad=b"row 1")
    assert plain not in blob
    assert keys.unwrap(blob, kek=kek, aad=b"row 1") == plain


def test_same_key_never_wraps_to_the_same_bytes(keys):
    kek = keys.current()
    assert len({keys.wrap(bytes(32), kek=kek, aad=b"") for _ in range(200)}) == 200


def test_every_altered_bit_is_refused(keys):
    kek = keys.current()
    blob = keys.wrap(os.urandom(32), kek=kek, aad=b"row 1")
    for bit in range(len(blob) * 8):
        altered = bytearray(blob)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyRefusedError):
            keys.unwrap(bytes(altered), kek=kek, aad=b"row 1")
    for length in range(len(blob)):
        with pytest.raises(KeyRefusedError):
            keys.unwrap(blob[:length], kek=kek, aad=b"row 1")


def test_other_associated_data_is_refused(keys):
    kek = keys.current()
    blob = keys.wrap(os.urandom(32), kek=kek, aad=b"row 1")
    for aad in (b"row 2", b"", b"row 1\0"):
        with pytest.raises(KeyRefusedError):
            keys.unwrap(blob, kek=kek, aad=aad)


def test_unknown_version_is_named(keys):
    kek = keys.current()
    blob = keys.wrap(os.urandom(32), kek=kek, aad=b"")
    for other in (
        KekRef(kek_id=kek.kek_id, kek_version=99),
        KekRef(kek_id="elsewhere", kek_version=kek.kek_version),
    ):
        with pytest.raises(KeyUnknownError, match=f"{other.kek_id} version {other.kek_version}"):
            keys.unwrap(blob, kek=other, aad=b"")
        with pytest.raises(KeyUnknownError):
            keys.wrap(bytes(32), kek=other, aad=b"")


def test_probe_passes(keys):
    keys.probe()
