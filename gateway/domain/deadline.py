"""The clock of an answer: 10 days for documents only, 15 with images, standing still while paused; it reads no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gateway.domain.case import Pause

DAYS = {"written": 10, "mdt": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """``due_at`` is None while the documentation is not complete; ``paused_for`` is the reason of a running pause."""

    due_at: datetime | None
    paused_for: str | None
    days: int


def answer_due(
    *,
    started_at: datetime | None,
    days: int,
    pauses: Sequence[Pause],
    now: datetime,
    holidays: Iterable[date] = (),
) -> Deadline:
    """Work out when the answer is due.

    The clock starts when the documentation is complete; each pause moves the day by its own length; a day that
    is a holiday of the service moves to the next that is none.
    """
    running = next((p.reason for p in pauses if p.until is None), None)
    if started_at is None:
        return Deadline(due_at=None, paused_for=running, days=days)
    stood = sum(
        ((p.until or now) - max(p.since, started_at) for p in pauses if (p.until or now) > started_at),
        timedelta(),
    )
    due = started_at + timedelta(days=days) + stood
    closed = set(holidays)
    while due.date() in closed:
        due += timedelta(days=1)
    return Deadline(due_at=due, paused_for=running, days=days)
