"""Reading the audit trail: a case's own, or the newest of all; that it was read is an event itself (A8)."""

from __future__ import annotations

from collections import deque

from gateway.domain.audit import AuditEvent
from gateway.domain.people import Actor
from gateway.journeys.lookup import CaseRow, case_row
from gateway.ports import Records


def read_newest(*, by: Actor, records: Records, most: int = 200, before: int = 0) -> list[AuditEvent]:
    """Return the newest events, newest first; ``before`` pages on (0 begins at the head)."""
    with records.change(by=by) as change:
        change.note("audit_read", newest=most, before=before)
    with records.view() as view:
        head, _ = view.head()
        end = min(before - 1, head) if before > 0 else head
        start = max(end - most, 0)
        found = list(view.events(after=start, limit=max(end - start, 0))) if end > 0 else []
    return found[::-1]


def read_case_trail(
    *, ref: str, by: Actor, records: Records, most: int = 2000
) -> tuple[CaseRow, list[AuditEvent], bool]:
    """Return a case, its newest events (newest first) and whether older ones were left out."""
    with records.change(by=by) as change:
        case = case_row(change, ref)
        change.note("audit_read", case_id=case.id, subject=case.ref)
    kept: deque[AuditEvent] = deque(maxlen=most)
    seen = 0
    with records.view() as view:
        for event in view.events(case_id=case.id):
            kept.append(event)
            seen += 1
    return case, list(kept)[::-1], seen > most
