"""Storage commitment at the desk: who asked whether their images are safe, what was found, whether they were told; trying again."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.doors.desk.staff import Desk
from gateway.doors.http import N_
from gateway.journeys.report_commitment import retry_commitment

_LISTED = 100
_COLUMNS = ("id", "peer", "state", "asked_at", "committed", "failed", "report_attempts", "error")
# A commitment's state: its name, the kind of its badge.
STATES: dict[str, tuple[str, str]] = {
    "asked": (N_("Being verified"), "info"),
    "decided": (N_("Not told yet"), "warn"),
    "reported": (N_("The sender knows"), "good"),
    "given_up": (N_("Given up"), "bad"),
}


class CommitmentPages:
    """The routes below ``/commitments``; AE titles, counts and answers of peers tell nothing of a patient: looking is no event."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/commitments", self.commitments, methods=["GET"])
        routes.add_api_route("/commitments/{commitment_id}/retry", self.retry, methods=["POST"])

    def commitments(self, request: Request) -> Response:
        """Show the newest, and before them all that somebody may have to see to."""
        who, house = self.desk.who(request), self.desk.house
        with house.records.view() as view:
            stuck = view.commitments.pick(_COLUMNS, order="-asked_at", limit=_LISTED, state="given_up")
            others = ("asked", "decided", "reported")
            newest = view.commitments.pick(_COLUMNS, order="-asked_at", limit=_LISTED, state=others)
        lines: list[dict[str, Any]] = [dict(zip(_COLUMNS, row, strict=True)) for row in [*stuck, *newest]]
        return self.desk.page(request, "commitments.html", who=who, lines=lines, states=STATES)

    def retry(self, request: Request, commitment_id: str) -> Response:
        """Tell the sender now, or verify and tell anew."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        retry_commitment(commitment_id, by=who.actor, records=house.records, clock=house.clock)
        return self.door.to("/commitments?done=commitment_retried")
