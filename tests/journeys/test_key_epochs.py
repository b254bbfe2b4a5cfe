"""E6, E8: a new epoch of the master key touches no object, can be cut short anywhere, and old epochs die with their backups."""

import io
import shutil
import threading

import pytest

from gateway.domain.errors import BusyError, UnavailableError
from gateway.journeys import rotate_keys as rotating
from gateway.journeys.destroy_epochs import destroy_due_epochs, keep_epochs
from gateway.journeys.rotate_keys import rewrap_keys, rotate_keys
from gateway.journeys.set_up_house import set_up_house
from storage import (
    DiskObjects,
    FileKeys,
    KekRef,
    KeyServiceError,
    KeyUnknownError,
    MasterKeys,
    SealedStore,
    WrappedKey,
)
from tests.fakes.journey_house import DESK, Killed, Trap, TrappedRecords

BACKUP_DAYS = 30


@pytest.fixture
def masters(house):
    return masters_of(house)


def masters_of(house):
    return MasterKeys(FileKeys(house.folder / "master.json"), tenant="consilium")


def ports(house, masters):
    return house.ports("records", "jobs", "clock") | {"masters": masters}


def rotate(house, masters, **other):
    house.clock.forward(seconds=11)
    fixed = {"by": DESK, "pause": lambda _: None}
    return rotate_keys(**(ports(house, masters) | fixed | other))


def fill(house, count=25):
    """Some keys, each with a value that it sealed."""
    for number in range(count):
        key = house.store.new_key(holder=f"case-{number:04}", purpose="originals")
        with house.records.change(by=DESK) as change:
            change.add_key(key, case_id=None)
            change.note("case_read")
    return {f"case-{n:04}": sealed(house, f"case-{n:04}") for n in range(count)}


def sealed(house, holder):
    with house.records.view() as view:
        key = view.key(holder, "originals")
    return house.store.seal_value(holder.encode(), key=key, context=b"here")


def opened_anew(house, values):
    """What another process reads, with nothing remembered."""
    store = SealedStore(
        objects=DiskObjects(house.folder / "objects"),
        keys=FileKeys(house.folder / "master.json"),
        tenant="consilium",
    )
    with house.records.view() as view:
        rows = {
            key.holder: key for key in view.older_keys(KekRef(kek_id="none", kek_version=0), limit=10_000)
        }
    return {h: store.open_value(blob, key=rows[h], context=b"here").decode() for h, blob in values.items()}


def versions(house):
    with house.records.view() as view:
        return {kek.kek_version: count for kek, count in view.keys_by_version().items()}


def epochs(house):
    return {epoch.kek_version: epoch for epoch in house.rows("epochs")}


def test_rotation_moves_every_key_and_no_object(house, masters):
    values = fill(house)
    with house.records.view() as view:
        key = view.key("case-0000", "originals")
    ref = house.store.seal(io.BytesIO(b"image" * 1000), key=key, kind="original")
    before = {
        p: (p.stat().st_mtime_ns, p.read_bytes())
        for p in (house.folder / "objects").rglob("*")
        if p.is_file()
    }
    told = []
    done = rotate(house, masters, moved=told.append)
    assert done.is_new
    assert (done.moved, done.unopened, sum(told)) == (26, 0, 26)
    assert versions(house) == {2: 26}
    assert opened_anew(house, values) == {h: h for h in values}
    after = {
        p: (p.stat().st_mtime_ns, p.read_bytes())
        for p in (house.folder / "objects").rglob("*")
        if p.is_file()
    }
    assert after == before
    house.store.verify(
        ref, key=key, kind="original"
    )  # who held the key wrapped under the old version still reads
    assert epochs(house)[1].state == "retired"
    assert epochs(house)[2].state == "in use"
    kinds = [event.kind for event in house.events() if event.kind.startswith(("epoch", "keys"))]
    assert kinds == ["epoch_begun", "epoch_begun", "keys_rewrapped", "epoch_retired"]


def test_rotation_killed_at_any_step_is_finished_by_the_next(house, masters):
    values = fill(house)
    for at in range(1, 60):
        trap = Trap(at)
        try:
            rotate(
                house, TrappedMasters(masters, trap), records=TrappedRecords(house.records, trap), batch=10
            )
        except Killed:
            assert opened_anew(house, values) == {h: h for h in values}  # at every moment
        else:
            break
        masters = masters_of(house)  # the next process
        last = rotate(house, masters, batch=10).kek.kek_version
        assert versions(house) == {last: 26}
        assert opened_anew(house, values) == {h: h for h in values}
        assert all(e.retired_at for version, e in epochs(house).items() if version < last)
    assert at > 12


def test_rotation_that_was_cut_short_is_finished_without_another_version(house, masters):
    fill(house)
    rotating.know_epochs(records=house.records, masters=masters)
    trap = Trap(5)
    with pytest.raises(Killed):
        rotate(house, TrappedMasters(masters, trap), records=TrappedRecords(house.records, trap))
    assert versions(house) == {1: 26}
    done = rotate(house, masters)
    assert (done.is_new, done.kek.kek_version, done.moved) == (False, 2, 26)
    again = rotate(house, masters)
    assert (again.is_new, again.kek.kek_version) == (True, 3)


class TrappedMasters(MasterKeys):
    """Dies before or after each thing that is asked of the keys."""

    def __init__(self, masters, trap):
        super().__init__(masters.provider, tenant="consilium")
        self._trap = trap

    def rotate(self):
        self._trap.step()
        new = super().rotate()
        self._trap.step()
        return new

    def rewrap(self, keys, *, new):
        self._trap.step()
        return super().rewrap(keys, new=new)

    def destroy(self, kek):
        self._trap.step()
        super().destroy(kek)
        self._trap.step()


def test_keys_that_come_while_others_are_rewrapped_come_along(house, masters):
    """Four writers insert while ten epochs begin: nothing is left behind, and nothing is lost."""
    stop, wrong, made = threading.Event(), [], []

    def write(worker):
        number = 0
        while not stop.is_set():
            holder = f"w{worker}-{number}"
            number += 1
            try:
                key = house.store.new_key(holder=holder, purpose="originals")
                with house.records.change(by=DESK) as change:
                    change.add_key(key, case_id=holder)
                    change.note("case_read")
                if number % 3:
                    made.append((holder, house.store.seal_value(b"x", key=key, context=b"here")))
                else:
                    with house.records.change(by=DESK) as change:
                        change.destroy_keys(holder)
                        change.note("case_forgotten")
            except Exception as error:
                wrong.append(repr(error))
                return

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        rotate(house, masters)
    stop.set()
    for writer in writers:
        writer.join(20)
    assert not wrong
    rewrap_keys(records=house.records, masters=masters)
    assert len(versions(house)) == 1
    assert len(made) > 4  # each writer has come between; how often is the machine's affair
    with house.records.view() as view:
        rows = {k.holder: k for k in view.older_keys(KekRef(kek_id="none", kek_version=0), limit=100_000)}
    assert set(rows) == {holder for holder, _ in made} | {"house"}  # those that were destroyed stay so
    fresh = SealedStore(
        objects=DiskObjects(house.folder / "objects"),
        keys=FileKeys(house.folder / "master.json"),
        tenant="consilium",
    )
    for holder, blob in made:
        assert fresh.open_value(blob, key=rows[holder], context=b"here") == b"x"


def test_key_destroyed_between_unwrapping_and_writing_stays_destroyed(house, masters):
    fill(house, 3)
    with house.records.change(by=DESK) as change:
        change.adopt_keys("case-0001", case_id="c1")
        change.note("case_read")

    class Slow(MasterKeys):
        def rewrap(self, keys, *, new):
            fresh = super().rewrap(keys, new=new)
            with house.records.change(by=DESK) as change:
                change.destroy_keys("c1")
                change.note("case_forgotten")
            return fresh

    done = rotate(house, Slow(masters.provider, tenant="consilium"))
    assert done.moved == 3
    with house.records.view() as view:
        holders = {key.holder for key in view.older_keys(KekRef(kek_id="none", kek_version=0), limit=10)}
    assert holders == {"case-0000", "case-0002", "house"}


def test_row_that_does_not_open_is_counted_kept_and_keeps_its_epoch_alive(house, masters):
    values = fill(house)
    with house.records.view() as view:
        key = view.key("case-0007", "originals")
    spoilt = WrappedKey(
        holder=key.holder,
        purpose=key.purpose,
        kek_id=key.kek_id,
        kek_version=key.kek_version,
        blob=key.blob[:-1] + bytes([key.blob[-1] ^ 1]),
    )
    with house.records.change(by=DESK) as change:
        assert change.replace_keys([(key, spoilt)]) == 1
        change.note("case_read")
    done = rotate(house, masters)
    assert (done.moved, done.unopened, done.retired) == (25, 1, ())
    assert versions(house) == {1: 1, 2: 25}
    assert epochs(house)[1].retired_at is None
    house.clock.forward(days=1000)
    keep_epochs(**ports(house, masters), epoch_days=0, backup_days=BACKUP_DAYS)
    assert [kek.kek_version for kek in masters.versions()] == [1, 2]  # a backup of that row may still need it
    second = rotate(house, masters)  # and nothing stands in the way of the next
    assert (second.is_new, second.moved, second.unopened) == (True, 25, 1)
    del values["case-0007"]
    assert opened_anew(house, values) == {h: h for h in values}


def test_old_epoch_is_destroyed_in_time_and_its_backups_die(house, masters):
    values = fill(house, 5)
    with house.records.view() as view:
        backup = {h: view.key(h, "originals") for h in values}
    rotate(house, masters)
    house.clock.forward(days=BACKUP_DAYS, seconds=-5)
    due = {"records": house.records, "masters": masters, "clock": house.clock, "backup_days": BACKUP_DAYS}
    house.clock.forward(days=-1)
    assert destroy_due_epochs(**due) == []
    assert epochs(house)[1].state == "retired"
    house.clock.forward(seconds=10)
    assert destroy_due_epochs(**due) == []
    assert epochs(house)[1].state == "ending"  # it is told a day before
    house.clock.forward(days=1, seconds=-10)
    assert destroy_due_epochs(**due) == []
    house.clock.forward(seconds=10)
    assert [epoch.kek_version for epoch in destroy_due_epochs(**due)] == [1]
    assert destroy_due_epochs(**due) == []
    assert epochs(house)[1].state == "destroyed"
    assert [kek.kek_version for kek in masters.versions()] == [2]
    assert opened_anew(house, values) == {h: h for h in values}
    restored = SealedStore(
        objects=DiskObjects(house.folder / "objects"),
        keys=FileKeys(house.folder / "master.json"),
        tenant="consilium",
    )
    for holder, key in backup.items():
        with pytest.raises(KeyUnknownError, match="version 1"):
            restored.open_value(values[holder], key=key, context=b"here")


def test_destruction_killed_at_any_step_is_finished_and_never_takes_a_needed_version(house, masters):
    values = fill(house, 5)
    rotate(house, masters)
    killed = 0
    for _ in range(2):  # the day before, and the day
        house.clock.forward(days=BACKUP_DAYS)
        for at in range(1, 30):
            trap = Trap(at)
            try:
                destroy_due_epochs(
                    records=TrappedRecords(house.records, trap),
                    masters=TrappedMasters(masters, trap),
                    clock=house.clock,
                    backup_days=BACKUP_DAYS,
                )
            except Killed:
                killed += 1
                assert opened_anew(house, values) == {h: h for h in values}
            else:
                break
    assert killed > 3
    assert epochs(house)[1].state == "destroyed"
    assert [kek.kek_version for kek in masters.versions()] == [2]


def test_epoch_that_a_row_names_again_is_not_destroyed(house, masters):
    fill(house, 3)
    with house.records.view() as view:
        late = view.key("case-0001", "originals")
    rotate(house, masters)
    with house.records.view() as view:
        moved = view.older_keys(KekRef(kek_id="none", kek_version=0), limit=10)[1]
    assert moved.holder == "case-0001"
    with house.records.change(by=DESK) as change:
        change.replace_keys([(moved, late)])  # as a process would that waited for a month
        change.note("case_read")
    house.clock.forward(days=BACKUP_DAYS + 1)
    due = {"records": house.records, "masters": masters, "clock": house.clock, "backup_days": BACKUP_DAYS}
    assert destroy_due_epochs(**due) == []
    assert [kek.kek_version for kek in masters.versions()] == [1, 2]
    rewrap_keys(records=house.records, masters=masters)
    assert epochs(house)[1].retired_at is None  # its month begins anew
    assert destroy_due_epochs(**due) == []


def test_no_row_can_name_an_epoch_that_is_ending(house, masters):
    fill(house, 1)
    late = house.store.new_key(holder="late", purpose="originals")
    rotate(house, masters)
    house.clock.forward(days=BACKUP_DAYS)
    destroy_due_epochs(records=house.records, masters=masters, clock=house.clock, backup_days=BACKUP_DAYS)
    assert epochs(house)[1].state == "ending"
    with house.records.change(by=DESK) as change:
        with pytest.raises(UnavailableError, match="over"):
            change.add_key(late, case_id=None)
        change.note("case_read")
    assert versions(house) == {2: 2}


def test_the_clock_begins_epochs_and_ends_them(house, masters):
    values = fill(house, 4)
    for _ in range(130):  # more than four months, a day at a time
        keep_epochs(**ports(house, masters), epoch_days=30, backup_days=BACKUP_DAYS)
        house.clock.forward(days=1)
    assert [kek.kek_version for kek in masters.versions()] == [4, 5]
    assert set(versions(house)) == {5}
    states = {version: epoch.state for version, epoch in epochs(house).items()}
    assert states == {1: "destroyed", 2: "destroyed", 3: "destroyed", 4: "retired", 5: "in use"}
    assert opened_anew(house, values) == {h: h for h in values}
    assert not set_up_house(records=house.records, store=house.store)


def test_with_zero_days_no_epoch_begins_by_itself(house, masters):
    keep_epochs(**ports(house, masters), epoch_days=0, backup_days=BACKUP_DAYS)
    house.clock.forward(days=4000)
    keep_epochs(**ports(house, masters), epoch_days=0, backup_days=BACKUP_DAYS)
    assert [kek.kek_version for kek in masters.versions()] == [1]


def test_two_rotations_at_the_same_moment_make_one_version(house, masters):
    rotate(house, masters)
    with pytest.raises(BusyError):
        rotate_keys(by=DESK, pause=lambda _: None, **ports(house, masters))
    assert len(masters.versions()) == 2


def test_outage_in_the_middle_loses_nothing_and_says_so(house, masters):
    values = fill(house)

    class Failing(MasterKeys):
        def rewrap(self, keys, *, new):
            raise KeyServiceError("timeout")

    with pytest.raises(KeyServiceError, match="timeout"):
        rotate(house, Failing(masters.provider, tenant="consilium"))
    assert opened_anew(house, values) == {h: h for h in values}
    assert rotate(house, masters).moved == 26


def test_copied_key_file_of_before_does_not_open_what_came_later(house, masters):
    shutil.copy(house.folder / "master.json", house.folder / "old.json")
    values = fill(house, 2)
    rotate(house, masters)
    (house.folder / "old.json").chmod(0o600)
    thief = SealedStore(
        objects=DiskObjects(house.folder / "objects"),
        keys=FileKeys(house.folder / "old.json"),
        tenant="consilium",
    )
    with house.records.view() as view:
        rows = {k.holder: k for k in view.older_keys(KekRef(kek_id="none", kek_version=0), limit=10)}
    for holder, blob in values.items():
        with pytest.raises(KeyUnknownError):
            thief.open_value(blob, key=rows[holder], context=b"here")
