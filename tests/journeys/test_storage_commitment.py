"""Storage commitment in process: the question kept, the originals verified, the answer told once, whoever dies in between."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node.event_report import Reported
from dicom_node.receiver import CommitmentRequest
from gateway.domain.commitment import MISSING_QUIET, REPORT_FOR
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.peer import Peer
from gateway.journeys import commit_storage
from gateway.journeys.commit_storage import ask_commitment, decide_commitment
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.report_commitment import (
    claim_report,
    report_commitments,
    retry_commitment,
    settle_report,
)
from gateway.journeys.settle_study import settle_study
from storage import VolumeFailedError
from tests import factories
from tests.fakes.journey_house import DESK, PACS, Killed, Trap, TrappedRecords, arrival

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


def _receive(house, content, *, source=PACS, **values):
    outcome = receive_instance(
        arrival(content, **values), source=source, **house.ports("records", "store", "clock", "policy")
    )
    assert outcome.status == 0
    data_set = factories.read(content)
    return str(data_set.SOPClassUID), str(data_set.SOPInstanceUID)


def _request(references, transaction="1.2.3", association="a1", **values):
    fixed = {"calling_ae": "PACS", "called_ae": "CONSILIUM", "address": "127.0.0.1"}
    return CommitmentRequest(
        transaction_uid=transaction, references=references, association_id=association, **(fixed | values)
    )


def _ask(house, references, *, source=PACS, records=None, **values):
    request = _request(references, **values)
    return ask_commitment(request, source=source, records=records or house.records, clock=house.clock)


def _decide(house, *, records=None, store=None):
    """Do what is owed of deciding, without waiting for anything; the row as it is then."""
    for row in house.rows("commitments", state="asked"):
        decide_commitment(
            row.id, records=records or house.records, store=store or house.store, clock=house.clock
        )
    return house.rows("commitments")[0]


def _peer(house, **values):
    fixed = {"ae_title": "PACS", "address": "127.0.0.1:104", "created_at": house.clock.now()}
    with house.records.change(by=DESK) as change:
        change.peers.add(Peer(**(fixed | values)))
        change.note("peer_added", subject="PACS")


class Listener:
    """Stands for the network and the peer's listener: keeps what it is told, and answers as it is told to."""

    def __init__(self, status=0):
        self.status = status
        self.told = []

    def __call__(self, peer, called, results):
        for result in results:
            self.told.append((called, result))
            yield Reported(result_id=result.id, status=self.status, why="" if self.status == 0 else "refused")


def _owed(house, kind):
    return [job for job in house.rows("jobs", state="queued") if job.kind == kind]


def _report(house, listener, *, records=None):
    report_commitments("PACS", records=records or house.records, clock=house.clock, caller=listener)


def test_a_question_is_kept_with_its_event_and_its_work_before_it_is_answered(house):
    assert _ask(house, [(CT, "1.2.3.4")]).status == 0
    (row,) = house.rows("commitments")
    assert (row.state, row.peer, row.references) == ("asked", "PACS", [[CT, "1.2.3.4"]])
    assert [(job.kind, job.subject_id) for job in house.rows("jobs")] == [("decide_commitment", row.id)]
    assert [event.actor for event in house.events("commitment_asked")] == ["peer:PACS"]


def test_all_that_is_whole_is_committed_and_told_as_event_type_1(house):
    _peer(house)
    references = [_receive(house, factories.ct_instance(number=n)) for n in range(1, 4)]
    _ask(house, references)
    row = _decide(house)
    assert (row.state, row.committed, row.failed) == ("decided", 3, 0)
    house.clock.forward(seconds=3)
    listener = Listener()
    _report(house, listener)
    ((called, result),) = listener.told
    assert called == "CONSILIUM"
    assert [tuple(pair) for pair in result.committed] == references
    assert result.failed == []
    assert house.rows("commitments")[0].state == "reported"


def _damage(house, uid_number=1):
    object_id = house.rows("instances", order="received_at")[uid_number - 1].object_id
    (path,) = list((house.folder / "objects").rglob(object_id))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def test_each_reference_gets_the_reason_of_its_own_failure(house):
    whole, damaged, gone, wrong_class = (
        _receive(house, factories.ct_instance(number=n)) for n in range(1, 5)
    )
    _damage(house, 2)
    house.store.forget(house.rows("instances", order="received_at")[2].object_id)
    references = [whole, damaged, gone, (MR, wrong_class[1]), (CT, "1.2.3.404")]
    _ask(house, references)
    _decide(house)
    house.clock.forward(minutes=11)
    row = _decide(house)
    assert row.state == "decided"
    assert {uid: reason for _, uid, reason in row.failures} == {
        damaged[1]: "0110",
        gone[1]: "0110",
        wrong_class[1]: "0119",
        "1.2.3.404": "0112",
    }
    assert row.safe == [list(whole)]


def test_what_another_sender_stored_and_what_was_copied_is_not_committed(house):
    other = replace(PACS, id="OTHER")
    theirs = _receive(house, factories.ct_instance(number=1), source=other, calling_ae="OTHER")
    case = house.case()
    ours = _receive(house, factories.ct_instance(number=2), called_ae=case.ref)
    house.work()  # the copies have UIDs of their own
    copies = [copy.index["SOPInstanceUID"] for copy in house.rows("copies")]
    assert copies
    _ask(house, [theirs, ours, *((CT, uid) for uid in copies)])
    house.clock.forward(minutes=11)
    row = _decide(house)
    assert row.safe == [list(ours)]  # it lies under its case, and is found there
    assert {reason for _, _, reason in row.failures} == {"0112"}


def test_two_objects_under_one_uid_are_not_committed_before_a_human_has_judged(house):
    first = _receive(house, factories.ct_instance(number=1))
    _receive(house, factories.ct_instance(number=1, InstanceNumber=77))
    _ask(house, [first])
    assert [row[2] for row in _decide(house).failures] == ["0110"]
    conflict = next(row for row in house.rows("instances") if row.conflict_of)
    with house.records.change(by=DESK) as change:
        change.instances.set(conflict.id, state="excluded")
        change.note("finding_judged", subject=conflict.id)
    _ask(house, [first], transaction="1.2.4")
    decided = [decide_and_get(house, row.id) for row in house.rows("commitments", state="asked")]
    assert [(row.committed, row.failed) for row in decided] == [(1, 0)]


def decide_and_get(house, commitment_id):
    decide_commitment(commitment_id, records=house.records, store=house.store, clock=house.clock)
    return house.rows("commitments", id=commitment_id)[0]


def test_an_instance_whose_key_was_destroyed_is_not_committed(house):
    pair = _receive(house, factories.ct_instance())
    (study,) = house.rows("studies")
    with house.records.change(by=DESK) as change:
        change.adopt_keys(study.holder, case_id="x")
        change.destroy_keys("x")
        change.note("case_forgotten", subject="x")
    _ask(house, [pair])
    assert [row[2] for row in _decide(house).failures] == ["0110"]


def test_storage_that_does_not_answer_decides_nothing(house):
    pair = _receive(house, factories.ct_instance())
    _ask(house, [pair])

    class Away:
        def __getattr__(self, name):
            return getattr(house.store, name)

        def verify(self, *_, **__):
            raise VolumeFailedError("x")

    with pytest.raises(UnavailableError):
        _decide(house, store=Away())
    assert _decide(house).committed == 1


def test_what_is_asked_before_it_has_landed_is_waited_for(house):
    content = factories.ct_instance(number=2)
    data_set = factories.read(content)
    first = _receive(house, factories.ct_instance(number=1))
    _ask(house, [first, (CT, str(data_set.SOPInstanceUID))])
    row = _decide(house)
    assert (row.state, row.committed, row.failed) == ("asked", 1, 1)
    house.clock.forward(seconds=30)
    _receive(house, content)
    row = _decide(house)
    assert (row.state, row.committed, row.failed, row.failures) == ("decided", 2, 0, [])


def test_the_wait_ends_when_the_sender_has_been_silent_or_ten_minutes_have_passed(house):
    _receive(house, factories.ct_instance(number=1))
    _ask(house, [(CT, "1.2.3.4")])
    house.clock.forward(seconds=MISSING_QUIET.total_seconds() - 1)
    assert _decide(house).state == "asked"
    _receive(house, factories.ct_instance(number=2))  # it still sends
    house.clock.forward(seconds=30)
    assert _decide(house).state == "asked"
    house.clock.forward(seconds=MISSING_QUIET.total_seconds())
    assert _decide(house).state == "decided"


def test_the_work_that_is_owed_comes_to_an_end_by_itself(house):
    _peer(house, address="")
    _ask(house, [(CT, "1.2.3.4")])
    kinds = house.work()
    assert kinds.count("decide_commitment") < 25
    (row,) = house.rows("commitments")
    assert (row.state, row.report_attempts) == ("given_up", 0)
    assert row.asked_at + REPORT_FOR < house.clock.now() < row.asked_at + REPORT_FOR + timedelta(days=2)


def test_a_batch_that_was_verified_is_not_verified_again(house, monkeypatch):
    monkeypatch.setattr(commit_storage, "KEPT_EVERY_REFERENCES", 2)
    _ask(house, [_receive(house, factories.ct_instance(number=n)) for n in range(1, 8)])
    trap = Trap(at=11)  # before the sixth object is verified: each counts twice
    verified = []

    class Counting:
        def __getattr__(self, name):
            return getattr(house.store, name)

        def verify(self, ref, **how):
            trap.step()
            trap.step()
            house.store.verify(ref, **how)
            verified.append(ref.object_id)

    with pytest.raises(Killed):
        _decide(house, store=Counting())
    assert _decide(house, store=Counting()).committed == 7
    assert len(verified) == 5 + 3  # the fifth was in a batch of which nothing was kept yet


def test_a_kill_at_any_moment_between_question_and_report_loses_nothing_and_tells_it_whole(house):
    """The deaths are before and after every commit of the two journeys and at the peer's answer."""
    _peer(house)
    pair = _receive(house, factories.ct_instance())
    survived = 0
    for at in range(1, 30):
        listener, trap = Listener(), Trap(at)
        transaction = f"1.2.3.{at}"

        def dying(*call, listener=listener, trap=trap):
            trap.step()
            for told in listener(*call):
                trap.step()
                yield told

        trapped = TrappedRecords(house.records, trap)
        _ask(house, [pair], transaction=transaction)
        with suppress(Killed):
            _decide(house, records=trapped)
            house.clock.forward(seconds=3)
            _report(house, dying, records=trapped)
            survived += 1
        _decide(house)
        house.clock.forward(minutes=6)  # the claim of the dead lapses
        if house.rows("commitments", state="decided"):
            _report(house, listener)
        (row,) = house.rows("commitments", transaction_uid=transaction)
        assert row.state == "reported", at
        assert [result.committed for _, result in listener.told][-1:] == [[list(pair)]], at
        if survived:
            break
    assert survived
    assert at > 6


def test_the_job_owed_for_a_dead_claim_comes_back_when_it_has_lapsed(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    house.clock.forward(seconds=3)
    assert claim_report("PACS", "a1", address="", records=house.records, clock=house.clock)
    listener = Listener()
    _report(house, listener)  # the job finds the report in the hands of an association
    assert listener.told == []
    (due,) = [job.due_at for job in _owed(house, "report_commitments")]
    assert due == house.rows("commitments")[0].claimed_until


def test_only_one_of_association_and_job_reports(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    result = claim_report("PACS", "a1", address="", records=house.records, clock=house.clock)
    assert result is not None
    assert claim_report("PACS", "a1", address="", records=house.records, clock=house.clock) is None
    settle_report(result.id, status=0, why="", by=PACS, records=house.records, clock=house.clock)
    listener = Listener()
    house.clock.forward(seconds=3)
    _report(house, listener)
    assert listener.told == []
    assert house.rows("commitments")[0].state == "reported"


@pytest.mark.parametrize(
    ("address", "association", "attempts", "claims"),
    [
        ("127.0.0.1:104", "a1", 0, True),  # its own association
        ("127.0.0.1:104", "other", 0, False),  # we call it
        ("127.0.0.1:104", "other", 1, True),  # we called it in vain
        ("", "other", 0, True),  # we cannot call it
    ],
)
def test_which_association_may_report(house, address, association, attempts, claims):
    _peer(house, address=address)
    _ask(house, [_receive(house, factories.ct_instance())])
    row = _decide(house)
    with house.records.change(by=DESK) as change:
        change.commitments.set(row.id, report_attempts=attempts)
        change.note("peer_added", subject="PACS")
    found = claim_report("PACS", association, address="", records=house.records, clock=house.clock)
    assert (found is not None) == claims
    assert claim_report("OTHER", "a1", address="", records=house.records, clock=house.clock) is None


def test_a_peer_that_does_not_answer_is_tried_for_a_week_then_given_up_visibly_and_can_be_retried(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    began, waits = house.clock.now(), []
    listener = Listener(status=None)
    while house.rows("commitments")[0].state == "decided":
        (due,) = [job.due_at for job in _owed(house, "report_commitments")]
        waits.append(round((due - house.clock.now()).total_seconds()))
        house.clock.at = max(due, house.clock.now())
        job = house.jobs.claim_job(now=house.clock.now(), owner="t", lease_s=60)
        while job.kind != "report_commitments":
            house.jobs.finish_job(job.id, owner="t", now=house.clock.now())
            job = house.jobs.claim_job(now=house.clock.now(), owner="t", lease_s=60)
        _report(house, listener)
        house.jobs.finish_job(job.id, owner="t", now=house.clock.now())
    assert waits[:8] == [2, 60, 120, 300, 600, 1800, 3600, 3600]
    assert timedelta(days=6, hours=22) < house.clock.now() - began <= timedelta(days=7)
    assert [e.outcome for e in house.events("commitment_reported")][-1] == "given_up"
    (row,) = house.rows("commitments")
    retry_commitment(row.id, by=DESK, records=house.records, clock=house.clock)
    _decide(house)
    house.clock.forward(seconds=3)
    listener.status = 0
    _report(house, listener)
    assert house.rows("commitments")[0].state == "reported"
    with pytest.raises(ConflictError):
        retry_commitment(row.id, by=DESK, records=house.records, clock=house.clock)


def test_a_peer_that_goes_on_refusing_is_given_up_after_eight_tries(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    listener = Listener(status=0x0110)
    for _ in range(20):
        house.clock.forward(hours=1)
        _report(house, listener)
    assert len(listener.told) == 8
    (row,) = house.rows("commitments")
    assert (row.state, row.error) == ("given_up", "answered 0110H refused")


def test_many_answers_go_out_in_one_call_to_each_title_that_was_called(house):
    _peer(house)
    pair = _receive(house, factories.ct_instance())
    for n in range(5):
        _ask(house, [pair], transaction=f"1.2.{n}", called_ae="CONSILIUM" if n % 2 else "C-12345678")
    _decide(house)
    house.clock.forward(seconds=3)
    calls = []

    def caller(peer, called, results):
        calls.append((called, len(results)))
        return [Reported(result_id=result.id, status=0) for result in results]

    report_commitments("PACS", records=house.records, clock=house.clock, caller=caller)
    assert sorted(calls) == [("C-12345678", 3), ("CONSILIUM", 2)]


def test_the_same_question_is_one_and_another_under_its_uid_is_refused(house):
    pairs = [(CT, "1.2.3.4"), (CT, "1.2.3.5")]
    assert _ask(house, pairs).status == 0
    assert _ask(house, pairs, association="a2").status == 0
    assert _ask(house, pairs[:1]).status == 0x0131
    assert _ask(house, pairs, source=replace(PACS, id="OTHER")).status == 0  # a UID of another sender's
    rows = house.rows("commitments")
    assert [(row.peer, row.association_id) for row in sorted(rows, key=lambda r: r.peer)] == [
        ("OTHER", "a1"),
        ("PACS", "a2"),
    ]
    with house.records.change(by=DESK) as change:
        change.commitments.set(rows[0].id, state="reported")
        change.note("commitment_reported", subject=rows[0].id)
    again = _ask(house, pairs, source=replace(PACS, id=rows[0].peer))
    assert again.status == 0x0131


def test_a_peer_with_too_many_open_questions_is_told_to_come_again(house, monkeypatch):
    monkeypatch.setattr(commit_storage, "MOST_OPEN", 2)
    statuses = [_ask(house, [(CT, "1.2.3.4")], transaction=f"1.2.{n}").status for n in range(3)]
    assert statuses == [0, 0, 0x0213]


def test_a_question_that_could_not_be_kept_is_no_success(house):
    for at in (1, 2):
        with suppress(Killed):
            _ask(house, [(CT, "1.2.3.4")], records=TrappedRecords(house.records, Trap(at)))
        assert len(house.rows("commitments")) == at - 1  # before the commit nothing, after it all
    assert len(house.rows("jobs")) == 1


def test_a_request_that_names_a_whole_study_settles_it_at_once(house):
    case = house.case()
    pairs = [_receive(house, factories.ct_instance(number=n), called_ae=case.ref) for n in range(1, 4)]
    _ask(house, pairs)
    _decide(house)
    (job,) = _owed(house, "settle_study")
    assert job.due_at == house.clock.now()
    settle_study(job.subject_id, **house.ports("records", "clock", "policy"))
    (study,) = house.rows("studies")
    assert (study.state, study.told, study.instances) == ("settled", 3, 3)
    assert [e.details["instances"] for e in house.events("study_complete")] == [3]
    # a late one reopens it, visibly, and it is quiet again after the quiet period only
    _receive(house, factories.ct_instance(number=9), called_ae=case.ref)
    assert house.events("study_reopened")
    settle_study(study.id, **house.ports("records", "clock", "policy"))
    assert house.rows("studies")[0].state == "receiving"


def test_fewer_than_the_sender_told_stays_visible_and_the_last_one_completes_it(house):
    contents = [factories.ct_instance(number=n) for n in range(1, 5)]
    pairs = [_receive(house, content) for content in contents[:3]]
    _ask(house, [*pairs, (CT, str(factories.read(contents[3]).SOPInstanceUID))])
    house.clock.forward(minutes=11)
    assert _decide(house).failed == 1
    (study,) = house.rows("studies")
    assert (study.told, study.instances) == (4, 3)
    settle_study(study.id, **house.ports("records", "clock", "policy"))
    assert house.rows("studies")[0].state == "settled"  # quiet is quiet
    assert house.events("study_complete") == []
    _receive(house, contents[3])
    settle_study(study.id, **house.ports("records", "clock", "policy"))
    assert len(house.events("study_complete")) == 1


def test_a_request_for_one_image_or_for_a_part_says_nothing_of_the_study(house):
    pairs = [_receive(house, factories.ct_instance(number=n)) for n in range(1, 4)]
    _ask(house, pairs[:1], transaction="1.2.1")
    _ask(house, pairs[:2], transaction="1.2.2")
    _decide(house)
    assert house.rows("studies")[0].told == 0


def test_a_peer_whose_title_looks_like_our_own_numbering_is_another_sender(house):
    """«PACS#2» is how the second row of PACS's study would be named, and an AE title like any other."""
    for title in ("PACS", "PACS#2"):
        _peer(house, ae_title=title)
    theirs = _receive(house, factories.ct_instance(), source=replace(PACS, id="PACS#2"), calling_ae="PACS#2")
    _ask(house, [theirs])
    house.clock.forward(minutes=11)
    assert [row[2] for row in _decide(house).failures] == ["0112"]
