"""Who sits at the desk: looked up for every request, with the role that each page asks for; nothing is shown without it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.people import Actor, Person, Role
from gateway.doors.desk import forgetting_words, peer_words, rule_words, words
from gateway.doors.http import Door, Form
from gateway.journeys.know_staff import know_staff
from gateway.ports import House

COORDINATOR: tuple[Role, ...] = ("coordinator",)
PRIVACY: tuple[Role, ...] = ("privacy",)
ADMITTED: tuple[Role, ...] = (*COORDINATOR, *PRIVACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of staff whose session counts at this moment."""

    person: Person
    address: str

    @property
    def actor(self) -> Actor:
        """Return who the journeys and the audit are told that it is."""
        return Actor(kind="staff", id=self.person.id, address=self.address)


class Desk:
    """What every page of the desk stands on: the door, the house, and who is asking."""

    def __init__(self, door: Door, house: House) -> None:
        self.door, self.house = door, house

    def who(self, request: Request, *, roles: tuple[Role, ...] = COORDINATOR, is_idle: bool = False) -> Staff:
        """Return who this is, or raise: not signed in, or not her role's page."""
        house = self.house
        _, person = know_staff(
            self.door.session(request) or "",
            roles=roles,
            records=house.records,
            clock=house.clock,
            policy=house.policy,
            is_idle=is_idle,
        )
        return Staff(person=person, address=self.door.address(request))

    def posted(self, request: Request, *, roles: tuple[Role, ...] = COORDINATOR) -> tuple[Staff, Form]:
        """Return who sent a form and the form, its token checked."""
        return self.who(request, roles=roles), self.door.form(request)

    def page(
        self, request: Request, template: str, *, who: Staff, status: int = 200, **values: object
    ) -> Response:
        """Render a page of somebody who is signed in; ``?done=`` names what she has just done."""
        inbox = 0
        if who.person.role == "coordinator":
            with self.house.records.view() as view:
                inbox = view.studies.count(case_id=None)
        return self.door.page(
            request,
            template,
            status=status,
            who=who.person,
            words=words,
            inbox_count=inbox,
            done=(words.DONE | peer_words.DONE | forgetting_words.DONE | rule_words.DONE).get(
                request.query_params.get("done", ""), ""
            ),
            now=self.house.clock.now(),
            **values,
        )
