"""E1, E13: published vectors of FLOE and of what it stands on, and our own golden files, kept for ever."""

import hmac
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from storage.buffers import BufferPool
from storage.case_key import CaseKey
from storage.errors import SealBrokenError
from storage.format import FLOE_HEADER_BYTES, FloeParameters, ObjectNames, key_context
from storage.keys.wrapping import unwrap_key
from storage.objects.memory import MemoryObject
from storage.reader import SealedReader
from storage.segments import expand, start_opening
from storage.suites import FLOE_AES256_GCM_SHA384
from storage.values import open_value
from tests.vectors import make_storage_v1, stranger

PUBLISHED = Path(os.environ.get("CONSILIUM_PUBLISHED_VECTORS", Path(__file__).parents[4] / "shared" / "data"))
FLOE = sorted(path.name.removesuffix("_ct.txt") for path in (PUBLISHED / "floe").glob("*_ct.txt"))
GOLDEN = json.loads((Path(__file__).parents[2] / "vectors" / "storage_v1.json").read_text())

HKDF_SETS = [
    ("hkdf_sha256_test", hashes.SHA256, 86),
    ("hkdf_sha384_test", hashes.SHA384, 83),
    ("hkdf_sha512_test", hashes.SHA512, 83),
]

needs_published = pytest.mark.skipif(
    not FLOE,
    reason="published vectors are not here: point CONSILIUM_PUBLISHED_VECTORS at a folder with floe/ and wycheproof/",
)


def floe_parameters(name: str) -> FloeParameters:
    """Segment lengths and rotation as in the published KAT runners; `rotation` derives a key every 4 segments."""
    segment_bytes = {"4K": 4096, "64": 64, "1M": 1 << 20}.get(name.rsplit("_", 1)[1], 40)
    return FloeParameters(segment_bytes=segment_bytes, rotation_bits=2 if name.endswith("rotation") else 20)


def read_floe(name: str) -> tuple[bytes, bytes]:
    sealed, plain = ((PUBLISHED / "floe" / f"{name}_{part}.txt").read_text().strip() for part in ("ct", "pt"))
    return bytes.fromhex(sealed), bytes.fromhex(plain)


def open_floe(sealed: bytes, parameters: FloeParameters, *, key=bytes(32), aad=b"This is AAD") -> bytes:
    cipher = start_opening(key=key, aad=aad, parameters=parameters, header=sealed[:FLOE_HEADER_BYTES])
    body, out = memoryview(sealed)[FLOE_HEADER_BYTES:], b""
    for position, start in enumerate(range(0, len(body), parameters.segment_bytes)):
        piece = body[start : start + parameters.segment_bytes]
        buffer = memoryview(bytearray(parameters.segment_bytes))
        final = start + len(piece) == len(body)
        count = cipher.open_into(position=position, final=final, sealed=piece, out=buffer)
        out += bytes(buffer[:count])
    return out


@needs_published
def test_all_published_floe_vectors_at_hand_are_run():
    assert len(FLOE) >= 17


@needs_published
@pytest.mark.parametrize("name", FLOE)
def test_published_floe_vector_opens(name):
    sealed, plain = read_floe(name)
    assert open_floe(sealed, floe_parameters(name)) == plain


@needs_published
@pytest.mark.parametrize("name", FLOE)
def test_published_floe_vector_agrees_with_the_stranger(name):
    sealed, plain = read_floe(name)
    rotation = floe_parameters(name).rotation_bits
    assert stranger.open_floe(sealed, key=bytes(32), aad=b"This is AAD", rotation_bits=rotation) == plain


@needs_published
@pytest.mark.parametrize("name", FLOE)
def test_published_floe_vector_is_refused_with_another_key_or_context(name):
    sealed, _ = read_floe(name)
    for other in ({"key": b"\x01" + bytes(31)}, {"aad": b"This is AAE"}, {"aad": b""}):
        with pytest.raises(SealBrokenError, match="does not belong"):
            open_floe(sealed, floe_parameters(name), **other)


def wycheproof(name: str):
    path = PUBLISHED / "wycheproof" / f"{name}.json"
    if not path.exists():
        pytest.skip(
            f"Wycheproof's {name} is not here: point CONSILIUM_PUBLISHED_VECTORS at a folder that has it"
        )
    for group in json.loads(path.read_text())["testGroups"]:
        for case in group["tests"]:
            yield group, case


def test_wycheproof_aes_gcm():
    run = 0
    for group, case in wycheproof("aes_gcm_test"):
        assert group["tagSize"] == 128
        key, iv, aad, plain, ct, tag = (
            bytes.fromhex(case[k]) for k in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        opened = bytearray(len(ct))
        run += 1
        if not 8 <= len(iv) <= 128:
            with pytest.raises(
                ValueError, match="Nonce"
            ):  # the library knows no such IVs; ours are of 12 bytes
                AESGCM(key).decrypt_into(iv, ct + tag, aad, opened)
        elif case["result"] == "valid":
            sealed = bytearray(len(plain) + 16)
            AESGCM(key).encrypt_into(iv, plain, aad, sealed)
            assert sealed == ct + tag
            AESGCM(key).decrypt_into(iv, ct + tag, aad, opened)
            assert opened == plain
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt_into(iv, ct + tag, aad, opened)
    assert run == 316


@pytest.mark.parametrize(("name", "algorithm", "count"), HKDF_SETS)
def test_wycheproof_hkdf(name, algorithm, count):
    """SHA-384 is the one that seals; the others stand for what a later suite may take."""
    run = 0
    suite = replace(FLOE_AES256_GCM_SHA384, kdf_hash=algorithm)
    for _, case in wycheproof(name):
        ikm, salt, info, okm = (bytes.fromhex(case[k]) for k in ("ikm", "salt", "info", "okm"))
        prk = HKDF.extract(algorithm(), salt, ikm)
        if case["result"] == "valid":
            assert expand(prk, info, case["size"], suite=suite) == okm
            if algorithm is hashes.SHA384:
                assert expand(prk, info, case["size"]) == okm == stranger.expand(prk, info, case["size"])
        else:
            with pytest.raises(ValueError):
                expand(prk, info, case["size"], suite=suite)
        run += 1
    assert run == count


def test_wycheproof_aes_kwp():
    """RFC 5649 is not what we wrap with; a key that a token or a key service hands over in this form must be read right."""
    run = 0
    for _, case in wycheproof("aes_kwp_test"):
        key, plain, wrapped = (bytes.fromhex(case[k]) for k in ("key", "msg", "ct"))
        if case["result"] == "valid":
            assert aes_key_wrap_with_padding(key, plain) == wrapped
            assert aes_key_unwrap_with_padding(key, wrapped) == plain
        elif case["result"] == "invalid":
            with pytest.raises((InvalidUnwrap, ValueError)):
                aes_key_unwrap_with_padding(key, wrapped)
        run += case["result"] in {"valid", "invalid"}
    assert run >= 150


def test_wycheproof_hmac_sha256():
    run = 0
    for group, case in wycheproof("hmac_sha256_test"):
        key, message, tag = (bytes.fromhex(case[k]) for k in ("key", "msg", "tag"))
        got = hmac.digest(key, message, "sha256")[: group["tagSize"] // 8]
        assert hmac.compare_digest(got, tag) == (case["result"] == "valid")
        run += 1
    assert run == 174


@pytest.mark.parametrize("vector", GOLDEN["objects"], ids=lambda v: v["name"])
def test_golden_object_opens_here_and_for_a_stranger(vector):
    sealed, plain = bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["plain"])
    case_key, names = bytes.fromhex(GOLDEN["case_key"]), GOLDEN["object_names"]
    reader = SealedReader(
        MemoryObject(sealed),
        key=case_key,
        names=ObjectNames(**names, object_id=vector["object_id"]),
        size_bytes=len(plain),
        buffers=BufferPool(1 << 20),
    )
    assert reader.read() == plain
    assert stranger.open_object(sealed, case_key=case_key, **names, object_id=vector["object_id"]) == plain


@pytest.mark.parametrize("vector", GOLDEN["objects"], ids=lambda v: v["name"])
def test_golden_digest_is_the_same_in_any_pieces(vector):
    plain, case_key = bytes.fromhex(vector["plain"]), bytes.fromhex(GOLDEN["case_key"])
    digester = CaseKey(case_key).digester()
    for start in range(0, len(plain), 7):
        digester.update(memoryview(plain)[start : start + 7])
    assert digester.digest().hex() == vector["digest"] == stranger.digest(plain, case_key=case_key).hex()


def test_golden_wrapped_key_opens_here_and_for_a_stranger():
    vector = dict(GOLDEN["wrapped_key"])
    kek, blob = bytes.fromhex(vector.pop("kek")), bytes.fromhex(vector.pop("blob"))
    assert unwrap_key(kek, blob, key_context(**vector)).hex() == GOLDEN["case_key"]
    assert stranger.unwrap(blob, kek=kek, **vector).hex() == GOLDEN["case_key"]


@pytest.mark.parametrize("vector", GOLDEN["values"], ids=["empty", "name"])
def test_golden_value_opens_here_and_for_a_stranger(vector):
    secret = bytes.fromhex(GOLDEN["case_key"])
    blob, context, plain = (bytes.fromhex(vector[k]) for k in ("blob", "context", "plain"))
    assert open_value(secret=secret, blob=blob, context=context) == plain
    assert stranger.open_value(blob, case_key=secret, context=context) == plain


def test_golden_derived_key_is_stable():
    secret, label = bytes.fromhex(GOLDEN["case_key"]), bytes.fromhex(GOLDEN["derived"]["label"])
    assert CaseKey(secret).derive(label, 48).hex() == GOLDEN["derived"]["key"]
    assert stranger.derive(label, 48, case_key=secret).hex() == GOLDEN["derived"]["key"]


def test_sealing_with_fixed_randomness_gives_the_golden_bytes():
    assert make_storage_v1.make() == GOLDEN
