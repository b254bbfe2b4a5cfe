"""Writing down what was found between rows and objects, and closing what has healed: steps inside an open change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.domain.ids import new_id
from gateway.domain.kept_object import KeptObject, ObjectBatch
from gateway.domain.store_finding import StoreFinding
from gateway.journeys.verify_store import Loss
from gateway.ports import Change, Records, View


def open_losses(view: View | Change) -> list[StoreFinding]:
    """Return the open findings about rows, oldest first."""
    return [
        finding
        for finding in view.store_findings.find(state="open", order="first_seen_at")
        if finding.kind != "orphan"
    ]


def keep_losses(change: Change, losses: Sequence[Loss], *, now: datetime) -> int:
    """Write losses down, each once, and raise the alarm for the new ones; return how many are new."""
    asked = [loss.kept.object_id for loss in losses]
    known = {
        (finding.row_id, finding.object_id): finding
        for finding in change.store_findings.find(object_id=asked, state="open")
    }
    alarms: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for loss in losses:
        kept = loss.kept
        finding = known.get((kept.row_id, kept.object_id))
        if finding is not None:
            change.store_findings.set(finding.id, kind=loss.kind, last_seen_at=now)
            continue
        made = StoreFinding(
            id=new_id(),
            object_id=kept.object_id,
            kind=loss.kind,
            shelf=kept.shelf,
            row_id=kept.row_id,
            case_id=kept.case_id,
            first_seen_at=now,
            last_seen_at=now,
        )
        change.store_findings.add(made)
        of = (kept.case_id or "", loss.kind)
        alarms[of] += 1
        first.setdefault(of, made.id)
    for (case_id, what), count in alarms.items():  # one event for each case, however much of it is lost
        change.note(
            "object_lost", case_id=case_id, subject=first[case_id, what], outcome="failed", what=what, objects=count
        )  # fmt: skip
    return sum(alarms.values())


def close_findings(change: Change, findings: Iterable[StoreFinding], *, state: str, now: datetime) -> int:
    """Close findings that ended by themselves; return how many."""
    closed: Counter[str] = Counter()
    for finding in findings:
        change.store_findings.set(finding.id, state=state, ended_at=now)
        closed[finding.case_id or ""] += 1
    for case_id, count in closed.items():
        change.note("store_finding_closed", case_id=case_id, outcome=state, findings=count)
    return sum(closed.values())


def close_batches(change: Change, batches: Iterable[ObjectBatch]) -> None:
    """Say of batches that what no row names by now is given up: no row can name it any more when this is committed."""
    here = change.object_batches.find(id=[one.id for one in batches])
    for batch in here:  # a sweep beside this one may have removed some
        change.object_batches.set(batch.id, until=batch.made_at)


def rows_of(findings: Sequence[StoreFinding], *, records: Records) -> dict[str, KeptObject]:
    """Return, for each finding whose row still names its object, that row."""
    with records.view() as view:
        named = {
            (kept.shelf, kept.row_id, kept.object_id): kept
            for kept in view.kept.naming([finding.object_id for finding in findings])
        }
    found = {
        finding.id: named.get((finding.shelf, finding.row_id, finding.object_id)) for finding in findings
    }
    return {finding_id: kept for finding_id, kept in found.items() if kept is not None}
