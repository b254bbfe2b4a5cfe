"""A grant: the right of one reviewer to open one release until a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Deny by default: without a grant that permits, a release does not exist for the reviewer."""

    id: str
    release_id: str
    case_id: str
    person_id: str
    granted_at: datetime
    until: datetime
    revoked_at: datetime | None = None

    def permits(self, *, person_id: str, release_id: str, now: datetime) -> bool:
        """Tell whether this person may open this release now."""
        return (
            self.person_id == person_id
            and self.release_id == release_id
            and self.revoked_at is None
            and self.granted_at <= now < self.until
        )
