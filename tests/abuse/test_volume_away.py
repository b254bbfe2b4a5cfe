"""A volume of objects that is unmounted, swapped, read-only or failing under a running house: nothing goes below the mount point.

D1, D2, D13, E1: refused in time, nothing acknowledged lost, nothing called removed that still lies there, healed when it is back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pysqlite3
import pytest

from gateway.adapters.room_gauge import volume_gauge
from gateway.compose import compose
from gateway.domain.errors import UnavailableError
from gateway.domain.room import RoomRules
from gateway.journeys.check_room import refuse_if_low
from gateway.journeys.forget_case import forget_case, remove_objects
from gateway.records.store_identity import know_store, known_store
from gateway.settings import load_settings
from storage import DiskObjects, ObjectMissingError, VolumeAwayError, VolumeFailedError, new_object_id
from tests import factories
from tests.fakes.small_disk import small_disk
from tests.fakes.strace_house import OPERATOR, LiveHouse, prepare
from tests.fakes.strace_oracle import Oracle
from tests.functional.conftest import wait_for

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(120)]


class Volume:
    """A volume that can be taken away and brought back under whoever uses it."""

    def __init__(self, folder: Path, where: Path) -> None:
        self.where, self._image = where, folder / "disk.img"

    def away(self) -> None:
        run("umount", self.where)

    def back(self) -> None:
        run("mount", "-o", "loop", self._image, self.where)


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=30)


@pytest.fixture
def volume(tmp_path):
    with small_disk(tmp_path) as where:
        if " ext4 " not in next(
            line for line in Path("/proc/mounts").read_text().splitlines() if f" {where} " in line
        ):
            pytest.skip("it must come back with what was on it, so it takes loops")
        yield Volume(tmp_path, where)


@pytest.fixture
def objects(volume):
    kept = DiskObjects(volume.where / "store" / "objects")
    kept.settle()
    return kept


def below(where: Path) -> list[Path]:
    """What lies at the mount point itself."""
    return sorted(where.iterdir())


def test_unmounted_volume_is_an_outage_for_everybody_and_heals(volume, objects):
    kept = new_object_id()
    objects.publish(kept, [b"kept"])
    volume.away()
    for call in (
        lambda: objects.publish(new_object_id(), [b"x"]),
        lambda: objects.remove(kept),
        lambda: objects.open(kept),
        lambda: list(objects.ids()),
        objects.room,
        objects.probe,
        lambda: DiskObjects(volume.where / "store" / "objects", identity=objects.settle()),
    ):
        with pytest.raises(VolumeAwayError):
            call()
    assert below(volume.where) == []
    volume.back()
    assert list(objects.ids()) == [kept]
    objects.publish(new_object_id(), [b"after"])
    objects.remove(kept)
    with pytest.raises(ObjectMissingError):
        objects.open(kept)
    assert objects.room().failure == ""


def test_another_store_in_its_place_is_not_written_to(volume, objects):
    """Below the mount point lies a store that an older version made there: whole, writable, and not ours."""
    kept, root = new_object_id(), volume.where / "store" / "objects"
    objects.publish(kept, [b"kept"])
    known = objects.settle()
    volume.away()
    DiskObjects(root).settle()
    for call in (
        lambda: objects.publish(new_object_id(), [b"x"]),
        lambda: objects.remove(kept),
        lambda: objects.open(kept),
        objects.room,
        lambda: DiskObjects(root, identity=known),
    ):
        with pytest.raises(VolumeAwayError, match=f"the records know {known}"):
            call()
    assert not list(root.glob("??/*"))
    shutil.rmtree(volume.where / "store")
    volume.back()
    assert list(objects.ids()) == [kept]


def test_publish_that_is_under_way_ends_on_the_volume_where_it_began(volume, objects):
    kept = new_object_id()

    def pieces():
        yield b"first"
        run("umount", "-l", volume.where)
        DiskObjects(volume.where / "store" / "objects").settle()
        yield b"second"

    objects.publish(kept, pieces())
    assert not list(volume.where.glob("store/objects/??/*"))
    shutil.rmtree(volume.where / "store")
    volume.back()
    assert (volume.where / "store" / "objects" / kept[:2] / kept).read_bytes() == b"firstsecond"


def test_read_only_is_an_outage_that_heals_without_a_restart(volume, objects):
    kept, root = new_object_id(), volume.where / "store" / "objects"
    objects.publish(kept, [b"kept"])
    run("mount", "--bind", root, root)
    run("mount", "-o", "remount,bind,ro", root)
    try:
        for call in (
            lambda: objects.publish(new_object_id(), [b"x"]),
            lambda: objects.remove(kept),
            objects.room,
        ):
            with pytest.raises(VolumeAwayError, match=r"[Rr]ead-only"):
                call()
        objects.open(kept).close()
    finally:
        run("umount", root)
    objects.publish(new_object_id(), [b"after"])


def test_a_process_that_writes_nothing_more_is_seen_by_the_others_until_it_ends(tmp_path, monkeypatch):
    root = tmp_path / "objects"
    here = DiskObjects(root)
    known = here.settle()
    gauge = volume_gauge(
        objects=here.room, records="postgresql:", witness="s3:", ballast=None, mark=tmp_path / "mark",
        rules=RoomRules(percent=100, least_bytes=0),
    )  # fmt: skip
    asking, telling = os.pipe()
    waiting, ending = os.pipe()
    child = os.fork()
    if not child:
        os.close(ending)
        there = DiskObjects(root, identity=known)
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "EIO")))
        try:
            there.publish(new_object_id(), [b"x"])
        except VolumeFailedError:
            os.write(telling, b"failed")
        os.read(waiting, 1)
        os._exit(0)
    assert os.read(asking, 6) == b"failed"
    try:
        assert here.room().failure
        assert gauge.lack().want == "failed"
        with pytest.raises(VolumeFailedError):
            refuse_if_low(room=gauge)
    finally:
        os.close(ending)
        os.waitpid(child, 0)
    assert here.room().failure == ""


@pytest.fixture
def told(volume, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return prepare(home, **settings(volume))


def settings(volume: Volume) -> dict[str, str]:
    return {"objects": f"disk:{volume.where}/store", "room_bytes": "0"}


def composed(tmp_path: Path, volume: Volume, **values: object):
    return compose(load_settings(tmp_path / "home", **settings(volume)), sandbox_workers=1, **values)


def oracle_of(told: dict[str, str]) -> Oracle:
    contents = factories.ct_instances(6, 7, size=16)
    return Oracle(
        token=told["token"],
        session=told["session"],
        instances=contents[:3],
        stowed=contents[3:],
        document=os.urandom(30_000),
    )


def test_house_acknowledges_nothing_while_its_volume_is_away(volume, told, tmp_path):
    oracle = oracle_of(told)
    with LiveHouse(tmp_path / "home", **settings(volume)) as house:
        oracle.store(house)
        kept = set(oracle.acknowledged)
        assert len(kept) == 3
        assert not house.ask("watch")
        volume.away()
        with pytest.raises(UnavailableError, match="not mounted"):  # a command on the home, as `case list`
            composed(tmp_path, volume)
        wait_for(lambda: house.ask("watch"), within_s=5, every_s=0.2)
        oracle.stow(house)
        oracle.upload(house)
        assert oracle.acknowledged == kept
        assert oracle.offset == 0
        assert below(volume.where) == []
        volume.back()
        wait_for(lambda: not house.ask("watch"), within_s=10, every_s=0.3)
        oracle.stow(house)
        oracle.upload(house)
        assert len(oracle.acknowledged) == 6
        assert oracle.offset == 30_000
        events = house.ask("events")
        assert (events.count("volume_away"), events.count("volume_back")) == (1, 1)
        assert "room_low" not in events
    with closing(composed(tmp_path, volume)) as parts, parts.house.records.view() as view:
        named = {row.object_id for shelf in (view.instances, view.parts) for row in shelf.find()}
    assert named == {path.name for path in volume.where.glob("store/objects/??/*")}


def test_forgetting_owes_what_it_could_not_remove(volume, told, tmp_path):
    with LiveHouse(tmp_path / "home", **settings(volume)) as house:
        oracle_of(told).upload(house)
    with closing(composed(tmp_path, volume)) as parts:
        base = {"records": parts.house.records, "store": parts.house.store}
        volume.away()
        kept = forget_case(ref=told["ref"], confirm=told["ref"], by=OPERATOR, **base)
        assert kept.left
        with parts.house.records.view() as view:
            assert view.jobs.count(kind="remove_objects", subject_id=kept.id) == 1
        with pytest.raises(VolumeAwayError):
            remove_objects(kept.id, **base)
        volume.back()
        assert len(list(volume.where.glob("store/objects/??/*"))) == len(kept.left)
        assert remove_objects(kept.id, **base).left == []
        assert not list(volume.where.glob("store/objects/??/*"))


@pytest.fixture
def older(volume, told, tmp_path):
    """A home with objects, as versions left it that knew of no identity."""
    with LiveHouse(tmp_path / "home", **settings(volume)) as house:
        oracle_of(told).store(house)
    (volume.where / "store" / "objects" / ".store").unlink()
    with closing(pysqlite3.connect(str(tmp_path / "home" / "records" / "records.db"))) as records:
        records.execute("DELETE FROM meta WHERE name = 'objects_identity'")
        records.commit()
    return volume


def test_home_from_before_gets_an_identity_only_where_its_objects_are(older, tmp_path):
    older.away()
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"of 3 objects that the records name, 0 are in"):
            composed(tmp_path, older)
        assert below(older.where) == []
    older.back()
    identity = older.where / "store" / "objects" / ".store"
    with closing(composed(tmp_path, older)) as parts:
        assert known_store(parts.records._read) == identity.read_text().strip()
    written = identity.stat().st_mtime_ns
    composed(tmp_path, older).close()
    assert identity.stat().st_mtime_ns == written


def test_restored_home_knows_its_own_store_and_not_the_old_one(volume, told, tmp_path):
    """The records that were put back name the store of the home that was lost."""
    with closing(composed(tmp_path, volume)) as parts:
        ours = known_store(parts.records._read)
        know_store(parts.records._write, "0" * 32, is_restoring=True)
    with pytest.raises(UnavailableError, match="mounted"):
        composed(tmp_path, volume)
    composed(tmp_path, volume, is_restoring=True).close()
    with closing(composed(tmp_path, volume)) as parts:
        assert known_store(parts.records._read) == ours
