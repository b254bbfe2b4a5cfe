"""Knowing which member of staff a browser belongs to: session, person and role, looked up for every request."""

from __future__ import annotations

from gateway.domain.errors import ForbiddenError, SignInError
from gateway.domain.people import Person, Role
from gateway.domain.policy import Policy
from gateway.domain.upload import Session, token_hash
from gateway.journeys.prove_identity import live_session
from gateway.ports import Clock, Records


class RoleRefusedError(ForbiddenError):
    """Your role does not open this page."""

    next_step = "Go back to the first page, or ask the operator for another role."


def know_staff(
    token: str,
    *,
    roles: tuple[Role, ...],
    records: Records,
    clock: Clock,
    policy: Policy,
    is_idle: bool = False,
) -> tuple[Session, Person]:
    """Return the live session and its person, or raise ``SignInError``; another role raises ``RoleRefusedError``.

    ``is_idle``: the request was made by a page on its own, not by a person, so it does not keep the session awake (R5).
    """
    if is_idle:
        session = _unmoved(token, records=records, clock=clock, policy=policy)
    else:
        session = live_session(token, kind="staff", records=records, clock=clock, policy=policy)
    with records.view() as view:
        person = view.people.first(id=session.subject_id)
    if person is None or person.disabled_at is not None:
        raise SignInError
    if person.role not in roles:
        raise RoleRefusedError
    return session, person


def _unmoved(token: str, *, records: Records, clock: Clock, policy: Policy) -> Session:
    with records.view() as view:
        session = view.sessions.first(token_hash=token_hash(token)) if token else None
    if session is None or session.kind != "staff" or not session.is_live(clock.now(), idle=policy.staff_idle):
        raise SignInError
    return session
