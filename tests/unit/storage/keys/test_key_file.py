"""The file of master keys: its passphrase, and that changing it is all or nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage import FileKeys, KeyFileError, KeyUnknownError, create_key_file
from storage.keys.key_file import Hardness, KeyFile, decode, encode
from storage.keys.secret_files import read_secret

QUICK = Hardness(memory_kib=64, passes=1, lanes=1)
ROOT = Path(__file__).resolve().parents[4]


def words(text=b"six random words would do here"):
    return lambda: text


@pytest.fixture
def path(tmp_path):
    create_key_file(tmp_path / "kek.json", passphrase=words(), hardness=QUICK)
    return tmp_path / "kek.json"


def test_protected_file_shows_no_key_and_opens_with_its_passphrase_alone(path):
    keys = FileKeys(path, words())
    kek = keys.current()
    blob = keys.wrap(bytes(32), kek=kek, aad=b"")
    document = json.loads(path.read_text())
    assert set(document) == {"format", "kek_id", "kdf", "sealed"}
    assert document["kdf"]["name"] == "argon2id"
    assert FileKeys(path, words()).unwrap(blob, kek=kek, aad=b"") == bytes(32)
    for other in (b"", b"six random words would do Here", b"x" * 1000):
        with pytest.raises(KeyFileError, match="not its own"):
            FileKeys(path, words(other))
    with pytest.raises(KeyFileError, match="CONSILIUM_KEYS_PASSPHRASE_FILE"):
        FileKeys(path)


def test_usual_costs_are_not_small(tmp_path):
    create_key_file(tmp_path / "kek.json", passphrase=words())
    kdf = json.loads((tmp_path / "kek.json").read_text())["kdf"]
    assert kdf["memory_kib"] >= 64 << 10
    assert kdf["passes"] >= 3


def test_every_altered_field_of_a_protected_file_is_refused(path):
    good = json.loads(path.read_text())
    kdf = good["kdf"]
    changes = [
        {"kek_id": "file-other"},
        {"sealed": good["sealed"][:-8] + "AAAAAAA="},
        {"sealed": ""},
        {"kdf": None},
    ]
    changes += [
        {"kdf": kdf | {"salt": "AAAA"}},
        {"kdf": kdf | {"passes": 2}},
        {"kdf": kdf | {"memory_kib": 128}},
    ]
    changes += [{"kdf": kdf | {"lanes": 2}}, {"kdf": kdf | {"name": "scrypt"}}]
    changes += [
        {"kdf": kdf | {"memory_kib": 1 << 40}},
        {"kdf": kdf | {"passes": 10**9}},
        {"kdf": kdf | {"lanes": 0}},
    ]
    for change in changes:
        with pytest.raises(KeyFileError):
            decode(json.dumps(good | change).encode(), words())


def test_passphrase_is_changed_and_removed_and_others_notice(path):
    keys, others = FileKeys(path, words()), FileKeys(path, words())
    blob = keys.wrap(bytes(32), kek=keys.current(), aad=b"")
    keys.protect(words(b"another passphrase"), hardness=QUICK)
    assert keys.unwrap(blob, kek=keys.current(), aad=b"") == bytes(32)
    with pytest.raises(KeyFileError, match="not its own"):
        others.current()  # and wraps nothing under what may be over
    assert others.unwrap(blob, kek=keys.current(), aad=b"") == bytes(32)  # what it has in memory still reads
    assert keys.is_protected
    keys.protect(None)
    assert not FileKeys(path).is_protected
    assert others.current() == keys.current()


def test_file_that_is_replaced_by_another_houses_is_refused(path, tmp_path):
    keys = FileKeys(path, words())
    blob = keys.wrap(bytes(32), kek=keys.current(), aad=b"")
    kek = keys.current()
    create_key_file(tmp_path / "other.json")
    (tmp_path / "other.json").replace(path)
    with pytest.raises(KeyFileError, match="another house"):
        keys.current()
    with pytest.raises(KeyFileError):
        keys.wrap(bytes(32), kek=kek, aad=b"")
    assert keys.unwrap(blob, kek=kek, aad=b"") == bytes(32)


def test_file_that_becomes_readable_for_others_or_goes_wraps_no_more(path):
    keys = FileKeys(path, words())
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keys.current()
    path.chmod(0o600)
    keys.current()
    path.unlink()
    with pytest.raises(KeyFileError, match="gone"):
        keys.current()


def test_rotation_is_durable_before_it_is_current(path, monkeypatch):
    """Power may go at any flush: no version that anybody can have wrapped under is ever missing."""
    seen = []
    real = Path.replace

    def replace(self, target):
        file = decode(self.read_bytes(), words())
        seen.append((file.current, sorted(file.versions)))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    FileKeys(path, words()).rotate()
    assert seen == [(1, [1, 2]), (2, [1, 2])]


def test_rotation_that_was_cut_between_its_steps_goes_on(path):
    keys = FileKeys(path, words())
    file = decode(path.read_bytes(), words())
    begun = KeyFile(
        kek_id=file.kek_id, current=1, versions=file.versions | {2: b"n" * 32}, hardness=file.hardness
    )
    path.write_bytes(encode(begun, words()))
    assert [kek.kek_version for kek in keys.versions()] == [1]
    assert keys.rotate().kek_version == 2
    assert decode(path.read_bytes(), words()).versions[2] == b"n" * 32


CHANGE = """
import sys
from pathlib import Path
from storage import FileKeys
keys = FileKeys(Path(sys.argv[1]))
if sys.argv[2] == "rotate":
    keys.rotate()
else:
    keys.destroy(keys.versions()[0])
print("done")
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed: apt-get install strace")
@pytest.mark.parametrize("act", ["rotate", "destroy"])
def test_kill_at_every_write_leaves_the_old_file_or_the_new_one(tmp_path, act):
    path = tmp_path / "kek.json"
    create_key_file(path)
    if act == "destroy":
        FileKeys(path).rotate()
    first = path.read_bytes()
    before = decode(first)
    killed = []
    for call in ("flock", "openat", "fchmod", "write", "fsync", "rename", "unlink", "close"):
        for at in range(1, 30):  # strace counts each call by itself
            path.write_bytes(first)
            done = subprocess.run(
                ["strace", "-f", "-o", "/dev/null", "-P", str(path), "-P", f"{path}.new", "-P", f"{path}.lock",
                 "-P", str(tmp_path), "-e", f"inject={call}:signal=SIGKILL:when={at}",
                 sys.executable, "-c", CHANGE, str(path), act],
                cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            file = decode(path.read_bytes())
            assert file.kek_id == before.kek_id
            for number, key in before.versions.items():
                if act == "rotate" or number == before.current:
                    assert file.versions[number] == key
            keys = FileKeys(path)
            blob = keys.wrap(bytes(32), kek=keys.current(), aad=b"")
            assert keys.unwrap(blob, kek=keys.current(), aad=b"") == bytes(32)
            if "done" in done.stdout:
                break
            killed.append(call)
            if act == "rotate":
                assert keys.rotate().kek_version in {2, 3}
            else:
                keys.destroy(kek_of(keys, 1))
                assert [kek.kek_version for kek in keys.versions()] == [2]
    assert {"flock", "openat", "fchmod", "write", "fsync", "rename"} <= set(killed)


def kek_of(keys, number):
    current = keys.current()
    return type(current)(kek_id=current.kek_id, kek_version=number)


def test_processes_that_rotate_at_once_make_a_version_each(tmp_path):
    path = tmp_path / "kek.json"
    create_key_file(path)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CHANGE, str(path), "rotate"], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        for _ in range(4)
    ]
    assert [worker.wait(60) for worker in workers] == [0] * 4
    assert [kek.kek_version for kek in FileKeys(path).versions()] == [1, 2, 3, 4, 5]


def test_secret_file_must_be_private(tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("a passphrase\n")
    secret.chmod(0o600)
    assert read_secret(secret, what="it") == b"a passphrase"
    for mode in (0o640, 0o604, 0o602):
        secret.chmod(mode)
        with pytest.raises(KeyFileError, match="not private"):
            read_secret(secret, what="it")
    secret.chmod(0o600)
    secret.write_text("\n")
    with pytest.raises(KeyFileError, match="empty"):
        read_secret(secret, what="it")
    with pytest.raises(KeyFileError, match="cannot be opened"):
        read_secret(tmp_path / "none", what="it")
    if os.geteuid() == 0:
        secret.write_text("x")
        os.chown(secret, 65534, 65534)
        with pytest.raises(KeyFileError, match="not private"):
            read_secret(secret, what="it")


def test_destroyed_version_is_in_no_file_beside(tmp_path):
    path = tmp_path / "kek.json"
    create_key_file(path)
    keys = FileKeys(path)
    first = keys.current()
    keys.rotate()
    keys.destroy(first)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kek.json", "kek.json.lock"]
    assert (tmp_path / "kek.json.lock").read_bytes() == b""
    with pytest.raises(KeyUnknownError):
        keys.wrap(bytes(32), kek=first, aad=b"")
