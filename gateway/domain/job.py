"""A job: work that is owed, as a row that was committed with the change that owes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

JobKind = Literal[
    "settle_study",
    "deidentify_study",
    "inspect_document",
    "deidentify_document",
    "reverify_case",
    "deliver_release",
    "decide_commitment",
    "report_commitments",
    "remove_objects",
]
MAX_ATTEMPTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``subject_id`` says on what; ``dedup_key`` keeps one open job of a kind per subject. No personal data in a job."""

    id: str
    kind: JobKind
    subject_id: str
    case_id: str | None = None
    state: Literal["queued", "running", "done", "failed"] = "queued"
    dedup_key: str | None = None
    due_at: datetime
    created_at: datetime
    attempts: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    error: str = ""
    finished_at: datetime | None = None


def retry_after_s(attempts: int, jitter: float) -> float:
    """Return the wait before the next try: 2, 4, 8 … 300 s, each with up to half as much again (``jitter`` in 0..1)."""
    base = min(2.0 ** max(attempts, 1), 300.0)
    return base * (1 + jitter / 2)
