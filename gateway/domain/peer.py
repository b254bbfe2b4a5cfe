"""A peer: one known AE with what it may do, from where, and how it proves itself; nobody is asked here whether it is there."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Literal

from gateway.domain.errors import ConflictError, InvalidError

AE_TITLE_LENGTH = 16  # PS3.5 6.2, VR AE
DAY = timedelta(days=1)  # the window of ``day_bytes``
MOST_CERTIFICATES = 16
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_NAME_KINDS = ("DNS", "URI")

Expiry = Literal["far", "soon", "very_soon", "tomorrow", "expired"]
# Days that are left, and how that is told (N2: 30, 7 and 1).
_EXPIRIES: tuple[tuple[int, Expiry], ...] = ((1, "tomorrow"), (7, "very_soon"), (30, "soon"))


class TitleUsedError(ConflictError):
    """An earlier peer of this AE title left studies, storage commitments or deliveries, and they would become this one's."""

    next_step = "If it is the same hospital, say so: tick the box, or add --again. If it is another, agree on another AE title."


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A known calling AE: deny by default, permission by permission.

    Parameters
    ----------
    ae_title
        The calling AE title; one row per title.
    hosts
        Address ranges (CIDR) that it may call from; none means this computer only.
    called
        AE titles that it may call; none means the house's own and those of cases.
    certificates
        PEM certificates that it may show; what is compared is the public key (SPKI), so that a renewal with the same key
        keeps working. With certificates or names it must come by TLS.
    names
        Subject alternative names (DNS or URI) that a certificate of a trusted authority must carry instead of a pin.
    may_echo, may_store, may_commit, may_receive
        C-ECHO, C-STORE and STOW-RS, storage commitment; and whether releases may be sent to it.
    sop_classes, transfer_syntaxes
        UIDs that are accepted; none means all that the node knows.
    max_associations, max_instance_bytes, day_bytes
        Quotas: at once, per object, per 24 hours; None means the house's own limit.
    address, calls_by_tls
        ``HOST:PORT`` where it listens, for our C-ECHO, N-EVENT-REPORT and C-STORE; and whether we call it by TLS.
    token_hash
        SHA-256 (hex) of its bearer token for STOW-RS; empty means that it may not come by HTTP.
    """

    ae_title: str
    hosts: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    may_echo: bool = True
    may_store: bool = True
    may_commit: bool = True
    may_receive: bool = False
    sop_classes: list[str] = field(default_factory=list)
    transfer_syntaxes: list[str] = field(default_factory=list)
    max_associations: int | None = None
    max_instance_bytes: int | None = None
    day_bytes: int | None = None
    address: str = ""
    calls_by_tls: bool = False
    token_hash: str = ""
    description: str = ""
    created_at: datetime
    disabled_at: datetime | None = None

    def __post_init__(self) -> None:
        """Valid from construction, so that admitting never meets a row that it cannot read."""
        for title in (self.ae_title, *self.called):
            _check_title(title)
        for host in self.hosts:
            try:
                ip_network(host, strict=False)
            except ValueError:
                raise InvalidError(
                    f"«{host}» is no address range", next_step="Write it as CIDR: 10.1.2.0/24 or 10.1.2.3/32."
                ) from None
        for name in self.names:
            if normal_name(name) != name:
                raise InvalidError(
                    f"«{name}» is no name of a certificate", next_step="Write DNS:pacs.example or URI:urn:…"
                )
        for uid in (*self.sop_classes, *self.transfer_syntaxes):
            if not _UID.fullmatch(uid) or len(uid) > 64:
                raise InvalidError(f"«{uid}» is no UID", next_step="Write digits and dots, as in PS3.6.")
        for quota in (self.max_associations, self.max_instance_bytes, self.day_bytes):
            if quota is not None and quota < 1:
                raise InvalidError(
                    "a quota is at least 1",
                    next_step="Leave it out for the house's own limit, or disable the peer.",
                )
        if len(self.certificates) > MOST_CERTIFICATES:
            raise InvalidError(
                f"a peer has at most {MOST_CERTIFICATES} certificates", next_step="Unpin old ones."
            )
        if self.address:
            where_it_listens(self.address)

    @property
    def is_bound(self) -> bool:
        """Whether a certificate speaks for it; then plain DICOM does not."""
        return bool(self.certificates or self.names)

    def may_call(self, called: str) -> bool:
        """Tell whether it may call this AE title of ours; none given means all of them."""
        return not self.called or called in self.called

    def may_call_from(self, address: str) -> bool:
        """Tell whether the address lies in one of the peer's ranges; no range given means loopback only."""
        try:
            where = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(where, "ipv4_mapped", None)
        where = mapped or where
        if not self.hosts:
            return where.is_loopback
        return any(where in ip_network(host, strict=False) for host in self.hosts)

    def is_proven_by(
        self, *, spki_sha256: str, names: Collection[str], is_pinned: bool, pins: Collection[str]
    ) -> bool:
        """Tell whether a certificate, shown and valid, speaks for this peer.

        ``pins`` are the SPKI digests of its own certificates. A certificate that is trusted only because it is somebody's
        pin proves no name: else a peer could name itself as another.
        """
        if spki_sha256 in pins:
            return True
        shown = {normal_name(name) for name in names}
        return not is_pinned and any(name in shown for name in self.names)


def normal_name(name: str) -> str:
    """Return a subject alternative name as it is compared: its kind, a bare one being DNS; host names in lower case."""
    kind, colon, value = name.strip().partition(":")
    if not colon or kind.upper() not in _NAME_KINDS:
        kind, value = ("DNS", name.strip()) if not colon else (kind, value)
    is_host = kind.upper() == "DNS"
    value = value.strip().rstrip(".").lower() if is_host else value.strip()
    if not value or not value.isprintable() or " " in value or kind.upper() not in _NAME_KINDS:
        return ""
    return f"DNS:{value}" if is_host else f"URI:{value}"


def where_it_listens(address: str) -> tuple[str, int]:
    """Split ``HOST:PORT`` or ``[IPV6]:PORT``."""
    host, _, port = address.strip().rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535
    bare = host.strip("[]")
    if (
        not is_port
        or not bare
        or not bare.isprintable()
        or " " in bare
        or (":" in bare and not host.startswith("["))
    ):
        raise InvalidError(
            f"«{address[:80]}» is no address of a peer",
            next_step="Write HOST:PORT, for example pacs.example:11112.",
        )
    return bare, int(port)


def expiry(not_after: datetime, now: datetime) -> tuple[Expiry, int]:
    """Return how near a certificate's end is, and the whole days that are left (negative when it is over)."""
    left = not_after - now
    days = left.days
    if left <= timedelta(0):
        return "expired", days
    return next((word for limit, word in _EXPIRIES if left <= timedelta(days=limit)), "far"), days


def _check_title(title: str) -> None:
    signs = title.strip()
    allowed = signs.isascii() and title.isprintable() and "\\" not in signs
    if not (allowed and 0 < len(signs) <= AE_TITLE_LENGTH):
        raise InvalidError("an AE title has 1 to 16 printable ASCII characters and no backslash (PS3.5 6.2)")
