"""Releases at the desk: building a numbered version, looking at it, approving it by its digest, granting and taking back."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import NotFoundError
from gateway.domain.ids import normal_case_ref
from gateway.domain.people import Person
from gateway.domain.release import Release
from gateway.doors.desk import reasons, rule_words
from gateway.doors.desk.deliveries import sending_panel
from gateway.doors.desk.staff import Desk
from gateway.journeys.release_case import (
    approve_release,
    build_release,
    grant_release,
    revoke_grant,
    withdraw_release,
)
from gateway.journeys.show_release import contents_of, show_release


class ReleasePages:
    """Nothing leaves the house but through these."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/cases/{ref}/releases", self.build, methods=["POST"])
        one = "/cases/{ref}/releases/{number}"
        routes.add_api_route(one, self.release, methods=["GET"])
        routes.add_api_route(f"{one}/approve", self.approve, methods=["POST"])
        routes.add_api_route(f"{one}/grant", self.grant, methods=["POST"])
        routes.add_api_route(f"{one}/withdraw", self.withdraw, methods=["POST"])
        routes.add_api_route(f"{one}/grants/{{grant_id}}/revoke", self.revoke, methods=["POST"])

    def build(self, request: Request, ref: str) -> Response:
        """Build the next version; the journey's five checks decide whether there is one."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        release = build_release(
            ref=ref,
            by=who.actor,
            records=house.records,
            store=house.store,
            sandbox=house.sandbox,
            clock=house.clock,
        )
        return self._to(ref, release.number, "built")

    def release(self, request: Request, ref: str, number: int) -> Response:
        """Show what a version holds; looking at it is looking at the case."""
        who, house = self.desk.who(request), self.desk.house
        case, release, manifest = show_release(
            ref=ref, number=number, records=house.records, store=house.store
        )
        with house.records.change(by=who.actor) as change:
            change.note("case_read", case_id=case.id, subject=case.ref, release=number)
        with house.records.view() as view:
            grants = view.grants.find(release_id=release.id, order="granted_at")
            earlier = {g.person_id for g in view.grants.find(case_id=case.id, revoked_at=None)}
            people = view.people.find(id=[g.person_id for g in grants] or [""])
            newest = view.releases.first(case_id=case.id, order="-number")
            sending = sending_panel(view, release)
        return self.desk.page(
            request,
            "release.html",
            who=who,
            case=case,
            release=release,
            contents=contents_of(release, manifest, records=house.records, store=house.store),
            grants=grants,
            people={person.id: person.email for person in people},
            reasons=reasons,
            said_as=rule_words,
            reviewers=self._reviewers(),
            earlier=earlier,
            granted={g.person_id for g in grants if g.revoked_at is None},
            newest=newest,
            grant_days=house.policy.grant_days,
            **sending,
        )

    def approve(self, request: Request, ref: str, number: int) -> Response:
        """Approve exactly the digest that was on the page, for the reviewers that were chosen on it."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        wanted = set(form.all("reviewer"))
        emails = [person.email for person in self._reviewers() if person.id in wanted]
        approve_release(
            ref=ref,
            by=who.actor,
            records=house.records,
            store=house.store,
            clock=house.clock,
            policy=house.policy,
            reviewers=emails,
            number=number,
            digest=form.text("digest", at_most=64) or "none",
        )
        return self._to(ref, number, "approved")

    def grant(self, request: Request, ref: str, number: int) -> Response:
        """Let one more reviewer in."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        wanted = form.text("reviewer", at_most=64)
        email = next((person.email for person in self._reviewers() if person.id == wanted), "")
        grant_release(
            release_id=self._find(ref, number).id,
            email=email,
            by=who.actor,
            records=house.records,
            store=house.store,
            clock=house.clock,
            policy=house.policy,
        )
        return self._to(ref, number, "granted")

    def revoke(self, request: Request, ref: str, number: int, grant_id: str) -> Response:
        """Take a reviewer's right back; it counts from the next request on."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        release = self._find(ref, number)
        with house.records.view() as view:
            grant = view.grants.first(id=grant_id, release_id=release.id)
        if grant is None:
            raise NotFoundError
        revoke_grant(grant_id=grant_id, by=who.actor, records=house.records, clock=house.clock)
        return self._to(ref, number, "revoked")

    def withdraw(self, request: Request, ref: str, number: int) -> Response:
        """Take the whole version back."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        withdraw_release(
            release_id=self._find(ref, number).id, by=who.actor, records=house.records, clock=house.clock
        )
        return self._to(ref, number, "withdrawn")

    def _find(self, ref: str, number: int) -> Release:
        with self.desk.house.records.view() as view:
            case = view.cases.first(ref=normal_case_ref(ref))
            release = view.releases.first(case_id=case.id, number=number) if case else None
        if release is None:
            raise NotFoundError
        return release

    def _reviewers(self) -> list[Person]:
        with self.desk.house.records.view() as view:
            return view.people.find(role="reviewer", disabled_at=None, order="created_at")

    def _to(self, ref: str, number: int, done: str) -> Response:
        return self.door.to(f"/cases/{normal_case_ref(ref)}/releases/{number}?done={done}")
