"""What every provider of master keys promises (E6, E11). Vault is a stand-in (``tests/fakes/vault.py``), SoftHSM is real."""

import os
import sys
import threading
import time

import pytest

from storage import (
    FileKeys,
    KekRef,
    KeyRefusedError,
    KeyUnknownError,
    MasterKeys,
    MemoryKeys,
    create_key_file,
)
from storage.errors import KeyKeptError
from storage.keys.key_file import Hardness
from storage.keys.opening import open_keys
from storage.keys.port import Rewrapping
from tests.fakes import softhsm
from tests.fakes.vault import TransitKey, Vault

QUICK = Hardness(memory_kib=64, passes=1, lanes=1)


@pytest.fixture
def vault(tmp_path):
    server = Vault()
    server.keys["house"] = TransitKey()
    (tmp_path / "token").write_text("root\n")
    (tmp_path / "token").chmod(0o600)
    yield server
    server.close()


@pytest.fixture
def hsm():
    pytest.importorskip("pkcs11", reason="the extra «pkcs11» is not installed: pip install consilium[pkcs11]")
    if softhsm.module() is None:
        pytest.skip(f"SoftHSM is not installed: apt-get install {softhsm.PACKAGE}")
    return softhsm.home()


@pytest.fixture(params=["file", "passphrase", "memory", "vault", "pkcs11"])
def opening(request, tmp_path):
    """Open the same keys again and again, as other processes do."""
    if request.param == "memory":
        keys = MemoryKeys()
        return lambda: keys
    if request.param == "vault":
        server = request.getfixturevalue("vault")
        address = f"vault+{server.address}/transit/house?token-file={tmp_path / 'token'}"
        return lambda: open_keys(address)
    if request.param == "pkcs11":
        folder = request.getfixturevalue("hsm")
        label = f"house%20{os.urandom(4).hex()}"
        address = f"pkcs11:token={softhsm.TOKEN};object={label}?module-path={softhsm.module()}&pin-source=file:{folder / 'pin'}"
        return lambda: open_keys(address, may_begin=True)
    secret = (lambda: b"correct horse battery staple") if request.param == "passphrase" else None
    create_key_file(tmp_path / "kek.json", passphrase=secret, hardness=QUICK if secret else None)
    return lambda: FileKeys(tmp_path / "kek.json", secret)


@pytest.fixture
def keys(opening):
    return opening()


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
    other = KekRef(kek_id="elsewhere", kek_version=kek.kek_version)
    with pytest.raises(KeyUnknownError, match=f"{other.kek_id} version {other.kek_version}"):
        keys.unwrap(blob, kek=other, aad=b"")
    other = KekRef(kek_id=kek.kek_id, kek_version=99)
    with pytest.raises((KeyUnknownError, KeyRefusedError)):
        keys.unwrap(blob, kek=other, aad=b"")
    with pytest.raises(KeyUnknownError, match=f"{other.kek_id} version 99"):
        keys.wrap(bytes(32), kek=other, aad=b"")


def test_probe_passes(keys):
    keys.probe()


def test_probe_of_a_version_is_opened_by_its_secret_alone(opening):
    ours = MasterKeys(opening(), tenant="north")
    old = ours.current()
    probe = ours.probe_of(old)
    new = ours.rotate()
    theirs = MasterKeys(opening(), tenant="north")
    assert theirs.opens_probe(probe, kek=old)
    assert not theirs.opens_probe(probe, kek=new)
    assert not MasterKeys(opening(), tenant="south").opens_probe(probe, kek=old)
    assert theirs.opens_probe(ours.probe_of(new), kek=new)


def test_rotated_version_is_current_and_the_old_one_still_unwraps(keys):
    old, plain = keys.current(), os.urandom(32)
    blob = keys.wrap(plain, kek=old, aad=b"row 1")
    new = keys.rotate()
    assert new != old
    assert keys.current() == new
    assert keys.versions() == (old, new)
    assert keys.unwrap(blob, kek=old, aad=b"row 1") == plain
    fresh = keys.wrap(plain, kek=new, aad=b"row 1")
    assert keys.unwrap(fresh, kek=new, aad=b"row 1") == plain
    with pytest.raises((KeyRefusedError, KeyUnknownError)):
        keys.unwrap(fresh, kek=old, aad=b"row 1")
    with pytest.raises(KeyRefusedError):
        keys.unwrap(blob, kek=new, aad=b"row 1")


def test_rotation_is_seen_by_others_within_a_second(opening):
    ours, theirs = opening(), opening()
    old = theirs.current()
    new = ours.rotate()
    blob = ours.wrap(bytes(32), kek=new, aad=b"")
    assert theirs.unwrap(blob, kek=new, aad=b"") == bytes(32)  # a version that it did not know
    until = time.monotonic() + 1
    while theirs.current() == old:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert theirs.current() == new


def test_rewrapped_keys_open_under_the_new_version_alone(keys):
    old = keys.current()
    plains = [os.urandom(32) for _ in range(1200)]
    items = [
        Rewrapping(
            blob=keys.wrap(plain, kek=old, aad=b"%d old" % n), aad_old=b"%d old" % n, aad_new=b"%d new" % n
        )
        for n, plain in enumerate(plains)
    ]
    new = keys.rotate()
    blobs = keys.rewrap(items, old=old, new=new)
    assert [keys.unwrap(blob, kek=new, aad=b"%d new" % n) for n, blob in enumerate(blobs)] == plains
    with pytest.raises((KeyRefusedError, KeyUnknownError)):
        keys.unwrap(blobs[0], kek=old, aad=b"0 old")
    with pytest.raises(KeyRefusedError):
        keys.rewrap([items[0], Rewrapping(blob=items[1].blob, aad_old=b"x", aad_new=b"x")], old=old, new=new)
    assert keys.rewrap([], old=old, new=new) == []


def test_destroyed_version_is_gone_everywhere_and_for_good(opening):
    keys, others = opening(), opening()
    old = keys.current()
    blob = keys.wrap(bytes(32), kek=old, aad=b"")
    new = keys.rotate()
    kept = keys.wrap(bytes(32), kek=new, aad=b"")
    keys.destroy(old)
    keys.destroy(old)  # idempotent: who was killed calls again
    for provider in (keys, others, opening()):
        assert provider.versions() == (new,)
        with pytest.raises(KeyUnknownError, match="version 1"):
            provider.unwrap(blob, kek=old, aad=b"")
        with pytest.raises(KeyUnknownError, match="version 1"):
            provider.wrap(bytes(32), kek=old, aad=b"")
        assert provider.unwrap(kept, kek=new, aad=b"") == bytes(32)
    assert keys.rotate().kek_version == 3  # a number is never used twice


def test_current_version_and_one_that_is_not_the_oldest_are_kept(keys):
    first = keys.current()
    with pytest.raises(KeyKeptError, match="current"):
        keys.destroy(first)
    second, third = keys.rotate(), keys.rotate()
    with pytest.raises(KeyKeptError, match="older"):
        keys.destroy(second)
    with pytest.raises(KeyKeptError, match="current"):
        keys.destroy(third)
    with pytest.raises(KeyUnknownError):
        keys.destroy(KekRef(kek_id="elsewhere", kek_version=1))
    with pytest.raises(KeyUnknownError):
        keys.destroy(KekRef(kek_id=first.kek_id, kek_version=4))
    assert keys.versions() == (first, second, third)


def test_many_threads_wrap_while_one_rotates(opening):
    keys, stop, wrong = opening(), threading.Event(), []

    def work():
        while not stop.is_set():
            try:
                kek, plain = keys.current(), os.urandom(32)
                if keys.unwrap(keys.wrap(plain, kek=kek, aad=b"row"), kek=kek, aad=b"row") != plain:
                    wrong.append("another key")
            except Exception as error:
                wrong.append(repr(error))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        keys.rotate()
    stop.set()
    for worker in workers:
        worker.join(20)
    assert not wrong
    assert len(keys.versions()) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_the_same_keys(keys):
    kek = keys.current()
    blob = keys.wrap(bytes(32), kek=kek, aad=b"row")
    child = os.fork()
    if not child:
        code = 1
        try:
            own = keys.wrap(bytes(32), kek=kek, aad=b"own")
            opened = [keys.unwrap(blob, kek=kek, aad=b"row"), keys.unwrap(own, kek=kek, aad=b"own")]
            code = 0 if opened == [bytes(32)] * 2 else 2
        except BaseException as error:
            sys.stderr.write(repr(error))
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert keys.unwrap(blob, kek=kek, aad=b"row") == bytes(32)
