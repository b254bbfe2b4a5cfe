"""Everything about a peer on one page: its row, its certificates' ends, what it sent lately, what it was refused; and who knocks in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.audit import AuditEvent
from gateway.domain.errors import InvalidError
from gateway.domain.peer import DAY, Expiry, Peer, expiry
from gateway.journeys.know_peer import peer_by_title
from gateway.journeys.read_certificate import fingerprint, read_certificate
from gateway.ports import Clock, Records, View

_ENDS = ("association_ended", "association_refused")
_CHANGES = ("peer_added", "peer_called", "peer_disabled", "peer_token_made")
_LISTED = 30
_KNOCKS = 500
_STRANGERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One certificate of a peer and how long it still counts."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    spki_sha256: str
    fingerprint: str
    not_after: datetime
    expiry: Expiry
    days_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFile:
    """A peer as people see it; ``instances`` and ``size_bytes`` are those kept in the last 24 hours."""

    peer: Peer
    pins: list[Pin]
    last: AuditEvent | None
    instances: int
    size_bytes: int

    @property
    def next_end(self) -> Pin | None:
        """The certificate that counts longest: while one is left, the peer gets in."""
        return max(self.pins, key=lambda pin: pin.not_after, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Somebody who was refused and is no peer: how often of late, and why the last time."""

    ae_title: str
    address: str
    called: str
    times: int
    last_at: datetime
    why: str


def show_peers(*, records: Records, clock: Clock) -> list[PeerFile]:
    """Return all peers, by AE title."""
    with records.view() as view:
        return [_file(view, peer, clock.now()) for peer in view.peers.find(order="ae_title")]


def show_peer(
    *, ae_title: str, records: Records, clock: Clock
) -> tuple[PeerFile, list[AuditEvent], list[AuditEvent]]:
    """Return one peer, its newest associations and refusals, and what was done about it."""
    with records.view() as view:
        peer = peer_by_title(view, ae_title)
        ends = view.peer_events(*_ENDS, actor=f"peer:{peer.ae_title}", limit=_LISTED)
        changes = view.peer_events(*_CHANGES, subject=peer.ae_title, limit=_LISTED)
        return _file(view, peer, clock.now()), ends, changes


def show_strangers(*, records: Records) -> list[Stranger]:
    """Return who was refused of late and is no peer, newest first, once per AE title and address."""
    with records.view() as view:
        known = {peer.ae_title for peer in view.peers.find()}
        events = view.peer_events("association_refused", limit=_KNOCKS)
    found: dict[tuple[str, str], Stranger] = {}
    for event in events:  # newest first: the first of each tells when and why
        title = event.actor.partition(":")[2]
        key = (title, event.address)
        times = event.details.get("times", 1)
        count = times if isinstance(times, int) else 1
        if title in known or title == "unknown":
            continue
        if key in found:
            before = found[key]
            found[key] = Stranger(
                ae_title=title, address=event.address, called=before.called, times=before.times + count,
                last_at=before.last_at, why=before.why,
            )  # fmt: skip
        else:
            found[key] = Stranger(
                ae_title=title,
                address=event.address,
                called=str(event.details.get("called", "")),
                times=count,
                last_at=event.at,
                why=str(event.details.get("why", "")),
            )
    return list(found.values())[:_STRANGERS]


def expiring_pins(*, records: Records, clock: Clock) -> list[tuple[Peer, Pin]]:
    """Return the certificates that end within 30 days or have ended, for peers that have no other left longer."""
    found = [
        (file.peer, file.next_end)
        for file in show_peers(records=records, clock=clock)
        if file.peer.disabled_at is None
    ]
    return [(peer, pin) for peer, pin in found if pin is not None and pin.expiry != "far"]


def pins_of(certificates: Sequence[str], *, now: datetime) -> list[Pin]:
    """Return what certificates say, newest end first; one that cannot be read is left out, since it admits nobody."""
    found = []
    for pem in certificates:
        try:
            certificate = read_certificate(pem)
        except InvalidError:
            continue
        word, days = expiry(certificate.not_after, now)
        found.append(
            Pin(
                subject=certificate.subject,
                issuer=certificate.issuer,
                names=certificate.names,
                spki_sha256=certificate.spki_sha256,
                fingerprint=fingerprint(pem),
                not_after=certificate.not_after,
                expiry=word,
                days_left=days,
            )
        )
    return sorted(found, key=lambda pin: pin.not_after, reverse=True)


def _file(view: View, peer: Peer, now: datetime) -> PeerFile:
    instances, size_bytes = view.received_from(peer.ae_title, since=now - DAY)
    newest = view.peer_events(*_ENDS, actor=f"peer:{peer.ae_title}", limit=1)
    return PeerFile(
        peer=peer,
        pins=pins_of(peer.certificates, now=now),
        last=newest[0] if newest else None,
        instances=instances,
        size_bytes=size_bytes,
    )
