"""What a coordinator does with a case: move it, pause its clock, make its link, deliver its answer. Every one is a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.ids import normal_case_ref
from gateway.doors.desk.staff import Desk
from gateway.journeys.answer_case import deliver_answer
from gateway.journeys.open_case import close_case, complete_case, pause_clock, reopen_case, resume_clock
from gateway.journeys.prove_identity import make_link, revoke_links

_SIMPLE: dict[str, tuple[Callable[..., Any], str]] = {
    "complete": (complete_case, "completed"),
    "reopen": (reopen_case, "reopened"),
    "close": (close_case, "closed"),
    "resume": (resume_clock, "resumed"),
}


class CaseMoves:
    """The routes that change a case; all answer 303."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        for move in _SIMPLE:
            routes.add_api_route(f"/cases/{{ref}}/{move}", self._simple(move), methods=["POST"])
        routes.add_api_route("/cases/{ref}/pause", self.pause, methods=["POST"])
        routes.add_api_route("/cases/{ref}/link", self.make_link, methods=["POST"])
        routes.add_api_route("/cases/{ref}/link/revoke", self.revoke_link, methods=["POST"])
        routes.add_api_route("/cases/{ref}/deliver", self.deliver, methods=["POST"])

    def pause(self, request: Request, ref: str) -> Response:
        """Stop the clock; the reason is shown to the patient too."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        pause_clock(
            ref=ref,
            reason=form.text("reason", at_most=300),
            by=who.actor,
            records=house.records,
            clock=house.clock,
        )
        return self._back(ref, "paused")

    def make_link(self, request: Request, ref: str) -> Response:
        """Make a fresh link. Its token travels behind «#» to a page that shows it once, so that no server keeps it."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        _, url = make_link(
            ref=ref,
            by=who.actor,
            records=house.records,
            clock=house.clock,
            random=house.random,
            policy=house.policy,
            phone=form.text("phone", at_most=40),
        )
        return self.door.to(f"/cases/{normal_case_ref(ref)}/link#{url.partition('#')[2]}")

    def revoke_link(self, request: Request, ref: str) -> Response:
        """Switch the patient's link and sessions off."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        revoke_links(ref=ref, by=who.actor, records=house.records, clock=house.clock)
        return self._back(ref, "link_revoked")

    def deliver(self, request: Request, ref: str) -> Response:
        """Make the newest signed answer readable for the patient."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        deliver_answer(
            ref=ref,
            by=who.actor,
            records=house.records,
            clock=house.clock,
            random=house.random,
            mailer=house.mailer,
            policy=house.policy,
        )
        return self._back(ref, "delivered")

    def _simple(self, move: str) -> Callable[[Request, str], Response]:
        journey, done = _SIMPLE[move]

        def moved(request: Request, ref: str) -> Response:
            who, _ = self.desk.posted(request)
            house = self.desk.house
            journey(ref=ref, by=who.actor, records=house.records, clock=house.clock)
            return self._back(ref, done)

        moved.__name__ = move
        return moved

    def _back(self, ref: str, done: str) -> Response:
        return self.door.to(f"/cases/{normal_case_ref(ref)}?done={done}")
