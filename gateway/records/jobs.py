"""The job rows as a queue with leases: the authority on what is owed, whatever carries the doorbell."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Row, and_, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.job import Job
from gateway.domain.people import HOUSE
from gateway.ports import Records
from gateway.records.tables import KINDS, duty
from gateway.records.turn import alone

_job = KINDS["jobs"].table
_NAMES = tuple(field.name for field in fields(Job))
_CLAIM_LOCK = 7247
# Clocks of one exchange's machines agree to minutes (D12); a time further ahead than that was written by a wrong clock.
CLOCKS_DIFFER = timedelta(minutes=10)


class JobRows:
    """Implements ``ports.Jobs``. Claiming and leases are short transactions; a failure for good is audited."""

    def __init__(self, *, write: Engine, read: Engine, records: Records) -> None:
        self._write, self._read, self._records = write, read, records

    def claim_job(
        self, *, now: datetime, owner: str, lease_s: float, job_id: str | None = None
    ) -> Job | None:
        """Take one due job. A second job of the same kind and subject waits until the first has ended."""
        other = _job.alias("other")
        busy = exists().where(
            other.c.kind == _job.c.kind,
            other.c.subject_id == _job.c.subject_id,
            other.c.id != _job.c.id,
            other.c.state == "running",
            other.c.lease_until > now,
        )
        candidate = select(_job.c.id).where(_claimable(now), ~busy)
        if job_id is not None:
            candidate = candidate.where(_job.c.id == job_id)
        candidate = candidate.order_by(_job.c.due_at, _job.c.id).limit(1).with_for_update(skip_locked=True)
        taken = (
            update(_job)
            .where(_job.c.id == candidate.scalar_subquery(), _claimable(now))
            .values(
                state="running",
                owner=owner,
                lease_until=now + timedelta(seconds=lease_s),
                attempts=_job.c.attempts + 1,
                dedup_key=None,
            )
            .returning(*_job.c)
        )
        with alone(self._write), self._write.begin() as connection:
            if (
                connection.dialect.name == "postgresql"
            ):  # else two claims would not see each other's job as busy
                connection.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK)))
            row = connection.execute(taken).first()
        return None if row is None else _value(row)

    def renew_lease(self, job_id: str, *, owner: str, now: datetime, lease_s: float) -> bool:
        until = now + timedelta(seconds=lease_s)
        return self._mine(job_id, owner, lease_until=until)

    def finish_job(self, job_id: str, *, owner: str, now: datetime) -> bool:
        return self._mine(job_id, owner, state="done", finished_at=now, lease_until=None, error="")

    def fail_job(
        self, job_id: str, *, owner: str, now: datetime, error: str, retry_at: datetime | None
    ) -> None:
        if retry_at is not None:
            self._mine(job_id, owner, state="queued", due_at=retry_at, lease_until=None, error=error)
            return
        with self._records.change(by=HOUSE) as change:
            job = change.jobs.get(job_id)
            if job.owner == owner and job.state == "running":
                change.jobs.set(job_id, state="failed", finished_at=now, lease_until=None, error=error)
                change.note(
                    "job_failed",
                    case_id=job.case_id or "",
                    subject=job_id,
                    outcome="failed",
                    job=job.kind,
                    error=error,
                )
            else:
                change.note(
                    "job_failed",
                    case_id=job.case_id or "",
                    subject=job_id,
                    outcome="superseded",
                    job=job.kind,
                )

    def due_jobs(self, *, now: datetime, limit: int = 100) -> list[str]:
        statement = select(_job.c.id).where(_claimable(now)).order_by(_job.c.due_at).limit(limit)
        with self._read.connect() as connection:
            return list(connection.execute(statement).scalars())

    def next_due(self) -> datetime | None:
        statement = select(_job.c.due_at).where(_job.c.state == "queued").order_by(_job.c.due_at).limit(1)
        with self._read.connect() as connection:
            return connection.execute(statement).scalar()

    def claim_duty(self, name: str, *, now: datetime, every_s: float) -> bool:
        dialect = sqlite if self._write.dialect.name == "sqlite" else postgresql
        following = now + timedelta(seconds=every_s)
        # A clock that was ahead and is put back must not stop the duties until it comes there again.
        is_due = or_(duty.c.next_at <= now, duty.c.next_at > following + CLOCKS_DIFFER)
        statement = dialect.insert(duty).values(name=name, next_at=following)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_={"next_at": following}, where=is_due
        ).returning(duty.c.name)
        with alone(self._write), self._write.begin() as connection:
            return connection.execute(statement).first() is not None

    def _mine(self, job_id: str, owner: str, **values: object) -> bool:
        statement = update(_job).where(_job.c.id == job_id, _job.c.owner == owner, _job.c.state == "running")
        with alone(self._write), self._write.begin() as connection:
            return bool(connection.execute(statement.values(**values)).rowcount)


def _claimable(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(_job.c.state == "queued", _job.c.due_at <= now),
        and_(_job.c.state == "running", _job.c.lease_until <= now),
    )


def _value(row: Row[tuple[object, ...]]) -> Job:
    return Job(**{name: getattr(row, name) for name in _NAMES})
