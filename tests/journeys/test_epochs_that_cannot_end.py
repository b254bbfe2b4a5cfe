"""E8: what kept an epoch from ending, or ended it too early: a key file put back, a damaged row, a clock that was wrong."""

from dataclasses import replace

import pytest

from gateway.domain.epoch import OtherKeysError
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError
from gateway.domain.people import HOUSE
from gateway.journeys.abandon_key import abandon_key, list_unopened
from gateway.journeys.destroy_epochs import destroy_due_epochs, keep_epochs
from gateway.journeys.forget_case import forget_case
from gateway.journeys.hold_case import hold_case, unhold_case
from gateway.journeys.rotate_keys import rewrap_keys, rotate_keys
from storage import (
    DiskObjects,
    FileKeys,
    KekRef,
    KeyServiceError,
    KeyUnknownError,
    MasterKeys,
    SealedStore,
    create_key_file,
)
from tests.fakes.journey_house import DESK

BACKUP_DAYS = 30
NOTHING = KekRef(kek_id="", kek_version=0)


@pytest.fixture
def masters(house):
    return masters_of(house)


def masters_of(house):
    return MasterKeys(FileKeys(house.folder / "master.json"), tenant="consilium")


def rotate(house, masters):
    house.clock.forward(seconds=11)
    return rotate_keys(
        by=DESK, pause=lambda _: None, masters=masters, **house.ports("records", "jobs", "clock")
    )


def keep(house, masters, *, epoch_days=0, backup_days=BACKUP_DAYS):
    ports = house.ports("records", "jobs", "clock")
    keep_epochs(masters=masters, epoch_days=epoch_days, backup_days=backup_days, **ports)


def days(house, masters, count, **other):
    """So many days of a house that runs: the scheduler comes by once a day."""
    for _ in range(count):
        house.clock.forward(days=1)
        keep(house, masters, **other)


def in_file(masters):
    return [kek.kek_version for kek in masters.versions()]


def states(house):
    return {epoch.kek_version: epoch.state for epoch in house.rows("epochs")}


def row(house, holder, purpose):
    with house.records.view() as view:
        return next(
            k for k in view.older_keys(NOTHING, limit=100) if (k.holder, k.purpose) == (holder, purpose)
        )


def spoil(house, holder, purpose="originals"):
    """Flip a bit of a wrapped key in its row."""
    key = row(house, holder, purpose)
    blob = key.blob[:-1] + bytes([key.blob[-1] ^ 1])
    with house.records.change(by=DESK) as change:
        assert change.replace_keys([(key, replace(key, blob=blob))]) == 1
        change.note("case_read")


def test_version_that_a_key_restore_brings_back_is_destroyed_again_and_blocks_none(house, masters):
    rotate(house, masters)
    backed_up = masters.file_content()  # holds versions 1 and 2
    days(house, masters, 31)
    assert in_file(masters) == [2]
    path = house.folder / "master.json"
    path.unlink()
    create_key_file(path, file=backed_up)
    masters = masters_of(house)
    assert in_file(masters) == [1, 2]
    keep(house, masters)
    assert in_file(masters) == [2]  # at the first round: nothing that was destroyed is at hand again
    (told,) = [e for e in house.events("epoch_destroyed") if e.outcome == "again"]
    assert told.subject.endswith("/1")
    days(house, masters, 130, epoch_days=30)
    assert len(in_file(masters)) == 2
    assert states(house)[2] == "destroyed"
    assert len(house.events("epoch_ending")) == len(house.events("epoch_destroyed")) - 1


def test_returned_version_that_a_row_names_is_left_alone(house, masters):
    late = row(house, "house", "records")
    rotate(house, masters)
    backed_up = masters.file_content()
    days(house, masters, 31)
    path = house.folder / "master.json"
    path.unlink()
    create_key_file(path, file=backed_up)
    masters = masters_of(house)
    now = row(house, "house", "records")
    with house.records.change(by=DESK) as change:
        assert change.replace_keys([(now, late)]) == 1  # as one does who puts single rows back from a backup
        change.note("case_read")
    ports = house.ports("records", "clock")
    assert destroy_due_epochs(masters=masters, backup_days=BACKUP_DAYS, **ports) == []
    assert in_file(masters) == [1, 2]
    keep(house, masters)  # brings the row along first
    assert in_file(masters) == [2]


def test_key_file_of_before_is_refused_and_loses_no_version(house, masters):
    old = masters.file_content()  # version 1 alone
    rotate(house, masters)
    days(house, masters, 31)
    path = house.folder / "master.json"
    path.unlink()
    create_key_file(path, file=old)
    with pytest.raises(OtherKeysError, match="older than the records"):
        keep(house, masters_of(house))
    assert in_file(masters_of(house)) == [1]


def test_one_step_of_the_clock_destroys_nothing_and_putting_it_back_calls_it_off(house, masters):
    rotate(house, masters)
    house.clock.forward(days=400)
    for _ in range(3):
        keep(house, masters)
    assert in_file(masters) == [1, 2]
    assert states(house)[1] == "ending"
    (ending,) = house.events("epoch_ending")
    assert ending.details["late_days"] > 300
    house.clock.forward(days=-400)
    keep(house, masters)
    assert states(house)[1] == "retired"
    assert [e.subject for e in house.events("epoch_spared")] == [ending.subject]
    house.clock.forward(days=401)  # ahead once more: the day begins anew, it does not go on
    keep(house, masters)
    keep(house, masters)
    assert in_file(masters) == [1, 2]
    house.clock.forward(days=-401)
    days(house, masters, 29)
    assert in_file(masters) == [1, 2]
    days(house, masters, 1)
    assert in_file(masters) == [2]


def test_clock_put_back_to_a_day_on_which_it_is_due_still_ends_it(house, masters):
    rotate(house, masters)
    house.clock.forward(days=400)
    keep(house, masters)
    house.clock.forward(days=-370)  # due, but «ending» since a day far ahead
    keep(house, masters)
    assert in_file(masters) == [1, 2]
    days(house, masters, 1)
    assert in_file(masters) == [2]


def test_backups_that_are_kept_longer_from_now_on_call_an_end_off(house, masters):
    rotate(house, masters)
    days(house, masters, 29)
    assert states(house)[1] == "ending"
    days(house, masters, 2, backup_days=60)
    assert (in_file(masters), states(house)[1]) == ([1, 2], "retired")
    days(house, masters, 29, backup_days=60)
    assert in_file(masters) == [2]


def test_damaged_row_is_told_once_a_day_named_and_once_abandoned_blocks_nothing(house, masters):
    case = house.case()
    spoil(house, case.id)
    days(house, masters, 100, epoch_days=30)
    assert in_file(masters) == [1, 2, 3, 4]
    told = house.events("keys_unopened")
    assert 60 <= len(told) <= 101
    assert {(e.outcome, e.details["keys"]) for e in told} == {("failed", 1)}
    (found,) = list_unopened(records=house.records, masters=masters)
    assert (found.holder, found.purpose, found.kek_version) == (case.id, "originals", 1)
    assert abandon(house, masters, case.id).kek_version == 1
    assert list_unopened(records=house.records, masters=masters) == []
    (event,) = house.events("key_abandoned")
    assert (event.case_id, event.subject, event.details["purpose"]) == (case.id, case.id, "originals")
    days(house, masters, 32)
    assert in_file(masters) == [4]
    assert rewrap_keys(records=house.records, masters=masters) == (0, 0)
    store = SealedStore(
        objects=DiskObjects(house.folder / "objects"), keys=masters.provider, tenant="consilium"
    )
    store.seal_value(
        b"x", key=row(house, case.id, "releases"), context=b"c"
    )  # what is sound of the case still opens
    with pytest.raises(KeyUnknownError, match="abandoned"):  # and the other says why it does not
        store.seal_value(b"x", key=row(house, case.id, "originals"), context=b"c")
    rotate(house, masters)


def abandon(house, masters, holder, purpose="originals", **other):
    fixed = {"confirm": holder, "by": DESK, "records": house.records, "masters": masters}
    return abandon_key(holder, purpose, **(fixed | other))


def test_case_with_an_abandoned_key_is_forgotten_with_its_true_master_key(house, masters):
    case = house.case()
    spoil(house, case.id, "releases")
    abandon(house, masters, case.id, "releases")
    kept = forget_case(ref=case.ref, confirm=case.ref, by=DESK, records=house.records, store=house.store)
    assert {tuple(kek) for kek in kept.keks} == {(masters.current().kek_id, 1)}
    with pytest.raises(NotFoundError), house.records.view() as view:
        view.key(case.id, "releases")


def test_key_that_opens_is_held_or_is_the_houses_is_not_abandoned(house, masters):
    case = house.case()
    with pytest.raises(ConflictError, match="opens"):
        abandon(house, masters, case.id)
    with pytest.raises(NotFoundError):
        abandon(house, masters, "nobody")
    with pytest.raises(ConflictError, match="case or a study"):
        abandon(house, masters, "house", "records")
    spoil(house, case.id)
    with pytest.raises(InvalidError, match="confirm"):
        abandon(house, masters, case.id, confirm="")
    hold_case(ref=case.ref, reason="a court", by=DESK, records=house.records)
    with pytest.raises(ConflictError, match="legal hold"):
        abandon(house, masters, case.id)
    unhold_case(ref=case.ref, reason="over", by=DESK, records=house.records)

    class Away(MasterKeys):
        def rewrap(self, keys, *, new):
            raise KeyServiceError("timeout")

    with pytest.raises(KeyServiceError):  # an outage is no damage
        abandon(house, Away(masters.provider, tenant="consilium"), case.id)
    assert house.events("key_abandoned") == []
    abandon(house, masters, case.id, by=HOUSE)
    with pytest.raises(ConflictError, match="already"):
        abandon(house, masters, case.id)


def test_key_whose_master_key_is_not_here_is_not_abandoned(house, masters):
    """It may be sound: the key file of before was put back, and the right one may still be found."""
    case = house.case()
    rotate(house, masters)
    old = replace(masters.file_content(), current=1)
    path = house.folder / "master.json"
    path.unlink()
    create_key_file(path, file=replace(old, versions={1: old.versions[1]}))
    with pytest.raises(ConflictError, match="version 2"):
        abandon(house, masters_of(house), case.id)
