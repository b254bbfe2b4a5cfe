"""Storage commitment, first half: taking a sender's question on, and deciding it on the originals; nobody is told here.

PS3.4 J.3.2 and J.3.3.1.2. Only what this very sender sent counts, and only as it was received.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dicom_node import status
from dicom_node.receiver import CommitmentRequest, StoreOutcome
from gateway.domain.commitment import (
    MOST_OPEN,
    NO_SUCH_INSTANCE,
    REPORT_FOR,
    SAME_ASSOCIATION,
    Commitment,
    look_again_at,
)
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.lookup import HOUSE_HOLDER
from gateway.journeys.report_commitment import owe_report
from gateway.journeys.verify_originals import Looked, OriginalsOf
from gateway.ports import Change, Clock, Records
from storage import SealedStore

# What a worker that is killed verifies again at most.
KEPT_EVERY_REFERENCES = 500
KEPT_EVERY_BYTES = 2 << 30


def ask_commitment(
    request: CommitmentRequest, *, source: Actor, records: Records, clock: Clock
) -> StoreOutcome:
    """Keep the question: row, audit event and owed work commit together, then the sender hears Success.

    A question that comes again while it is open (our answer was lost on the way) is the same question. A transaction
    UID that is in use for another one is refused here: a report about it would end the first at the sender (C.14.1.1).
    """
    peer, count = source.id, len(request.references)
    references = [list(pair) for pair in request.references]
    with records.change(by=source) as change:
        known = change.commitments.first(peer=peer, transaction_uid=request.transaction_uid)
        if known is not None and (known.references != references or known.state == "reported"):
            change.note("commitment_asked", subject=known.id, outcome="refused", why="duplicate transaction")
            return StoreOutcome(
                status=status.DUPLICATE_TRANSACTION, comment="Transaction UID was used for another request"
            )
        if known is not None and known.state != "given_up":
            change.commitments.set(known.id, association_id=request.association_id)
            change.note("commitment_asked", subject=known.id, outcome="repeated", references=count)
            return StoreOutcome(status=status.SUCCESS)
        if change.commitments.count(peer=peer, state="asked") >= MOST_OPEN:
            change.note("commitment_asked", subject=peer, outcome="refused", why="too many open")
            return StoreOutcome(
                status=status.RESOURCE_LIMITATION, comment="Too many requests are open, ask again later"
            )
        asked = Commitment(
            id=known.id if known else new_id(),
            peer=peer,
            called=request.called_ae.strip(),
            transaction_uid=request.transaction_uid,
            association_id=request.association_id,
            asked_at=clock.now(),
            references=references,
            holder=HOUSE_HOLDER,
        )
        if known is None:
            change.commitments.add(asked)
        else:
            change.commitments.put(asked)
        change.owe("decide_commitment", asked.id, due_at=clock.now())
        change.note("commitment_asked", subject=asked.id, references=count)
    return StoreOutcome(status=status.SUCCESS)


def decide_commitment(commitment_id: str, *, records: Records, store: SealedStore, clock: Clock) -> None:
    """Verify what is asked, keeping how far it came; then owe the report.

    Run again it goes on where it was. An instance that is not here may be on its way: it is waited for, for a while.
    """
    with records.view() as view:
        held = view.commitments.get(commitment_id)
    if held.state != "asked":
        return
    originals = OriginalsOf(held.peer, records=records, store=store)
    # (1) the references that nobody has looked at yet
    done = held.committed + held.failed
    for part in _parts(originals.look(held.references[done:])):
        is_last = held.committed + held.failed + len(part) == len(held.references)
        held = _with(held, part)
        if not is_last:
            _keep(held, records=records)
    # (2) those that were missing before, once more
    missing = [row[:2] for row in held.failures if row[2] == NO_SUCH_INSTANCE]
    if missing and done:
        for part in _parts(originals.look(missing)):
            held = _again(held, part)
    # (3) wait for what may still come, or decide
    again_at = None
    if any(row[2] == NO_SUCH_INSTANCE for row in held.failures):
        again_at = look_again_at(held.asked_at, originals.last_sent_at(), clock.now())
    if again_at is not None:
        with records.change(by=HOUSE) as change:
            _put(change, held, outcome="not_yet")
            change.owe("decide_commitment", held.id, due_at=again_at)
        return
    told = _told(held, originals)
    now = clock.now()
    with records.change(by=HOUSE) as change:
        decided = replace(
            held,
            state="decided",
            decided_at=now,
            next_at=now + SAME_ASSOCIATION,
            give_up_at=now + REPORT_FOR,
        )
        _put(change, decided, outcome="failed" if held.failed else "ok")
        owe_report(change, held.peer)
        for study_id, count in told.items():
            _tell_study(change, study_id, count, clock=clock)


def _parts(looked: Iterable[Looked]) -> Iterable[list[Looked]]:
    """Cut into parts, each small enough to be lost."""
    part: list[Looked] = []
    size_bytes = 0
    for one in looked:
        part.append(one)
        size_bytes += one.size_bytes
        if len(part) == KEPT_EVERY_REFERENCES or size_bytes >= KEPT_EVERY_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part


def _with(held: Commitment, part: Sequence[Looked]) -> Commitment:
    failures = [[one.sop_class_uid, one.sop_instance_uid, one.reason] for one in part if one.reason]
    return replace(
        held,
        committed=held.committed + len(part) - len(failures),
        failed=held.failed + len(failures),
        failures=held.failures + failures,
    )


def _again(held: Commitment, part: Sequence[Looked]) -> Commitment:
    reasons = {(one.sop_class_uid, one.sop_instance_uid): one.reason for one in part}
    failures = [
        [sop_class, uid, reasons.get((sop_class, uid), reason)]
        for sop_class, uid, reason in held.failures
        if reasons.get((sop_class, uid), reason)
    ]
    return replace(
        held, committed=len(held.references) - len(failures), failed=len(failures), failures=failures
    )


def _keep(held: Commitment, *, records: Records) -> None:
    with records.change(by=HOUSE) as change:
        _put(change, held, outcome="not_yet")


def _put(change: Change, held: Commitment, *, outcome: str) -> None:
    """Write how far it came; where it was asked from meanwhile is not ours to overwrite."""
    ((association_id,),) = change.commitments.pick(("association_id",), id=held.id)
    change.commitments.put(replace(held, association_id=association_id))
    change.note(
        "commitment_decided", subject=held.id, outcome=outcome, committed=held.committed, failed=held.failed
    )


def _told(held: Commitment, originals: OriginalsOf) -> dict[str, int]:
    """Return how many instances the sender says that its studies have; a missing one is of the study when there is but one."""
    if len(held.references) == 1:
        return {}  # one image asked for by itself says nothing of how many there are
    counts = Counter(originals.studies_of(held.references))
    missing = sum(row[2] == NO_SUCH_INSTANCE for row in held.failures)
    if len(counts) == 1:
        return {study_id: count + missing for study_id, count in counts.items()}
    return dict(counts)


def _tell_study(change: Change, study_id: str, count: int, *, clock: Clock) -> None:
    """Keep how many instances a study has where that is all that came, or more; and settle it now if they are all here."""
    rows = change.studies.pick(("case_id",), id=study_id)
    here = change.instances.count(study_id=study_id, conflict_of=None)
    if not rows or count < here:
        return  # the study is gone, or this request was of a part of it
    change.studies.set(study_id, told=count)
    if count == here:
        change.owe("settle_study", study_id, due_at=clock.now(), case_id=rows[0][0])
