"""The privacy officer's page: whether the trail verifies, and its newest events; ids and counts, nothing of a case's content."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.doors.desk.staff import PRIVACY, Desk
from gateway.doors.desk.trail import told
from gateway.journeys.read_audit import read_newest
from gateway.journeys.verify_audit import verify_audit

PAGE = 200


class AuditPages:
    """Reading the audit is audited (A8)."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.door.routes.add_api_route("/audit", self.audit, methods=["GET"])

    def audit(self, request: Request) -> Response:
        """Verify the whole chain and show the newest events."""
        who, house = self.desk.who(request, roles=PRIVACY), self.desk.house
        before = _number(request.query_params.get("before", ""))
        verdict = None
        if not before:
            verdict = verify_audit(
                by=who.actor,
                records=house.records,
                store=house.store,
                witness=house.witness,
                origin=house.policy.tenant,
            )
        events = read_newest(by=who.actor, records=house.records, most=PAGE, before=before)
        with house.records.view() as view:
            people = {person.id: person.email for person in view.people.find()}
            refs = dict(view.cases.pick(("id", "ref"), id=sorted({e.case_id for e in events} | {""})))
        older = events[-1].seq if events and events[-1].seq > 1 else 0
        return self.desk.page(
            request, "audit.html", who=who, verdict=verdict, lines=told(events, people, refs), older=older
        )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0
