"""Watching cases from an open page: counts and states that tell nothing of a patient, so no event and no sealed row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gateway.journeys.lookup import CaseRow, case_row, case_rows
from gateway.ports import Records, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a case is, in numbers."""

    ref: str
    state: str
    instances_received: int
    instances_deidentified: int
    instances_waiting: int
    instances_quarantined: int
    documents: int
    studies: int
    open_findings: int
    releases: int
    answers: int
    working: int
    failed: int

    @property
    def version(self) -> str:
        """What changes when a page shows too little: new things, not mere progress."""
        parts = (self.state, self.studies, self.documents, self.open_findings, self.releases, self.answers)
        return "-".join(str(part) for part in (*parts, self.failed))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "version": self.version}


def watch_case(ref: str, *, records: Records) -> Progress:
    """Return the numbers of one case."""
    with records.view() as view:
        return progress_of(view, case_row(view, ref))


def watch_cases(*, records: Records) -> tuple[list[Progress], int]:
    """Return the numbers of every case, and how many studies wait in the inbox."""
    with records.view() as view:
        cases = [progress_of(view, case) for case in case_rows(view)]
        return cases, view.studies.count(case_id=None)


def progress_of(view: View, case: CaseRow) -> Progress:
    """Count."""
    states = {
        state: view.instances.count(case_id=case.id, state=state)
        for state in ("received", "deidentified", "quarantined")
    }
    return Progress(
        ref=case.ref,
        state=case.state,
        instances_received=view.instances.count(case_id=case.id),
        instances_deidentified=states["deidentified"],
        instances_waiting=states["received"],
        instances_quarantined=states["quarantined"],
        documents=view.documents.count(case_id=case.id),
        studies=view.studies.count(case_id=case.id),
        open_findings=view.findings.count(case_id=case.id, state="open"),
        releases=view.releases.count(case_id=case.id),
        answers=view.answers.count(case_id=case.id),
        working=view.jobs.count(case_id=case.id, state=("queued", "running")),
        failed=view.jobs.count(case_id=case.id, state="failed"),
    )
