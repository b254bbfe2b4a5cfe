"""Showing cases: the figures and lists that the desk and the command line tell, with the looking noted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain import checklist
from gateway.domain.case import Case
from gateway.domain.document import Document
from gateway.domain.errors import UnreadableError
from gateway.domain.finding import Finding
from gateway.domain.forgetting import Hold
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.release import Release
from gateway.domain.study import Study
from gateway.journeys.hold_case import standing_hold
from gateway.journeys.lookup import CaseRow, case_by_ref, case_rows, unreadable_said
from gateway.journeys.open_case import deadline_of
from gateway.ports import Clock, Records, View


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """All that the desk shows of one case."""

    case: Case
    due_at: datetime | None
    paused_for: str | None
    counts: dict[str, int]
    missing: tuple[str, ...]
    studies: list[Study]
    documents: list[Document]
    findings: list[Finding]
    releases: list[Release]
    working: int
    failed: int
    hold: Hold | None

    def to_json(self) -> dict[str, Any]:
        """Return the shape of ``consilium case show --json``: states and counts, no name of the patient."""
        return {
            "ref": self.case.ref,
            "ae_title": self.case.ref,
            "opinion": self.case.opinion,
            "state": self.case.state,
            "opened_at": self.case.opened_at.isoformat(timespec="seconds"),
            "answer_due": self.due_at.isoformat(timespec="seconds") if self.due_at else None,
            "paused_for": self.paused_for,
            "checklist": self.case.checklist,
            "missing": list(self.missing),
            "instances": {
                k.removeprefix("instances_"): v for k, v in self.counts.items() if k.startswith("instances_")
            },
            "documents": [
                {
                    "id": d.id,
                    "category": d.category,
                    "media_type": d.media_type,
                    "bytes": d.size_bytes,
                    "state": d.state,
                    "note": d.note,
                }
                for d in self.documents
            ],
            "studies": [
                {
                    "id": s.id,
                    "state": s.state,
                    "instances": s.instances,
                    "modality": s.head.get("modality", ""),
                    "match": s.match,
                }
                for s in self.studies
            ],
            "findings": [
                {
                    "id": f.id,
                    "code": f.code,
                    "reason": f.reason,
                    "place": f.place,
                    "state": f.state,
                    "can_keep": f.can_keep,
                    "subject_kind": f.subject_kind,
                    "subject": f.subject_id,
                }
                for f in self.findings
            ],
            "releases": [
                {"id": r.id, "number": r.number, "state": r.state, "digest": r.manifest_digest, **r.totals}
                for r in self.releases
            ],
            "working": self.working,
            "failed_jobs": self.failed,
            "held_since": self.hold.at.isoformat(timespec="seconds") if self.hold else None,
        }


def show_case(*, ref: str, by: Actor, records: Records, clock: Clock, policy: Policy) -> CaseFile:
    """Return everything about one case; that a member of staff looked is an event (HSLF-FS 2016:40 4:9)."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        change.note("case_read", case_id=case.id, subject=case.ref)
    with records.view() as view, unreadable_said():
        return _case_file(view, case, clock=clock, policy=policy)


def list_cases(*, records: Records, clock: Clock, policy: Policy) -> tuple[list[CaseFile], list[CaseRow]]:
    """Return all cases, newest first, for the desk's board; apart from them those of which something does not open."""
    files: list[CaseFile] = []
    unreadable: list[CaseRow] = []
    with records.view() as view:
        for row in case_rows(view):
            try:
                with unreadable_said():
                    case = view.cases.get(row.id)
                    files.append(_case_file(view, case, clock=clock, policy=policy))
            except UnreadableError:
                unreadable.append(row)
    return files, unreadable


def _case_file(view: View, case: Case, *, clock: Clock, policy: Policy) -> CaseFile:
    deadline = deadline_of(case, policy=policy, now=clock.now())
    total = view.instances.count(case_id=case.id)
    counts = {"instances_received": total}
    for state in ("deidentified", "quarantined", "excluded"):
        counts[f"instances_{state}"] = view.instances.count(case_id=case.id, state=state)
    counts["instances_waiting"] = view.instances.count(case_id=case.id, state="received")
    return CaseFile(
        case=case,
        due_at=deadline.due_at,
        paused_for=deadline.paused_for,
        counts=counts,
        missing=checklist.missing(case.checklist),
        studies=view.studies.find(case_id=case.id, order="received_at"),
        documents=view.documents.find(case_id=case.id, order="received_at"),
        findings=[f for f in view.findings.find(case_id=case.id, order="found_at") if f.state != "obsolete"],
        releases=view.releases.find(case_id=case.id, order="number"),
        working=view.jobs.count(case_id=case.id, state=("queued", "running")),
        failed=view.jobs.count(case_id=case.id, state="failed"),
        hold=standing_hold(view, case.id),
    )
