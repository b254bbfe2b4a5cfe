"""Admitting: who asks for an association, judged by calling AE, address, certificate and called AE together, and what it then may (N2, N3)."""

from __future__ import annotations

from dicom_node.receiver import (
    CALLED_AE_NOT_RECOGNISED,
    CALLING_AE_NOT_RECOGNISED,
    Admitted,
    AssociationAttempt,
    PeerCertificate,
    Refused,
)
from gateway.domain.case import RECEIVING_STATES
from gateway.domain.errors import InvalidError
from gateway.domain.ids import CASE_REF
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.read_certificate import read_certificate
from gateway.ports import Records


def admit(attempt: AssociationAttempt, *, records: Records, policy: Policy) -> Admitted | Refused:
    """Decide on an association by the rows as they are now: deny by default (N2, N3, #32).

    Whoever is not wholly known is refused as «calling AE title not recognized», whatever was wrong: which of title, address
    and certificate was right is for the audit, not for a stranger. The called title is judged only for a known peer.
    """
    calling, called = attempt.calling_ae.strip(), attempt.called_ae.strip()
    with records.view() as view:
        peer = view.peers.first(ae_title=calling)
        for_case = view.cases.first(ref=called.upper()) if CASE_REF.match(called.upper()) else None
    # (1) calling AE, (2) address, (3) certificate
    if why := objection(peer, attempt):
        return _refused(CALLING_AE_NOT_RECOGNISED, why, attempt.certificate)
    assert peer is not None  # noqa: S101 - no objection
    # (4) called AE: ours, and one that this peer may call
    is_case = for_case is not None and for_case.state in RECEIVING_STATES
    if called != policy.ae_title and not is_case:
        return _refused(CALLED_AE_NOT_RECOGNISED, "the called AE title is not one of ours")
    if not may_call(peer, attempt, policy=policy):
        return _refused(CALLED_AE_NOT_RECOGNISED, "this peer may not call that AE title")
    return permissions(peer, policy=policy)


def may_call(peer: Peer, attempt: AssociationAttempt, *, policy: Policy) -> bool:
    """Tell whether the peer may call the AE title that this association called; capitals do not matter in those of cases."""
    called = attempt.called_ae.strip()
    return peer.may_call(called if called == policy.ae_title else called.upper())


def objection(peer: Peer | None, attempt: AssociationAttempt) -> str:
    """Return why this caller is not this peer, for the audit; empty when it is."""
    if peer is None:
        return "the calling AE title is not known here"
    if peer.disabled_at is not None:
        return "the calling AE title is disabled here"
    if not peer.may_call_from(attempt.address):
        return "the calling AE title is known, but not from this address"
    shown = attempt.certificate
    if shown is None:
        return "the calling AE title must come by TLS with its certificate" if peer.is_bound else ""
    if not peer.is_bound:  # else any holder of any certificate that we trust could speak for it (#31, #32)
        return "no certificate is bound to the calling AE title, so none proves it"
    is_proven = peer.is_proven_by(
        spki_sha256=shown.spki_sha256, names=shown.names, is_pinned=shown.pinned, pins=_pins(peer)
    )
    return "" if is_proven else "the certificate is not that of the calling AE title"


def permissions(peer: Peer, *, policy: Policy) -> Admitted:
    """Return what a peer may do on its associations."""
    house_limit = policy.instance_limit_bytes
    return Admitted(
        may_store=peer.may_store,
        may_echo=peer.may_echo,
        may_commit=peer.may_commit,
        max_instance_bytes=min(peer.max_instance_bytes or house_limit, house_limit),
        sop_classes=frozenset(peer.sop_classes) or None,
        transfer_syntaxes=frozenset(peer.transfer_syntaxes) or None,
        max_associations=peer.max_associations,
    )


def proof_of(peer: Peer) -> str:
    """Return what a peer may prove itself by, for the audit: the beginnings of its keys' digests, and its names."""
    pins = [pin[:16] for pem in peer.certificates if (pin := _pin(pem))]
    return ", ".join([*pins, *peer.names]) or "none"


def _pins(peer: Peer) -> frozenset[str]:
    return frozenset(pin for pem in peer.certificates if (pin := _pin(pem)))


def _pin(pem: str) -> str:
    """Return a certificate's key digest; one that cannot be read pins nothing."""
    try:
        return read_certificate(pem).spki_sha256
    except InvalidError:
        return ""


def _refused(code: tuple[int, int, int], why: str, shown: PeerCertificate | None = None) -> Refused:
    result, source, reason = code
    if shown is not None:
        why = f"{why}; it showed {shown.spki_sha256[:16]} ({shown.subject[:64]})"
    return Refused(result=result, source=source, reason=reason, why=why)
