"""What holds a release back: work that is not done, findings that wait, copies that were not read against all that is known."""

from __future__ import annotations

from anonymizer.profile import load_profile
from gateway.domain.case import Case
from gateway.domain.errors import ConflictError
from gateway.domain.release import Copy, Manifest
from gateway.journeys.compose_package import Member
from gateway.journeys.make_copy import known_digest, known_of
from gateway.journeys.rules_in_force import rules_in_force
from gateway.ports import Change, View

_WORK = ("settle_study", "inspect_document", "deidentify_study", "deidentify_document", "reverify_case")


def nothing_identified(case: Case) -> None:
    """Refuse a case whose copies would not be de-identified: no door of this house lets an identified release out."""
    if load_profile(case.profile).identified:
        raise ConflictError(
            "the profile of this case leaves the patient's identity in, and such a case is not released",
            next_step="Open a new case with the profile mdt-default or strict.",
        )


def nothing_pending(view: View | Change, case: Case) -> None:
    """Refuse while anything of the case is unfinished: a release is whole or it is not built."""
    waiting = view.instances.count(case_id=case.id, state="received") + view.documents.count(
        case_id=case.id, state="received"
    )
    busy = view.jobs.count(case_id=case.id, state=("queued", "running"), kind=_WORK)
    failed = view.jobs.count(case_id=case.id, state="failed", kind=_WORK)
    if failed and waiting:
        raise ConflictError(
            f"{failed} jobs of this case failed and {waiting} items wait for them",
            next_step="See `consilium job list`, then `job retry`.",
        )
    if waiting or busy:
        raise ConflictError(
            f"the case is still being worked on: {waiting} items, {busy} jobs",
            next_step="Wait a little; `consilium case show` tells how far it is.",
        )


def nothing_open(view: View | Change, case: Case) -> None:
    findings = view.findings.find(case_id=case.id, state="open", limit=200)
    if findings:
        codes = ", ".join(sorted({f.code for f in findings}))
        raise ConflictError(
            f"{len(findings)} findings wait for a human ({codes})",
            next_step="Judge them on the desk, or with `consilium finding list` and `finding judge`.",
        )


def nothing_spoilt(change: Change, case: Case, manifest: Manifest) -> None:
    """Refuse a version of which something was found leaking, was made anew, left out or not read again since it was built.

    Each copy says itself what it was read against, so that no job that failed or was lost can be taken for a reading.
    """
    digest = known_digest(known_of(case))
    verified = {copy.id: copy for copy in change.copies.find(case_id=case.id, state="verified")}
    held = {
        row.id
        for shelf in (change.instances, change.documents)
        for row in shelf.find(case_id=case.id, state=("excluded", "quarantined", "received"))
    }
    named = [entry.content.copy_id for entry in manifest.entries]
    if any(copy_id not in verified or verified[copy_id].subject_id in held for copy_id in named):
        raise ConflictError(
            "something in this release has changed since it was built",
            next_step="Build the release again, look at it and approve that one.",
        )
    rules = rules_in_force(change, case.id)
    if any(rules.stale(verified[c]) for c in named if verified[c].subject_kind != "release"):
        raise ConflictError(
            "the reviewed rules have changed since this release was built",
            next_step="Build the release again, look at it and approve that one.",
        )
    if any(verified[copy_id].index.get("known") != digest for copy_id in named):
        raise ConflictError(
            "more is known of the patient than this release was read against",
            next_step="Build the release again: that reads every copy anew. Look at it and approve that one.",
        )


def members_of(view: View, case: Case) -> list[Member]:
    """Return what may be released, in the order of arrival: cleared subjects and their verified copies, no other."""
    digest = known_digest(known_of(case))
    copies: dict[str, Copy] = {c.subject_id: c for c in view.copies.find(case_id=case.id, state="verified")}
    cleared: list[tuple[str, str, str]] = []
    for study in view.studies.find(case_id=case.id, order="received_at"):
        found = view.instances.find(study_id=study.id, state="deidentified", order="received_at")
        cleared += [(i.id, "instance", "imaging") for i in found]
    papers = view.documents.find(case_id=case.id, state="deidentified", order="received_at")
    cleared += [(d.id, "document", d.category) for d in papers]
    if lost := sum(subject not in copies for subject, _, _ in cleared):
        raise ConflictError(
            f"{lost} items of this case are cleared and have no copy",
            next_step="Take their study back to the inbox and assign it again, or leave them out.",
        )
    rules = rules_in_force(view, case.id)
    if any(rules.stale(copies[subject]) for subject, _, _ in cleared):
        raise ConflictError(
            "the reviewed rules changed while the copies were read",
            next_step="Build the release again: that makes such copies anew.",
        )
    if any(copies[subject].index.get("known") != digest for subject, _, _ in cleared):
        raise ConflictError(
            "more became known of the patient while the copies were read",
            next_step="Build the release again: that reads every copy anew.",
        )
    return [Member(copy=copies[subject], kind=kind, category=category) for subject, kind, category in cleared]
