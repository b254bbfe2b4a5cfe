"""Which reviewer is asking, and what she may be told of a case: never its patient. Looked up for every request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.case import Case
from gateway.domain.grant import Grant
from gateway.domain.people import Person, Role
from gateway.domain.release import Release
from gateway.doors.http import Door, Form
from gateway.doors.reviewer import words
from gateway.journeys.know_staff import know_staff
from gateway.journeys.open_case import deadline_of
from gateway.journeys.show_release import questions_of
from gateway.ports import House

REVIEWER: tuple[Role, ...] = ("reviewer",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A reviewer whose session counts at this moment."""

    person: Person
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a reviewer sees of a granted release's case: no row of the case itself reaches a template."""

    release_id: str
    ref: str
    number: int
    opinion: str
    questions: str
    totals: dict[str, int]
    until: datetime
    due_at: datetime | None
    paused: bool
    answered_at: datetime | None
    answer_delivered: bool
    approved_at: datetime | None
    is_newest: bool


class ReviewRoom:
    """What every page of this door stands on: the door, the house, and who is asking."""

    def __init__(self, door: Door, house: House) -> None:
        self.door, self.house = door, house

    def who(self, request: Request, *, is_idle: bool = False) -> Visitor:
        """Return who this is, or raise: not signed in, or no reviewer."""
        house = self.house
        _, person = know_staff(
            self.door.session(request) or "",
            roles=REVIEWER,
            records=house.records,
            clock=house.clock,
            policy=house.policy,
            is_idle=is_idle,
        )
        return Visitor(person=person, address=self.door.address(request))

    def posted(self, request: Request) -> tuple[Visitor, Form]:
        """Return who sent a form and the form, its token checked."""
        return self.who(request), self.door.form(request)

    def page(
        self, request: Request, template: str, *, who: Visitor, status: int = 200, **values: object
    ) -> Response:
        """Render a page of a reviewer who is signed in."""
        return self.door.page(
            request,
            template,
            status=status,
            who=who.person,
            words=words,
            done=words.DONE.get(request.query_params.get("done", ""), ""),
            now=self.house.clock.now(),
            **values,
        )

    def granted(self, who: Visitor) -> list[Shown]:
        """Return what this reviewer may open now, the most urgent first."""
        house, now = self.house, self.house.clock.now()
        found: dict[str, Shown] = {}
        with house.records.view() as view:
            for grant in view.grants.find(person_id=who.person.id, revoked_at=None, order="-granted_at"):
                if grant.release_id in found or not grant.permits(
                    person_id=who.person.id, release_id=grant.release_id, now=now
                ):
                    continue
                release = view.releases.first(id=grant.release_id, state="approved")
                if release is not None:
                    cases, _ = view.cases.find_readable(id=release.case_id)
                    if not cases:  # it does not open: the others stay to be seen
                        continue
                    case = cases[0]
                    found[release.id] = self._shown(case, release, grant)
        shown = sorted(found.values(), key=lambda one: (one.answered_at is not None, one.due_at or one.until))
        return sorted(shown, key=lambda one: not one.is_newest)

    def shown(self, who: Visitor, release: Release) -> Shown:
        """Describe one release that the journey has found to be permitted."""
        now = self.house.clock.now()
        with self.house.records.view() as view:
            grants = view.grants.find(release_id=release.id, person_id=who.person.id)
            case = view.cases.get(release.case_id)
        grant = max(
            (g for g in grants if g.permits(person_id=who.person.id, release_id=release.id, now=now)),
            key=lambda g: g.until,
        )
        return self._shown(case, release, grant)

    def _shown(self, case: Case, release: Release, grant: Grant) -> Shown:
        house = self.house
        deadline = deadline_of(case, policy=house.policy, now=house.clock.now())
        with house.records.view() as view:
            answer = view.answers.first(case_id=case.id, order="-version")
            newest = view.releases.first(case_id=case.id, state="approved", order="-number")
        return Shown(
            release_id=release.id,
            ref=case.ref,
            number=release.number,
            opinion=case.opinion,
            questions=questions_of(case),
            totals=dict(release.totals),
            until=grant.until,
            due_at=deadline.due_at,
            paused=deadline.paused_for is not None,
            answered_at=answer.signed_at if answer else None,
            answer_delivered=bool(answer and answer.delivered_at),
            approved_at=release.approved_at,
            is_newest=newest is None or newest.id == release.id,
        )
