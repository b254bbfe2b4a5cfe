"""E6, D15: keys of an old backup, or a version that was made twice, are used for nothing: a fork would lose what comes under it."""

import pytest

from gateway.domain.epoch import OtherKeysError
from gateway.domain.errors import BusyError
from gateway.journeys.back_up_key import back_up_key, drill_key
from gateway.journeys.compare_keys import refuse_other_keys
from gateway.journeys.destroy_epochs import destroy_due_epochs, keep_epochs
from gateway.journeys.rotate_keys import begin_epoch, know_epochs, rotate_keys
from storage import FileKeys, MasterKeys, create_key_file, make_backup
from storage.keys.opening import open_keys
from tests.fakes.journey_house import DESK
from tests.fakes.vault import TransitKey, Vault


@pytest.fixture
def masters(house):
    found = masters_of(house)
    know_epochs(records=house.records, masters=found)
    return found


def masters_of(house):
    return MasterKeys(FileKeys(house.folder / "master.json"), tenant="consilium")


def rotate(house, masters):
    house.clock.forward(seconds=11)
    ports = house.ports("records", "jobs", "clock")
    return rotate_keys(by=DESK, pause=lambda _: None, masters=masters, **ports)


def put(house, file):
    """Put another key file in the place of the one that is there, as `key restore` or a copy does."""
    (house.folder / "master.json").unlink()
    create_key_file(house.folder / "master.json", file=file)
    return masters_of(house)


def forked(house, file):
    """The old file, in which somebody made the next version a second time."""
    create_key_file(house.folder / "fork.json", file=file)
    keys = FileKeys(house.folder / "fork.json")
    keys.rotate()
    return keys.content()


def all_that_uses_keys(house, masters):
    """Whatever makes a version, backs one up or destroys one."""
    records, rest = {"records": house.records}, house.ports("records", "jobs", "clock")
    kept = []
    made = make_backup(masters.file_content(), shares=2, threshold=2)
    return kept, {
        "compare": lambda: refuse_other_keys(masters=masters, **records),
        "begin": lambda: begin_epoch(by=DESK, masters=masters, **rest),
        "rotate": lambda: rotate(house, masters),
        "keep": lambda: keep_epochs(masters=masters, epoch_days=30, backup_days=30, **rest),
        "back up": lambda: back_up_key(
            by=DESK, masters=masters, shares=2, threshold=2, keep=kept.append, **records
        ),
        "drill": lambda: drill_key(
            by=DESK, masters=masters, sealed=made.sealed, shares=made.shares, **records
        ),
        "know": lambda: know_epochs(masters=masters, **records),
    }


def refused(house, masters, says):
    house.clock.forward(days=40)  # the version of the old file is over by now
    events, before = len(house.events()), masters.file_content()
    kept, acts = all_that_uses_keys(house, masters)
    for act in acts.values():
        with pytest.raises(OtherKeysError, match=says) as caught:
            act()
        assert "newest key backup" in caught.value.next_step
    assert masters.file_content() == before
    assert kept == []
    assert len(house.events()) == events


def test_keys_of_before_a_rotation_make_no_version_and_are_not_backed_up(house, masters):
    old = masters.file_content()
    rotate(house, masters)
    newest = masters.file_content()
    refused(house, put(house, old), "end at version 1, the records know version 2")
    true = put(house, newest)
    refuse_other_keys(records=house.records, masters=true)
    assert rotate(house, true).kek.kek_version == 3


def test_equal_number_with_another_secret_is_seen_in_either_direction(house, masters):
    old = masters.file_content()
    rotate(house, masters)
    fork = forked(house, old)
    assert fork.current == 2
    refused(house, put(house, fork), "version 2 .* the secret is another")
    keys = FileKeys(house.folder / "fork.json")
    keys.rotate()
    refused(house, put(house, keys.content()), "version 2 .* the secret is another")  # beyond what is known


def test_version_that_rows_alone_know_counts(house, masters):
    """A rotation that was killed before it wrote the epoch down; meanwhile others wrapped under it."""
    old = masters.file_content()
    masters.rotate()
    key = house.store.new_key(holder="late", purpose="originals")
    assert key.kek_version == 2
    with house.records.change(by=DESK) as change:
        change.add_key(key, case_id=None)
        change.note("case_read")
    refused(house, put(house, old), "end at version 1, the records know version 2")


def test_newer_keys_than_the_records_know_are_fine(house, masters):
    """As after a restore of an older backup of the data."""
    masters.rotate()
    masters.rotate()
    refuse_other_keys(records=house.records, masters=masters)
    know_epochs(records=house.records, masters=masters)
    assert sorted(epoch.kek_version for epoch in house.rows("epochs")) == [1, 2, 3]
    assert all(
        masters.opens_probe(e.probe, kek=masters.versions()[e.kek_version - 1]) for e in house.rows("epochs")
    )
    refuse_other_keys(records=house.records, masters=masters)


def test_home_that_knows_no_epoch_yet_is_taken_as_it_is(house):
    assert house.rows("epochs") == []
    refuse_other_keys(records=house.records, masters=masters_of(house))


def test_destroyed_versions_are_not_asked_for(house, masters):
    rotate(house, masters)
    for _ in range(2):
        house.clock.forward(days=31)
        destroy_due_epochs(records=house.records, masters=masters, clock=house.clock, backup_days=30)
    assert [kek.kek_version for kek in masters.versions()] == [2]
    refuse_other_keys(records=house.records, masters=masters_of(house))


def test_rotation_that_another_process_has_just_made_is_waited_for(house, masters):
    rotate(house, masters)
    first, current = masters.versions()

    class Late(MasterKeys):
        seen = first

        def current(self):
            return self.seen

    late = Late(masters.provider, tenant="consilium")

    def pause(_):
        late.seen = current

    refuse_other_keys(records=house.records, masters=late, pause=pause)
    late.seen = first
    with pytest.raises(OtherKeysError):
        refuse_other_keys(records=house.records, masters=late, pause=lambda _: None)


def test_key_of_the_same_name_made_anew_in_a_key_service_is_refused(house, tmp_path):
    vault = Vault()
    vault.keys["house"] = TransitKey()
    token = tmp_path / "token"
    token.write_text("root\n")
    token.chmod(0o600)
    address = f"vault+{vault.address}/transit/house?token-file={token}"
    try:
        know_epochs(records=house.records, masters=MasterKeys(open_keys(address), tenant="consilium"))
        refuse_other_keys(records=house.records, masters=MasterKeys(open_keys(address), tenant="consilium"))
        vault.keys["house"] = TransitKey()
        with pytest.raises(OtherKeysError, match="the secret is another"):
            refuse_other_keys(
                records=house.records, masters=MasterKeys(open_keys(address), tenant="consilium")
            )
    finally:
        vault.close()


def test_probe_of_one_epoch_is_none_of_another(house, masters):
    rotate(house, masters)
    one, two = sorted(house.rows("epochs"), key=lambda epoch: epoch.kek_version)
    with house.records.change(by=DESK) as change:
        change.epochs.set(two.id, probe=one.probe)
        change.note("case_read")
    with pytest.raises(OtherKeysError, match="version 2"):
        refuse_other_keys(records=house.records, masters=masters)


def test_rotation_straight_after_one_says_how_long_to_wait(house, masters):
    rotate(house, masters)
    house.clock.forward(seconds=3)
    with pytest.raises(BusyError, match="began 3 s ago, with version 2") as caught:
        rotate_keys(by=DESK, pause=lambda _: None, masters=masters, **house.ports("records", "jobs", "clock"))
    assert caught.value.next_step == "Try again in 7 s."
    house.clock.forward(seconds=7)
    assert rotate_keys(
        by=DESK, pause=lambda _: None, masters=masters, **house.ports("records", "jobs", "clock")
    ).is_new
