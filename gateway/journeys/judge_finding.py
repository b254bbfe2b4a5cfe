"""Judging a finding: a human keeps the copy that she has looked at, or leaves the thing out; and may take it back."""

from __future__ import annotations

from typing import Literal

from gateway.domain.document import Document
from gateway.domain.errors import ConflictError
from gateway.domain.finding import Finding
from gateway.domain.people import Actor
from gateway.domain.release import Copy
from gateway.domain.study import Instance
from gateway.journeys import sandboxed
from gateway.journeys.make_copy import read_copy
from gateway.ports import Change, Clock, Records, Sandbox, View, WritableShelf
from storage import SealedStore


def judge_finding(
    finding_id: str, verdict: Literal["keep", "exclude"], *, by: Actor, records: Records, clock: Clock
) -> Finding:
    """Record a verdict. «keep» is refused where there is no copy, or where a machine found an identifier in it."""
    with records.change(by=by) as change:
        finding = change.findings.get(finding_id)
        if finding.state == "obsolete":
            raise ConflictError(
                "this finding is about a copy that has been replaced", next_step="Look at the newer finding."
            )
        if verdict == "keep" and not finding.can_keep:
            raise ConflictError(
                "there is no clean copy of this that could be kept",
                next_step="Leave it out, or ask the sender for it in another form.",
            )
        if verdict == "keep" and change.copies.get(str(finding.copy_id)).state != "verified":
            raise ConflictError(
                "the copy that this finding is about is no longer the one that would be released",
                next_step="Wait until it has been made anew and look at that one.",
            )
        state = "kept" if verdict == "keep" else "excluded"
        change.findings.set(finding.id, state=state, decided_by=str(by), decided_at=clock.now())
        _settle_subject(change, finding)
        change.note(
            "finding_judged",
            case_id=finding.case_id,
            subject=finding.subject_id,
            finding=finding.id,
            verdict=verdict,
        )
    with records.view() as view:
        return view.findings.get(finding_id)


def reconsider_finding(finding_id: str, *, by: Actor, records: Records) -> Finding:
    """Undo a verdict: the finding is open again. A release that is built already keeps what it named."""
    with records.change(by=by) as change:
        finding = change.findings.get(finding_id)
        if finding.state not in {"kept", "excluded"}:
            raise ConflictError("there is no verdict to take back")
        if finding.copy_id and change.copies.get(finding.copy_id).state != "verified":
            raise ConflictError(
                "the copy that was judged is not the one that would be released",
                next_step="Wait until it has been made anew, then judge that one.",
            )
        change.findings.set(finding.id, state="open", decided_by="", decided_at=None)
        _settle_subject(change, finding)
        change.note(
            "finding_judged",
            case_id=finding.case_id,
            subject=finding.subject_id,
            finding=finding.id,
            verdict="reopened",
        )
    with records.view() as view:
        return view.findings.get(finding_id)


def preview_finding(
    finding_id: str, *, number: int, by: Actor, records: Records, store: SealedStore, sandbox: Sandbox
) -> bytes | None:
    """Return a PNG of the de-identified copy that a finding is about: what a reviewer would see, never the original."""
    with records.change(by=by) as change:
        finding = change.findings.get(finding_id)
        copy = standing_copy(change, finding)
        change.note("preview_read", case_id=finding.case_id, subject=finding.subject_id, finding=finding.id)
    if copy is None:
        return None
    content = read_copy(copy, records=records, store=store)
    return sandboxed.preview(sandbox, content, media_type=str(copy.index["media_type"]), number=number)


def standing_copy(view: View | Change, finding: Finding) -> Copy | None:
    """Return the copy that a finding is about; of one that is obsolete, the copy that took its place."""
    newest = None
    if finding.state == "obsolete":
        newest = view.copies.first(subject_id=finding.subject_id, state="verified", order="-made_at")
    return newest or (view.copies.first(id=finding.copy_id) if finding.copy_id else None)


def _settle_subject(change: Change, finding: Finding) -> None:
    """The subject is left out if one verdict says so, held while one is missing, else cleared for release.

    One that waits for its copy goes on waiting: the making settles it, and counts the verdicts that still stand.
    """
    shelf: WritableShelf[Instance] | WritableShelf[Document] = (
        change.instances if finding.subject_kind == "instance" else change.documents
    )
    if shelf.get(finding.subject_id).state == "received":
        return
    states = {f.state for f in change.findings.find(subject_id=finding.subject_id) if f.state != "obsolete"}
    state = "excluded" if "excluded" in states else "quarantined" if "open" in states else "deidentified"
    shelf.set(finding.subject_id, state=state)
