"""A peer: one known AE with what it may do, from where, and how it proves itself; nobody is asked here whether it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network

from gateway.domain.errors import InvalidError

AE_TITLE_LENGTH = 16  # PS3.5 6.2, VR AE


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
        signs = self.ae_title.strip()
        allowed = signs.isascii() and self.ae_title.isprintable() and "\\" not in signs
        if not (allowed and 0 < len(signs) <= AE_TITLE_LENGTH):
            raise InvalidError(
                "an AE title has 1 to 16 printable ASCII characters and no backslash (PS3.5 6.2)"
            )
        for host in self.hosts:
            try:
                ip_network(host, strict=False)
            except ValueError:
                raise InvalidError(
                    f"«{host}» is no address range", next_step="Write it as CIDR: 10.1.2.0/24 or 10.1.2.3/32."
                ) from None

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
