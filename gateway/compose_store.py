"""The part of `compose` that is about truth between rows and objects: what the scheduler does for it by the clock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.journeys.scrub_store import scrub_part
from gateway.journeys.sweep_store import sweep_store

if TYPE_CHECKING:
    from gateway.compose import Parts
    from gateway.doors.jobs.schedule import Duty

SWEEP_STORE_EVERY_S = 6 * 3600.0
SCRUB_PART_EVERY_S = 600.0


def store_duties(parts: Parts) -> list[Duty]:
    """Return the sweep, four times a day, and the scrub that goes on part by part, unless it is switched off."""
    from gateway.doors.jobs.background import InBackground
    from gateway.doors.jobs.schedule import Duty

    house, days = parts.house, parts.settings.scrub_days
    sweep = partial(
        sweep_store, records=house.records, store=house.store, clock=house.clock, witness=house.witness
    )
    duties = [
        Duty(name="sweep_store", every_s=SWEEP_STORE_EVERY_S, perform=InBackground("sweep_store", sweep))
    ]
    if days:
        scrub = partial(
            scrub_part,
            records=house.records,
            store=house.store,
            clock=house.clock,
            every_s=SCRUB_PART_EVERY_S,
            days=days,
        )
        duties.append(
            Duty(name="scrub_store", every_s=SCRUB_PART_EVERY_S, perform=InBackground("scrub_store", scrub))
        )
    return duties
