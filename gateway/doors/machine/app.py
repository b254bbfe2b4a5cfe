"""Puts the door for programs together: STOW-RS over one house."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from gateway.doors.http import Door, DoorConfig, Guard
from gateway.doors.machine.pipe import Patience
from gateway.doors.machine.store import Store
from gateway.ports import House


def machine_app(
    house: House,
    config: DoorConfig,
    *,
    ending: ExitStack,
    at_once: int = 32,
    patience: Patience | None = None,
) -> Guard:
    """Return the door as one ASGI app below ``config.prefix``.

    ``at_once`` requests are served at a time, each by a thread and with about 3 MiB of buffers; the rest is told to wait.
    ``ending`` is closed when the door is, before the records are: then what is held back for the audit is told.
    It speaks English whatever the house speaks: its readers are programs and those who connect them.
    """
    config = replace(config, languages=("en",), default_language="en")
    door = Door(
        "machine",
        package="gateway.doors.machine",
        config=config,
        streams=(f"{config.prefix}/studies", f"{config.prefix}/cases/"),
        programs=True,
    )
    store = Store(door, house, at_once=at_once, patience=patience or Patience())
    ending.callback(store.refusals.close)
    return door.asgi()
