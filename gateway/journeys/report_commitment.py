"""Storage commitment, second half: telling a sender what was decided, on its own association or on one of ours, for days if need be.

PS3.4 J.3.3, PS3.7 D.3.3.4. Whoever reports claims the report first, in one transaction: an association of the node and the
worker's job never both do it, and what dies with a claim in hand is told once more when the claim has lapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dicom_node.event_report import Reported, report
from dicom_node.receiver import CommitmentResult
from gateway.domain.calls import CallRules
from gateway.domain.commitment import (
    CLAIMED_FOR,
    MOST_REFUSALS,
    REPORT_FOR,
    Commitment,
    report_again_after,
)
from gateway.domain.errors import ConflictError, ConsiliumError, NotFoundError
from gateway.domain.peer import Peer
from gateway.domain.people import HOUSE, Actor
from gateway.domain.policy import Policy
from gateway.journeys.call_peer import call_of
from gateway.ports import Change, Clock, Records, View

MOST_AT_ONCE = 50
MOST_REFERENCES_AT_ONCE = 50_000  # they are in memory while they are told
_RENEWED_AFTER = CLAIMED_FOR / 5
_WITHOUT_ADDRESS = "the peer has no address; told when it next negotiates storage commitment"
_ANSWER_S = 30.0  # for one report; well below the claim's time
_LOOK_FOR_ADDRESS = timedelta(days=1)
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})  # done all the same (PS3.7 Annex C.4)


# Calls a peer, as the AE title that it had called, and yields what became of each result.
Caller = Callable[[Peer, str, Sequence[CommitmentResult]], Iterable[Reported]]


def caller_by(*, policy: Policy, rules: CallRules) -> Caller:
    """Return how peers are called over the network, in the one way that the operator allows."""

    def call(peer: Peer, called: str, results: Sequence[CommitmentResult]) -> Iterable[Reported]:
        try:
            ready = replace(
                call_of(peer, policy=policy, rules=rules),
                calling_ae=called or policy.ae_title,
                response_timeout_s=_ANSWER_S,
            )
        except ConsiliumError as error:
            return [Reported(result_id=one.id, status=None, why=str(error)) for one in results]
        return report(ready, results)

    return call


def claim_report(
    peer: str, association_id: str, *, address: str, records: Records, clock: Clock
) -> CommitmentResult | None:
    """Give an association of a peer one result to report: what was asked on it, or what found no other way so far."""
    now = clock.now()
    with records.view() as view:
        if not (waiting := _claimable(view, peer, now, association_id=association_id)):
            return None
    with records.change(by=Actor(kind="peer", id=peer, address=address)) as change:
        waiting = _claimable(change, peer, now, association_id=association_id)
        if not waiting:  # the job, or another association, was a moment faster
            change.note("commitment_reported", subject=peer, outcome="superseded")
            return None
        _claim(change, waiting[:1], now=now)
        change.note("commitment_reported", subject=waiting[0], outcome="begun", association=association_id)
    with records.view() as view:
        return next(iter(_results(view, waiting[:1]).values()), None)


def report_commitments(peer_ae: str, *, records: Records, clock: Clock, caller: Caller) -> None:
    """Call a peer and report all that is due to it, over one association for each AE title that it had called."""
    now = clock.now()
    with records.view() as view:
        if not view.commitments.count(peer=peer_ae, state="decided"):
            return
        peer = view.peers.first(ae_title=peer_ae)
    with records.change(by=HOUSE) as change:
        _give_up_old(change, peer_ae, now=now)
        due = _due(change, peer_ae, now=now)
        reachable = peer is not None and peer.address and peer.disabled_at is None
        if not reachable:
            for commitment_id in due:
                change.commitments.set(commitment_id, next_at=now + _LOOK_FOR_ADDRESS, error=_WITHOUT_ADDRESS)
            due = []
        _claim(change, due, now=now)
        owe_report(change, peer_ae)
        outcome = "begun" if due else "waiting"
        change.note("commitment_reported", subject=peer_ae, outcome=outcome, transactions=len(due))
    if not due or peer is None:
        return
    with records.view() as view:
        by_title = view.commitments.pick(("called", "id"), id=due)
        results = _results(view, due)
    left = [commitment_id for commitment_id in due if commitment_id in results]
    for called in dict.fromkeys(title for title, _ in by_title):
        now = _renewed(left, peer_ae, claimed_at=now, records=records, clock=clock)
        of_title = {id_ for title, id_ in by_title if title == called}
        for told in caller(peer, called, [results[id_] for id_ in left if id_ in of_title]):
            settle_report(
                told.result_id, status=told.status, why=told.why, by=HOUSE, records=records, clock=clock
            )
            left.remove(told.result_id)
            now = _renewed(left, peer_ae, claimed_at=now, records=records, clock=clock)


def settle_report(
    commitment_id: str, *, status: int | None, why: str, by: Actor, records: Records, clock: Clock
) -> None:
    """Write down what the peer answered: told, or to be told again, or given up where it goes on refusing.

    Of an answer its status is kept; what a peer writes beside it may name a patient.
    """
    now = clock.now()
    with records.change(by=by) as change:
        rows = change.commitments.pick(("peer", "state", "report_attempts", "give_up_at"), id=commitment_id)
        if not rows or rows[0][1] != "decided":
            change.note("commitment_reported", subject=commitment_id, outcome="superseded")
            return
        peer, _, attempts, give_up_at = rows[0]
        if status is not None and _is_done(status):
            change.commitments.set(
                commitment_id, state="reported", reported_at=now, claimed_until=None, next_at=None, error=""
            )
            change.note("commitment_reported", subject=commitment_id, status=f"{status:04X}")
            return
        error = f"answered {status:04X}H" if status is not None else why
        next_at = now + report_again_after(attempts)
        refuses = status is not None and attempts >= MOST_REFUSALS
        if refuses or (give_up_at is not None and next_at >= give_up_at):
            _give_up(change, commitment_id, error=error)
            return
        change.commitments.set(commitment_id, claimed_until=None, next_at=next_at, error=error[:200])
        owe_report(change, peer)
        change.note("commitment_reported", subject=commitment_id, outcome="failed", why=error[:80])


def retry_commitment(commitment_id: str, *, by: Actor, records: Records, clock: Clock) -> Commitment:
    """By a human's word: report, or verify, now what waits for its next try; verify and report anew what was given up."""
    now = clock.now()
    with records.change(by=by) as change:
        rows = change.commitments.pick(("peer", "state"), id=commitment_id)
        if not rows:
            raise NotFoundError(
                f"there is no storage commitment {commitment_id[:40]}",
                next_step="`consilium commitment list` shows them.",
            )
        peer, state = rows[0]
        if state == "decided":
            change.commitments.set(commitment_id, next_at=now, tried_at=None, give_up_at=now + REPORT_FOR)
            owe_report(change, peer)
        elif state == "asked":  # its job may have failed for good
            change.owe("decide_commitment", commitment_id, due_at=now)
        elif state == "given_up":
            held = change.commitments.get(commitment_id)
            change.commitments.put(_anew(held, now))
            change.owe("decide_commitment", commitment_id, due_at=now)
        else:
            raise ConflictError(
                f"this storage commitment is «{state}»",
                next_step="Only what waits or was given up can be tried again.",
            )
        change.note("commitment_reported", subject=commitment_id, outcome="retried")
    with records.view() as view:
        return view.commitments.get(commitment_id)


def owe_report(change: Change, peer: str) -> None:
    """Owe the report job of a peer for when its next one is due: one job for all that is to be told to it."""
    rows = change.commitments.pick(("next_at", "claimed_until"), peer=peer, state="decided")
    due = [max(filter(None, times)) for times in rows if any(times)]
    if due:
        change.owe("report_commitments", peer, due_at=min(due))


def _is_done(status: int) -> bool:
    return status == 0 or status in _WARNINGS or status >> 12 == 0xB


def _anew(held: Commitment, now: datetime) -> Commitment:
    return replace(
        held,
        state="asked",
        asked_at=now,
        decided_at=None,
        report_attempts=0,
        tried_at=None,
        next_at=None,
        claimed_until=None,
        give_up_at=None,
        error="",
        committed=0,
        failed=0,
        marks="",
    )


def _claimable(view: View | Change, peer: str, now: datetime, *, association_id: str) -> list[str]:
    """Return what this association may report: what it asked itself, else what is due and cannot be told by calling the peer.

    A peer that refuses on each of its associations is not asked more often for it than by our calls.
    """
    rows = view.commitments.pick(
        ("id", "association_id", "report_attempts", "claimed_until", "tried_at"),
        peer=peer,
        state="decided",
        order="decided_at",
    )
    free = [row for row in rows if row[3] is None or row[3] <= now]
    own = [row[0] for row in free if row[1] == association_id]
    if own or not free:
        return own
    has_address = any(address for (address,) in view.peers.pick(("address",), ae_title=peer))
    rested = [row for row in free if row[4] is None or row[4] + report_again_after(row[2]) <= now]
    return [row[0] for row in rested if row[2] > 0 or not has_address]


def _due(change: Change, peer: str, *, now: datetime) -> list[str]:
    rows = change.commitments.pick(
        ("id", "total", "next_at", "claimed_until"), peer=peer, state="decided", order="decided_at"
    )
    due: list[str] = []
    references = 0
    for commitment_id, total, *times in rows:
        if any(time is not None and time > now for time in times):
            continue
        references += total
        if due and (references > MOST_REFERENCES_AT_ONCE or len(due) == MOST_AT_ONCE):
            break
        due.append(commitment_id)
    return due


def _claim(change: Change, commitment_ids: Sequence[str], *, now: datetime) -> None:
    for commitment_id in commitment_ids:
        change.commitments.set(commitment_id, claimed_until=now + CLAIMED_FOR, tried_at=now)
        change.commitments.bump(commitment_id, "report_attempts")


def _renewed(
    commitment_ids: Sequence[str], peer: str, *, claimed_at: datetime, records: Records, clock: Clock
) -> datetime:
    """Claim again what is still to be told on this call, well before the claim lapses; return when it was claimed last."""
    now = clock.now()
    if not commitment_ids or now < claimed_at + _RENEWED_AFTER:
        return claimed_at
    with records.change(by=HOUSE) as change:
        for (id_,) in change.commitments.pick(("id",), id=list(commitment_ids), state="decided"):
            change.commitments.set(id_, claimed_until=now + CLAIMED_FOR)
        change.note("commitment_reported", subject=peer, outcome="begun", transactions=len(commitment_ids))
    return now


def _give_up_old(change: Change, peer: str, *, now: datetime) -> None:
    rows = change.commitments.pick(("id", "give_up_at", "error", "claimed_until"), peer=peer, state="decided")
    for commitment_id, give_up_at, error, claimed_until in rows:
        if give_up_at is not None and give_up_at <= now and (claimed_until is None or claimed_until <= now):
            _give_up(change, commitment_id, error=error)


def _give_up(change: Change, commitment_id: str, *, error: str) -> None:
    change.commitments.set(
        commitment_id, state="given_up", claimed_until=None, next_at=None, error=error[:200]
    )
    change.note("commitment_reported", subject=commitment_id, outcome="given_up", why=error[:80])


def _results(view: View, commitment_ids: Sequence[str]) -> dict[str, CommitmentResult]:
    """Return what is to be told of these, but not of one that was forgotten meanwhile."""
    found: dict[str, CommitmentResult] = {}
    for commitment_id in commitment_ids:
        held, named = view.commitments.first(id=commitment_id), view.asked_instances.first(id=commitment_id)
        if held is None or named is None:
            continue
        found[held.id] = CommitmentResult(
            id=held.id,
            transaction_uid=held.transaction_uid,
            committed=named.safe(held.marks),
            failed=[
                (sop_class, uid, int(reason, 16)) for sop_class, uid, reason in named.failures(held.marks)
            ],
        )
    return found
