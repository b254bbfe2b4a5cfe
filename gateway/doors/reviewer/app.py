"""Puts the reviewer's door together: sign-in, granted releases, downloads and answers over one house."""

from __future__ import annotations

from gateway.doors.http import Door, DoorConfig, Guard
from gateway.doors.reviewer.answers import AnswerPages
from gateway.doors.reviewer.downloads import Downloads
from gateway.doors.reviewer.releases import ReleasePages
from gateway.doors.reviewer.visitor import REVIEWER, ReviewRoom
from gateway.doors.staff_sign_in import SignInPages
from gateway.doors.troubles import Troubles
from gateway.ports import House


def reviewer_app(house: House, config: DoorConfig) -> Guard:
    """Return the reviewer's door as one ASGI app below ``config.prefix``."""
    room = ReviewRoom(Door("review", package="gateway.doors.reviewer", config=config), house)
    room.door.on_store_error = Troubles(house, "review").refused
    SignInPages(room.door, house, roles=REVIEWER, who=room.who)
    ReleasePages(room)
    Downloads(room)
    AnswerPages(room)
    return room.door.asgi()
