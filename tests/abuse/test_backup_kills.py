"""Killing a backup, a restore, a prune and a mend at every call that changes a disk: what is left is none or a whole one, and the same again goes on.

A forked child runs the journey and kills itself (SIGKILL) right before or after the n-th such call. ``CONSILIUM_BACKUP_KILLS``
sets how many points of each are tried (20; 0 tries all).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters.backup_home import begun_restore, refuse_half_restored
from gateway.adapters.backup_repository import BackupDirectory
from gateway.adapters.witness_file import FileWitness
from gateway.domain.errors import ConflictError
from tests.fakes.backup_house import BackedHouse, NewHouse, flip, originals
from tests.fakes.journey_house import open_house

POINTS = int(os.environ.get("CONSILIUM_BACKUP_KILLS", "20"))
plain_write = os.write
CALLS = ("fsync", "link", "rename", "replace", "unlink", "write", "open")


@pytest.fixture
def folder(tmp_path):
    """A filled home that no process has open: a fork would share its connections."""
    live = tmp_path / "live"
    live.mkdir(mode=0o700)
    house = open_house(live)
    house.witness = FileWitness(live / "checkpoints")
    BackedHouse(house, "", tmp_path).some()
    house.close()
    return tmp_path


def _backed(folder: Path, work: Callable[[BackedHouse], object]) -> object:
    house = open_house(folder / "live")
    house.witness = FileWitness(folder / "live" / "checkpoints")
    try:
        return work(BackedHouse(house, "", folder))
    finally:
        house.close()


def _in_a_child(work: Callable[[], object], *, kill_at: int) -> int:
    """Run in a forked process that dies at its n-th change; return how many changes it saw, or -1 where it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def counted(call):
            def step(*args, **values):
                nonlocal seen
                seen += 1
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **values)

            return step

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        code = 1
        try:
            work()
            code = 0
        finally:  # the child must not return into pytest
            plain_write(writing, b"%d" % seen)
            os._exit(code)
    os.close(writing)
    told = os.read(reading, 20)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return -1
    assert status == 0, "the child failed by itself"
    return int(told)


def _points(total: int) -> list[int]:
    step = max(1, total // POINTS) if POINTS else 1
    return sorted({*range(1, total + 1, step), *range(max(1, total - 3), total + 1)})


def test_a_backup_that_is_killed_is_none_or_whole_and_the_next_is_whole(folder):
    repository = folder / "repository"

    def make() -> object:
        return _backed(folder, BackedHouse.create)

    shutil.rmtree(repository)  # as before each kill: making the repository is part of it
    total = _in_a_child(make, kill_at=0)
    killed = whole = 0
    for point in _points(total):
        shutil.rmtree(repository)
        killed += _in_a_child(make, kill_at=point) == -1
        if (repository / "manifests").is_dir():
            for backup_id in BackupDirectory(repository).ids():
                whole += 1
                verdict = _backed(folder, lambda b, backup_id=backup_id: b.verify(backup_id, read_data=True))
                assert verdict.is_sound, (point, verdict.flaws)
        made = _backed(folder, BackedHouse.create)
        assert not made.manifest.missing
        assert _backed(folder, lambda b: b.verify(read_data=True)).is_sound, point
        assert not list((folder / "live").glob(".snapshot-*")), "a plain draft was left"
    print({"changes": total, "killed": killed, "whole nevertheless": whole})
    assert killed == len(_points(total))
    assert whole, "some die after the manifest"


def test_a_restore_that_is_killed_does_not_start_and_the_same_again_is_whole(folder):
    before = _backed(folder, lambda b: (b.create(), originals(b.house))[1])

    def restore() -> object:
        def work(backed: BackedHouse) -> None:
            report = backed.new_home("").restore()
            assert report.is_whole, (report.lost, report.flaws)

        return _backed(folder, work)

    total = _in_a_child(restore, kill_at=0)
    killed = marked = 0
    for point in _points(total):
        shutil.rmtree(folder / "new", ignore_errors=True)
        killed += _in_a_child(restore, kill_at=point) == -1
        new = folder / "new"
        if not new.is_dir():
            continue
        if begun_restore(new):
            marked += 1
            with pytest.raises(ConflictError, match="half restored"):
                refuse_half_restored(new)
        if (new / "records.db").exists() and not begun_restore(new):
            assert (new / "audit").is_dir(), "it came to its end before the kill"
        else:
            restore()
        restored = NewHouse.open(_backed(folder, lambda b: b.new_home("")))
        assert originals(restored) == before, point
        assert restored.events("house_restored")[-1].outcome == "ok"
        restored.close()
        assert not begun_restore(new)
    print({"changes": total, "killed": killed, "half restored": marked})
    assert marked


def test_a_prune_that_is_killed_breaks_nothing_that_stays(folder):
    def two(backed: BackedHouse) -> str:
        backed.create()
        backed.receive("CONSILIUM", 50, seed=9)
        backed.house.clock.forward(days=40)
        return backed.create().manifest.id

    kept = _backed(folder, two)
    aged = folder / "aged"
    shutil.copytree(folder / "repository", aged)

    def prune() -> object:
        def work(backed: BackedHouse) -> object:
            backed.house.clock.forward(days=41)
            return backed.prune(trust_clock=True)

        return _backed(folder, work)

    total = _in_a_child(prune, kill_at=0)
    for point in _points(total):
        shutil.rmtree(folder / "repository")
        shutil.copytree(aged, folder / "repository")
        assert _in_a_child(prune, kill_at=point) == -1
        verdict = _backed(folder, lambda b: b.verify(kept, read_data=True))
        assert verdict.is_sound, (point, verdict.flaws)
        prune()
        assert BackupDirectory(folder / "repository").ids() == [kept]
        left = [p for p in (folder / "repository" / "objects").rglob("*") if p.is_file()]
        assert len(left) == verdict.objects + 3, point
    print({"changes": total})


def test_a_mend_that_is_killed_leaves_nothing_worse_and_the_next_backup_is_whole(folder):
    def rot(backed: BackedHouse) -> str:
        backed.create()
        object_id = backed.house.rows("instances")[0].object_id
        flip(folder / "repository" / "objects" / object_id[:2] / object_id, 500)
        return backed.place.ids()[-1]

    backup_id = _backed(folder, rot)
    rotten = folder / "rotten"
    shutil.copytree(folder / "repository", rotten)

    def mend() -> object:
        return _backed(folder, lambda b: b.verify(backup_id, mend=True))

    total = _in_a_child(mend, kill_at=0)
    for point in _points(total):
        shutil.rmtree(folder / "repository")
        shutil.copytree(rotten, folder / "repository")
        assert _in_a_child(mend, kill_at=point) == -1
        left = _backed(folder, lambda b: b.verify(backup_id, read_data=True))
        assert left.flaw_count <= 1, (point, left.flaws)
        assert mend().is_sound, point
        assert _backed(folder, lambda b: (b.create(), b.verify(backup_id, read_data=True))[1]).is_sound, point
    print({"changes": total})
