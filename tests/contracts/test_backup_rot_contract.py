"""What backups promise where the repository rots, papers are lost, clocks are set and calls are killed; on SQLite and PostgreSQL."""

import json
import os
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import text

from gateway.domain.backup import clock_doubt, new_backup_id
from gateway.domain.errors import BusyError, ConflictError, InvalidError
from gateway.domain.restore_report import in_words
from gateway.journeys import verify_backup as verifying
from gateway.journeys.forget_case import forget_case
from gateway.journeys.keep_register import keep_register
from gateway.journeys.verify_backup import remember_verified
from gateway.records import open_engines
from gateway.records.snapshot import snapshots_of
from tests.fakes.backup_house import BackedHouse, flip
from tests.fakes.journey_house import DESK


@pytest.fixture
def backed(house, database_url, tmp_path):
    return BackedHouse(house, database_url, tmp_path)


@pytest.fixture
def new(backed, other_url):
    return backed.new_home(other_url)


def _object(backed, object_id):
    return backed.folder / "repository" / "objects" / object_id[:2] / object_id


def _mine(backed, object_id):
    return backed.house.folder / "objects" / object_id[:2] / object_id


def _forget(backed, ref):
    forget_case(ref=ref, confirm=ref, by=DESK, **backed.house.ports("records", "store"))


@pytest.mark.parametrize(
    ("part", "harm"),
    [
        *product(["snapshot", "inventory", "papers"], ["cut", "empty", "flipped", "gone"]),
        *product(
            ["object"], ["cut", "empty", "gone"]
        ),  # one that was flipped only `verify --read-data` finds, and mends
    ],
)
def test_prune_takes_no_backup_for_good_that_could_not_be_restored(backed, part, harm):
    backed.some()
    first = backed.create().manifest
    backed.house.clock.forward(days=6)
    backed.receive("CONSILIUM", 30, seed=8)
    second = backed.create().manifest
    newer = {row.object_id for row in backed.house.rows("instances")} - set(_listed(backed, first.id))
    object_id = newer.pop() if part == "object" else getattr(second, part).object_id
    path = _object(backed, object_id)
    if harm == "gone":
        path.unlink()
    elif harm == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        os.truncate(path, 10 if harm == "cut" else 0)
    backed.house.clock.forward(days=40)
    assert backed.prune(trust_clock=True).removed == ()
    assert backed.place.ids() == [first.id, second.id]
    assert backed.verify(first.id, read_data=True).is_sound


def _listed(backed, backup_id):
    return [line.split()[0].decode() for line in backed.place.listed(backup_id)]


def _daily(backed, days):
    made = []
    for _ in range(days):
        made.append(backed.create().manifest.id)
        backed.house.clock.forward(days=1)
    return made


def test_one_step_of_the_clock_removes_no_backup(backed):
    made = _daily(backed, 3)
    backed.house.clock.forward(days=400)
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="the clock may be wrong") as caught:
            backed.prune(dry_run=dry_run)
        assert "--trust-clock" in caught.value.next_step
    made += _daily(backed, 2)  # the trail and the newest backup are now of the time that the clock tells
    with pytest.raises(ConflictError, match="in a row without a backup"):
        backed.prune()
    assert backed.place.ids() == made
    assert backed.prune(trust_clock=True).removed == tuple(made[:3])
    assert backed.prune().removed == (), "and what stays is not doubted again"


def test_a_clock_that_was_put_back_removes_no_backup(backed):
    _daily(backed, 2)
    backed.house.clock.forward(days=300)
    ahead = backed.create().manifest.id
    backed.house.clock.forward(days=-260)
    with pytest.raises(ConflictError, match="and the clock says"):
        backed.prune()
    assert backed.place.ids()[-1] == ahead


def test_backups_of_every_day_and_of_every_week_are_pruned_without_a_question(backed):
    now = backed.house.clock.now()
    for every in (1, 7):
        ids = [new_backup_id(now - timedelta(days=age), b"1234") for age in range(100, -1, -every)]
        old = ids[: -(30 // every) - 1]
        asked = {"old": old, "keep_days": 30, "last_event": now - timedelta(days=1), "now": now}
        assert not clock_doubt(ids, **asked)
        assert clock_doubt(ids, **(asked | {"now": now + timedelta(days=60)}))
        assert clock_doubt(ids, **(asked | {"last_event": now - timedelta(days=9)}))
        assert clock_doubt(ids, **(asked | {"last_event": now + timedelta(days=1)}))
        assert not clock_doubt(ids, **(asked | {"old": [], "now": now + timedelta(days=60)}))


@pytest.mark.parametrize("harm", ["papers", "manifest", "keys"])
def test_a_newest_register_that_cannot_be_read_is_a_flaw_and_the_home_does_not_start(
    backed, new, harm, monkeypatch
):
    ref = backed.some()
    first = backed.create().manifest
    _forget(backed, ref)
    second = backed.create().manifest
    if harm == "papers":
        os.truncate(_object(backed, second.papers.object_id), 0)
    elif harm == "manifest":
        flip(backed.folder / "repository" / "manifests" / second.id, 40)
    else:  # a master key that is not at hand: the manifest names another one
        path = backed.folder / "repository" / "manifests" / second.id
        body, _, note = path.read_bytes().partition(b"\n\n")
        value = json.loads(body)
        value["house_key"]["kek_version"] += 7
        path.write_bytes(json.dumps(value).encode() + b"\n\n" + note)
    report = new.restore(first.id, register=None)
    assert len(report.flaws) == 1
    assert second.id in report.flaws[0]
    assert "everything is whole" not in in_words(report)
    assert new.home.chosen(""), "it must not start"
    assert len(new.restore(first.id, register=None, accept_losses=True).flaws) == 1
    assert new.home.chosen("") == ""


def test_an_unread_register_is_no_flaw_where_a_later_one_was_read_or_given(backed, new, other_url):
    ref = backed.some()
    first = backed.create().manifest
    _forget(backed, ref)
    second = backed.create().manifest
    os.truncate(_object(backed, second.papers.object_id), 0)
    keep_register(**backed.house.ports("records", "store", "register"))
    early = backed.house.register.lines()
    assert second.id in new.restore(first.id, register=early).flaws[0], "nothing shows that it is later"
    later = backed.house.case(4).ref
    backed.house.clock.forward(days=1)
    _forget(backed, later)
    keep_register(**backed.house.ports("records", "store", "register"))
    report = new.restore(first.id, register=backed.house.register.lines())
    assert report.is_whole, report.flaws
    assert report.register_lines > len(early)


def test_a_later_backup_that_can_be_read_speaks_for_one_that_cannot(backed, new):
    ref = backed.some()
    first = backed.create().manifest
    _forget(backed, ref)
    second = backed.create().manifest
    backed.create()
    os.truncate(_object(backed, second.papers.object_id), 0)
    report = new.restore(first.id, register=None)
    assert report.is_whole, report.flaws
    assert report.cases_forgotten_again == 1


def test_rot_in_the_repository_is_mended_from_the_house(backed, new):
    backed.some()
    backed.create()
    flipped, cut, gone = (row.object_id for row in backed.house.rows("instances"))
    flip(_object(backed, flipped), 500)
    assert backed.create().copied == 0, "its length is right"
    os.truncate(_object(backed, cut), 100)
    _object(backed, gone).unlink()
    assert backed.verify(read_data=True).flaw_count == 3
    verdict = backed.verify(mend=True)
    assert (verdict.mended, verdict.flaws, verdict.data_read) == (3, [], True)
    remember_verified(verdict, by=DESK, **backed.house.ports("records", "clock"))
    assert backed.house.events("backup_verified")[-1].details["mended"] == 3
    assert backed.verify(read_data=True).is_sound
    assert backed.verify(mend=True).mended == 0
    assert new.restore().is_whole


def test_rot_is_not_mended_with_rot_nor_taken_away_where_the_house_has_nothing_better(backed):
    backed.some()
    backed.create()
    rotten, lost = (row.object_id for row in backed.house.rows("instances")[:2])
    for object_id in (rotten, lost):
        flip(_object(backed, object_id), 500)
    left = _object(backed, rotten).read_bytes()
    flip(_mine(backed, rotten), 700)
    backed.house.store.forget(lost)
    verdict = backed.verify(mend=True)
    assert (verdict.mended, verdict.flaw_count) == (0, 2)
    assert _object(backed, rotten).read_bytes() == left
    assert _object(backed, lost).exists()


def test_mending_holds_the_repository(backed, monkeypatch):
    backed.some()
    backed.create()
    flip(_object(backed, backed.house.rows("instances")[0].object_id), 500)
    mend, met = verifying.mend_object, []

    def meeting(*args, **values):
        with pytest.raises(BusyError):
            backed.prune()
        met.append(1)
        return mend(*args, **values)

    monkeypatch.setattr(verifying, "mend_object", meeting)
    assert backed.verify(mend=True).mended == len(met) == 1
    with backed.place.alone(), pytest.raises(BusyError):
        backed.verify(mend=True)


class _Killed(BaseException):
    pass


class _PutBackThenKilled:
    """Snapshots whose restore dies when the records are back and nobody has compared them."""

    def __init__(self, snapshots):
        self._snapshots = snapshots

    def __getattr__(self, name):
        return getattr(self._snapshots, name)

    def facts(self):
        raise _Killed


def _killed_after_put_back(backed, new):
    backed.some()
    backed.create()
    with pytest.raises(_Killed):
        new.restore(snapshots=_PutBackThenKilled(snapshots_of(new.url)))


def test_records_that_a_killed_restore_put_back_are_compared_by_the_next(backed, new):
    _killed_after_put_back(backed, new)
    write, read = open_engines(new.url)
    with write.begin() as connection:
        connection.execute(text("DELETE FROM finding"))
        connection.execute(text("DELETE FROM instance"))
    write.dispose()
    read.dispose()
    with pytest.raises(InvalidError, match="not those of the manifest"):
        new.restore()
    assert new.home.chosen(""), "it must not start"


def test_a_restore_that_was_killed_before_the_comparison_goes_on(backed, new):
    _killed_after_put_back(backed, new)
    new.open().close()
    assert new.restore().is_whole
