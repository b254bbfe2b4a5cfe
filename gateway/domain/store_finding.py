"""What was found when rows and objects were held against each other, and how far such a round has come; never any content."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# missing: a row's object is not there · broken: it does not verify · unreadable: the volume does not give it back ·
# key_lost: the key that opens it is not here, or opens no more · orphan: an object that no row names, and not surely ours
LOSSES = ("missing", "broken", "unreadable", "key_lost")
FINDINGS = (*LOSSES, "orphan")
FindingKind = Literal["missing", "broken", "unreadable", "key_lost", "orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFinding:
    """One object that is not as its row says, or that has no row. ``shelf`` and ``row_id`` are empty for an orphan.

    It is open until the object was read whole again (``whole``), no row names it any more (``unnamed``), an orphan has a row
    or is gone (``named``, ``gone``), or a person settled it (``settled``).
    """

    id: str
    object_id: str
    kind: FindingKind
    shelf: str = ""
    row_id: str = ""
    case_id: str | None = None
    first_seen_at: datetime
    last_seen_at: datetime
    state: Literal["open", "whole", "unnamed", "named", "gone", "settled"] = "open"
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRound:
    """How far a round over the store has come: ``cursor`` is the last row looked at, empty before the first and after the last.

    ``ended_at`` is when the last whole round ended, and ``report`` what it counted; the other numbers are of the round under way.
    """

    id: str
    begun_at: datetime
    moved_at: datetime
    cursor: str = ""
    objects: int = 0
    size_bytes: int = 0
    found: int = 0
    ended_at: datetime | None = None
    report: dict[str, int] = field(default_factory=dict)

    @property
    def is_under_way(self) -> bool:
        """Tell whether it stopped, or was stopped, before its end."""
        return bool(self.cursor)
