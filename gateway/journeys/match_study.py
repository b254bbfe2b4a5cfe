"""Finding the case of a study: by the called AE title, else by identifiers with a score; the rest waits in the inbox."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from dicom_node.head import Head
from gateway.domain.case import OPEN_STATES, RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.matching import Match, score
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.study import Study
from gateway.journeys.hold_conflict import hold_conflicts
from gateway.journeys.lookup import case_by_ref, unreadable_said
from gateway.journeys.open_case import mark_item
from gateway.journeys.rules_in_force import judged_words
from gateway.ports import Change, Clock, Records, View
from storage import SealedStore

IDENTITY = ("patient_id", "patient_name", "patient_birth_date", "patient_sex")


def identity_of(head: Head | dict[str, str]) -> dict[str, str]:
    """Return the attributes by which a study is matched."""
    values = head if isinstance(head, dict) else asdict(head)
    return {name: str(values.get(name, "")) for name in IDENTITY}


def best_case(view: View, head: Head | dict[str, str], *, policy: Policy) -> tuple[Case | None, Match | None]:
    """Return the one open case that a header fits well enough; two that fit are one too many, and a human decides.

    A case that does not open is passed over: no sender has to wait for it.
    """
    identity = identity_of(head)
    cases, _ = view.cases.find_readable(state=OPEN_STATES)
    rated = [(score(identity, case.patient), case) for case in cases]
    fitting = [(match, case) for match, case in rated if match.score >= policy.match_score]
    if len(fitting) == 1:
        return fitting[0][1], fitting[0][0]
    return None, max((match for match, _ in rated), key=lambda m: m.score, default=None)


def suggestions(view: View, study: Study, *, most: int = 3) -> list[tuple[Case, Match]]:
    """Return the cases that an unmatched study fits best, for the desk's inbox."""
    cases, _ = view.cases.find_readable(state=RECEIVING_STATES)
    rated = [(case, score(identity_of(study.head), case.patient)) for case in cases]
    return sorted((r for r in rated if r[1].score > 0), key=lambda r: -r[1].score)[:most]


def assign_study(*, study_id: str, ref: str, by: Actor, records: Records, clock: Clock) -> Study:
    """Match an inbox study with a case by a human's word: keys, instances and the owed work go over in one transaction."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if case.state not in RECEIVING_STATES:
            raise ConflictError(f"case {case.ref} is «{case.state}» and takes no more studies")
        with unreadable_said():
            study = change.studies.get(study_id)
        if study.case_id is not None:
            raise ConflictError("this study has a case already", next_step="Take it back to the inbox first.")
        matched = replace(study, case_id=case.id, match={"score": 100, "reasons": ["by_hand"]})
        change.studies.put(matched)
        change.adopt_keys(study.holder, case_id=case.id)
        for instance in change.instances.find(study_id=study.id):
            change.instances.set(instance.id, case_id=case.id)
        hold_conflicts(change, study.id, case.id)
        mark_item(change, case, "imaging")
        change.owe("deidentify_study", study.id, due_at=clock.now(), case_id=case.id)
        change.note("study_matched", case_id=case.id, subject=study.id, how="by_hand")
        return matched


def unassign_study(*, study_id: str, by: Actor, records: Records, store: SealedStore, clock: Clock) -> Study:
    """Undo a match that was wrong, as long as nothing of the study has been released; its copies are dropped.

    A study that was sealed under the case's own key (it named the case when it came) stays with that key: it can be
    excluded, not moved.
    """
    with records.change(by=by) as change:
        with unreadable_said():
            study = change.studies.get(study_id)
        if study.case_id is None:
            raise NotFoundError("this study is in the inbox already")
        if study.holder == study.case_id:
            raise ConflictError(
                "this study came for this very case", next_step="Exclude its instances instead."
            )
        if change.releases.count(case_id=study.case_id, state="approved"):
            raise ConflictError("the case has been released", next_step="Withdraw the release first.")
        case_id = study.case_id
        dropped: list[str] = []
        for instance in change.instances.find(study_id=study.id):
            dropped += [copy.object_id for copy in change.copies.find(subject_id=instance.id)]
            change.copies.remove(subject_id=instance.id)
            change.findings.remove(subject_id=instance.id)
            change.case_rules.remove(subject_id=instance.id)
            state = "quarantined" if instance.conflict_of else "received"
            change.instances.set(instance.id, case_id=None, state=state)
        _clean_anew(change, change.cases.get(case_id), now=clock.now())
        change.jobs.remove(kind="deidentify_study", subject_id=study.id, state="queued")
        free = replace(study, case_id=None, match={})
        change.studies.put(free)
        change.adopt_keys(study.holder, case_id=None)
        change.note("study_unmatched", case_id=case_id, subject=study.id)
    for object_id in dropped:
        store.forget(object_id)
    return free


def _clean_anew(change: Change, case: Case, *, now: datetime) -> None:
    """Owe a case's copies again, from what is known without the study that was taken out: it may be another patient's."""
    change.cases.put(replace(case, harvest=judged_words(change, case).to_json()))
    for instance in change.instances.find(case_id=case.id, state=("deidentified", "quarantined")):
        if not instance.conflict_of:
            change.instances.set(instance.id, state="received")
            change.owe("deidentify_study", instance.study_id, due_at=now, case_id=case.id)
    for copy in change.copies.find(case_id=case.id, subject_kind="document", state="verified"):
        document = change.documents.get(copy.subject_id)
        if document.state in {"deidentified", "quarantined"}:
            change.documents.set(document.id, state="received")
            change.owe("deidentify_document", document.id, due_at=now, case_id=case.id)


def described(match: Match | None) -> dict[str, Any]:
    """Return a match as it is kept beside the study: numbers and kinds, no values."""
    return {} if match is None else {"score": match.score, "reasons": list(match.reasons)}
