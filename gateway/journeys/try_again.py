"""Trying again what is held: after a rule, an update or restored bytes it may be cleaned that could not be before."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.document import Document
from gateway.domain.errors import ConflictError
from gateway.domain.finding import Finding
from gateway.domain.people import Actor
from gateway.domain.study import Instance
from gateway.ports import Change, Clock, Records, View

CONFLICT = "uid_conflict"
# A file that its inspection held has the code as its note; it is inspected anew, by the scanner too.
_BY_INSPECTION = ("malware", "archive_refused", "too_large", "unreadable_dicom")


def try_again(finding_id: str, *, by: Actor, records: Records, clock: Clock) -> Finding:
    """Have the subject of an open finding cleaned once more; what comes of it takes the place of the finding.

    Of two objects under one identifier the second stays held: cleaning it again would not tell which is the right one.
    """
    with records.change(by=by) as change:
        finding = change.findings.get(finding_id)
        subject = _subject(change, finding)
        if not can_try_again(change, finding) or subject is None:
            raise ConflictError(
                "this cannot be cleaned anew",
                next_step="Leave it out, or ask the sender for it in another form.",
            )
        if subject.state != "quarantined":
            raise ConflictError(
                "this is not held any more, or is being cleaned already", next_step="Reload the page."
            )
        _owe(change, subject, case_id=finding.case_id, now=clock.now())
        change.note("tried_again", case_id=finding.case_id, subject=subject.id, finding=finding.id)
        return change.findings.get(finding_id)


def can_try_again(view: View | Change, finding: Finding) -> bool:
    """Tell whether cleaning once more could change anything for an open finding."""
    if finding.state != "open" or finding.subject_kind == "study":
        return False
    return not view.findings.count(
        subject_id=finding.subject_id, code=CONFLICT, state=("open", "kept", "excluded")
    )


def owe_what_is_held(change: Change, case_id: str, *, now: datetime) -> None:
    """Owe again all of a case that is held without a copy: a new rule may be what it lacked. One with a copy is asked itself."""
    held: list[Instance | Document] = [
        *change.instances.find(case_id=case_id, state="quarantined"),
        *change.documents.find(case_id=case_id, state="quarantined"),
    ]
    for subject in held:
        if isinstance(subject, Document) and subject.note in _BY_INSPECTION:
            continue
        if change.copies.count(subject_id=subject.id, state="verified"):
            continue
        if change.findings.count(subject_id=subject.id, code=CONFLICT):
            continue
        _owe(change, subject, case_id=case_id, now=now)


def _owe(change: Change, subject: Instance | Document, *, case_id: str, now: datetime) -> None:
    if isinstance(subject, Instance):
        change.instances.set(subject.id, state="received")
        change.owe("deidentify_study", subject.study_id, due_at=now, case_id=case_id)
    elif subject.note in _BY_INSPECTION:
        change.documents.set(subject.id, state="received", note="")
        for finding in change.findings.find(subject_id=subject.id, state="open"):
            change.findings.set(finding.id, state="obsolete")
        change.owe("inspect_document", subject.id, due_at=now, case_id=case_id)
    else:
        change.documents.set(subject.id, state="received")
        change.owe("deidentify_document", subject.id, due_at=now, case_id=case_id)


def _subject(change: Change, finding: Finding) -> Instance | Document | None:
    if finding.subject_kind == "instance":
        return change.instances.first(id=finding.subject_id)
    return change.documents.first(id=finding.subject_id) if finding.subject_kind == "document" else None
