"""How a delivery ends, in the change of whoever ends it: the sending job, a human, or who takes its release back."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.delivery import OPEN_STATES, RELEASE_GONE, Delivery
from gateway.ports import Change


def end_delivery(change: Change, delivery: Delivery, *, state: str, why: str, now: datetime) -> None:
    """Write down how it ended, in the caller's change."""
    change.deliveries.set(delivery.id, state=state, run="", error=why[:200], finished_at=now, next_at=None)
    change.note(
        "delivery_ended",
        case_id=delivery.case_id,
        subject=delivery.id,
        outcome="ok" if state == "sent" else state,
        peer=delivery.peer,
        instances=delivery.total,
        kept=delivery.sent,
        why=why[:80],
    )


def end_deliveries(change: Change, release_id: str, *, now: datetime) -> None:
    """Stop everything of a release that is taken back. What runs notices within a second and sends nothing more."""
    for delivery in change.deliveries.find(release_id=release_id, state=OPEN_STATES):
        end_delivery(change, delivery, state="stopped", why=RELEASE_GONE, now=now)
