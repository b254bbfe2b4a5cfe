"""Asking that a release be sent to a peer's PACS, asking again, and stopping it; the sending itself is a job's."""

from __future__ import annotations

from gateway.domain.calls import CallRules
from gateway.domain.delivery import (
    BY_HUMAN,
    KEPT,
    OPEN_STATES,
    PEER_GONE,
    PEER_MAY_NOT,
    RELEASE_GONE,
    TRY_FOR,
    WORK_FAILED,
    Delivery,
)
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.ids import new_id
from gateway.domain.peer import Peer
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.release import Release
from gateway.journeys.call_peer import call_of
from gateway.journeys.end_delivery import end_delivery
from gateway.journeys.lookup import case_by_ref
from gateway.ports import Change, Clock, Records, View

JOB = "deliver_release"


def ask_delivery(
    *,
    ref: str,
    to: str,
    by: Actor,
    records: Records,
    clock: Clock,
    policy: Policy,
    calls: CallRules,
    number: int | None = None,
) -> Delivery:
    """Ask that the newest approved release of a case (or the one with this number) be sent to a peer.

    The event is committed before a byte can leave. Documents are no objects of C-STORE: they are counted as left out.
    """
    with records.view() as view:
        peer = view.peers.first(ae_title=to.strip())
    if peer is None:
        raise NotFoundError(f"there is no peer {to[:16]}", next_step="`consilium peer list` shows them.")
    call_of(peer, policy=policy, rules=calls)  # what could not be called at all is said now
    now = clock.now()
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        wanted = {"number": number} if number else {}
        release = change.releases.first(case_id=case.id, state="approved", order="-number", **wanted)
        if release is None:
            raise ConflictError(
                f"case {case.ref} has no approved release",
                next_step="Approve it first: only that is ever sent.",
            )
        _allow(release, change.peers.first(ae_title=peer.ae_title))
        for other in change.deliveries.find(release_id=release.id, peer=peer.ae_title, state=OPEN_STATES):
            if not is_stranded(change, other):
                raise ConflictError("this release is being sent to this peer already")
            end_delivery(change, other, state="incomplete", why=WORK_FAILED, now=now)
        total = int(release.totals.get("instances", 0))
        if not total:
            raise ConflictError(
                "there are no images in this release",
                next_step="Documents are not sent to a PACS: reviewers read them in their package.",
            )
        delivery = Delivery(
            id=new_id(),
            release_id=release.id,
            case_id=case.id,
            peer=peer.ae_title,
            asked_by=str(by),
            asked_at=now,
            give_up_at=now + TRY_FOR,
            total=total,
            left_out=int(release.totals.get("documents", 0)),
        )
        change.deliveries.add(delivery)
        change.owe(JOB, delivery.id, due_at=now, case_id=case.id)
        change.note(
            "delivery_asked",
            case_id=case.id,
            subject=delivery.id,
            peer=peer.ae_title,
            release=release.number,
            instances=total,
            left_out=delivery.left_out,
        )
    return delivery


def ask_again(delivery_id: str, *, by: Actor, records: Records, clock: Clock) -> Delivery:
    """Send once more what was not kept, for another day."""
    now = clock.now()
    with records.change(by=by) as change:
        delivery = change.deliveries.get(delivery_id)
        if delivery.state not in ("incomplete", "stopped") and not is_stranded(change, delivery):
            raise ConflictError(
                "nothing of this delivery waits for another try", next_step="Reload the page."
            )
        if why := objection(change, delivery):
            raise ConflictError(why, next_step="Mend that first, then try again.")
        kept = {copy: outcome for copy, outcome in delivery.outcomes.items() if outcome[0] in KEPT}
        change.deliveries.set(
            delivery.id,
            state="queued",
            run="",
            tries=0,
            next_at=None,
            finished_at=None,
            give_up_at=now + TRY_FOR,
            failed=0,
            error="",
            outcomes=kept,
        )
        change.owe(JOB, delivery.id, due_at=now, case_id=delivery.case_id)
        change.note(
            "delivery_asked",
            case_id=delivery.case_id,
            subject=delivery.id,
            outcome="repeated",
            peer=delivery.peer,
            instances=delivery.total - len(kept),
        )
        return change.deliveries.get(delivery.id)


def stop_delivery(delivery_id: str, *, by: Actor, records: Records, clock: Clock) -> Delivery:
    """Send nothing more of it. What runs notices within a second; what the peer has, it keeps."""
    with records.change(by=by) as change:
        delivery = change.deliveries.get(delivery_id)
        if not delivery.is_open:
            raise ConflictError("this delivery has ended already", next_step="Reload the page.")
        end_delivery(change, delivery, state="stopped", why=BY_HUMAN, now=clock.now())
        return change.deliveries.get(delivery.id)


def is_stranded(view: View | Change, delivery: Delivery) -> bool:
    """Tell whether it is open and yet nobody will go on with it: its job failed for good."""
    return delivery.is_open and not view.jobs.count(
        kind=JOB, subject_id=delivery.id, state=("queued", "running")
    )


def objection(view: View | Change, delivery: Delivery) -> str:
    """Return why nothing of this may be sent at this moment, in words that the desk knows; empty when it may."""
    if not view.releases.count(id=delivery.release_id, case_id=delivery.case_id, state="approved"):
        return RELEASE_GONE
    peer = view.peers.pick(("may_receive", "disabled_at"), ae_title=delivery.peer)
    if not peer:
        return PEER_GONE
    may_receive, disabled_at = peer[0]
    return "" if may_receive and disabled_at is None else PEER_MAY_NOT


def _allow(release: Release, peer: Peer | None) -> None:
    if peer is None or peer.disabled_at is not None or not peer.may_receive:
        raise ConflictError(
            "this peer may not be sent releases",
            next_step="Allow it on the peer first: that it may receive.",
        )
    if release.state != "approved":
        raise ConflictError(RELEASE_GONE)
