"""Holding the second of two different objects that came under one SOP Instance UID: kept, never released by itself."""

from __future__ import annotations

from gateway.domain.finding import Finding
from gateway.domain.ids import new_id
from gateway.domain.study import Instance
from gateway.ports import Change


def hold_conflicts(change: Change, study_id: str, case_id: str) -> None:
    """Add the findings that instances in conflict are owed once their study has a case."""
    for instance in change.instances.find(study_id=study_id, state="quarantined"):
        if instance.conflict_of and not change.findings.count(subject_id=instance.id):
            change.findings.add(conflict_finding(instance, case_id))


def conflict_finding(instance: Instance, case_id: str) -> Finding:
    """Return the finding that holds the second of two objects under one UID (PS3.5 9)."""
    return Finding(
        id=new_id(),
        case_id=case_id,
        subject_kind="instance",
        subject_id=instance.id,
        code="uid_conflict",
        reason="The sender sent two different objects under one identifier; the first is used, this one is held.",
        found_at=instance.received_at,
    )
