"""Forks, permissions, core dumps, and plaintext on disk (E5, E11, E14, #6)."""

import io
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage import (
    DiskObjects,
    FileKeys,
    KeyFileError,
    MemoryKeys,
    MemoryObjects,
    SealedStore,
    VolumeUnfitError,
    create_key_file,
    open_disk_store,
)
from storage.format import HEADER_BYTES, PREFIX_BYTES

pytestmark = pytest.mark.abuse


def ivs_of_children(store, key, per_child: int, pipe) -> None:
    ivs = []
    for _ in range(per_child):
        ref = store.seal(io.BytesIO(b""), key=key, kind="x")
        sealed = store._objects.content[ref.object_id]
        ivs.append((ref.object_id, sealed[PREFIX_BYTES + 10 :][:32], sealed[HEADER_BYTES + 4 :][:12]))
        ivs.append((os.urandom(16).hex(), store.seal_value(b"", key=key, context=b"")[1:25], os.urandom(12)))
    pipe.send(ivs)
    pipe.close()


def test_no_iv_repeats_over_fork():
    """E5: parent and children go on from one state; ids, FLOE IVs, segment IVs and salts stay apart."""
    context = multiprocessing.get_context("fork")
    store = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t", segment_bytes=64)
    key = store.new_key(holder="h", purpose="p")
    store.seal(io.BytesIO(b""), key=key, kind="x")  # warm: buffers and key cache are shared at the fork
    children = []
    for _ in range(4):
        ours, theirs = context.Pipe()
        child = context.Process(target=ivs_of_children, args=(store, key, 1500, theirs))
        child.start()
        theirs.close()
        children.append((child, ours))
    seen = [row for _, pipe in children for row in pipe.recv()]
    for child, _ in children:
        child.join()
        assert child.exitcode == 0
    assert len(seen) == 12_000
    for column in zip(*seen, strict=True):
        assert len(set(column)) == len(column)


def test_a_child_forked_while_threads_seal_can_seal():
    store = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t", segment_bytes=64)
    key = store.new_key(holder="h", purpose="p")
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            store.seal(io.BytesIO(b"x" * 200), key=key, kind="x")
            store.forget_holder("h")

    threads = [threading.Thread(target=churn) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that a fork meets threads in the middle of anything
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # a child that waits for a lock its parent held would wait for ever
                try:
                    store.verify(store.seal(io.BytesIO(b"child"), key=key, kind="x"), key=key, kind="x")
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            _, status = os.waitpid(child, 0)
            assert status == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)


def test_nothing_in_the_clear_on_disk(tmp_path):
    canary = b"Astrid Lindgren 19071114-0000"
    create_key_file(tmp_path / "kek.json")
    store = open_disk_store(tmp_path / "store", tmp_path / "kek.json", tenant="t")
    key = store.new_key(holder="h", purpose="p")
    seen_while_writing = []

    class Watching(io.BytesIO):
        def readinto(self, buffer):
            seen_while_writing.append(everything(tmp_path))
            return super().readinto(buffer)

    ref = store.seal(Watching(canary * 100_000), key=key, kind="x")
    seen_while_writing.append(everything(tmp_path))
    assert len(seen_while_writing) > 3
    assert max(map(len, seen_while_writing)) > 2_900_000
    for content in seen_while_writing:
        assert canary not in content
        assert canary[:12] not in content
    secret = store._cache.get(key).secret
    assert secret not in seen_while_writing[-1]
    store.verify(ref, key=key, kind="x")


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_files_and_directories_are_for_this_user_only(tmp_path):
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "keys" / "kek.json")
        store = open_disk_store(tmp_path / "store", tmp_path / "keys" / "kek.json", tenant="t")
        ref = store.seal(io.BytesIO(b"x"), key=store.new_key(holder="h", purpose="p"), kind="x")
    finally:
        os.umask(before)
    assert (
        tmp_path / "store" / "objects" / ref.object_id[:2] / ref.object_id
    ).stat().st_mode & 0o777 == 0o600
    for path in [*tmp_path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_store_directory_open_to_others_is_refused(tmp_path):
    (tmp_path / "objects").mkdir(mode=0o700)
    for mode in (0o750, 0o705, 0o770, 0o777, 0o701):
        (tmp_path / "objects").chmod(mode)
        with pytest.raises(VolumeUnfitError, match="chmod 700"):
            DiskObjects(tmp_path / "objects")


def test_store_that_is_a_link_or_a_file_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(VolumeUnfitError):
            DiskObjects(tmp_path / name)


def test_object_replaced_by_a_link_is_not_followed(tmp_path):
    objects = DiskObjects(tmp_path / "objects")
    objects.publish("0" * 32, [b"x"])
    path = tmp_path / "objects" / "00" / ("0" * 32)
    (tmp_path / "secret").write_bytes(b"secret")
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="could not give the bytes"):
        objects.open("0" * 32)


def test_exposed_key_file_is_refused(tmp_path):
    path = tmp_path / "kek.json"
    create_key_file(path)
    for mode in (0o640, 0o604, 0o660, 0o602, 0o610, 0o601, 0o777):
        path.chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            FileKeys(path)
    path.chmod(0o400)
    FileKeys(path).probe()


def test_key_file_that_is_no_plain_file_is_refused(tmp_path):
    create_key_file(tmp_path / "kek.json")
    (tmp_path / "link").symlink_to(tmp_path / "kek.json")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, says in (
        ("link", "symbolic link"),
        ("folder", "regular"),
        ("pipe", "regular"),
        ("none", "create one"),
    ):
        with pytest.raises(KeyFileError, match=says):
            FileKeys(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_key_file_of_another_user_is_refused(tmp_path):
    create_key_file(tmp_path / "kek.json")
    os.chown(tmp_path / "kek.json", 65534, 65534)
    with pytest.raises(KeyFileError, match="another user"):
        FileKeys(tmp_path / "kek.json")


def test_key_file_is_flushed_and_private_whatever_the_umask(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(
        "storage.keys.file.os.fsync", lambda fd: flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )
    before = os.umask(0o777)
    try:
        create_key_file(tmp_path / "kek.json")
    finally:
        os.umask(before)
    assert (tmp_path / "kek.json").stat().st_mode & 0o777 == 0o600
    assert flushed == [str(tmp_path / "kek.json"), str(tmp_path)]


def test_plaintext_does_not_stay_in_the_shared_buffers():
    store = SealedStore(objects=MemoryObjects(), keys=MemoryKeys(), tenant="t", segment_bytes=4096)
    key = store.new_key(holder="h", purpose="p")
    for size in (100, 4064, 9000):
        ref = store.seal(io.BytesIO(b"canary" * (size // 6)), key=key, kind="x")
        store.verify(ref, key=key, kind="x")
        with pytest.raises(ZeroDivisionError):
            store.seal(Failing(b"canary" * (size // 6)), key=key, kind="x")
        assert store._buffers._idle
        assert all(b"canary" not in bytes(buffer) for buffer in store._buffers._idle)


class Failing(io.BytesIO):
    def readinto(self, buffer):
        count = super().readinto(buffer)
        return count or 1 // 0


def test_key_file_is_never_overwritten(tmp_path):
    create_key_file(tmp_path / "kek.json")
    before = (tmp_path / "kek.json").read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_key_file(tmp_path / "kek.json")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError):
        create_key_file(tmp_path / "dangling")
    assert (tmp_path / "kek.json").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_malformed_key_file_is_refused_without_showing_it(tmp_path):
    path = tmp_path / "kek.json"
    create_key_file(path)
    good = json.loads(path.read_text())
    short = {"versions": {"1": "c2hvcnQ="}}
    changes = [
        {"format": "other"},
        {"kek_id": ""},
        {"kek_id": 5},
        {"current": 2},
        {"current": "1"},
        {"current": True},
    ]
    changes += [
        {"versions": {}},
        {"versions": []},
        {"versions": {"1": "%%"}},
        {"versions": {"x": good["versions"]["1"]}},
    ]
    contents = [json.dumps({**good, **change}) for change in [*changes, short]] + [
        "",
        "[]",
        "null",
        "{",
        "\xff",
    ]
    for content in contents:
        path.write_text(content, encoding="latin-1")
        with pytest.raises(KeyFileError) as caught:
            FileKeys(path)
        assert good["versions"]["1"] not in str(caught.value)
    path.write_bytes(b" " * ((1 << 16) + 1))
    with pytest.raises(KeyFileError, match="too large"):
        FileKeys(path)


def test_key_file_may_hold_several_versions(tmp_path):
    path = tmp_path / "kek.json"
    create_key_file(path)
    old = FileKeys(path)
    first = old.current()
    blob = old.wrap(bytes(32), kek=first, aad=b"")
    document = json.loads(path.read_text())
    document["versions"]["2"], document["current"] = (
        document["versions"]["1"][::-1].lstrip("=").rjust(44, "A")[:43] + "=",
        2,
    )
    path.write_text(json.dumps(document))
    new = FileKeys(path)
    assert new.current().kek_version == 2
    assert new.unwrap(blob, kek=first, aad=b"") == bytes(32)
    assert old.current() == new.current()


HARDENED = """
import ctypes, os, resource
from storage import harden_process
harden_process()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
os.kill(os.getpid(), 11)
"""


def test_hardened_process_leaves_no_core(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HARDENED], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert done.returncode == -11
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_CORE)  # this process is untouched
