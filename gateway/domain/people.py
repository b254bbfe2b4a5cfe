"""Who acts: patients through a link, sending AEs, staff with a role, the operator, the house itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Literal

from gateway.domain.errors import InvalidError

Role = Literal["coordinator", "reviewer", "privacy"]
ROLES: tuple[Role, ...] = ("coordinator", "reviewer", "privacy")
AE_TITLE_LENGTH = 16  # PS3.5 6.2, VR AE


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it, as the audit names them: a kind and an id, never a name."""

    kind: Literal["patient", "peer", "staff", "operator", "house"]
    id: str
    address: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


HOUSE = Actor(kind="house", id="consilium")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of staff. E-mail and TOTP seed are sealed at rest; the password is an Argon2id hash."""

    id: str
    role: Role
    email: str
    email_key: str
    password: str
    totp_seed: str
    last_timecode: int = 0
    fails: int = 0
    locked_until: datetime | None = None
    created_at: datetime
    disabled_at: datetime | None = None
    holder: str = "house"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A known calling AE: deny by default, permission by permission."""

    ae_title: str
    hosts: list[str] = field(default_factory=list)
    may_echo: bool = True
    may_store: bool = True
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
