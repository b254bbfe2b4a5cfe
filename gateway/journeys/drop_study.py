"""Dropping a study of which nothing was kept: its first object was refused or broke off, and no patient's name stays behind."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from gateway.domain.errors import ConflictError, ConsiliumError
from gateway.domain.people import HOUSE, Actor
from gateway.ports import Clock, Records

EMPTY_FOR = timedelta(hours=1)


def drop_empty_study(study_id: str, *, by: Actor, records: Records) -> bool:
    """Drop the study with its key if no instance of it is kept; True if that was done. Raises nothing of the house's own.

    An association that is sealing its first instance for it at this moment is refused afterwards, and sends again.
    """
    with suppress(ConsiliumError):
        with records.view() as view:
            standing = view.studies.pick(("instances",), id=study_id)
        if not standing or standing[0][0]:
            return False
        with records.change(by=by) as change:
            if change.instances.count(study_id=study_id):
                raise ConflictError(f"study {study_id} has instances")
            rows = change.studies.pick(("holder", "case_id"), id=study_id)  # what is sealed need not open
            if not rows:
                return False
            holder, case_id = rows[0]
            if holder == study_id:  # the key is the study's alone and goes with it
                change.adopt_keys(study_id, case_id=study_id)
                change.destroy_keys(study_id)
            change.studies.remove(id=study_id)
            change.jobs.remove(subject_id=study_id, state="queued")
            change.note("study_dropped", case_id=case_id or "", subject=study_id)
        return True
    return False


def sweep_empty_studies(*, records: Records, clock: Clock) -> int:
    """Drop what a crash left: studies that began an hour ago and kept nothing. Returns how many."""
    before = clock.now() - EMPTY_FOR
    with records.view() as view:
        empty = view.studies.pick(("id", "last_at"), instances=0)
    old = [study_id for study_id, last_at in empty if last_at < before]
    return sum(drop_empty_study(study_id, by=HOUSE, records=records) for study_id in old)
