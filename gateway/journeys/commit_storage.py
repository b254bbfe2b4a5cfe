"""Storage commitment, first half: taking a sender's question on, and deciding it on the originals; nobody is told here.

PS3.4 J.3.2 and J.3.3.1.2. Only what this very sender sent counts, and only as it was received.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from dicom_node import status
from dicom_node.receiver import CommitmentRequest, StoreOutcome
from gateway.domain.commitment import (
    MARK_OF,
    MISSING,
    MOST_OPEN,
    MOST_OPEN_REFERENCES,
    REPORT_FOR,
    SAME_ASSOCIATION,
    WHOLE,
    AskedInstances,
    Commitment,
    look_again_at,
)
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.index_originals import index_originals
from gateway.journeys.lookup import HOUSE_HOLDER
from gateway.journeys.report_commitment import owe_report
from gateway.journeys.verify_originals import Looked, OriginalsOf
from gateway.ports import Change, Clock, Records
from storage import SealedStore

# What a worker that is killed verifies again at most.
KEPT_EVERY_REFERENCES = 500
KEPT_EVERY_BYTES = 2 << 30
_OPEN = ("asked", "decided", "given_up")


def ask_commitment(
    request: CommitmentRequest, *, source: Actor, records: Records, clock: Clock
) -> StoreOutcome:
    """Keep the question: row, audit event and owed work commit together, then the sender hears Success.

    A question that comes again while it is open (our answer was lost on the way) is the same question. A transaction
    UID that is in use for another one is refused here: a report about it would end the first at the sender (C.14.1.1).
    """
    peer, count = source.id, len(request.references)
    references = [list(pair) for pair in request.references]
    # Counted before the turn to write: several associations may each take one more than it says, and no harm is done.
    with records.view() as view:
        totals = [total for (total,) in view.commitments.pick(("total",), peer=peer, state=_OPEN)]
    is_full = len(totals) >= MOST_OPEN or sum(totals) + count > MOST_OPEN_REFERENCES
    with records.change(by=source) as change:
        known = change.commitments.first(peer=peer, transaction_uid=request.transaction_uid)
        if known is not None and (
            known.state == "reported" or change.asked_instances.get(known.id).references != references
        ):
            change.note("commitment_asked", subject=known.id, outcome="refused", why="duplicate transaction")
            return StoreOutcome(
                status=status.DUPLICATE_TRANSACTION, comment="Transaction UID was used for another request"
            )
        if known is not None and known.state != "given_up":
            change.commitments.set(known.id, association_id=request.association_id)
            _owe_again(change, known, now=clock.now())
            change.note("commitment_asked", subject=known.id, outcome="repeated", references=count)
            return StoreOutcome(status=status.SUCCESS)
        if is_full and known is None:
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
            total=count,
        )
        if known is None:
            change.commitments.add(asked)
            named = AskedInstances(id=asked.id, references=references, holder=HOUSE_HOLDER)
            change.asked_instances.add(named)
        else:
            change.commitments.put(asked)
        change.owe("decide_commitment", asked.id, due_at=clock.now())
        change.note("commitment_asked", subject=asked.id, references=count)
    return StoreOutcome(status=status.SUCCESS)


def _owe_again(change: Change, known: Commitment, *, now: datetime) -> None:
    """Owe what an open question waits for: its job may have failed for good meanwhile."""
    if known.state == "asked":
        change.owe("decide_commitment", known.id, due_at=now)
    else:
        owe_report(change, known.peer)


def decide_commitment(commitment_id: str, *, records: Records, store: SealedStore, clock: Clock) -> None:
    """Verify what is asked, keeping how far it came; then owe the report.

    Run again it goes on where it was. An instance that is not here may be on its way: it is waited for, for a while.
    """
    with records.view() as view:
        held, named = view.commitments.first(id=commitment_id), view.asked_instances.first(id=commitment_id)
    if held is None or named is None or held.state != "asked":
        return
    index_originals(held.id, records=records, store=store)
    originals = OriginalsOf(held.peer, records=records, store=store)
    # (1) the references that nobody has looked at yet
    done = len(held.marks)
    for part in _parts(originals.look(named.references[done:])):
        held = _marked(held, held.marks + "".join(MARK_OF[one.reason] for one in part))
        if len(held.marks) < held.total:
            _keep(held, records=records)
    # (2) those that were missing before, once more
    missing = [at for at, mark in enumerate(held.marks[:done]) if mark == MISSING]
    if missing:
        marks = list(held.marks)
        found = originals.look([named.references[at] for at in missing])
        for at, one in zip(missing, found, strict=True):
            marks[at] = MARK_OF[one.reason]
        held = _marked(held, "".join(marks))
    # (3) wait for what may still come, or decide
    now = clock.now()
    again_at = None
    if MISSING in held.marks:
        again_at = look_again_at(held.asked_at, originals.last_sent_at(now=now), now)
    told = {} if again_at else _told(held, named, originals)
    with records.change(by=HOUSE) as change:
        if not _put(change, held, outcome="not_yet" if again_at else "failed" if held.failed else "ok"):
            return
        if again_at is not None:
            change.owe("decide_commitment", held.id, due_at=again_at)
            return
        change.commitments.set(
            held.id,
            state="decided",
            decided_at=now,
            next_at=now + SAME_ASSOCIATION,
            give_up_at=now + REPORT_FOR,
        )
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


def _marked(held: Commitment, marks: str) -> Commitment:
    committed = marks.count(WHOLE)
    return replace(held, marks=marks, committed=committed, failed=len(marks) - committed)


def _keep(held: Commitment, *, records: Records) -> None:
    with records.change(by=HOUSE) as change:
        _put(change, held, outcome="not_yet")


def _put(change: Change, held: Commitment, *, outcome: str) -> bool:
    """Write how far it came, and nothing else; False where it was forgotten meanwhile, or decided by another."""
    is_open = change.commitments.count(id=held.id, state="asked") == 1
    if is_open:
        change.commitments.set(held.id, marks=held.marks, committed=held.committed, failed=held.failed)
    change.note(
        "commitment_decided",
        subject=held.id,
        outcome=outcome if is_open else "superseded",
        committed=held.committed,
        failed=held.failed,
    )
    return is_open


def _told(held: Commitment, named: AskedInstances, originals: OriginalsOf) -> dict[str, int]:
    """Return how many instances the sender says that its studies have; a missing one is of the study when there is but one."""
    if held.total == 1:
        return {}  # one image asked for by itself says nothing of how many there are
    counts = Counter(originals.studies_of(named.references))
    missing = held.marks.count(MISSING)
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
