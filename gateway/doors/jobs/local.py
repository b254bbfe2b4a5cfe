"""The embedded worker: threads of one process that wait for the bell, or for the next due job, and run what is owed."""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol

import structlog

from gateway.doors.jobs.runner import Runner
from gateway.ports import Clock, Jobs

LOOK_EVERY_S: Final = 5.0
_EAR_S: Final = 0.5
_AFTER_ERROR_S: Final = 1.0

log = structlog.get_logger()


class Bell(Protocol):
    """Where rings arrive."""

    def wait(self, timeout_s: float) -> list[str]:
        """Return the ids that were rung, as soon as there is one; none when the time is up."""


class LocalWorkers:
    """``count`` threads, each with one job at a time; what is heavy in a job runs in the sandbox, not here."""

    def __init__(self, *, runner: Runner, jobs: Jobs, clock: Clock, bell: Bell, count: int) -> None:
        self._runner = runner
        self._jobs = jobs
        self._clock = clock
        self._bell = bell
        self._woken = threading.Condition()
        self._rings = 0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]

    def run(self, stop: threading.Event, *, grace_s: float = 20.0) -> None:
        """Work until ``stop`` is set; then finish what runs, or give it back when the time is over."""
        for thread in self._threads:
            thread.start()
        while not stop.is_set():
            if self._bell.wait(_EAR_S):
                self._wake()
        self._stopping.set()
        self._wake()
        until = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._runner.release()

    def _wake(self) -> None:
        with self._woken:
            self._rings += 1
            self._woken.notify_all()

    def _work(self) -> None:
        while not self._stopping.is_set():
            rings = self._rings
            try:
                if self._runner.run_job():
                    continue
                wait_s = self._seconds_to_next_job()
            except Exception as error:  # noqa: BLE001 - the boundary: records that do not answer stop no worker
                log.warning("jobs_unreachable", error=type(error).__name__)
                wait_s = _AFTER_ERROR_S
            self._sleep(rings, wait_s)

    def _sleep(self, rings_heard: int, wait_s: float) -> None:
        with self._woken:
            self._woken.wait_for(lambda: self._rings != rings_heard or self._stopping.is_set(), wait_s)

    def _seconds_to_next_job(self) -> float:
        due_at = self._jobs.next_due()
        if due_at is None:
            return LOOK_EVERY_S
        # A job that is due and was not taken waits for another one of its subject: look again soon, not at once.
        return min(max((due_at - self._clock.now()).total_seconds(), 0.2), LOOK_EVERY_S)
