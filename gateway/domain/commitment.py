"""Storage commitment: a sender's question whether its instances are safe, and our answer (PS3.4 Annex J); nothing is verified here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

# Failure Reason (0008,1197) of PS3.3 C.14.1.1.
PROCESSING_FAILURE: Final = (
    "0110"  # kept, and not what it was: damaged, unreadable, its key gone, or in conflict
)
NO_SUCH_INSTANCE: Final = "0112"
CLASS_CONFLICT: Final = "0119"
DUPLICATE_TRANSACTION: Final = "0131"

# An instance may still be on its way when the question comes (PS3.4 J.3.2.1.3 note 2): how long to wait for it in all,
# and since the sender last sent anything.
MISSING_WAIT: Final = timedelta(minutes=10)
MISSING_QUIET: Final = timedelta(minutes=2)
_LOOK_AGAIN_S: Final = (1, 2, 5, 10, 20, 30)

# The same association is tried first, if it is still open.
SAME_ASSOCIATION: Final = timedelta(seconds=2)
_REPORT_AGAIN_MIN: Final = (1, 2, 5, 10, 30)
_HOURLY: Final = timedelta(hours=1)
REPORT_FOR: Final = timedelta(days=7)
# A peer that answers, and refuses, will hardly think better of it within days.
MOST_REFUSALS: Final = 8
CLAIMED_FOR: Final = timedelta(minutes=5)
# Of one peer, not told yet or given up: a modality may ask for each of its images apart.
MOST_OPEN: Final = 10_000
MOST_OPEN_REFERENCES: Final = 500_000
# What was told, or given up, is of use for a while: a sender's engineer asks, an operator tries again.
KEPT_FOR: Final = timedelta(days=30)

# What was found of one reference, as one letter; what stands for a failure has its reason.
WHOLE: Final = "."
REASON_OF: Final = {"d": PROCESSING_FAILURE, "m": NO_SUCH_INSTANCE, "c": CLASS_CONFLICT}
MARK_OF: Final = {reason: mark for mark, reason in REASON_OF.items()} | {"": WHOLE}
MISSING: Final = MARK_OF[NO_SUCH_INSTANCE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """One transaction of the Push Model, from N-ACTION to the confirmed N-EVENT-REPORT.

    It names no instance: ``AskedInstances`` of the same id does, and is written once. ``marks`` has one letter for each of
    its ``total`` references that has been looked at, in their order; ``committed`` and ``failed`` count them. One per peer
    and transaction UID. While ``claimed_until`` lies ahead, one association or one job has the report in hand;
    ``tried_at`` is when somebody last had, ``next_at`` when the job's next try is due.
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
    tried_at: datetime | None = None
    next_at: datetime | None = None
    claimed_until: datetime | None = None
    give_up_at: datetime | None = None
    error: str = ""
    total: int = 0
    committed: int = 0
    failed: int = 0
    marks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedInstances:
    """What one commitment is about: sealed pairs of SOP class and SOP instance UID, in the sender's order.

    Apart from ``Commitment``, so that keeping how far it came never writes it again.
    """

    id: str
    references: list[list[str]] = field(default_factory=list)
    holder: str = "house"

    def safe(self, marks: str) -> list[list[str]]:
        """Return the references that are committed."""
        return [pair for pair, mark in zip(self.references, marks, strict=False) if mark == WHOLE]

    def failures(self, marks: str) -> list[tuple[str, str, str]]:
        """Return SOP class, SOP instance and reason (PS3.3 C.14.1.1) of each that is not."""
        found = zip(self.references, marks, strict=False)
        return [(pair[0], pair[1], REASON_OF[mark]) for pair, mark in found if mark != WHOLE]


def look_again_at(asked_at: datetime, last_sent_at: datetime | None, now: datetime) -> datetime | None:
    """Return when to look again for an instance that is not here, or None when it was waited for long enough."""
    sent_at = max(asked_at, last_sent_at) if last_sent_at else asked_at
    until = min(asked_at + MISSING_WAIT, sent_at + MISSING_QUIET)
    if now >= until:
        return None
    waited_s = (now - asked_at).total_seconds()
    step = next((s for s in _LOOK_AGAIN_S if s > waited_s / 2), _LOOK_AGAIN_S[-1])
    return min(now + timedelta(seconds=step), until)


def report_again_after(attempts: int) -> timedelta:
    """Return the wait after so many tries: 1, 2, 5, 10, 30 minutes, then every hour."""
    if 0 < attempts <= len(_REPORT_AGAIN_MIN):
        return timedelta(minutes=_REPORT_AGAIN_MIN[attempts - 1])
    return _HOURLY
