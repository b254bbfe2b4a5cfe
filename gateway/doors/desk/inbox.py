"""The inbox: studies that name no case, with the cases that they fit and why; accepting one can be undone."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.case import RECEIVING_STATES
from gateway.doors.desk.staff import Desk
from gateway.journeys.match_study import assign_study, suggestions, unassign_study


class InboxPages:
    """What came without a case, and taking back what was matched wrongly."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/inbox", self.inbox, methods=["GET", "HEAD"])
        routes.add_api_route("/studies/{study_id}/assign", self.assign, methods=["POST"])
        routes.add_api_route("/studies/{study_id}/unassign", self.unassign, methods=["POST"])

    def inbox(self, request: Request) -> Response:
        """Show whom the studies say that they are of, which is an event of the audit."""
        who, house = self.desk.who(request), self.desk.house
        with house.records.view() as view:
            waiting, unreadable = view.studies.find_readable(case_id=None, order="-received_at", limit=100)
            firsts = [view.instances.find_readable(study_id=study.id, limit=1)[0] for study in waiting]
            modalities = [first[0].head.get("modality", "") if first else "" for first in firsts]
            studies = [
                (study, modality, suggestions(view, study))
                for study, modality in zip(waiting, modalities, strict=True)
            ]
            refs = [ref for (ref,) in view.cases.pick(("ref",), state=RECEIVING_STATES, order="-opened_at")]
        if studies:
            with house.records.change(by=who.actor) as change:
                change.note("case_read", subject="inbox", studies=len(studies))
        return self.desk.page(
            request,
            "inbox.html",
            who=who,
            studies=studies,
            refs=refs,
            unreadable=unreadable,
            undo=_undo(request),
        )

    def assign(self, request: Request, study_id: str) -> Response:
        """Match a study with a case."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        study = assign_study(
            study_id=study_id,
            ref=form.text("ref", at_most=20),
            by=who.actor,
            records=house.records,
            clock=house.clock,
        )
        return self.door.to(f"/inbox?done=matched&study={study.id}")

    def unassign(self, request: Request, study_id: str) -> Response:
        """Take a study back to the inbox."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        unassign_study(
            study_id=study_id, by=who.actor, records=house.records, store=house.store, clock=house.clock
        )
        return self.door.to("/inbox?done=unmatched")


def _undo(request: Request) -> str:
    """Return the study that was matched a moment ago, as the address names it."""
    study_id = request.query_params.get("study", "")
    is_id = len(study_id) == 32 and study_id.isascii() and study_id.isalnum()
    return study_id if is_id and request.query_params.get("done") == "matched" else ""
