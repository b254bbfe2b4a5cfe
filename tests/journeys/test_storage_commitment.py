"""Storage commitment in process: the question kept, the originals verified, the answer told once, whoever dies in between."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node.event_report import Reported
from dicom_node.receiver import CommitmentRequest
from gateway.domain.commitment import CLAIMED_FOR, KEPT_FOR, MISSING_QUIET, REPORT_FOR
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.peer import Peer
from gateway.journeys import commit_storage, report_commitment
from gateway.journeys.commit_storage import ask_commitment, decide_commitment
from gateway.journeys.forget_case import forget_case
from gateway.journeys.keep_commitments import forget_commitments, read_commitment
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.report_commitment import (
    claim_report,
    report_commitments,
    retry_commitment,
    settle_report,
)
from gateway.journeys.settle_study import settle_study
from gateway.journeys.verify_originals import OriginalsOf
from storage import ObjectBusyError, VolumeFailedError
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


def _named(house, row):
    (named,) = house.rows("asked_instances", id=row.id)
    return named


def _failures(house, row):
    return _named(house, row).failures(row.marks)


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
    assert (row.state, row.peer, row.total) == ("asked", "PACS", 1)
    assert _named(house, row).references == [[CT, "1.2.3.4"]]
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
    assert {uid: reason for _, uid, reason in _failures(house, row)} == {
        damaged[1]: "0110",
        gone[1]: "0110",
        wrong_class[1]: "0119",
        "1.2.3.404": "0112",
    }
    assert _named(house, row).safe(row.marks) == [list(whole)]


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
    assert _named(house, row).safe(row.marks) == [list(ours)]  # it lies under its case, and is found there
    assert {reason for _, _, reason in _failures(house, row)} == {"0112"}


def test_two_objects_under_one_uid_are_not_committed_before_a_human_has_judged(house):
    first = _receive(house, factories.ct_instance(number=1))
    _receive(house, factories.ct_instance(number=1, InstanceNumber=77))
    _ask(house, [first])
    assert [row[2] for row in _failures(house, _decide(house))] == ["0110"]
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
    assert [row[2] for row in _failures(house, _decide(house))] == ["0110"]


@pytest.mark.parametrize("error", [VolumeFailedError, ObjectBusyError])
def test_storage_that_does_not_answer_decides_nothing(house, error):
    pair = _receive(house, factories.ct_instance())
    _ask(house, [pair])

    class Away:
        def __getattr__(self, name):
            return getattr(house.store, name)

        def verify(self, *_, **__):
            raise error("x")

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
    assert (row.state, row.committed, row.failed, row.marks) == ("decided", 2, 0, "..")


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
    assert (row.state, row.error) == ("given_up", "answered 0110H")


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
    assert _ask(house, [(CT, "1.2.3.4")], transaction="1.2.1").status == 0  # the same again is no new one


@pytest.mark.parametrize("state", ["asked", "decided", "given_up"])
def test_what_was_not_told_counts_in_every_state_by_its_references_too(house, monkeypatch, state):
    monkeypatch.setattr(commit_storage, "MOST_OPEN_REFERENCES", 3)
    pairs = [(CT, "1.2.3.4"), (CT, "1.2.3.5")]
    assert _ask(house, pairs).status == 0
    _set(house, house.rows("commitments")[0].id, state=state)
    assert _ask(house, pairs, transaction="1.2.4").status == 0x0213
    assert _ask(house, pairs[:1], transaction="1.2.5").status == 0
    assert _ask(house, pairs, source=replace(PACS, id="OTHER")).status == 0
    _set(house, house.rows("commitments", transaction_uid="1.2.3", peer="PACS")[0].id, state="reported")
    assert _ask(house, pairs, transaction="1.2.6").status == 0


def _set(house, commitment_id, **columns):
    with house.records.change(by=DESK) as change:
        change.commitments.set(commitment_id, **columns)
        change.note("commitment_decided", subject=commitment_id)


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
    assert [row[2] for row in _failures(house, _decide(house))] == ["0112"]


def _fail_jobs(house):
    """As the runner does with a job that failed for good."""
    for job in house.rows("jobs"):
        with house.records.change(by=DESK) as change:
            change.jobs.set(job.id, state="failed", dedup_key=None)
            change.note("job_failed", subject=job.id)


@pytest.mark.parametrize("state", ["asked", "decided"])
@pytest.mark.parametrize("way", ["the sender asks again", "a human tries again"])
def test_a_question_whose_job_failed_for_good_is_owed_anew(house, state, way):
    _peer(house)
    pair = _receive(house, factories.ct_instance())
    _ask(house, [pair])
    if state == "decided":
        _decide(house)
    _fail_jobs(house)
    kind = {"asked": "decide_commitment", "decided": "report_commitments"}[state]
    assert _owed(house, kind) == []
    (row,) = house.rows("commitments")
    if way == "the sender asks again":
        assert _ask(house, [pair], association="a2").status == 0
    else:
        assert retry_commitment(row.id, by=DESK, records=house.records, clock=house.clock).state == state
    assert len(_owed(house, kind)) == 1


def test_forgetting_a_case_forgets_who_asked_for_its_images(house):
    """The UIDs lie under the house's key, which outlives the case's."""
    case, other = house.case(1), house.case(2)
    _peer(house)
    forgotten = [_receive(house, factories.ct_instance(1, number=n), called_ae=case.ref) for n in range(1, 4)]
    stays = _receive(house, factories.ct_instance(2), called_ae=other.ref)
    matched = _receive(house, factories.ct_instance(1, number=9))
    _set_case(house, matched, case)
    _ask(house, forgotten[:1], transaction="1.2.1")
    _decide(house)
    house.clock.forward(seconds=3)
    _report(house, Listener())  # told
    _ask(house, [*forgotten[1:2], stays], transaction="1.2.2")
    for row in house.rows("commitments", state="asked"):
        decide_and_get(house, row.id)  # to be told
    _ask(house, forgotten[2:], transaction="1.2.3")  # to be verified
    _ask(house, [matched], transaction="1.2.4")
    _ask(house, [stays], transaction="1.2.5")
    assert forget_case(ref=case.ref, confirm=case.ref, by=DESK, records=house.records, store=house.store)
    assert [row.transaction_uid for row in house.rows("commitments")] == ["1.2.5"]
    uids = {uid for row in house.rows("asked_instances") for _, uid in row.references}
    assert uids == {stays[1]}
    assert house.events("case_forgotten")[0].details["commitments"] == 4
    for job in _owed(house, "decide_commitment"):  # what was owed for them does no harm
        decide_commitment(job.subject_id, records=house.records, store=house.store, clock=house.clock)
    _ask(house, forgotten, transaction="1.2.1")  # the sender asks again, and hears the truth
    house.clock.forward(minutes=11)
    _decide(house)
    (again,) = house.rows("commitments", transaction_uid="1.2.1")
    assert again.marks == "mmm"


def _set_case(house, pair, case):
    (instance,) = [row for row in house.rows("instances") if row.head["sop_instance_uid"] == pair[1]]
    with house.records.change(by=DESK) as change:
        change.studies.set(instance.study_id, case_id=case.id)
        change.instances.set(instance.id, case_id=case.id)
        change.adopt_keys(instance.holder, case_id=case.id)
        change.note("study_matched", subject=instance.study_id)


def test_an_image_that_comes_while_its_case_is_being_forgotten_hides_no_question(house):
    case = house.case()
    content = factories.ct_instance(number=2)
    _receive(house, factories.ct_instance(number=1), called_ae=case.ref)
    late = (CT, str(factories.read(content).SOPInstanceUID))
    _ask(house, [late])

    class Late:
        view = house.records.view
        has_come = False

        def change(self, *, by):
            if not self.has_come:
                _receive(house, content, called_ae=case.ref)
            self.has_come = True
            return house.records.change(by=by)

    forget_case(ref=case.ref, confirm=case.ref, by=DESK, records=Late(), store=house.store)
    assert house.rows("commitments") == house.rows("asked_instances") == []


@pytest.mark.parametrize("moment", ["decide", "claim", "claimed", "report"])
def test_a_question_that_is_forgotten_while_it_is_in_hand_is_let_go(house, moment):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    (row,) = house.rows("commitments")

    def forget():
        with house.records.change(by=DESK) as change:
            change.commitments.remove(id=row.id)
            change.asked_instances.remove(id=row.id)
            change.note("case_forgotten", subject="x")

    class Forgetting:
        def __getattr__(self, name):
            return getattr(house.store, name)

        def verify(self, *how, **more):
            forget()
            return house.store.verify(*how, **more)

    class Between:
        view = house.records.view

        @contextmanager
        def change(self, *, by):
            if moment == "claim":
                forget()
            with house.records.change(by=by) as change:
                yield change
            if moment == "claimed":
                forget()

    def caller(peer, called, results):
        forget()
        return [Reported(result_id=result.id, status=0) for result in results]

    if moment == "decide":
        decide_commitment(row.id, records=house.records, store=Forgetting(), clock=house.clock)
    else:
        _decide(house)
        house.clock.forward(seconds=3)
        if moment != "report":
            assert claim_report("PACS", "a1", address="", records=Between(), clock=house.clock) is None
        else:
            _report(house, caller)
    assert house.rows("commitments") == []


def test_what_was_told_or_given_up_is_removed_when_it_is_of_no_more_use(house):
    _peer(house)
    pair = _receive(house, factories.ct_instance())
    for n, state in enumerate(("asked", "decided", "reported", "given_up")):
        _ask(house, [pair], transaction=f"1.2.{n}")
        (row,) = house.rows("commitments", transaction_uid=f"1.2.{n}")
        now = house.clock.now()
        _set(house, row.id, state=state, reported_at=now if state == "reported" else None, give_up_at=now)
    house.clock.forward(seconds=KEPT_FOR.total_seconds() - 1)
    assert forget_commitments(records=house.records, clock=house.clock) == 0
    house.clock.forward(seconds=1)
    assert forget_commitments(records=house.records, clock=house.clock) == 2
    left = house.rows("commitments")
    assert sorted(row.state for row in left) == ["asked", "decided"]
    assert {row.id for row in house.rows("asked_instances")} == {row.id for row in left}
    assert [event.details["commitments"] for event in house.events("commitment_forgotten")] == [2]


def test_who_looks_at_what_a_question_names_is_noted(house):
    _ask(house, [(CT, "1.2.3.4")])
    (row,) = house.rows("commitments")
    assert read_commitment(row.id, by=DESK, records=house.records).references == [[CT, "1.2.3.4"]]
    assert [(e.actor, e.subject) for e in house.events("commitment_read")] == [("staff:coordinator", row.id)]


def test_what_a_peer_writes_beside_its_refusal_is_kept_nowhere(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    row = _decide(house)
    why = "no study of SVENSSON^ANNA 19121212-1212"
    for _ in range(8):
        house.clock.forward(hours=2)
        claim_report("PACS", "a1", address="", records=house.records, clock=house.clock)
        settle_report(row.id, status=0x0110, why=why, by=PACS, records=house.records, clock=house.clock)
    assert house.rows("commitments")[0].state == "given_up"
    assert "SVENSSON" not in repr([house.rows("commitments"), house.events()])
    assert {e.details["why"] for e in house.events("commitment_reported") if "why" in e.details} == {
        "answered 0110H"
    }


def test_a_peer_that_refuses_on_one_association_after_another_keeps_its_week(house):
    _peer(house)
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    told = 0
    for n in range(20):
        result = claim_report(
            "PACS", "a1" if n == 0 else f"b{n}", address="", records=house.records, clock=house.clock
        )
        if result is not None:
            told += 1
            settle_report(result.id, status=0x0110, why="", by=PACS, records=house.records, clock=house.clock)
    (row,) = house.rows("commitments")
    assert (told, row.state) == (1, "decided")
    house.clock.forward(minutes=2)
    assert claim_report("PACS", "c", address="", records=house.records, clock=house.clock)


def test_a_peer_without_address_is_told_when_it_comes_even_after_it_refused(house):
    """The job looks for its address once a day; that wait is the job's alone."""
    _peer(house, address="")
    _ask(house, [_receive(house, factories.ct_instance())])
    _decide(house)
    claimed = claim_report("PACS", "a1", address="", records=house.records, clock=house.clock)
    settle_report(claimed.id, status=0x0110, why="", by=PACS, records=house.records, clock=house.clock)
    house.clock.forward(minutes=2)
    _report(house, Listener())
    assert house.rows("commitments")[0].next_at > house.clock.now() + timedelta(hours=23)
    assert claim_report("PACS", "b", address="", records=house.records, clock=house.clock)


def test_a_slow_peer_is_told_each_of_many_once(house):
    """Fifty answers may take longer than a claim holds: what is still to be told is claimed again on the way."""
    _peer(house)
    pair = _receive(house, factories.ct_instance())
    for n in range(20):
        _ask(house, [pair], transaction=f"1.2.{n}")
    _decide(house)
    house.clock.forward(seconds=3)
    began, told = house.clock.now(), []

    def slow(peer, called, results):
        for result in results:
            house.clock.forward(seconds=29)
            other = claim_report("PACS", "a1", address="", records=house.records, clock=house.clock)
            assert other is None, "its claim has lapsed"
            told.append(result.id)
            yield Reported(result_id=result.id, status=0)

    _report(house, slow)
    assert len(told) == len(set(told)) == 20
    assert house.clock.now() - began > CLAIMED_FOR
    assert {row.report_attempts for row in house.rows("commitments")} == {1}


def test_no_more_is_read_into_memory_at_once_than_fits(house, monkeypatch):
    monkeypatch.setattr(report_commitment, "MOST_REFERENCES_AT_ONCE", 3)
    _peer(house)
    pairs = [_receive(house, factories.ct_instance(number=n)) for n in range(1, 6)]
    for n, some in enumerate((pairs, pairs[:2], pairs[:1], pairs[:1])):
        _ask(house, some, transaction=f"1.2.{n}")
    _decide(house)
    house.clock.forward(seconds=3)
    calls = []

    def caller(peer, called, results):
        calls.append([len(result.committed) for result in results])
        return [Reported(result_id=result.id, status=0) for result in results]

    for _ in range(3):
        _report(house, caller)
    assert sorted(count for call in calls for count in call) == [1, 1, 2, 5]
    assert all(sum(call) <= 3 or len(call) == 1 for call in calls)
    assert _owed(house, "report_commitments")


def test_what_was_asked_is_written_once_however_often_progress_is_kept(house, monkeypatch):
    monkeypatch.setattr(commit_storage, "KEPT_EVERY_REFERENCES", 2)
    _ask(house, [_receive(house, factories.ct_instance(number=n)) for n in range(1, 8)])
    sealed = []
    monkeypatch.setattr(type(house.store), "seal_value", lambda *a, **k: sealed.append(k) or b"")
    assert _decide(house).marks == "......."
    assert sealed == []


def test_a_thousand_cases_and_a_thousand_missing_images_are_one_question_to_the_records(house):
    """However many names a sender's studies lie under: what is asked of the records grows with the references alone."""
    ours = [_receive(house, factories.ct_instance(n), called_ae=house.case(n).ref) for n in range(1, 9)]
    asked = []

    class Counting:
        def __init__(self, view):
            self.view = view

        def __getattr__(self, name):
            found = getattr(self.view, name)
            if name not in {"instances", "studies"}:
                return found
            return Trapping(name, found)

    class Trapping:
        def __init__(self, name, shelf):
            self.name, self.shelf = name, shelf

        def pick(self, *columns, **where):
            asked.append(self.name)
            return self.shelf.pick(*columns, **where)

    class Views:
        @contextmanager
        def view(self):
            with house.records.view() as view:
                yield Counting(view)

    originals = OriginalsOf("PACS", records=Views(), store=house.store)
    looked = list(originals.look([*ours, *((CT, f"1.2.3.{n}") for n in range(400))]))
    assert [one.reason for one in looked] == [""] * 8 + ["0112"] * 400
    assert asked == ["instances"]


@pytest.mark.parametrize("called", ["CONSILIUM", "its case"])
def test_an_image_that_version_1_kept_is_found(house, called):
    """Its row has no key of its sender's; it is given one where it is first needed."""
    case = house.case()
    pair = _receive(house, factories.ct_instance(), called_ae=case.ref if called == "its case" else called)
    (instance,) = house.rows("instances")
    new = instance.sender_key
    with house.records.change(by=DESK) as change:
        change.instances.set(instance.id, sender_key="")
        change.note("instance_kept", subject=instance.id)
    _ask(house, [pair])
    assert _decide(house).marks == "."
    assert house.rows("instances")[0].sender_key == new
    if called == "its case":
        with house.records.change(by=DESK) as change:
            change.instances.set(instance.id, sender_key="")
            change.note("instance_kept", subject=instance.id)
        forget_case(ref=case.ref, confirm=case.ref, by=DESK, records=house.records, store=house.store)
        assert house.rows("asked_instances") == []
