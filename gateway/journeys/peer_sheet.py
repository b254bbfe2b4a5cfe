"""The onboarding sheet of one peer as values, taken from the running configuration and the tables in code; how it looks is not known here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from dicom_node.meanings import REJECTIONS, STATUSES, Meaning
from gateway.domain.calls import CallRules
from gateway.domain.peer import Peer
from gateway.domain.policy import Policy
from gateway.journeys.know_peer import peer_by_title
from gateway.journeys.show_peer import Pin, pins_of
from gateway.ports import Clock, Records

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # listened on, but nothing that a peer could call


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSheet:
    """What the engineer of a PACS needs to connect; ``own`` is our certificate, None while there is none."""

    peer: Peer
    pins: list[Pin]
    ae_title: str
    host: str
    plain_port: str
    tls_port: str
    own: Pin | None
    contact: str
    stow_url: str
    max_instance_bytes: int
    tests: list[str]
    rejections: dict[str, Meaning]
    statuses: dict[str, Meaning]
    made_at: datetime


def peer_sheet(
    *, ae_title: str, records: Records, clock: Clock, policy: Policy, rules: CallRules
) -> PeerSheet:
    """Return the sheet for a peer as it is at this moment."""
    with records.view() as view:
        peer = peer_by_title(view, ae_title)
    now = clock.now()
    plain_host, plain_port = _split(policy.dicom_at)
    tls_host, tls_port = _split(policy.dicom_tls_at)
    host = policy.dicom_host or (tls_host if peer.is_bound and tls_port else plain_host or tls_host)
    limit = policy.instance_limit_bytes
    return PeerSheet(
        peer=peer,
        pins=pins_of(peer.certificates, now=now),
        ae_title=policy.ae_title,
        host=host,
        plain_port="" if peer.is_bound else plain_port,
        tls_port=tls_port if peer.is_bound else "",
        own=_own(rules, now),
        contact=policy.contact,
        stow_url=f"{policy.public_url.rstrip('/')}/machine/studies" if peer.token_hash else "",
        max_instance_bytes=min(peer.max_instance_bytes or limit, limit),
        tests=_tests(peer, policy=policy, host=host, plain=plain_port, tls=tls_port),
        rejections={f"{r}, {s}, {d}": meaning for (r, s, d), meaning in REJECTIONS.items()},
        statuses={f"{code:04X}H": meaning for code, meaning in STATUSES.items()},
        made_at=now,
    )


def _tests(peer: Peer, *, policy: Policy, host: str, plain: str, tls: str) -> list[str]:
    """Lines for DCMTK, which most engineers have at hand; quoted, since they are pasted into a shell and a title may hold anything."""
    titles = f"-aet {quote(peer.ae_title)} -aec {quote(policy.ae_title)}"
    if peer.is_bound:
        proof = "+tls peer.key peer.crt +cf our-certificate.pem "
        port = tls
    else:
        proof, port = "", plain
    if not port:
        return []
    found = []
    if peer.may_echo:
        found.append(f"echoscu -v {proof}{titles} {host or 'HOST'} {port}")
    if peer.may_store:
        found.append(f"storescu -v +sd +r {proof}{titles} {host or 'HOST'} {port} FOLDER")
    return found


def _own(rules: CallRules, now: datetime) -> Pin | None:
    """Return our own certificate as peers must know it."""
    if rules.certificate is None:
        return None
    try:
        text = rules.certificate.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    found = pins_of([text], now=now)
    return found[0] if found else None


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return "" if host in _EVERYWHERE else host, port
