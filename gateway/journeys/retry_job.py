"""Starting a failed job again by a human's word: the work is owed anew, with all its tries before it."""

from __future__ import annotations

from gateway.domain.errors import ConflictError
from gateway.domain.people import Actor
from gateway.ports import Clock, Records


def retry_job(job_id: str, *, by: Actor, records: Records, clock: Clock) -> str:
    """Owe the work of a failed job again and return the new job's id; the bell is rung once this is committed."""
    with records.change(by=by) as change:
        job = change.jobs.get(job_id)
        if job.state != "failed":
            raise ConflictError(f"the job is {job.state}, not failed", next_step="Reload the page.")
        change.jobs.remove(id=job_id)
        fresh = change.owe(job.kind, job.subject_id, due_at=clock.now(), case_id=job.case_id)
        change.note("job_retried", case_id=job.case_id or "", subject=job_id, job=job.kind)
        return fresh
