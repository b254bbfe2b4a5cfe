"""The part of `compose` that is about the clock: everything that the scheduler does, and how often."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.compose import Parts
from gateway.compose.keys import key_duty
from gateway.compose.s3 import s3_objects
from gateway.journeys.check_room import watch_room
from gateway.journeys.drop_study import sweep_empty_studies
from gateway.journeys.keep_commitments import forget_commitments
from gateway.journeys.keep_register import keep_register
from gateway.journeys.scrub_store import scrub_part
from gateway.journeys.sweep_store import sweep_store
from gateway.journeys.verify_audit import checkpoint_audit

if TYPE_CHECKING:
    from gateway.doors.jobs.schedule import Duty

CHECKPOINT_EVERY_S = 60.0
SWEEP_EVERY_S = 900.0
REGISTER_EVERY_S = 60.0
SWEEP_UPLOADS_EVERY_S = 21_600.0
FORGET_EVERY_S = 86_400.0
SWEEP_STORE_EVERY_S = 6 * 3600.0
SCRUB_PART_EVERY_S = 600.0


def duties(parts: Parts) -> list[Duty]:
    """Return what the scheduler does by the clock."""
    from gateway.doors.jobs.schedule import Duty

    house = parts.house

    def checkpoint() -> None:
        checkpoint_audit(
            records=house.records, store=house.store, witness=house.witness, origin=house.policy.tenant
        )

    def sweep_studies() -> None:
        sweep_empty_studies(records=house.records, clock=house.clock)

    def register_forgotten() -> None:
        keep_register(records=house.records, store=house.store, register=house.register)

    def forget_told() -> None:
        forget_commitments(records=house.records, clock=house.clock)

    def sweep_uploads() -> None:
        if (objects := s3_objects(parts.settings)) is not None:
            objects.sweep_drafts()

    def look_at_room() -> None:
        watch_room(records=house.records, room=house.room)

    return [
        Duty(name="watch_room", every_s=0, perform=look_at_room),
        Duty(name="checkpoint_audit", every_s=CHECKPOINT_EVERY_S, perform=checkpoint),
        Duty(
            name="sweep_empty_studies",
            every_s=SWEEP_EVERY_S,
            perform=sweep_studies,
        ),
        Duty(name="sweep_uploads", every_s=SWEEP_UPLOADS_EVERY_S, perform=sweep_uploads),
        Duty(name="forget_commitments", every_s=FORGET_EVERY_S, perform=forget_told),
        key_duty(parts),
        *_store_duties(parts),
        Duty(name="keep_register", every_s=REGISTER_EVERY_S, perform=register_forgotten),
    ]


def _store_duties(parts: Parts) -> list[Duty]:
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
