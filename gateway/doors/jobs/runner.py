"""Claims one job, keeps its lease alive while its journey runs, and writes down how it ended; it knows no broker.

The row is the authority: a bell that is lost, doubled or rung for somebody else's job changes nothing. A worker that is
killed loses its lease, and the next one that looks takes the job over; journeys are written to be run twice.

References
----------
docs/architecture.md, "Work that happens later".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from random import SystemRandom
from typing import Final, Self

import structlog

from gateway.domain.errors import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.job import MAX_ATTEMPTS, Job, retry_after_s
from gateway.ports import Clock, Jobs

JobHandler = Callable[[Job], None]

LEASE_S: Final = 30.0
RENEW_EVERY_S: Final = 10.0
# An outage of a part that is ours to mend is waited out: with waits of five minutes, for about a day.
PATIENT_ATTEMPTS: Final = 300
_PATIENT: Final = frozenset(
    {
        UnavailableError.__name__,
        "StoreFullError",
        "StoreOutageError",
        "StoreDeniedError",
        "KeyServiceError",
        "KeyUnconfirmedError",
        "KeyFileError",
        "ObjectBusyError",
        "VolumeFailedError",
        "VolumeAwayError",
        "Stopped",
    }
)
# Trying again cannot help: the job's subject is gone, or was never of the form that the journey takes.
_HOPELESS: Final = (NotFoundError, InvalidError, ForbiddenError)

log = structlog.get_logger()


class Runner:
    """Runs jobs of one owner (a process); any number of threads may call ``run_job`` at once."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        handlers: Mapping[str, JobHandler],
        clock: Clock,
        owner: str,
        lease_s: float = LEASE_S,
        renew_every_s: float = RENEW_EVERY_S,
        jitter: Callable[[], float] = SystemRandom().random,
    ) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._clock = clock
        self._owner = owner
        self._lease_s = lease_s
        self._renew_every_s = renew_every_s
        self._jitter = jitter
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._heartbeat = threading.Thread(target=self._renew, name="job-leases", daemon=True)
        self._heartbeat.start()

    def run_job(self, job_id: str | None = None) -> bool:
        """Run that job, or the one that has been due for longest; False when there was none to take.

        Never raises for what the journey does: that is written on the job.
        """
        job = self._jobs.claim_job(
            now=self._clock.now(), owner=self._owner, lease_s=self._lease_s, job_id=job_id
        )
        if job is None:
            return False
        with self._lock:
            self._running.add(job.id)
        try:
            self._perform(job)
        finally:
            with self._lock:
                self._running.discard(job.id)
        return True

    def release(self) -> None:
        """Give back what still runs, so that another worker need not wait for the lease; for a process that ends."""
        with self._lock:
            left, self._running = self._running, set()
        for job_id in left:
            now = self._clock.now()
            self._jobs.fail_job(job_id, owner=self._owner, now=now, error="Stopped", retry_at=now)
            log.info("job_released", job=job_id)

    def close(self) -> None:
        self._closed.set()
        self._heartbeat.join(timeout=5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _perform(self, job: Job) -> None:
        told = log.bind(job=job.id, kind=job.kind, attempt=job.attempts)
        if job.attempts > _attempts_allowed(job.error):
            self._give_up(job, "WorkerDied")  # it took its worker with it each time, or it would say more
            return
        told.info("job_started")
        try:
            self._handlers[job.kind](job)
        except _HOPELESS as error:
            self._give_up(job, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the boundary: a failed journey is a column, not a dead worker
            self._try_again(job, type(error).__name__)
        else:
            if self._jobs.finish_job(job.id, owner=self._owner, now=self._clock.now()):
                told.info("job_done")
            else:
                told.warning("job_lost")  # its lease lapsed; who holds it now will find the work done

    def _try_again(self, job: Job, error: str) -> None:
        if job.attempts >= _attempts_allowed(error):
            self._give_up(job, error)
            return
        now = self._clock.now()
        wait = timedelta(seconds=retry_after_s(min(job.attempts, 60), self._jitter()))
        log.warning(
            "job_retried",
            job=job.id,
            kind=job.kind,
            attempt=job.attempts,
            error=error,
            wait_s=round(wait.total_seconds()),
        )
        self._jobs.fail_job(job.id, owner=self._owner, now=now, error=error, retry_at=now + wait)

    def _give_up(self, job: Job, error: str) -> None:
        log.error("job_failed", job=job.id, kind=job.kind, attempt=job.attempts, error=error)
        self._jobs.fail_job(job.id, owner=self._owner, now=self._clock.now(), error=error, retry_at=None)

    def _renew(self) -> None:
        while not self._closed.wait(self._renew_every_s):
            with self._lock:
                running = set(self._running)
            for job_id in running:
                try:
                    kept = self._jobs.renew_lease(
                        job_id, owner=self._owner, now=self._clock.now(), lease_s=self._lease_s
                    )
                except Exception as error:  # noqa: BLE001 - the next beat tries again, well before the lease lapses
                    log.warning("lease_not_renewed", job=job_id, error=type(error).__name__)
                    continue
                if not kept:
                    log.warning("lease_lost", job=job_id)


def _attempts_allowed(error: str) -> int:
    return PATIENT_ATTEMPTS if error in _PATIENT else MAX_ATTEMPTS
