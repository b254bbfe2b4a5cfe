"""A finding: something that holds back a release until a human has judged it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# keep: release the de-identified copy as it is (only where there is a copy) · exclude: leave it out
Verdict = Literal["keep", "exclude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``code`` is ours, ``reason`` stands in the coordinator's words; neither holds a value. ``copy_id``: what to look at."""

    id: str
    case_id: str
    subject_kind: Literal["instance", "document", "study"]
    subject_id: str
    code: str
    reason: str
    place: str = ""
    copy_id: str | None = None
    state: Literal["open", "kept", "excluded", "obsolete"] = "open"
    found_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None

    @property
    def can_keep(self) -> bool:
        """Only a copy that exists and that no machine found leaking can be kept by a human look."""
        return self.copy_id is not None and self.code != "identifier_left"
