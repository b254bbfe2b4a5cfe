"""E6 on every database: keys move forward in rows alone, in pages, by what was there when they were read."""

import pytest

from gateway.domain.errors import UnavailableError
from gateway.journeys.destroy_epochs import destroy_due_epochs
from gateway.journeys.rotate_keys import rotate_keys
from storage import FileKeys, KekRef, MasterKeys, SealedStore
from tests.benchmarks.key_rotation import fill_with_keys
from tests.fakes.journey_house import DESK

NONE = KekRef(kek_id="none", kek_version=0)


def masters_of(house):
    return MasterKeys(FileKeys(house.folder / "master.json"), tenant="consilium")


def rotate(house, masters, **other):
    house.clock.forward(seconds=11)
    ports = house.ports("records", "jobs", "clock")
    return rotate_keys(by=DESK, masters=masters, pause=lambda _: None, **ports, **other)


def test_every_key_is_paged_once_and_moved(house):
    fill_with_keys(house.records, house.store, 530)
    masters = masters_of(house)
    with house.records.view() as view:
        seen, after = [], ("", "")
        while page := view.older_keys(NONE, after=after, limit=100):
            seen += page
            after = page[-1].holder, page[-1].purpose
        assert len(seen) == len({(key.holder, key.purpose) for key in seen}) == 531
        assert view.keys_by_version() == {masters.current(): 531}
    done = rotate(house, masters, batch=64)
    assert (done.moved, done.unopened) == (531, 0)
    with house.records.view() as view:
        assert view.keys_by_version() == {done.kek: 531}
        assert view.older_keys(done.kek, limit=10) == []
    fresh = SealedStore(
        objects=house.store._objects, keys=FileKeys(house.folder / "master.json"), tenant="consilium"
    )
    before = {key.holder: key for key in seen}
    with house.records.view() as view:
        for key in view.older_keys(NONE, limit=1000):
            blob = house.store.seal_value(b"x", key=before[key.holder], context=b"c")
            assert fresh.open_value(blob, key=key, context=b"c") == b"x"


def test_row_is_replaced_only_if_it_is_what_was_read(house):
    fill_with_keys(house.records, house.store, 3)
    with house.records.view() as view:
        one, two = view.older_keys(NONE, limit=10)[:2]
    fresh = house.store.new_key(holder=one.holder, purpose=one.purpose)
    with house.records.change(by=DESK) as change:
        assert change.replace_keys([]) == 0
        assert change.replace_keys([(one, fresh), (two, two)]) == 2
        assert change.replace_keys([(one, one)]) == 0  # it is another by now
        change.note("keys_rewrapped")
    with house.records.view() as view:
        assert view.older_keys(NONE, limit=1) == [fresh]


def test_epoch_of_the_records_is_destroyed_and_takes_no_row_any_more(house):
    masters = masters_of(house)
    late = house.store.new_key(holder="late", purpose="originals")
    rotate(house, masters)
    house.clock.forward(days=30)
    assert not destroy_due_epochs(
        records=house.records, masters=masters, clock=house.clock, backup_days=30
    )  # from its day of notice on no row may name it
    house.clock.forward(days=1)
    gone = destroy_due_epochs(records=house.records, masters=masters, clock=house.clock, backup_days=30)
    assert [epoch.kek_version for epoch in gone] == [1]
    with house.records.change(by=DESK) as change:
        with pytest.raises(UnavailableError, match="over"):
            change.add_key(late, case_id=None)
        change.note("case_read")
    with house.records.view() as view:
        assert view.key("house", "records").kek_version == 2
