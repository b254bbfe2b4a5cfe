"""Settling a study: all that its sender told of is here, or nothing more came for the quiet period; reversible either way."""

from __future__ import annotations

from datetime import timedelta

from gateway.domain.people import HOUSE
from gateway.domain.policy import Policy
from gateway.ports import Clock, Records


def settle_study(study_id: str, *, records: Records, clock: Clock, policy: Policy) -> None:
    """Mark a study settled if it is whole or quiet, else wait on. No meaning is drawn from an association's end (PS3.4 B.4).

    How many there are is what the sender told (its storage commitment request names them all); quiet is only a guess.
    """
    with records.change(by=HOUSE) as change:
        study = change.studies.get(study_id)
        case_id = study.case_id or ""
        here = change.instances.count(study_id=study_id, conflict_of=None) if study.told else 0
        is_whole = study.told > 0 and here == study.told
        quiet_at = study.last_at + timedelta(seconds=policy.quiet_s)
        if clock.now() < quiet_at and not is_whole:
            change.owe("settle_study", study_id, due_at=quiet_at, case_id=study.case_id)
            change.note("study_settled", case_id=case_id, subject=study_id, outcome="not_yet")
            return
        if is_whole:
            change.note("study_complete", case_id=case_id, subject=study_id, instances=here)
        change.note("study_settled", case_id=case_id, subject=study_id, instances=study.instances)
        if study.state == "settled":  # it was quiet before its sender told that this is all
            return
        change.studies.set(study_id, state="settled")
        if study.case_id is not None:
            change.owe("deidentify_study", study_id, due_at=clock.now(), case_id=study.case_id)
