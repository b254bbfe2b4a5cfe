"""The answer: what a reviewer concludes, in the fields that a patient and a treating physician need."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.errors import InvalidError

# (field, must be filled): question → findings → recommendation → alternatives → confidence → further examinations
ANSWER_FIELDS: tuple[tuple[str, bool], ...] = (
    ("question", True),
    ("findings", True),
    ("recommendation", True),
    ("alternatives", False),
    ("confidence", True),
    ("further_examinations", False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A signed answer is locked: a change is a new version. ``body`` is sealed at rest."""

    id: str
    case_id: str
    holder: str
    release_id: str
    version: int
    person_id: str
    state: str = "signed"
    body: dict[str, str] = field(default_factory=dict)
    signed_at: datetime
    delivered_at: datetime | None = None
    read_at: datetime | None = None


def checked_body(body: dict[str, str]) -> dict[str, str]:
    """Return the answer's fields in order; a required field that is empty is named."""
    empty = [name for name, needed in ANSWER_FIELDS if needed and not body.get(name, "").strip()]
    if empty:
        raise InvalidError(
            f"the answer lacks: {', '.join(empty)}", next_step="Fill in the named parts and sign again."
        )
    unknown = sorted(set(body) - {name for name, _ in ANSWER_FIELDS})
    if unknown:
        raise InvalidError(f"the answer has no such parts: {', '.join(unknown)}")
    return {name: body.get(name, "").strip() for name, _ in ANSWER_FIELDS}
