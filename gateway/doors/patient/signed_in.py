"""Who is at the patient's door: the one cookie holds a visitor that showed a link («p.») or that proved the code («s.»)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import SignInError
from gateway.doors.http import Door
from gateway.doors.patient.service import PatientService, PatientView

_BEFORE, _SIGNED_IN = "p.", "s."


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A patient whose session counts at this moment."""

    session_id: str
    address: str
    view: PatientView


def pre_session(door: Door, request: Request) -> str | None:
    """Return the pre-session that the cookie names."""
    return _tail(door.session(request), _BEFORE)


def session(door: Door, request: Request) -> str | None:
    """Return the session that the cookie names; whether it counts is not looked at."""
    return _tail(door.session(request), _SIGNED_IN)


def keep_pre_session(door: Door, response: Response, token: str) -> None:
    """Give the browser its pre-session."""
    door.cookie.write(response, _BEFORE + token)


def keep_session(door: Door, response: Response, session_id: str) -> None:
    """Give the browser its session; the pre-session is gone with it (rotation, P12)."""
    door.cookie.write(response, _SIGNED_IN + session_id)


def visitor_or_none(door: Door, service: PatientService, request: Request) -> Visitor | None:
    """Ask the service whether the cookie's session counts."""
    session_id = session(door, request)
    address = door.address(request)
    view = service.session(session_id, address=address) if session_id else None
    return Visitor(session_id=session_id, address=address, view=view) if session_id and view else None


def visitor(door: Door, service: PatientService, request: Request) -> Visitor:
    """Return who this is, or raise ``SignInError``."""
    known = visitor_or_none(door, service, request)
    if known is None:
        raise SignInError
    return known


def _tail(value: str | None, kind: str) -> str | None:
    return value[len(kind) :] if value is not None and value.startswith(kind) else None
