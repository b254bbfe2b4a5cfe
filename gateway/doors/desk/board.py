"""The board: every case with its clock, its numbers and what holds it up; failed work with its cause; no patient's name."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.domain.errors import SignInError
from gateway.domain.store_finding import LOSSES
from gateway.doors.desk import store_words
from gateway.doors.desk.staff import ADMITTED, Desk
from gateway.journeys.retry_job import retry_job
from gateway.journeys.show_case import CaseFile, list_cases
from gateway.journeys.tell_trouble import standing_troubles
from gateway.journeys.watch_case import watch_cases

ENDED = ("delivered", "closed", "declined", "forgotten")


class BoardPages:
    """The first page after signing in."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/", self.board, methods=["GET", "HEAD"])
        routes.add_api_route("/board.json", self.live, methods=["GET"])
        routes.add_api_route("/jobs/{job_id}/retry", self.retry, methods=["POST"])

    def board(self, request: Request) -> Response:
        """Show the cases; a stranger is sent to sign in, the privacy officer to her own page."""
        try:
            who = self.desk.who(request, roles=ADMITTED)
        except SignInError:
            return self.door.to("/sign-in")
        if who.person.role == "privacy":
            return self.door.to("/audit")
        house = self.desk.house
        files, unreadable = list_cases(records=house.records, clock=house.clock, policy=house.policy)
        with house.records.view() as view:
            failed = view.jobs.find(state="failed", order="-created_at", limit=50)
            lost = view.store_findings.count(state="open", kind=LOSSES)
            refs = dict(view.cases.pick(("id", "ref"))) if failed else {}
        show_ended = request.query_params.get("show") == "ended"
        running = [one for one in files if one.case.state not in ENDED]
        ended = [one for one in files if one.case.state in ENDED]
        return self.desk.page(
            request,
            "board.html",
            who=who,
            troubles=standing_troubles(records=house.records, room=house.room, clock=house.clock),
            trouble_words=store_words,
            files=ended if show_ended else sorted(running, key=_urgency),
            unreadable=unreadable,
            show_ended=show_ended,
            running_count=len(running),
            ended_count=len(ended),
            failed=failed,
            lost_objects=lost,
            refs=refs,
        )

    def live(self, request: Request) -> Response:
        """The numbers of the board for a page that stands open."""
        self.desk.who(request, is_idle=True)
        cases, inbox = watch_cases(records=self.desk.house.records)
        listed = [one.to_json() for one in cases if one.state not in ENDED]
        version = "/".join([str(inbox), *(f"{one.ref}-{one.version}" for one in cases)])
        return JSONResponse({"version": version, "inbox": inbox, "cases": listed})

    def retry(self, request: Request, job_id: str) -> Response:
        """Owe failed work again."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        retry_job(job_id, by=who.actor, records=house.records, clock=house.clock)
        ref = form.text("ref", at_most=20)
        return self.door.to(f"/cases/{ref}?done=retried" if ref.isascii() and ref else "/?done=retried")


def _urgency(one: CaseFile) -> tuple[bool, float, float]:
    """Order by the day that the answer is due, then by age; a case whose clock has not started comes after."""
    due = one.due_at.timestamp() if one.due_at else 0.0
    return one.due_at is None, due, -one.case.opened_at.timestamp()
