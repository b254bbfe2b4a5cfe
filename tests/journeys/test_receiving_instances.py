"""Receiving instances: bytes, then row, then answer; the same again; another under the same name; and whose it is."""

import io
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node import errors as node_errors
from dicom_node import status
from dicom_node.receiver import AssociationEnd
from gateway.domain import errors
from gateway.domain.peer import Peer
from gateway.domain.people import HOUSE
from gateway.doors import dimse
from gateway.doors.dimse import DimseDoor
from gateway.journeys.drop_study import sweep_empty_studies
from gateway.journeys.know_peer import add_peer, admit
from gateway.journeys.match_study import assign_study, suggestions, unassign_study
from gateway.journeys.place_study import PlaceMemo
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.refuse_instance import REFUSALS
from gateway.journeys.settle_study import settle_study
from storage import (
    ObjectBusyError,
    SealBrokenError,
    StorageError,
    StoreFullError,
    StoreKeyError,
    TooLargeError,
    VolumeFailedError,
)
from tests import factories
from tests.fakes.journey_house import DESK, PACS, Killed, Trap, Trapped, TrappedRecords, arrival


def _receive(house, content, *, records=None, store=None, source=PACS, case=None, **values):
    return receive_instance(
        arrival(content, **values),
        source=source,
        records=records or house.records,
        store=store or house.store,
        case=case,
        **house.ports("clock", "policy"),
    )


def test_an_instance_is_sealed_recorded_audited_and_its_study_owed(house):
    case = house.case()
    assert _receive(house, factories.ct_instance(), called_ae=case.ref).status == status.SUCCESS
    (instance,) = house.rows("instances")
    (study,) = house.rows("studies")
    assert (instance.case_id, instance.state, study.instances) == (case.id, "received", 1)
    assert {instance.object_id} == house.objects()
    (kept,) = house.events("instance_kept")
    assert (kept.actor, kept.subject) == ("peer:PACS", instance.id)
    (job,) = house.rows("jobs")
    assert (job.kind, job.subject_id, job.due_at) == (
        "settle_study", study.id, house.clock.now() + timedelta(seconds=10),
    )  # fmt: skip
    assert house.rows("cases")[0].checklist["imaging"] == "received"


class _BrokenStore:
    def __init__(self, store, error):
        self._store, self._error = store, error

    def __getattr__(self, name):
        return getattr(self._store, name)

    def seal(self, *_, **__):
        raise self._error


class _RecordsThatFail:
    """Fails in the change that records the instance: before its commit, or after it."""

    def __init__(self, records, *, after):
        self._records, self._after, self.view = records, after, records.view
        self._changes = 0

    @contextmanager
    def change(self, *, by):
        self._changes += 1
        fails = self._changes == 2  # the first one makes the study
        with self._records.change(by=by) as change:
            yield change
            if fails and not self._after:
                raise errors.UnavailableError
        if fails:
            raise errors.UnavailableError


def test_bytes_that_could_not_be_sealed_leave_no_row(house):
    with pytest.raises(StoreFullError):
        _receive(house, factories.ct_instance(), store=_BrokenStore(house.store, StoreFullError("x")))
    assert house.rows("instances") == []
    assert house.events("instance_kept") == []


def test_a_row_that_could_not_be_written_is_no_success_and_leaves_no_bytes(house):
    with pytest.raises(errors.UnavailableError):
        _receive(house, factories.ct_instance(), records=_RecordsThatFail(house.records, after=False))
    assert house.rows("instances") == []
    assert house.objects() == set()


def test_an_error_after_the_commit_never_takes_the_bytes_of_a_row(house):
    content = factories.ct_instance()
    with pytest.raises(errors.UnavailableError):
        _receive(house, content, records=_RecordsThatFail(house.records, after=True))
    assert _receive(house, content).status == status.SUCCESS  # the sender sends again and is told it is kept
    (instance,) = house.rows("instances")
    assert instance.object_id in house.objects()


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(house):
    class HangsUp(io.RawIOBase):
        def read(self, size=-1):
            raise node_errors.PeerLost

        def readinto(self, buffer):
            raise node_errors.PeerLost

    with pytest.raises(node_errors.PeerLost):
        _receive(house, factories.ct_instance(), stream=HangsUp())
    assert house.rows("instances") == []
    assert house.objects() == set()


def test_a_crash_at_any_call_leaves_no_row_without_its_bytes_and_the_next_try_succeeds(house):
    content, died = factories.ct_instance(), 0
    for at in range(1, 30):
        trap = Trap(at)
        try:
            _receive(
                house, content, records=TrappedRecords(house.records, trap),
                store=Trapped(house.store, trap, "seal", "forget"),
            )  # fmt: skip
        except Killed:
            died += 1
        else:
            break
        assert {i.object_id for i in house.rows("instances")} <= house.objects()
    assert died >= 4
    assert len(house.rows("instances")) == 1
    assert len(house.rows("studies")) == 1


def test_the_same_bytes_again_are_kept_once_and_the_event_says_so(house):
    content = factories.ct_instance()
    for _ in range(2):
        assert _receive(house, content).status == status.SUCCESS
    assert len(house.rows("instances")) == len(house.objects()) == 1
    assert len(house.events("instance_repeated")) == 1
    assert house.rows("studies")[0].instances == 1


def test_the_same_bytes_ten_times_at_once_are_kept_once(house):
    content, results, start = factories.ct_instance(), [], threading.Barrier(10)

    def send():
        start.wait(30)
        results.append(_receive(house, content).status)

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [status.SUCCESS] * 10
    assert len(house.rows("instances")) == len(house.rows("studies")) == len(house.objects()) == 1
    assert len(house.events("instance_repeated")) == 9


def test_other_bytes_under_the_same_uid_are_kept_held_and_shown_to_a_human(house):
    case = house.case()
    _receive(house, factories.ct_instance(), called_ae=case.ref)
    other = factories.ct_instance(SeriesDescription="another object")
    assert _receive(house, other, called_ae=case.ref).status == status.SUCCESS
    first, second = sorted(house.rows("instances"), key=lambda i: i.conflict_of or "")
    assert (first.state, second.state, second.conflict_of) == ("received", "quarantined", first.id)
    (finding,) = house.rows("findings")
    assert (finding.code, finding.subject_id, finding.can_keep) == ("uid_conflict", second.id, False)
    assert len(house.objects()) == 2
    assert _receive(house, other, called_ae=case.ref).status == status.SUCCESS
    assert len(house.rows("instances")) == 2


def test_an_instance_without_a_study_is_told_that_it_cannot_be_understood(house):
    outcome = _receive(house, factories.ct_instance(StudyInstanceUID=None))
    assert outcome.status == status.CANNOT_UNDERSTAND
    assert "0020,000D" in outcome.comment
    assert house.objects() == set()


@pytest.mark.parametrize("name", ["sop_class_uid", "sop_instance_uid", "transfer_syntax_uid"])
def test_a_uid_that_is_a_persons_name_stands_nowhere(house, name):
    outcome = _receive(house, factories.ct_instance(), **{name: "Anna^Svensson"})
    assert outcome.status == status.CANNOT_UNDERSTAND
    assert house.rows("instances") == []
    assert "Svensson" not in repr(house.events())


def test_a_called_ae_title_is_the_case_however_the_identifiers_look(house):
    case = house.case(seed=2)
    _receive(house, factories.ct_instance(seed=1), called_ae=case.ref.lower())
    assert house.rows("instances")[0].case_id == case.id


def test_every_reference_can_be_called_even_one_that_begins_with_c(house):
    house.random = lambda size: b"\x60" * size  # C-C1G60R30
    case = house.case()
    assert case.ref.startswith("C-C")
    assert _receive(house, factories.ct_instance(), called_ae=case.ref).status == status.SUCCESS


@pytest.mark.parametrize("state", ["declined", "answered", "delivered", "closed"])
def test_a_case_that_is_over_and_one_that_is_none_are_refused_before_a_byte_is_kept(house, state):
    case = house.case()
    with house.records.change(by=DESK) as change:
        change.cases.set(case.id, state=state)
        change.note("case_moved", case_id=case.id)
    for called in (case.ref, "C-00000000"):
        with pytest.raises(errors.NotFoundError):
            _receive(house, factories.ct_instance(), called_ae=called)
    assert house.objects() == set()


def test_a_study_that_names_the_patient_finds_its_case_by_itself(house):
    case = house.case(seed=1)
    house.case(seed=2)
    _receive(house, factories.ct_instance(seed=1))
    (study,) = house.rows("studies")
    assert study.case_id == case.id
    assert study.match["score"] >= house.policy.match_score
    assert study.holder == study.id


def test_two_cases_of_one_patient_are_one_too_many_and_a_human_decides(house):
    one, two = house.case(), house.case()
    _receive(house, factories.ct_instance())
    (study,) = house.rows("studies")
    assert study.case_id is None
    with house.records.view() as view:
        suggested = suggestions(view, study)
    assert {case.id for case, _ in suggested} == {one.id, two.id}
    assert all(match.score >= 70 for _, match in suggested)


def test_a_study_of_the_inbox_is_assigned_with_its_keys_and_taken_back_without_them(house):
    case = house.case(seed=2)
    _receive(house, factories.ct_instance(seed=1))
    (study,) = house.rows("studies")
    assert (study.case_id, house.rows("instances")[0].case_id) == (None, None)
    assign_study(study_id=study.id, ref=case.ref, by=DESK, **house.ports("records", "clock"))
    assert house.rows("instances")[0].case_id == case.id
    assert _adopted(house, study.holder) == case.id
    with pytest.raises(errors.ConflictError):
        assign_study(study_id=study.id, ref=case.ref, by=DESK, **house.ports("records", "clock"))
    assert house.work().count("deidentify_study") >= 1
    assert house.rows("instances")[0].state in {"deidentified", "quarantined"}
    unassign_study(study_id=study.id, by=DESK, **house.ports("records", "store", "clock"))
    (instance,) = house.rows("instances")
    assert (instance.case_id, instance.state, _adopted(house, study.holder)) == (None, "received", None)
    assert house.rows("copies") == house.rows("findings") == []
    with pytest.raises(errors.NotFoundError):
        unassign_study(study_id=study.id, by=DESK, **house.ports("records", "store", "clock"))


def _adopted(house, holder):
    with house.records._read.connect() as connection:
        row = connection.exec_driver_sql("SELECT case_id FROM case_key WHERE holder = ?", (holder,)).one()
        return row.case_id


def test_a_study_that_came_for_a_case_cannot_be_moved_only_left_out(house):
    case = house.case()
    _receive(house, factories.ct_instance(), called_ae=case.ref)
    with pytest.raises(errors.ConflictError, match="this very case"):
        unassign_study(
            study_id=house.rows("studies")[0].id, by=DESK, **house.ports("records", "store", "clock")
        )


def test_a_study_settles_after_its_quiet_period_and_a_late_instance_opens_it_again(house):
    case = house.case()
    _receive(house, factories.ct_instance(number=1), called_ae=case.ref)
    (study,) = house.rows("studies")
    ports = house.ports("records", "clock", "policy")
    settle_study(study.id, **ports)
    assert house.rows("studies")[0].state == "receiving"
    house.clock.forward(seconds=10)
    settle_study(study.id, **ports)
    assert house.rows("studies")[0].state == "settled"
    assert {j.kind for j in house.rows("jobs")} == {"settle_study", "deidentify_study"}
    _receive(house, factories.ct_instance(number=2), called_ae=case.ref)
    assert (house.rows("studies")[0].state, house.rows("studies")[0].instances) == ("receiving", 2)
    assert len(house.events("study_reopened")) == 1


def test_peers_are_admitted_by_title_address_and_called_title_together(house):
    case = house.case()
    add_peer(ae_title="PACS", hosts=["10.0.0.0/8"], by=DESK, **house.ports("records", "clock"))

    class Attempt:
        calling_ae, called_ae, address, certificate = "PACS ", "CONSILIUM", "10.1.1.1", None

    def answer(**values):
        attempt = type("Attempt", (Attempt,), values)()
        found = admit(attempt, **house.ports("records", "policy"))
        return getattr(found, "reason", "admitted")

    assert answer() == answer(called_ae=case.ref) == answer(called_ae=case.ref.lower()) == "admitted"
    assert answer(calling_ae="OTHER") == answer(address="192.168.1.1") == 3
    assert answer(called_ae="ANY") == answer(called_ae="C-00000000") == 7
    with house.records.change(by=DESK) as change:
        change.peers.put(replace(change.peers.get("PACS"), disabled_at=house.clock.now()))
        change.note("peer_removed")
    assert answer() == 3
    assert isinstance(house.rows("peers")[0], Peer)


RAISED = [
    (TooLargeError("x"), 0xA700), (StoreFullError("x"), 0xA700), (VolumeFailedError("x"), 0xA700),
    (StoreKeyError("x"), 0xA700), (SealBrokenError("x"), 0xA700), (StorageError("x"), 0xA700),
    (errors.NotFoundError(), 0xA700), (errors.UnknownCaseError(), 0x0124),
    (errors.ForbiddenError(), 0x0124), (errors.SignInError(), 0x0124),
    (errors.UnavailableError(), 0xA700), (errors.ConflictError(), 0xA700), (errors.InvalidError(), 0xA700),
    (errors.BusyError(), 0xA700), (errors.TooManyError(), 0xA700), (errors.ExpiredError(), 0xA700),
    (errors.TooLargeError(), 0xA700), (errors.ImpossibleMoveError(), 0xA700),
]  # fmt: skip


def _subclasses(base):
    for one in base.__subclasses__():
        if one.__module__ in {"gateway.domain.errors", "storage.errors"}:
            yield one
            yield from _subclasses(one)


def test_every_error_of_ours_has_its_row_in_the_doors_table():
    for kind in {*_subclasses(errors.ConsiliumError), *_subclasses(StorageError)}:
        code = next(code for base, code, _ in REFUSALS if issubclass(kind, base))
        assert code in {status.OUT_OF_RESOURCES, status.NOT_AUTHORISED}, kind
        assert not status.is_kept(code)
    assert all(len(status.comment(why)) == len(why) <= 64 for _, _, why in REFUSALS)


@pytest.mark.parametrize(
    ("error", "code"), RAISED, ids=lambda v: type(v).__name__ if isinstance(v, Exception) else hex(v)
)
def test_the_door_tells_an_error_as_status_comment_and_event(house, monkeypatch, error, code):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(dimse, "receive_instance", refuse)
    outcome = DimseDoor(house.as_house()).receive(arrival(factories.ct_instance()))
    assert outcome.status == code
    assert 0 < len(outcome.comment) <= 64
    assert outcome.comment.isascii()
    (event,) = house.events("instance_refused")
    assert event.details["status"] == f"{code:04X}"
    assert event.actor == "peer:PACS"


def test_the_door_lets_an_ended_association_pass_and_a_silent_audit_does_not_change_the_answer(
    house, monkeypatch
):
    def over(*_, **__):
        raise node_errors.PeerLost

    monkeypatch.setattr(dimse, "receive_instance", over)
    door = DimseDoor(house.as_house())
    with pytest.raises(node_errors.PeerLost):
        door.receive(arrival(factories.ct_instance()))

    def unavailable(*_, **__):
        raise errors.UnavailableError

    monkeypatch.setattr(dimse, "receive_instance", unavailable)
    monkeypatch.setattr(dimse, "note_refusal", unavailable)
    assert door.receive(arrival(factories.ct_instance())).status == status.OUT_OF_RESOURCES


def test_every_association_stands_in_the_audit_with_how_it_ended(house):
    door = DimseDoor(house.as_house())
    for how in ("released", "aborted", "lost", "refused", "timeout", "malformed"):
        door.ended(
            AssociationEnd(
                association_id=how, calling_ae="PACS", called_ae="CONSILIUM", address="127.0.0.1", how=how,
                instances_kept=1, why="x" * 500,
            )
        )  # fmt: skip
    told = house.events("association_ended") + house.events("association_refused")
    assert {e.outcome for e in told} == {"released", "aborted", "lost", "refused", "timeout", "malformed"}
    assert all(len(e.details["why"]) <= 240 for e in told)


def test_what_comes_again_takes_the_place_of_bytes_that_were_lost(house):
    case = house.case()
    content = factories.ct_instance()
    assert _receive(house, content, called_ae=case.ref).status == status.SUCCESS
    (first,) = house.rows("instances")
    house.store.forget(first.object_id)
    assert _receive(house, content, called_ae=case.ref).status == status.SUCCESS
    (again,) = house.rows("instances")
    assert again.id == first.id
    assert house.objects() == {again.object_id} != {first.object_id}
    assert [e.details["lost"] for e in house.events("instance_mended")] == [first.object_id]


def test_bytes_that_cannot_be_looked_at_just_now_are_not_replaced(house, monkeypatch):
    content = factories.ct_instance()
    assert _receive(house, content).status == status.SUCCESS
    (first,) = house.rows("instances")

    def busy(*_, **__):
        raise ObjectBusyError(first.object_id)

    monkeypatch.setattr(house.store, "verify", busy)
    with pytest.raises(ObjectBusyError):
        _receive(house, content)
    assert house.rows("instances") == [first]
    assert house.objects() == {first.object_id}
    assert not house.events("instance_mended")


def test_a_study_of_a_closed_case_that_comes_again_waits_in_the_inbox_and_is_not_added_unseen(house):
    house.case()
    content = factories.ct_instance()
    assert _receive(house, content).status == status.SUCCESS
    (study,) = house.rows("studies")
    with house.records.change(by=DESK) as change:
        if study.case_id is None:
            case = change.cases.first()
            change.studies.set(study.id, case_id=case.id)
        change.cases.set(change.cases.first().id, state="closed")
        change.note("case_moved")
    assert _receive(house, content).status == status.SUCCESS
    assert sorted(s.case_id is None for s in house.rows("studies")) == [False, True]


def test_a_remembered_place_that_did_not_hold_is_asked_for_anew(house):
    case, memo = house.case(), PlaceMemo()
    slices = [factories.ct_instance(number=n) for n in range(1, 4)]

    def receive(n):
        said = arrival(slices[n])
        return receive_instance(
            said, source=PACS, memo=memo, **house.ports("records", "store", "clock", "policy")
        )

    assert [receive(n).status for n in (0, 1)] == [status.SUCCESS] * 2
    with house.records.change(by=DESK) as change:
        change.cases.set(case.id, state="declined")
        change.note("case_moved", case_id=case.id, subject=case.id)
    with pytest.raises(errors.ConflictError):
        receive(2)
    assert receive(2).status == status.SUCCESS  # in the inbox, as the first of a study of its own


def test_a_study_whose_settling_failed_for_good_is_settled_after_its_next_instance(house):
    _receive(house, factories.ct_instance(number=1))
    with house.records.change(by=DESK) as change:
        (job,) = change.jobs.find(kind="settle_study")
        change.jobs.set(job.id, state="failed", dedup_key=None)
        change.note("job_failed", subject=job.id)
    _receive(house, factories.ct_instance(number=2))
    with house.records.view() as view:
        states = [j.state for j in view.jobs.find(kind="settle_study", order="created_at")]
    assert states == ["failed", "queued"]


def test_half_an_object_is_refused_and_leaves_nothing(house):
    case = house.case()
    whole = factories.ct_instance(size=64)
    half = arrival(whole, called_ae=case.ref)
    half = replace(half, stream=io.BytesIO(half.stream.read()[:-100]))
    outcome = receive_instance(half, source=PACS, **house.ports("records", "store", "clock", "policy"))
    assert outcome.status == status.CANNOT_UNDERSTAND
    assert outcome.comment == "Data set ends inside element (7FE0,0010)"
    assert not house.objects()
    assert not house.rows("instances")
    assert not house.rows("studies")
    assert _receive(house, whole, called_ae=case.ref).status == status.SUCCESS
    assert house.rows("instances")[0].conflict_of is None


class Broken:
    """An association that is lost in the middle of an object."""

    def read(self, _size: int = -1, /) -> bytes:
        raise node_errors.PeerLost

    def readinto(self, _buffer: object, /) -> int:
        raise node_errors.PeerLost


def test_a_study_of_which_nothing_was_kept_goes_with_its_key(house):
    with pytest.raises(node_errors.PeerLost):
        _receive(house, factories.ct_instance(), stream=Broken())
    assert not house.rows("studies")
    dropped = house.events("study_dropped")
    assert len(dropped) == 1
    with pytest.raises(errors.NotFoundError), house.records.view() as view:
        view.key(dropped[0].subject, "originals")
    _receive(house, factories.ct_instance(number=1))
    with pytest.raises(node_errors.PeerLost):
        _receive(house, factories.ct_instance(number=2), stream=Broken())
    assert len(house.rows("studies")) == 1, "what has an instance stays"


def test_what_a_crash_left_empty_is_swept_after_an_hour(house):
    _receive(house, factories.ct_instance(study=1))
    with house.records.change(by=HOUSE) as change:
        (kept,) = change.studies.find()
        empty = replace(kept, id="e" * 32, study_key="other", instances=0)
        change.adopt_keys(kept.id, case_id=None)
        change.studies.add(replace(empty, holder=kept.id))
        change.note("study_waits", subject=empty.id)
    ports = house.ports("records", "clock")
    assert sweep_empty_studies(**ports) == 0
    house.clock.forward(hours=2)
    assert sweep_empty_studies(**ports) == 1
    assert [study.id for study in house.rows("studies")] == [kept.id]
