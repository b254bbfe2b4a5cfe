"""Rows that come late (D7): a clock that jumps, a machine that sleeps and a slow sweep cost no object that was acknowledged."""

import io
import threading
from datetime import timedelta

import pytest

from gateway.domain.document import Document
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.ids import new_id
from gateway.domain.kept_object import ObjectBatch
from gateway.domain.people import HOUSE
from gateway.domain.store_finding import StoreFinding
from gateway.journeys import sweep_store as sweeping
from gateway.journeys.settle_store_finding import remove_orphan
from gateway.journeys.sweep_store import sweep_store
from gateway.records.object_ids import OpenBatches
from storage import batch_of, new_batch, new_object_id
from tests.fakes.journey_house import DESK
from tests.fakes.stocked_house import path_of, plant, stock


@pytest.fixture
def case(house):
    return house.case(9)


def _sweep(house):
    return sweep_store(records=house.records, store=house.store, clock=house.clock)


def _seal(house, case, content=b"x" * 100):
    with house.records.view() as view:
        key = view.key(case.id, "originals")
    return house.store.seal(io.BytesIO(content), key=key, kind="original")


def _document(house, case, object_id, *, digest=bytes(32)):
    return Document(
        id=new_id(), case_id=case.id, holder=case.id, received_at=house.clock.now(), object_id=object_id,
        size_bytes=100, digest=digest, generation=1,
    )  # fmt: skip


def _record(house, case, object_id, **values):
    document = _document(house, case, object_id, **values)
    with house.records.change(by=HOUSE) as change:
        change.documents.add(document)
        change.note("case_read")
    return document


def _old_batch(house):
    now = house.clock.now()
    batch = ObjectBatch(id=new_batch(), made_at=now - timedelta(hours=40), until=now - timedelta(hours=38))
    with house.records.change(by=HOUSE) as change:
        change.object_batches.add(batch)
        change.note("house_opened")
    return batch.id


@pytest.mark.parametrize("is_put_back", [False, True])
@pytest.mark.parametrize("sweeps", [1, 2])
def test_what_a_sweep_removed_is_never_acknowledged(house, case, is_put_back, sweeps):
    """The machine sleeps for a day between the seal and its row, or the clock jumps, or jumps and comes back."""
    _record(house, case, _seal(house, case).object_id)  # the batch is known to be open
    ref = _seal(house, case)
    house.clock.forward(hours=27)
    for _ in range(sweeps):  # the second finds nothing under the batch but what is named, or deletes its row
        _sweep(house)
    assert not path_of(house, ref.object_id).exists()
    if is_put_back:
        house.clock.forward(hours=-27)
    with pytest.raises(UnavailableError, match="given this object up"):
        _record(house, case, ref.object_id, digest=ref.digest)
    assert _sweep(house).missing == ()
    again = _seal(house, case)  # the process goes on, under a batch that is open
    assert batch_of(again.object_id) != batch_of(ref.object_id)
    _record(house, case, again.object_id, digest=again.digest)
    house.clock.forward(days=3)
    assert _sweep(house).missing == ()


def test_a_batch_whose_row_is_gone_is_closed_too(house, case):
    ref = _seal(house, case)
    house.clock.forward(hours=27)
    _sweep(house)
    _sweep(house)
    assert batch_of(ref.object_id) not in {batch.id for batch in house.rows("object_batches")}
    with pytest.raises(UnavailableError, match="given this object up"):
        _record(house, case, ref.object_id)


def test_a_row_that_changes_keeps_its_object_however_old(house, case):
    """Only a new name for an object is refused: a row that names it already is written as before."""
    named, unnamed = _seal(house, case), _seal(house, case)
    document = _record(house, case, named.object_id, digest=named.digest)
    house.clock.forward(hours=27)
    assert _sweep(house).removed == (unnamed.object_id,)
    with house.records.change(by=HOUSE) as change:
        change.documents.put(document)
        change.documents.set(document.id, object_id=named.object_id)
        change.note("case_read")
    assert path_of(house, named.object_id).exists()
    with house.records.change(by=HOUSE) as change:
        with pytest.raises(UnavailableError):
            change.documents.set(document.id, object_id=unnamed.object_id)
        change.note("case_read")


def test_rows_and_a_sweep_that_take_every_batch_for_old_agree_on_every_object(house, case, monkeypatch):
    """Seals and rows with a pause between them beside sweeps for which every batch is over: refused or there, never neither."""
    monkeypatch.setattr(ObjectBatch, "is_over", lambda _self, _now: True)
    kept, refused, ended, errors = [], [], threading.Event(), []

    def take_in():
        try:
            for _ in range(60):
                ref = _seal(house, case)
                ended.wait(0.002)
                try:
                    _record(house, case, ref.object_id, digest=ref.digest)
                    kept.append(ref.object_id)
                except UnavailableError:
                    refused.append(ref.object_id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=take_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        _sweep(house)
    assert errors == []
    assert kept
    assert refused
    assert all(path_of(house, object_id).exists() for object_id in kept)


def test_an_open_batch_is_asked_for_once_while_nobody_else_writes(house, case):
    """No statement more for each instance; one more when somebody else has committed in between."""
    asked, ours = [], house.records._craft.batches

    class Telling:
        def __init__(self, connection):
            self._connection = connection

        def execute(self, sql, *values):
            asked.append(sql)
            return self._connection.execute(sql, *values)

    def refuse_closed(connection, object_id, **values):
        return OpenBatches.refuse_closed(ours, Telling(connection), object_id, **values)

    ours.refuse_closed = refuse_closed
    refs = [_seal(house, case) for _ in range(6)]
    for ref in refs[:4]:
        _record(house, case, ref.object_id)
    assert len(asked) == 1
    with house.records.change(by=HOUSE) as change:
        change.note("house_opened")
    for ref in refs[4:]:
        _record(house, case, ref.object_id)
    assert len(asked) == 2


def test_a_row_that_comes_while_a_sweep_reads_what_was_lost_keeps_its_object(house, case, monkeypatch):
    """Hours may lie between finding that no row names an object and removing it."""
    stock(house, cases=1, each=2)
    batch = _old_batch(house)
    ids = [plant(house, new_object_id(batch)) for _ in range(3)]
    close_healed = sweeping.close_healed

    def slow(*args, **values):
        _record(house, case, ids[0])
        return close_healed(*args, **values)

    monkeypatch.setattr(sweeping, "close_healed", slow)
    swept = _sweep(house)
    assert path_of(house, ids[0]).exists()
    assert set(swept.removed) == set(ids[1:])
    assert not path_of(house, ids[1]).exists()


def test_an_orphan_is_not_removed_by_hand_when_a_row_named_it_just_before(house, case):
    orphan = plant(house, new_object_id())
    _sweep(house)
    [finding] = house.rows("store_findings")
    _record(house, case, orphan)
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    with pytest.raises(ConflictError, match="has a row by now"):
        remove_orphan(finding.id, confirm=orphan, **ports)
    assert path_of(house, orphan).exists()


def test_removing_by_hand_closes_the_batch(house, case):
    ref = _seal(house, case)
    house.clock.forward(hours=27)
    now = house.clock.now()
    with house.records.change(by=HOUSE) as change:
        change.store_findings.add(
            StoreFinding(
                id="f" * 32, object_id=ref.object_id, kind="orphan", first_seen_at=now, last_seen_at=now
            )
        )
        change.note("house_opened")
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": DESK}
    remove_orphan("f" * 32, confirm=ref.object_id, **ports)
    with pytest.raises(UnavailableError):
        _record(house, case, ref.object_id)


def test_a_sweep_writes_no_more_than_a_few_hundred_findings_in_one_change(house, monkeypatch):
    """Everybody who writes waits for a change: one of 20 000 findings took 0.3 s."""
    monkeypatch.setattr(sweeping, "_KEPT_AT_ONCE", 10)
    stock(house, cases=1, each=6)
    lost = [kept.object_id for kept in _kept(house)][:25]
    for object_id in lost:
        path_of(house, object_id).unlink()
    orphans = {plant(house, new_object_id()) for _ in range(14)}
    gone = {plant(house, new_object_id(_old_batch(house))) for _ in range(3)}
    sizes, write_some = [], sweeping._write_some

    def measured(change, writes, **values):
        sizes.append(len(writes))
        write_some(change, writes, **values)

    monkeypatch.setattr(sweeping, "_write_some", measured)
    swept = _sweep(house)
    assert sizes == [10, 10, 10, 10, 2]
    assert (set(swept.orphans), set(swept.removed)) == (orphans, gone)
    findings = house.rows("store_findings")
    assert {one.object_id for one in findings if one.kind == "missing"} == set(lost)
    assert {one.object_id for one in findings if one.kind == "orphan"} == orphans
    events = house.events("store_swept")
    assert [event.details.get("written") for event in events] == [10, 10, 10, 10, None]
    assert events[-1].details["missing"] == 25
    _sweep(house)
    assert len(house.rows("store_findings")) == 39


def test_the_ids_that_rows_name_are_read_page_by_page(house, monkeypatch):
    monkeypatch.setattr("gateway.records.kept._FETCHED_AT_ONCE", 3)
    stock(house, cases=2, each=4)
    with house.records.view() as view:
        assert sorted(view.kept.ids()) == sorted(kept.object_id for kept in _kept(house))


def _kept(house):
    with house.records.view() as view:
        return view.kept.page(limit=10**6)


@pytest.mark.parametrize("every_s", [60.0, 21_600.0])
def test_a_duty_goes_on_when_a_clock_that_was_ahead_is_put_back(house, every_s):
    claim = house.jobs.claim_duty
    house.clock.forward(days=365)
    assert claim("d", now=house.clock.now(), every_s=every_s)
    house.clock.forward(days=-365)
    assert claim("d", now=house.clock.now(), every_s=every_s)
    assert not claim("d", now=house.clock.now(), every_s=every_s)
    house.clock.forward(
        minutes=-5
    )  # another machine's clock differs by minutes: the duty is done once all the same
    assert not claim("d", now=house.clock.now(), every_s=every_s)
