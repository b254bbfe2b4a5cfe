"""A case: one request for a second opinion about one patient, and the moves that it can make."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.domain.errors import ImpossibleMoveError

Opinion = Literal["written", "mdt"]

# The way of a case: (state, move) -> state. A service that skips the inquiry or the offer starts or jumps further on.
CASE_MOVES: dict[tuple[str, str], str] = {
    ("inquiry", "apply"): "application",
    ("application", "assess"): "assessment",
    ("assessment", "decline"): "declined",
    ("assessment", "request_documents"): "collecting",
    ("assessment", "ask"): "clarification",
    ("clarification", "clear"): "assessment",
    ("collecting", "complete"): "complete",
    ("complete", "reopen"): "collecting",
    ("complete", "offer"): "offer",
    ("offer", "confirm"): "confirmed",
    ("complete", "prepare"): "preparing",
    ("confirmed", "prepare"): "preparing",
    ("preparing", "prepare"): "preparing",
    ("preparing", "reopen"): "collecting",
    ("preparing", "release"): "released",
    ("released", "prepare"): "released",
    ("released", "release"): "released",
    ("released", "open"): "in_review",
    ("in_review", "open"): "in_review",
    ("in_review", "prepare"): "in_review",
    ("in_review", "release"): "in_review",
    ("in_review", "answer"): "answered",
    ("released", "answer"): "answered",
    ("answered", "deliver"): "delivered",
    ("delivered", "close"): "closed",
}
OPEN_STATES = (
    "application",
    "assessment",
    "clarification",
    "collecting",
    "complete",
    "offer",
    "confirmed",
    "preparing",
)
RECEIVING_STATES = (*OPEN_STATES, "released", "in_review")
STATES = tuple(dict.fromkeys([s for s, _ in CASE_MOVES] + list(CASE_MOVES.values())))


def moved(state: str, move: str) -> str:
    """Return the state after ``move``; an impossible move says from what and by what."""
    try:
        return CASE_MOVES[state, move]
    except KeyError:
        able = sorted(m for s, m in CASE_MOVES if s == state) or ["nothing"]
        raise ImpossibleMoveError(
            f"a case that is «{state}» cannot «{move}»", next_step=f"From here it can: {', '.join(able)}."
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """While the exchange waits for somebody, the clock stands (workflow.md, two products in one)."""

    since: datetime
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request. ``patient`` is the known-identifiers shape (docs/spec/known-identifiers.md); sealed at rest."""

    id: str
    ref: str
    opinion: Opinion
    state: str
    opened_at: datetime
    language: str = "sv"
    patient: dict[str, Any] = field(default_factory=dict)
    harvest: dict[str, Any] = field(default_factory=dict)
    questions: str = ""
    checklist: dict[str, str] = field(default_factory=dict)
    profile: str = "mdt-default"
    clock_started_at: datetime | None = None
    pauses: list[dict[str, str | None]] = field(default_factory=list)

    @property
    def holder(self) -> str:
        """Whose keys seal this row: the case's own."""
        return self.id
