"""Puts the patient's door together: pages, JSON calls and resumable upload over one service; wires no journey itself."""

from __future__ import annotations

from gateway.doors.http import Door, DoorConfig, Guard
from gateway.doors.patient.api import Api
from gateway.doors.patient.pages import PatientPages
from gateway.doors.patient.service import PatientService
from gateway.doors.patient.tus import Tus
from gateway.doors.patient.tus_body import Pace
from gateway.doors.patient.writers import Writers


def create_app(
    service: PatientService,
    config: DoorConfig,
    *,
    max_file_bytes: int = 4 << 30,
    pace: Pace | None = None,
    writers_at_once: int = 32,
) -> Guard:
    """Return the door as one ASGI app below ``config.prefix``.

    ``max_file_bytes`` is announced to browsers; the service has the last word (F2). ``writers_at_once`` parts of
    ``pace.part_bytes`` are the most memory that bodies take.
    """
    door = Door(
        "patient",
        package="gateway.doors.patient",
        config=config,
        streams=(f"{config.prefix}/files/",),
        public=True,
    )
    PatientPages(door, service, max_file_bytes=max_file_bytes)
    Api(door, service)
    Tus(
        door,
        service,
        max_file_bytes=max_file_bytes,
        pace=pace or Pace(),
        writers=Writers(at_once=writers_at_once),
    )
    return door.asgi()
