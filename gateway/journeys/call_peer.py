"""Making ready to call a peer: its address, our AE title, and by TLS the certificate that must be its own; nobody is called yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dicom_node.certificates import authority_files, read_certificate
from dicom_node.chains import Chain, ChainJudge
from dicom_node.dial import Call
from dicom_node.errors import CertificateError, HandshakeRefused
from dicom_node.receiver import PeerCertificate
from dicom_node.revocation import lists_in_use
from dicom_node.tls import Identity, client_context
from gateway.domain.addresses import is_loopback
from gateway.domain.calls import CallRules
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.peer import Peer, where_it_listens
from gateway.domain.policy import Policy


def _nobody(_: PeerCertificate) -> None:
    """Default of ``on_proven``."""


def call_of(
    peer: Peer, *, policy: Policy, rules: CallRules, on_proven: Callable[[PeerCertificate], None] = _nobody
) -> Call:
    """Return how this peer is called, by us as the house's AE title; by TLS, ``on_proven`` is told what it proved.

    Raises
    ------
    ConflictError
        The peer has no address, is shut out, or could only be called in a way that the operator has not allowed.
    UnavailableError
        Our own certificate, or one that we trust, cannot be read.
    """
    if peer.disabled_at is not None:
        raise ConflictError(f"the peer {peer.ae_title} is disabled", next_step="Let it in again first.")
    if not peer.address:
        raise ConflictError(
            f"the peer {peer.ae_title} has no address to be called at",
            next_step="Give it one: HOST:PORT where it listens.",
        )
    host, port = where_it_listens(peer.address)
    call = Call(host=host, port=port, called_ae=peer.ae_title, calling_ae=policy.ae_title)
    if not peer.calls_by_tls:
        if not (rules.plain_elsewhere or is_loopback(host)):
            raise ConflictError(
                f"the peer {peer.ae_title} would be called without TLS over the network",
                next_step="Have it called by TLS, or set CONSILIUM_PLAIN_DICOM_ELSEWHERE=true if the network itself is protected.",
            )
        return call
    return _by_tls(call, peer, rules, on_proven)


def _by_tls(call: Call, peer: Peer, rules: CallRules, on_proven: Callable[[PeerCertificate], None]) -> Call:
    if not peer.is_bound:  # else any holder of any certificate that we trust could take the call
        raise ConflictError(
            f"no certificate is bound to the peer {peer.ae_title}, so none would prove it",
            next_step="Pin its certificate, or name what a certificate of a trusted authority must carry.",
        )
    try:
        identity = (
            Identity(certificate=rules.certificate, key=rules.key)
            if rules.certificate is not None and rules.key is not None
            else None
        )
        authorities = _text(rules.authorities)
        context = client_context(
            authorities_pem=authorities,
            pinned_pem=peer.certificates,
            identity=identity,
            profile=rules.profile,
        )
        judge = ChainJudge(
            authorities_pem=authorities, pinned_pem=peer.certificates, revoked=_revocation_lists(rules)
        )
        pins = frozenset(read_certificate(pem).spki_sha256 for pem in peer.certificates)
    except (OSError, CertificateError) as error:
        raise UnavailableError(
            f"no call by TLS can be made: {error}", next_step="Mend the certificate that it names."
        ) from error

    def objection(chain: Chain) -> str:
        try:
            found = judge.proven(chain)  # by whom we trust, in time, not revoked
        except HandshakeRefused as refused:
            return str(refused)
        if not peer.is_proven_by(
            spki_sha256=found.spki_sha256, names=found.names, is_pinned=found.pinned, pins=pins
        ):
            return f"the certificate is not that of {peer.ae_title}"
        on_proven(found)
        return ""

    return Call(
        host=call.host,
        port=call.port,
        called_ae=call.called_ae,
        calling_ae=call.calling_ae,
        tls=context,
        objection=objection,
    )


def _revocation_lists(rules: CallRules) -> bytes | None:
    if rules.revoked is None:
        return None
    found = rules.revoked.read_bytes() if rules.revoked.exists() else None
    return lists_in_use(found, expected=rules.lists_expected, mark=rules.lists_mark)


def _text(path: Path | None) -> str:
    if path is None or not path.exists():
        return ""
    return "\n".join(file.read_text(encoding="utf-8") for file in authority_files(path))
