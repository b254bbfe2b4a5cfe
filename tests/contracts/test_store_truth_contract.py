"""Truth between rows and objects (D7, #11): what is injected is found, and nothing that anybody may want is removed."""

import io
import os
import random
import threading
import time
from contextlib import nullcontext
from datetime import timedelta

import pytest

from gateway.domain.audit import Checkpoint
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.kept_object import CLEARED_AFTER, NAMINGS, ObjectBatch
from gateway.domain.people import HOUSE
from gateway.domain.study import Instance, Study
from gateway.journeys.make_copy import COPY_KIND
from gateway.journeys.open_release import MANIFEST_KIND
from gateway.journeys.scrub_store import scrub_part, scrub_store
from gateway.journeys.settle_store_finding import remove_orphan, settle_store_finding
from gateway.journeys.show_store import show_store
from gateway.journeys.sweep_store import sweep_store
from gateway.journeys.verify_audit import checkpoint_audit
from gateway.journeys.verify_store import EndedEarlyError, Pace, verify_store
from gateway.records import object_ids
from gateway.records.object_ids import BatchedIds
from storage import PROBE_BATCH, StoreFullError, batch_of, new_batch, new_object_id
from tests.fakes.journey_house import DESK
from tests.fakes.stocked_house import path_of, plant, stock


def _sweep(house, **values):
    return sweep_store(records=house.records, store=house.store, clock=house.clock, **values)


def _scrub(house, **values):
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    return list(scrub_store(**ports, **values))


def _kept(house):
    with house.records.view() as view:
        return view.kept.page(limit=10**6)


def _old_batch(house):
    batch = ObjectBatch(
        id=new_batch(),
        made_at=house.clock.now() - timedelta(hours=40),
        until=house.clock.now() - timedelta(hours=38),
    )
    with house.records.change(by=HOUSE) as change:
        change.object_batches.add(batch)
        change.note("house_opened")
    return batch.id


def _found(house, *kinds):
    with house.records.view() as view:
        found = view.store_findings.find(state="open", kind=kinds)
    return {one.object_id: one.kind for one in found}


def test_a_house_in_which_all_is_well_loses_nothing_and_finds_nothing(house):
    count = stock(house, cases=1, each=3)
    house.clock.forward(days=3)
    before = house.objects()
    swept = _sweep(house)
    assert (swept.objects, swept.named) == (count, count)
    assert (swept.removed, swept.young, swept.orphans, swept.missing) == ((), (), (), ())
    last = _scrub(house)[-1]
    assert (last.is_ended, last.objects, last.of_objects, last.found) == (True, count, count, 0)
    assert house.objects() == before
    assert house.rows("store_findings") == []


def test_a_thousand_injected_inconsistencies_are_all_found_and_none_is_wrongly_removed(house):
    """#11. 620 orphans of five sorts, 380 objects missing or altered in six ways, among 400 that are whole."""
    chance = random.Random(11)
    count = stock(house, cases=4, each=39)
    rows = _kept(house)
    assert len(rows) == count == 780
    chance.shuffle(rows)
    lost = {"missing": [], "broken": []}
    for kept in rows[:100]:
        path_of(house, kept.object_id).unlink()
        lost["missing"].append(kept.object_id)
    for kept in rows[100:200]:  # one bit, anywhere
        data = bytearray(path_of(house, kept.object_id).read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path_of(house, kept.object_id).write_bytes(data)
        lost["broken"].append(kept.object_id)
    for kept in rows[200:260]:  # cut
        path = path_of(house, kept.object_id)
        os.truncate(path, chance.randrange(path.stat().st_size))
        lost["broken"].append(kept.object_id)
    for kept in rows[260:280]:  # longer
        with path_of(house, kept.object_id).open("ab") as file:
            file.write(os.urandom(chance.randrange(1, 99)))
        lost["broken"].append(kept.object_id)
    for one, other in zip(
        rows[280:330], rows[330:380], strict=True
    ):  # changed places, half of them between cases
        a, b = (path_of(house, kept.object_id) for kept in (one, other))
        content = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(content)
        lost["broken"] += [one.object_id, other.object_id]
    now_id, old, gone_old = house.ids(), _old_batch(house), _old_batch(house)
    removable = [plant(house, new_object_id(old)) for _ in range(150)]
    removable += [plant(house, new_object_id(gone_old), b"") for _ in range(50)]
    young = [plant(house, new_object_id(batch_of(now_id))) for _ in range(150)]
    foreign = [plant(house, new_object_id()) for _ in range(150)]
    foreign += [plant(house, new_object_id(new_batch())) for _ in range(80)]
    foreign += [plant(house, new_object_id(PROBE_BATCH)) for _ in range(40)]
    assert sum(map(len, (*lost.values(), removable, young, foreign))) == 1000
    before = house.objects()

    swept = _sweep(house)
    began = time.perf_counter()
    last = _scrub(house)[-1]
    took_s = time.perf_counter() - began

    print(f"\nscrub: {last.size_bytes / took_s / 1e6:.0f} MB/s over {last.objects} objects, {took_s:.2f} s")
    assert set(swept.removed) == set(removable)
    assert set(swept.young) == set(young)
    assert set(swept.orphans) == set(foreign)
    assert {kept.object_id for kept in swept.missing} == set(lost["missing"])
    assert before - house.objects() == set(removable)
    assert last.found == 380
    assert _found(house, "missing", "broken", "unreadable", "key_lost") == {
        object_id: kind for kind, found in lost.items() for object_id in found
    }
    assert set(_found(house, "orphan")) == set(foreign)
    assert len(_kept(house)) == count  # no row was removed for the want of its object
    again = _sweep(house)
    assert (again.removed, set(again.young), set(again.orphans)) == ((), set(young), set(foreign))
    assert len(house.rows("store_findings")) == 380 + 270
    [event] = [e for e in house.events("store_swept") if e.details.get("removed")]
    assert event.details["removed"] == 200
    house.clock.forward(seconds=CLEARED_AFTER.total_seconds() + 7201)
    later = _sweep(house)
    assert set(later.removed) == {*young, *(one for one in foreign if batch_of(one) == PROBE_BATCH)}


@pytest.mark.parametrize("is_eager", [False, True])
def test_nothing_that_is_recorded_while_a_sweep_runs_is_removed(house, monkeypatch, is_eager):
    """Threads seal and commit while sweeps go on.

    Once as it is; once with sweeps that take every batch for old, and listings that never come between the seal of an
    object and its row: then nothing but the order (objects first, rows after) keeps what is recorded meanwhile.
    """
    case = house.case()
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    now = house.clock.now()
    study = Study(
        id="s" * 32, case_id=case.id, holder=case.id, sender="peer:P", study_key="k", received_at=now, last_at=now
    )  # fmt: skip
    with house.records.change(by=HOUSE) as change:
        change.studies.add(study)
        change.note("study_waits")
    if is_eager:
        monkeypatch.setattr(ObjectBatch, "is_over", lambda _self, _now: True)
    ended, kept, errors = threading.Event(), [], []
    is_sqlite = house.records._write.dialect.name == "sqlite"
    per_thread, lock = (600 if is_sqlite else 200), threading.Lock()

    def take_in(number):
        try:
            for index in range(per_thread):
                with lock if is_eager else nullcontext():
                    ref = house.store.seal(io.BytesIO(b"%d" % index), key=key, kind="original")
                    with house.records.change(by=HOUSE) as change:
                        change.instances.add(
                            Instance(
                                id=f"{number:04x}{index:028x}",
                                study_id=study.id,
                                case_id=case.id,
                                holder=case.id,
                                sop_key=f"{number}/{index}",
                                sop_class_uid="1.2",
                                transfer_syntax_uid="1.2",
                                object_id=ref.object_id,
                                size_bytes=ref.size_bytes,
                                digest=ref.digest,
                                received_at=now,
                            )
                        )
                        change.note("instance_kept", case_id=case.id)
                kept.append(ref.object_id)
        except Exception as error:
            errors.append(error)

    listing = house.store.object_ids

    def list_between():
        with lock if is_eager else nullcontext():
            listed = list(listing())
        return iter(listed)

    monkeypatch.setattr(house.store, "object_ids", list_between)
    threads = [threading.Thread(target=take_in, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    sweeps = removed = 0
    while not ended.is_set():
        if not any(thread.is_alive() for thread in threads):
            ended.set()
        swept = _sweep(house)
        sweeps += 1
        removed += len(swept.removed)
        assert swept.missing == ()
    assert errors == []
    assert (removed, len(kept)) == (0, 4 * per_thread)
    assert set(kept) <= house.objects()
    assert sweeps > 2
    assert _scrub(house)[-1].found == 0


def test_a_rehearsal_says_what_would_be_removed_and_touches_nothing(house):
    stock(house, cases=1, each=1)
    ours = plant(house, new_object_id(_old_batch(house)))
    events = len(house.events())
    swept = _sweep(house, is_rehearsal=True)
    assert swept.removed == (ours,)
    assert ours in house.objects()
    assert len(house.events()) == events
    assert house.rows("store_rounds") == house.rows("store_findings") == []


def test_a_batch_is_forgotten_only_when_it_is_over_and_nothing_lies_under_it(house):
    stock(house, cases=1, each=1)
    used = {batch_of(kept.object_id) for kept in _kept(house)}
    idle = _old_batch(house)
    house.clock.forward(days=5)
    fresh = batch_of(house.ids())
    _sweep(house)
    left = {batch.id for batch in house.rows("object_batches")}
    assert idle not in left
    assert used | {fresh} <= left


def test_an_object_that_a_row_names_by_the_time_of_the_removal_stays(house, monkeypatch):
    """A row that commits later than the promise allows is still looked for right before the bytes go."""
    stock(house, cases=1, each=1)
    kept = _kept(house)[0]
    with house.records.view() as view:
        monkeypatch.setattr(type(view.kept), "ids", lambda _self: iter(()))
    house.clock.forward(days=5)
    swept = _sweep(house)
    assert swept.removed == ()
    assert kept.object_id in house.objects()


def test_a_store_that_is_away_is_no_loss_of_a_thousand_objects(house):
    stock(house, cases=2, each=30)
    (house.folder / "objects").rename(house.folder / "unmounted")
    with pytest.raises(UnavailableError, match="listed"):
        _sweep(house)
    for number in range(256):
        (house.folder / "objects" / f"{number:02x}").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="is empty"):
        _sweep(house)
    with pytest.raises(UnavailableError, match="none is whole"):
        _scrub(house)
    assert house.rows("store_findings") == []


def test_a_finding_whose_object_comes_back_closes_itself_with_its_time(house):
    stock(house, cases=1, each=2)
    kept = _kept(house)[3]
    path = path_of(house, kept.object_id)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert _scrub(house)[-1].found == 1
    [finding] = house.rows("store_findings")
    assert (finding.kind, finding.shelf, finding.row_id) == ("broken", kept.shelf, kept.row_id)
    house.clock.forward(hours=6)
    _sweep(house)
    assert house.rows("store_findings")[0].state == "open"
    path.write_bytes(content)
    house.clock.forward(hours=6)
    assert _sweep(house).healed == 1
    [finding] = house.rows("store_findings")
    assert (finding.state, finding.ended_at) == ("whole", house.clock.now())
    assert [e.outcome for e in house.events("store_finding_closed")] == ["whole"]


def test_a_finding_of_a_row_that_is_gone_closes_itself(house):
    stock(house, cases=1, each=1)
    kept = next(one for one in _kept(house) if one.shelf == "parts")
    path_of(house, kept.object_id).unlink()
    _sweep(house)
    with house.records.change(by=HOUSE) as change:
        change.parts.remove(id=kept.row_id)
        change.note("upload_abandoned")
    _sweep(house)
    assert [one.state for one in house.rows("store_findings")] == ["unnamed"]


def test_a_key_that_is_gone_is_told_apart_from_bytes_that_are(house):
    stock(house, cases=2, each=2)
    with house.records.change(by=HOUSE) as change:
        change._connection.execute("DELETE FROM case_key WHERE purpose = 'releases'")
        change.note("house_opened")
    for kept in _kept(house):
        house.records._ring.forget(kept.holder)
    assert _scrub(house)[-1].found == 8
    assert {(one.kind, one.shelf) for one in house.rows("store_findings")} == {
        ("key_lost", "copies"),
        ("key_lost", "releases"),
    }


def test_a_scrub_that_is_broken_off_goes_on_where_it_was(house, monkeypatch):
    monkeypatch.setattr("gateway.journeys.verify_store.OBJECTS_A_STEP", 4)
    count = stock(house, cases=1, each=8)
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    scrub = scrub_store(**ports)
    for _ in range(4):
        last = next(scrub)
    assert (last.objects, last.went_on) == (12, False)
    scrub.close()
    rest = _scrub(house)
    assert (rest[0].objects, rest[0].went_on, rest[-1].objects) == (12, True, count)
    assert rest[-1].is_ended
    assert _scrub(house)[0].went_on is False
    assert [e.details["objects"] for e in house.events("store_scrubbed")] == [count, count]
    begun = scrub_store(**ports)
    [next(begun) for _ in range(3)]
    begun.close()
    assert _scrub(house, afresh=True)[0].went_on is False


def test_one_case_is_scrubbed_alone(house):
    stock(house, cases=2, each=2)
    rows = _kept(house)
    mine = [kept for kept in rows if kept.case_id == rows[0].case_id]
    for kept in rows:
        path_of(house, kept.object_id).unlink()
    last = _scrub(house, case_id=rows[0].case_id)[-1]
    assert (last.objects, last.found) == (len(mine), len(mine)) == (10, 10)


def test_the_pace_is_held_by_all_threads_together_and_ends_at_once(house):
    stock(house, cases=1, each=6)
    size = sum(kept.size_bytes for kept in _kept(house))
    began = time.monotonic()
    for _ in verify_store(records=house.records, store=house.store, pace=Pace(size), threads=4):
        pass
    assert time.monotonic() - began > 0.7
    slow_pace = Pace(1000)
    ender = threading.Timer(0.5, slow_pace.end)
    slow = verify_store(records=house.records, store=house.store, pace=slow_pace, threads=4)
    ender.start()
    began = time.monotonic()
    with pytest.raises(EndedEarlyError):
        list(slow)
    assert time.monotonic() - began < 5


def test_the_part_by_part_scrub_reads_everything_once_in_its_days_and_then_waits(house, monkeypatch):
    monkeypatch.setattr("gateway.journeys.verify_store.OBJECTS_A_STEP", 1)
    count = stock(house, cases=1, each=6)
    ports = {"records": house.records, "store": house.store, "clock": house.clock}
    read = parts = 0
    while read < count:
        part = scrub_part(**ports, every_s=86_400, days=10)
        assert part >= 1
        read, parts = read + part, parts + 1
        house.clock.forward(days=1)
    assert 3 <= parts <= 10
    assert read == count
    assert scrub_part(**ports, every_s=86_400, days=10) == 0
    house.clock.forward(days=10)
    assert scrub_part(**ports, every_s=86_400, days=10) > 0
    assert len(house.events("store_scrubbed")) == 1


def test_a_person_settles_a_finding_when_it_is_mended_and_an_orphan_only_by_its_name(house):
    stock(house, cases=1, each=1)
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    kept, orphan = _kept(house)[0], plant(house, new_object_id())
    path = path_of(house, kept.object_id)
    path.rename(path.with_suffix(".away"))
    _sweep(house)
    by_kind = {one.kind: one for one in house.rows("store_findings")}
    missing, nobodys = by_kind["missing"].id, by_kind["orphan"].id
    for refused in (
        lambda: settle_store_finding(missing, **ports),
        lambda: settle_store_finding(nobodys, **ports),
        lambda: remove_orphan(missing, confirm=kept.object_id, **ports),
        lambda: remove_orphan(nobodys, confirm="", **ports),
        lambda: remove_orphan(nobodys, confirm=orphan[:-1], **ports),
    ):
        with pytest.raises(ConflictError):
            refused()
    assert orphan in house.objects()
    assert show_store(records=house.records).lost == 1
    path.with_suffix(".away").rename(path)
    assert settle_store_finding(missing, **ports).state == "whole"
    assert remove_orphan(nobodys, confirm=orphan, **ports).state == "settled"
    assert orphan not in house.objects()
    assert [e.outcome for e in house.events("store_finding_settled")] == ["refused", "whole", "settled"]
    with pytest.raises(ConflictError):
        settle_store_finding(missing, **ports)
    state = show_store(records=house.records)
    assert (state.lost, state.orphans, state.lines) == (0, 0, ())


def test_an_orphan_that_gets_a_row_after_all_is_not_removed(house, monkeypatch):
    stock(house, cases=1, each=1)
    kept = _kept(house)[0]
    with house.records.change(by=HOUSE) as change:
        change.object_batches.remove(id=batch_of(kept.object_id))
        change.instances.set(kept.row_id, object_id=house.ids())
        change.note("house_opened")
    _sweep(house)
    orphan = next(one for one in house.rows("store_findings") if one.kind == "orphan")
    monkeypatch.setattr(
        object_ids, "_ours", set()
    )  # the row is brought back by a process that did not seal it
    with house.records.change(by=HOUSE) as change:
        change.instances.set(kept.row_id, object_id=kept.object_id)
        change.note("house_opened")
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    with pytest.raises(ConflictError):
        remove_orphan(orphan.id, confirm=kept.object_id, **ports)
    _sweep(house)
    assert {one.state for one in house.rows("store_findings")} == {"named", "whole"} or {
        one.state for one in house.rows("store_findings")
    } == {"named", "unnamed"}
    assert kept.object_id in house.objects()


def test_the_list_of_rows_says_how_each_object_was_sealed():
    kinds = {naming.shelf: naming.kind for naming in NAMINGS}
    assert (kinds["copies"], kinds["releases"]) == (COPY_KIND, MANIFEST_KIND)


def test_ids_of_a_house_that_was_upgraded_are_nobodys_only_while_no_row_names_them(house):
    """Objects from before there were batches are named by their rows, and never removed."""
    house.store._new_id = new_object_id
    stock(house, cases=1, each=2)
    house.clock.forward(days=400)
    swept = _sweep(house)
    assert (swept.removed, swept.orphans, swept.missing) == ((), (), ())
    house.store._new_id = BatchedIds(house.records._write, house.clock)


def test_what_is_removed_with_its_row_while_it_is_read_is_no_loss(house, monkeypatch):
    stock(house, cases=1, each=2)
    gone = next(one for one in _kept(house) if one.shelf == "parts")
    verify = house.store.verify

    def forget_first(ref, **values):
        if ref.object_id == gone.object_id:
            with house.records.change(by=HOUSE) as change:
                change.parts.remove(id=gone.row_id)
                change.note("upload_abandoned")
            house.store.forget(gone.object_id)
        verify(ref, **values)

    monkeypatch.setattr(house.store, "verify", forget_first)
    assert _scrub(house)[-1].found == 0
    assert house.rows("store_findings") == []


def test_a_store_that_does_not_answer_for_one_object_stops_the_scrub_and_finds_nothing(house, monkeypatch):
    stock(house, cases=1, each=2)
    asked, verify = _kept(house)[5].object_id, house.store.verify

    def away(ref, **values):
        if ref.object_id == asked:
            raise StoreFullError("an outage of some kind")
        verify(ref, **values)

    monkeypatch.setattr(house.store, "verify", away)
    with pytest.raises(UnavailableError):
        _scrub(house)
    assert house.rows("store_findings") == []


def test_records_that_were_put_back_to_an_earlier_state_let_nothing_be_removed(house):
    """The witness knows more than the records: what was sealed since is named by rows that may still come back."""
    stock(house, cases=1, each=1)
    house.ids()
    secret = {"records": house.records, "store": house.store, "witness": house.witness, "origin": "consilium"}
    checkpoint_audit(**secret)
    unnamed = plant(house, new_object_id(_old_batch(house)))  # noted in the trail, but not by the witness yet
    checkpoint_audit(**secret)
    true_notes = list(house.witness.kept)
    behind = Checkpoint(origin="consilium", size=10**6, hash="ab" * 32).signed(bytes(32))
    other = Checkpoint(origin="consilium", size=3, hash="ab" * 32).signed(bytes(32))
    for false_note in (behind, other):
        house.witness.kept = [*true_notes, false_note]
        swept = _sweep(house, witness=house.witness)
        assert (swept.removed, swept.orphans) == ((), (unnamed,))
    house.witness.kept = ["torn", *true_notes]
    assert _sweep(house, witness=house.witness).removed == (unnamed,)
    house.clock.forward(days=2)
    made_since = plant(house, new_object_id(_old_batch(house)))
    house.witness.kept = [*true_notes, other]
    assert _sweep(house, witness=house.witness).removed == (made_since,)
