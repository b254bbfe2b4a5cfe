"""Who acts: patients through a link, sending AEs, staff with a role, the operator, the house itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Role = Literal["coordinator", "reviewer", "privacy"]
ROLES: tuple[Role, ...] = ("coordinator", "reviewer", "privacy")


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
