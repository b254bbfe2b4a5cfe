"""Which journey does which kind of job: one line each, and nothing about when or how often."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, get_args

from gateway.domain.job import Job, JobKind
from gateway.doors.jobs.runner import JobHandler
from gateway.journeys.commit_storage import decide_commitment
from gateway.journeys.deidentify_document import deidentify_document
from gateway.journeys.deidentify_study import deidentify_study, reverify_case
from gateway.journeys.deliver_release import deliver_release
from gateway.journeys.forget_case import remove_objects
from gateway.journeys.inspect_document import inspect_document
from gateway.journeys.report_commitment import caller_by, report_commitments
from gateway.journeys.settle_study import settle_study
from gateway.ports import House

JOB_KINDS: Final[tuple[str, ...]] = get_args(JobKind)


def registry(house: House, *, workers: int = 2) -> dict[str, JobHandler]:
    """Return what to call for each kind of job, with the house's ports bound."""
    base: dict[str, Any] = {"records": house.records, "clock": house.clock}
    craft: dict[str, Any] = {**base, "store": house.store, "sandbox": house.sandbox}
    return {
        "settle_study": _on_subject(settle_study, **base, policy=house.policy),
        "deidentify_study": _on_subject(deidentify_study, **craft, workers=workers),
        "deidentify_document": _on_subject(deidentify_document, **craft),
        "inspect_document": _on_subject(
            inspect_document, **craft, scanner=house.scanner, policy=house.policy
        ),
        "deliver_release": _on_subject(
            deliver_release, **base, store=house.store, policy=house.policy, calls=house.calls
        ),
        "reverify_case": _on_subject(reverify_case, **craft),
        "remove_objects": _on_subject(remove_objects, records=house.records, store=house.store),
        "decide_commitment": _on_subject(decide_commitment, **base, store=house.store),
        "report_commitments": _on_subject(
            report_commitments, **base, caller=caller_by(policy=house.policy, rules=house.calls)
        ),
    }


def _on_subject(journey: Any, **ports: Any) -> JobHandler:
    bound = partial(journey, **ports)

    def handle(job: Job) -> None:
        bound(job.subject_id)

    return handle
