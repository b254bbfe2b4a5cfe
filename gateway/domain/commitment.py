"""Storage commitment: a sender's question whether its instances are safe, and our answer (PS3.4 Annex J); nothing is verified here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """One transaction of the Push Model, from N-ACTION to the confirmed N-EVENT-REPORT.

    ``references`` and ``failures`` are sealed: pairs of SOP class and SOP instance UID, failures with the reason of
    PS3.3 C.14.1.1 (0119 class/instance conflict, 0112 no such object, ...) as third. One per peer and transaction UID.
    """

    id: str
    peer: str
    called: str
    transaction_uid: str
    association_id: str
    state: Literal["asked", "decided", "reported", "given_up"] = "asked"
    asked_at: datetime
    decided_at: datetime | None = None
    reported_at: datetime | None = None
    report_attempts: int = 0
    error: str = ""
    committed: int = 0
    failed: int = 0
    references: list[list[str]] = field(default_factory=list)
    failures: list[list[str]] = field(default_factory=list)
    holder: str = "house"
