"""Peers: adding, removing and admitting them, and telling the audit how their associations ended."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.receiver import Admitted, AssociationAttempt, AssociationEnd, Refused
from gateway.domain.case import RECEIVING_STATES
from gateway.domain.errors import NotFoundError
from gateway.domain.ids import CASE_REF
from gateway.domain.peer import Peer
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.ports import Clock, Records

# PS3.8 table 9-21: result 1 permanent, source 1 service user, reason 3 calling and 7 called AE title not recognized.
CALLING_UNKNOWN = (1, 1, 3)
CALLED_UNKNOWN = (1, 1, 7)


def add_peer(
    *, ae_title: str, hosts: Sequence[str], by: Actor, records: Records, clock: Clock, description: str = ""
) -> Peer:
    """Add a peer, or change the one with this AE title; it counts from the next association on."""
    peer = Peer(ae_title=ae_title.strip(), hosts=list(hosts), description=description, created_at=clock.now())
    with records.change(by=by) as change:
        if change.peers.count(ae_title=peer.ae_title):
            change.peers.put(peer)
        else:
            change.peers.add(peer)
        change.note("peer_added", subject=peer.ae_title, hosts=", ".join(peer.hosts) or "loopback")
    return peer


def remove_peer(*, ae_title: str, by: Actor, records: Records) -> None:
    """Forget a peer; its studies stay."""
    with records.change(by=by) as change:
        if not change.peers.remove(ae_title=ae_title.strip()):
            raise NotFoundError(
                f"there is no peer {ae_title[:16]}", next_step="`consilium peer list` shows them."
            )
        change.note("peer_removed", subject=ae_title.strip())


def admit(attempt: AssociationAttempt, *, records: Records, policy: Policy) -> Admitted | Refused:
    """Decide on an association: deny by default, calling AE and address and called AE together (N2, N3)."""
    calling, called = attempt.calling_ae.strip(), attempt.called_ae.strip()
    with records.view() as view:
        peer = view.peers.first(ae_title=calling)
        called_case = view.cases.first(ref=called.upper()) if CASE_REF.match(called.upper()) else None
    if peer is None or peer.disabled_at is not None:
        return _refused(CALLING_UNKNOWN, "the calling AE title is not known here")
    if not peer.may_call_from(attempt.address):
        return _refused(CALLING_UNKNOWN, "the calling AE title is known, but not from this address")
    for_case = called_case is not None and called_case.state in RECEIVING_STATES
    if called != policy.ae_title and not for_case:
        return _refused(CALLED_UNKNOWN, "the called AE title is not one of ours")
    return Admitted(
        may_store=peer.may_store, may_echo=peer.may_echo, max_instance_bytes=policy.instance_limit_bytes
    )


def note_association(end: AssociationEnd, *, records: Records) -> None:
    """Tell the audit how an association ended: who, from where, how, with how many instances kept (C-ECHO keeps none)."""
    kind = "association_refused" if end.how == "refused" else "association_ended"
    actor = Actor(kind="peer", id=end.calling_ae.strip() or "unknown", address=end.address)
    with records.change(by=actor) as change:
        change.note(
            kind,
            subject=end.association_id,
            outcome=end.how,
            called=end.called_ae.strip()[:16],
            kept=end.instances_kept,
            why=end.why[:80],
        )


def note_refusal(
    *, association_id: str, calling_ae: str, address: str, status: int, why: str, records: Records
) -> None:
    """Tell the audit that one instance was refused, with its status."""
    with records.change(by=Actor(kind="peer", id=calling_ae.strip(), address=address)) as change:
        change.note(
            "instance_refused",
            subject=association_id,
            outcome="refused",
            status=f"{status:04X}",
            why=why[:80],
        )


def _refused(code: tuple[int, int, int], why: str) -> Refused:
    result, source, reason = code
    return Refused(result=result, source=source, reason=reason, why=why)
