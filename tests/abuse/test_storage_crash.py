"""Killed, out of room or on a failing device: nothing acknowledged is lost, nothing half is kept (D1, D2, #7, #8, #10)."""

import errno
import io
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from storage import (
    DiskObjects,
    FileKeys,
    MemoryKeys,
    ObjectBusyError,
    SealedRef,
    SealedStore,
    StoreFullError,
    VolumeFailedError,
    create_key_file,
)

pytestmark = pytest.mark.abuse

SEGMENT, SIZE = 4096, 9972  # header, two full segments and a final one: four writes
SEALED_BYTES = 82 + SIZE + 3 * 32
CANARY = b"Astrid Lindgren 19071114-0000 "
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def content(number: int) -> bytes:
    return (CANARY + b"%06d" % number) * (SIZE // 36)


@pytest.fixture
def home(tmp_path):
    create_key_file(tmp_path / "kek.json")
    return tmp_path


def open_store(home: Path) -> SealedStore:
    return SealedStore(
        objects=DiskObjects(home / "objects"),
        keys=FileKeys(home / "kek.json"),
        tenant="t",
        segment_bytes=SEGMENT,
    )


class Child:
    """A forked process that seals objects and tells of each; the test may trace it, kill it and audit what is left."""

    def __init__(self, store: SealedStore, key, rounds: int) -> None:
        told, self._tell = os.pipe()
        self._wait, go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(told)
                os.close(go)
                os.read(self._wait, 1)
                for number in range(rounds):
                    self._round(store, key, number)
            finally:
                os._exit(0)
        os.close(self._tell)
        os.close(self._wait)
        self._told, self._go = told, go

    def _round(self, store, key, number: int) -> None:
        try:
            ref = store.seal(io.BytesIO(content(number)), key=key, kind="original")
            line = f"kept {ref.object_id} {ref.size_bytes} {ref.digest.hex()}"
        except Exception as error:
            line = f"error {type(error).__name__}"
        os.write(self._tell, line.encode() + b"\n")

    def go(self) -> None:
        os.write(self._go, b"x")

    def told(self) -> list[list[str]]:
        """Everything the child said before it ended."""
        with os.fdopen(self._told, "rb") as pipe:
            lines = pipe.read().decode().splitlines(keepends=True)
        os.close(self._go)
        os.waitpid(self.pid, 0)
        return [line.split() for line in lines if line.endswith("\n")]


def traced(home: Path, inject: str, *, rounds: int = 3) -> tuple[list[list[str]], SealedStore, object]:
    """Run a child with one fault injected after it has started; return what it said."""
    store = open_store(home)
    key = store.new_key(holder="h", purpose="p")
    child = Child(store, key, rounds)
    command = ["strace", "-f", "-o", str(home / "trace"), "-e", "trace=openat,write,fsync,linkat,unlinkat"]
    tracer = subprocess.Popen(
        [*command, "-e", f"inject={inject}", "-p", str(child.pid)], stderr=subprocess.PIPE
    )
    try:
        said = tracer.stderr.readline()
        if b"attached" not in said:
            child.go()
            child.told()
            pytest.skip(f"strace may not attach here: {said.decode().strip()}")
        child.go()
        told = child.told()
    finally:
        tracer.wait(timeout=20)
        tracer.stderr.close()
    return told, store, key


def audit(home: Path, key, told: list[list[str]]) -> None:
    """After a restart: every acknowledged object verifies, no draft is left, nothing lies in the clear."""
    store = open_store(home)
    kept = {line[1]: line for line in told if line[0] == "kept"}
    for object_id, (_, _, size, digest) in kept.items():
        ref = SealedRef(object_id=object_id, size_bytes=int(size), digest=bytes.fromhex(digest), generation=1)
        store.verify(ref, key=key, kind="original")
    assert list((home / "objects" / "tmp").iterdir()) == []
    for path in (home / "objects").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert CANARY[:10] not in data
            assert len(data) == SEALED_BYTES  # whole, acknowledged or not


# The first openat is the root's: nothing was reached by then, so no error of it is final.
CALLS = [("openat", 2), ("openat", 3), *(("write", n) for n in (1, 2, 3, 4)), ("fsync", 1), ("linkat", 1)]
FINAL_CALLS = [("unlinkat", 1), ("fsync", 2)]


@needs_strace
@pytest.mark.parametrize(("call", "when"), CALLS + FINAL_CALLS)
def test_input_output_error_ends_writing_by_this_process(home, call, when):
    told, _, key = traced(home, f"{call}:error=EIO:when={when}")
    assert told == [["error", "VolumeFailedError"]] * 3
    assert list(DiskObjects(home / "objects").ids()) == []
    audit(home, key, told)


@needs_strace
@pytest.mark.parametrize(("call", "when"), CALLS)
def test_lack_of_room_is_told_and_heals(home, call, when):
    told, _, key = traced(home, f"{call}:error=ENOSPC:when={when}")
    assert [line[0] for line in told] == ["error", "kept", "kept"]
    assert told[0] == ["error", "StoreFullError"]
    assert sorted(DiskObjects(home / "objects").ids()) == sorted(line[1] for line in told[1:])
    audit(home, key, told)


@needs_strace
@pytest.mark.parametrize(("call", "when"), FINAL_CALLS)
def test_name_that_could_not_be_flushed_is_final_even_for_lack_of_room(home, call, when):
    told, _, key = traced(home, f"{call}:error=ENOSPC:when={when}")
    assert told == [["error", "VolumeFailedError"]] * 3
    assert list(DiskObjects(home / "objects").ids()) == []
    audit(home, key, told)


@needs_strace
@pytest.mark.parametrize(
    ("call", "error"),
    [("openat:when=1", "EIO"), *((f"openat:when={n}", e) for n in (1, 2, 3) for e in ("EROFS", "ENOENT", "EACCES", "ENOTDIR"))],
)  # fmt: skip
def test_volume_that_cannot_be_reached_is_an_outage_and_heals(home, call, error):
    """Nothing was written yet, so nothing is in doubt: the next publish tries again."""
    call, when = call.split(":")
    told, _, key = traced(home, f"{call}:error={error}:{when}")
    assert [line[0] for line in told] == ["error", "kept", "kept"]
    assert told[0] == ["error", "VolumeAwayError"]
    audit(home, key, told)


@needs_strace
def test_failed_flush_is_never_tried_again(home):
    told, _, _ = traced(home, "fsync:error=EIO:when=1")
    assert told == [["error", "VolumeFailedError"]] * 3
    assert (home / "trace").read_text().count("fsync(") == 1


@needs_strace
def test_flush_order_is_content_then_name(home):
    told, _, key = traced(home, "fsync:delay_enter=1:when=1", rounds=1)
    calls = [
        line.split()[1].split("(")[0] for line in (home / "trace").read_text().splitlines() if "(" in line
    ]
    start = calls.index("openat")
    promised = ["openat"] * 3 + ["write"] * 4 + ["fsync", "linkat", "unlinkat", "fsync"]
    assert calls[start : start + len(promised)] == promised
    audit(home, key, told)


@needs_strace
@pytest.mark.parametrize(("call", "when"), [*CALLS, *FINAL_CALLS, ("write", 5), ("openat", 3), ("fsync", 3)])
def test_killed_at_each_call_of_the_write_path(home, call, when):
    told, _, key = traced(home, f"{call}:signal=KILL:when={when}", rounds=2)
    assert len(told) < 2
    audit(home, key, told)


def test_killed_at_random_moments_under_load(home):
    """#7: what was told is there, and what is there is whole."""
    moments, told = random.Random(7), []
    store = open_store(home)
    key = store.new_key(holder="h", purpose="p")
    for _ in range(25):
        child = Child(store, key, 1000)
        child.go()
        time.sleep(moments.uniform(0.001, 0.04))
        os.kill(child.pid, signal.SIGKILL)
        told += child.told()
    assert all(line[0] == "kept" for line in told)
    assert len(told) > 20
    audit(home, key, told)


def test_drafts_of_dead_writers_are_swept_and_of_living_ones_kept(home):
    store = open_store(home)
    key = store.new_key(holder="h", purpose="p")
    drafts = home / "objects" / "tmp"

    class Meanwhile(io.BytesIO):
        def readinto(self, buffer):
            (drafts / "of a dead writer").write_bytes(b"x")
            assert DiskObjects(home / "objects").ids() is not None  # a second process starts and sweeps
            assert len(list(drafts.iterdir())) == 1
            return super().readinto(buffer)

    store.verify(store.seal(Meanwhile(content(1)), key=key, kind="x"), key=key, kind="x")
    assert list(drafts.iterdir()) == []


def test_short_writes_and_a_full_device_without_a_tracer(tmp_path):
    store = SealedStore(objects=DiskObjects(tmp_path / "objects"), keys=MemoryKeys(), tenant="t")
    key = store.new_key(holder="h", purpose="p")
    calls = iter([OSError(28, "No space left on device"), None])
    real_write = os.write

    def write(fd, data):
        error = next(calls, None)
        if error:
            raise error
        return real_write(fd, data[: max(1, len(data) // 3)])  # and short writes on the way

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.objects.disk.os.write", write)
        with pytest.raises(StoreFullError):
            store.seal(io.BytesIO(b"x"), key=key, kind="x")
        ref = store.seal(io.BytesIO(b"x" * 5000), key=key, kind="x")
    store.verify(ref, key=key, kind="x")


def test_volume_that_failed_still_reads_and_forgets(home, monkeypatch):
    store = open_store(home)
    key = store.new_key(holder="h", purpose="p")
    ref = store.seal(io.BytesIO(b"kept"), key=key, kind="x")
    with monkeypatch.context() as patch:
        patch.setattr("storage.objects.disk.os.fsync", _refuse)
        with pytest.raises(VolumeFailedError, match="Input/output error"):
            store.seal(io.BytesIO(b"lost"), key=key, kind="x")
    with pytest.raises(VolumeFailedError):
        store.seal(io.BytesIO(b"refused"), key=key, kind="x")
    with pytest.raises(VolumeFailedError):
        store.probe()
    store.verify(ref, key=key, kind="x")
    store.forget(ref.object_id)


def note_flushes(monkeypatch, flushed):
    real = os.fsync

    def fsync(fd):
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)


def _refuse(fd):
    raise OSError(5, os.strerror(5))


def test_new_directories_are_flushed_with_their_parents(tmp_path, monkeypatch):
    flushed = []
    note_flushes(monkeypatch, flushed)
    DiskObjects(tmp_path / "deep" / "objects")
    assert flushed == [tmp_path / "deep", tmp_path, tmp_path / "deep" / "objects"]
    DiskObjects(tmp_path / "deep" / "objects")
    assert len(flushed) == 3


def test_removal_is_flushed(home, monkeypatch):
    store = open_store(home)
    ref = store.seal(io.BytesIO(b"x"), key=store.new_key(holder="h", purpose="p"), kind="x")
    flushed = []
    note_flushes(monkeypatch, flushed)
    store.forget(ref.object_id)
    assert flushed == [home / "objects" / ref.object_id[:2]]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_want_of_handles_or_memory_says_nothing_of_an_object(tmp_path, monkeypatch, number):
    objects = DiskObjects(tmp_path / "objects")
    object_id = "ab" * 16
    objects.publish(object_id, [b"whole"])
    real = os.open

    def refuse(path, *args, **values):
        if str(path).endswith(object_id):
            raise OSError(number, os.strerror(number))
        return real(path, *args, **values)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ObjectBusyError):
        objects.open(object_id)
    monkeypatch.undo()
    stored, back = objects.open(object_id), memoryview(bytearray(5))
    stored.read_into(0, back)
    stored.close()
    assert bytes(back) == b"whole"
