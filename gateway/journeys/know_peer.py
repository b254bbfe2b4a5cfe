"""Peers: adding, changing, shutting out and removing them, and telling the audit how their associations ended."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dicom_node.receiver import AssociationEnd
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError
from gateway.domain.ids import CASE_REF
from gateway.domain.peer import Peer, TitleUsedError, normal_name
from gateway.domain.people import Actor
from gateway.journeys.admit_peer import admit, proof_of
from gateway.journeys.read_certificate import HOW_TO_GIVE, read_certificate, split_pem
from gateway.ports import Change, Clock, Records, View

__all__ = [
    "add_peer",
    "admit",
    "change_peer",
    "disable_peer",
    "enable_peer",
    "give_token",
    "note_association",
    "note_refusal",
    "peer_by_title",
    "pin_certificate",
    "remove_peer",
    "take_token",
    "unpin_certificate",
]

TOKEN_BYTES = 32  # 256 bits
# What may be set from outside; the rest of a peer is the house's own bookkeeping.
CHANGEABLE = frozenset(
    {
        "hosts", "called", "certificates", "names", "may_echo", "may_store", "may_commit", "may_receive",
        "sop_classes", "transfer_syntaxes", "max_associations", "max_instance_bytes", "day_bytes", "address",
        "calls_by_tls", "description",
    }
)  # fmt: skip
_WHY_LENGTH = 240
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def add_peer(
    *,
    ae_title: str,
    hosts: Sequence[str],
    by: Actor,
    records: Records,
    clock: Clock,
    again: bool = False,
    **more: Any,
) -> Peer:
    """Add a peer; it counts from the next association on. ``more`` are fields of ``CHANGEABLE``.

    What a removed peer left behind belongs to whoever has its AE title: ``again`` says that it is the same hospital.
    """
    _refuse_ambiguous(ae_title)
    with records.view() as view:
        values = _normal({"hosts": list(hosts), **more}, view, clock)
        peer = Peer(ae_title=ae_title.strip(), created_at=clock.now(), **values)
        is_used = not view.peers.count(ae_title=peer.ae_title) and _left_something(view, peer.ae_title)
    if is_used and not again:
        with records.change(by=by) as change:
            change.note("peer_added", subject=peer.ae_title, outcome="refused", why="an earlier peer's title")
        raise TitleUsedError
    with records.change(by=by) as change:
        if change.peers.count(ae_title=peer.ae_title):
            raise ConflictError(
                f"there is a peer {peer.ae_title} already",
                next_step=f"Change it: consilium peer change {peer.ae_title} …",
            )
        change.peers.add(peer)
        _note_added(change, peer, **({"again": "same hospital"} if is_used else {}))
    return peer


def _refuse_ambiguous(ae_title: str) -> None:
    """Refuse titles that the house itself gives to other things: cases, and the rows of a sender's studies."""
    if CASE_REF.match(ae_title.strip().upper()):
        raise InvalidError("this AE title has the form of a case's", next_step="Cases have theirs already.")
    if set("#>") & set(ae_title):
        raise InvalidError(
            "an AE title with # or > cannot be told from the names that we give to a sender's studies",
            next_step="Ask the hospital for another title; 16 letters, digits, _ and - do.",
        )


def change_peer(
    *, ae_title: str, changes: Mapping[str, Any], by: Actor, records: Records, clock: Clock
) -> Peer:
    """Change what is given and nothing else; it counts within a second, for established associations too."""
    with records.change(by=by) as change:
        return _changed(change, peer_by_title(change, ae_title), changes, clock)


def remove_peer(*, ae_title: str, by: Actor, records: Records) -> None:
    """Forget a peer; its studies stay."""
    with records.change(by=by) as change:
        peer = peer_by_title(change, ae_title)
        change.peers.remove(ae_title=peer.ae_title)
        change.note("peer_removed", subject=peer.ae_title)


def disable_peer(*, ae_title: str, by: Actor, records: Records, clock: Clock) -> Peer:
    """Shut a peer out; what was told of it is kept."""
    return _switch(ae_title, "disabled", by=by, records=records, clock=clock)


def enable_peer(*, ae_title: str, by: Actor, records: Records, clock: Clock) -> Peer:
    """Let a peer in again."""
    return _switch(ae_title, "enabled", by=by, records=records, clock=clock)


def pin_certificate(
    *, ae_title: str, pem: str, by: Actor, records: Records, clock: Clock, only: bool = False
) -> Peer:
    """Let a peer show one more certificate, or with ``only`` no other: a change of keys wants both for a while."""
    with records.change(by=by) as change:
        peer = peer_by_title(change, ae_title)
        held = [] if only else peer.certificates
        return _changed(change, peer, {"certificates": [*held, pem]}, clock)


def unpin_certificate(*, ae_title: str, spki: str, by: Actor, records: Records, clock: Clock) -> Peer:
    """Take a pin away, named by the beginning of its key's digest."""
    wanted = spki.strip().lower().replace(":", "")
    with records.change(by=by) as change:
        peer = peer_by_title(change, ae_title)
        held = peer.certificates
        rest = [pem for pem in held if not read_certificate(pem).spki_sha256.startswith(wanted)]
        if len(wanted) < 8 or len(rest) == len(held):
            raise NotFoundError(
                f"{peer.ae_title} has no such certificate",
                next_step="Write at least 8 digits of its SPKI as `consilium peer show` prints it.",
            )
        return _changed(change, peer, {"certificates": rest}, clock)


def give_token(*, ae_title: str, by: Actor, records: Records, random: Callable[[int], bytes]) -> str:
    """Return a new bearer token for STOW-RS; only its digest is kept, and the one before it counts no more."""
    token = base64.urlsafe_b64encode(random(TOKEN_BYTES)).rstrip(b"=").decode()
    _set_token(ae_title, hashlib.sha256(token.encode()).hexdigest(), by=by, records=records)
    return token


def take_token(*, ae_title: str, by: Actor, records: Records) -> None:
    """Let a peer come by HTTP no more."""
    _set_token(ae_title, "", by=by, records=records)


def peer_by_title(view: View | Change, ae_title: str) -> Peer:
    """Return a peer or raise."""
    peer = view.peers.first(ae_title=ae_title.strip())
    if peer is None:
        raise NotFoundError(
            f"there is no peer {ae_title.strip()[:16]}", next_step="`consilium peer list` shows them."
        )
    return peer


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
            why=end.why[:_WHY_LENGTH],
            times=end.connections,
        )


def note_refusal(
    *,
    association_id: str,
    calling_ae: str,
    address: str,
    status: int,
    why: str,
    records: Records,
    called_ae: str = "",
) -> None:
    """Tell the audit that one instance was refused, with its status."""
    with records.change(by=Actor(kind="peer", id=calling_ae.strip(), address=address)) as change:
        change.note(
            "instance_refused",
            subject=association_id,
            outcome="refused",
            called=called_ae.strip()[:16],
            status=f"{status:04X}",
            why=why[:80],
        )


def _left_something(view: View, ae_title: str) -> bool:
    """Tell whether anything here stands under this AE title."""
    instances, _ = view.received_from(ae_title, since=_EVER)
    return bool(instances or view.commitments.count(peer=ae_title) or view.deliveries.count(peer=ae_title))


def _switch(ae_title: str, state: str, *, by: Actor, records: Records, clock: Clock) -> Peer:
    with records.change(by=by) as change:
        peer = peer_by_title(change, ae_title)
        peer = replace(peer, disabled_at=clock.now() if state == "disabled" else None)
        change.peers.put(peer)
        change.note("peer_disabled", subject=peer.ae_title, state=state)
    return peer


def _set_token(ae_title: str, token_hash: str, *, by: Actor, records: Records) -> None:
    with records.change(by=by) as change:
        peer = replace(peer_by_title(change, ae_title), token_hash=token_hash)
        change.peers.put(peer)
        change.note("peer_token_made", subject=peer.ae_title, state="given" if token_hash else "taken")


def _changed(change: Change, peer: Peer, changes: Mapping[str, Any], clock: Clock) -> Peer:
    """Write a peer with some fields changed, as it stands in this very transaction."""
    values = _normal(changes, change, clock)
    peer = replace(peer, **values)
    change.peers.put(peer)
    _note_added(change, peer, changed=", ".join(sorted(values)) or "nothing")
    return peer


def _note_added(change: Change, peer: Peer, **more: str) -> None:
    may = [word for word in ("echo", "store", "commit", "receive") if getattr(peer, f"may_{word}")]
    change.note(
        "peer_added",
        subject=peer.ae_title,
        hosts=", ".join(peer.hosts) or "loopback",
        may=", ".join(may) or "nothing",
        proof=proof_of(peer),
        listens=f"{peer.address}{' by TLS' if peer.calls_by_tls else ''}" if peer.address else "unknown",
        **more,
    )


def _normal(values: Mapping[str, Any], view: View | Change, clock: Clock) -> dict[str, Any]:
    """Return fields as a peer holds them; what cannot be one is refused by name."""
    if unknown := values.keys() - CHANGEABLE:
        raise InvalidError(f"a peer has no {', '.join(sorted(unknown))} to set")
    found = dict(values)
    for name in ("hosts", "called", "sop_classes", "transfer_syntaxes"):
        if name in found:
            found[name] = list(dict.fromkeys(text.strip() for text in found[name] if text.strip()))
    if "names" in found:
        found["names"] = list(
            dict.fromkeys(normal_name(text) or text.strip() for text in found["names"] if text.strip())
        )
    if "certificates" in found:
        known = {pem for peer in view.peers.find() for pem in peer.certificates}
        found["certificates"] = _certificates(found["certificates"], known=known, clock=clock)
    return found


def _certificates(texts: Sequence[str], *, known: set[str], clock: Clock) -> list[str]:
    """Return the certificates of some PEM texts, one by one; what is kept already may have expired since."""
    found = []
    for text in texts:
        pems = split_pem(text)
        if not pems and "PRIVATE KEY" in text:
            raise InvalidError(
                "this is a private key, and it stays with its owner",
                next_step="Take the certificate instead; if the key came from the peer, it needs a new one.",
            )
        if not pems:
            raise InvalidError("there is no PEM certificate in what was given", next_step=HOW_TO_GIVE)
        pem = pems[0]  # a file of a chain begins with the certificate itself (RFC 8446 4.4.2)
        certificate = read_certificate(pem)
        if certificate.not_after <= clock.now() and pem not in known:
            raise InvalidError(
                f"the certificate expired on {certificate.not_after:%Y-%m-%d}",
                next_step="Ask the peer for the one that it shows now.",
            )
        found.append(pem)
    return list(dict.fromkeys(found))
