"""Settling a study: nothing more came for the quiet period, so its de-identification is owed: a guess, and reversible."""

from __future__ import annotations

from datetime import timedelta

from gateway.domain.people import HOUSE
from gateway.domain.policy import Policy
from gateway.ports import Clock, Records


def settle_study(study_id: str, *, records: Records, clock: Clock, policy: Policy) -> None:
    """Mark a study settled if it is quiet, else wait on. No meaning is drawn from an association's end (PS3.4 B.4)."""
    with records.change(by=HOUSE) as change:
        study = change.studies.get(study_id)
        quiet_at = study.last_at + timedelta(seconds=policy.quiet_s)
        if clock.now() < quiet_at:
            change.owe("settle_study", study_id, due_at=quiet_at, case_id=study.case_id)
            change.note("study_settled", case_id=study.case_id or "", subject=study_id, outcome="not_yet")
            return
        change.studies.set(study_id, state="settled")
        change.note("study_settled", case_id=study.case_id or "", subject=study_id, instances=study.instances)
        if study.case_id is not None:
            change.owe("deidentify_study", study_id, due_at=clock.now(), case_id=study.case_id)
