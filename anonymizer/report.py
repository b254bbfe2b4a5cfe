"""What was done to one object: counts and places, never a value; it is part of what a privacy officer signs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: where (tags and item numbers), which action, and which source or reason."""

    place: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one object; ``counts`` holds every action, ``entries`` only what was changed."""

    profile: str
    edition: str
    profile_digest: str
    counts: dict[str, int]
    entries: tuple[Entry, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "edition": self.edition,
            "profile_digest": self.profile_digest,
            "counts": dict(sorted(self.counts.items())),
            "entries": [{"place": e.place, "action": e.action, "reason": e.reason} for e in self.entries],
        }


@dataclass(slots=True, kw_only=True)
class Notebook:
    """Collects entries while an object is walked; bounded, so that a hostile object cannot fill memory."""

    entries: list[Entry] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    limit: int = 20_000

    def note(self, place: str, action: str, reason: str) -> None:
        self.counts[action] += 1
        if len(self.entries) < self.limit:
            self.entries.append(Entry(place, action, reason))

    def kept(self) -> None:
        self.counts["K"] += 1
