"""What has to happen by the clock: overdue jobs are rung again, periodic duties are done once per period in a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from gateway.ports import Clock, Doorbell, Jobs

LOOK_EVERY_S: Final = 1.0
RING_AGAIN_AFTER_S: Final = 15.0
LONGEST_PAUSE_S: Final = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something that is done every so often; ``perform`` may run again after a failure and must bear it.

    With ``every_s`` 0 it is done at every look and by every scheduler, unclaimed: what it looks at is of its own computer.
    """

    name: str
    every_s: float
    perform: Callable[[], None]


class Scheduler:
    """Looks once a second. Any number may run: a lease row per duty lets one of them do it."""

    def __init__(self, *, jobs: Jobs, doorbell: Doorbell, clock: Clock, duties: Sequence[Duty]) -> None:
        self._jobs = jobs
        self._doorbell = doorbell
        self._clock = clock
        self._duties = duties
        self._rung_at: dict[str, datetime] = {}
        self._ask_at: dict[str, datetime] = {}

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.look()
            stop.wait(LOOK_EVERY_S)

    def look(self) -> None:
        """Ring what is overdue and do the duties whose time has come; what fails is logged and tried again."""
        self._attempt("ring_overdue", self._ring_overdue)
        for duty in self._duties:
            self._attempt(duty.name, partial(self._perform, duty))

    def _ring_overdue(self) -> None:
        now = self._clock.now()
        due = self._jobs.due_jobs(now=now)
        again = now - timedelta(seconds=RING_AGAIN_AFTER_S)
        # Not what was rung by a clock that has been put back since.
        self._rung_at = {job_id: at for job_id, at in self._rung_at.items() if again < at <= now}
        for job_id in due:
            if job_id not in self._rung_at:
                self._rung_at[job_id] = now
                self._doorbell.ring(job_id)

    def _perform(self, duty: Duty) -> None:
        """Ask for the duty now and then, not each second: every question takes the write lock of the records."""
        if not duty.every_s:
            duty.perform()
            return
        now = self._clock.now()
        ask_again = now + timedelta(seconds=min(duty.every_s / 10, LONGEST_PAUSE_S))
        # What is later than that was set by a clock that has been put back since.
        if now < self._ask_at.get(duty.name, now) <= ask_again:
            return
        self._ask_at[duty.name] = ask_again
        if self._jobs.claim_duty(duty.name, now=now, every_s=duty.every_s):
            duty.perform()
            log.info("duty_done", duty=duty.name)

    def _attempt(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the boundary: one failed duty stops no other
            log.warning("duty_failed", duty=name, error=type(error).__name__)
