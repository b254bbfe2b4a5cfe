"""Which journey does which kind of job: one line each, and nothing about when or how often."""

from __future__ import annotations

from typing import Final, get_args

from gateway.domain.job import JobKind
from gateway.doors.jobs.runner import JobHandler
from gateway.ports import House

JOB_KINDS: Final[tuple[str, ...]] = get_args(JobKind)


def registry(house: House) -> dict[str, JobHandler]:
    """Return what to call for each kind of job, with the house's ports bound."""
    return {}
