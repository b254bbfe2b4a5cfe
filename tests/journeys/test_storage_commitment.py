"""Storage commitment in process: the question kept, the originals verified, the answer told once, whoever dies in between."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from dicom_node.event_report import Reported
from dicom_node.receiver import CommitmentRequest
from gateway.domain.commitment import MISSING_QUIET, REPORT_FOR
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
from tests import factories
from tests.fakes.journey_house import DESK, PACS, Killed, Trap, Trapped, TrappedRecords, arrival

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
    (path,) = [p for p in (house.folder / "objects").rglob(object_id)]
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
