"""The end of a case at the desk: a legal hold, forgetting, and the certificate as a page that the patient can be given."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import UnavailableError
from gateway.domain.forgetting import GROUNDS
from gateway.domain.ids import normal_case_ref
from gateway.doors.desk import forgetting_words
from gateway.doors.desk.staff import ADMITTED, Desk, Staff
from gateway.doors.http import Refused, plain
from gateway.doors.http.downloads import attachment
from gateway.doors.http.headers import DOWNLOAD_POLICY
from gateway.journeys.certify_forgetting import Certificate, forgotten_case, give_certificate, list_forgotten
from gateway.journeys.forget_case import forget_case
from gateway.journeys.hold_case import hold_case, unhold_case
from gateway.journeys.keep_register import keep_register


class ForgettingPages:
    """What ends a case is a form; what is left of it is a page."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/cases/{ref}/hold", self.hold, methods=["POST"])
        routes.add_api_route("/cases/{ref}/unhold", self.unhold, methods=["POST"])
        routes.add_api_route("/cases/{ref}/forget", self.forget, methods=["POST"])
        routes.add_api_route("/forgotten", self.forgotten, methods=["GET"])
        routes.add_api_route("/forgotten/{ref}", self.certificate, methods=["GET"])
        routes.add_api_route("/forgotten/{ref}/certificate.json", self.file, methods=["GET"])

    def hold(self, request: Request, ref: str) -> Response:
        """Place a legal hold."""
        who, form = self.desk.posted(request)
        reason = form.text("hold_reason", at_most=500)
        hold_case(ref=ref, reason=reason, by=who.actor, records=self.desk.house.records)
        return self.door.to(f"/cases/{normal_case_ref(ref)}?done=held")

    def unhold(self, request: Request, ref: str) -> Response:
        """End it."""
        who, form = self.desk.posted(request)
        reason = form.text("unhold_reason", at_most=500)
        unhold_case(ref=ref, reason=reason, by=who.actor, records=self.desk.house.records)
        return self.door.to(f"/cases/{normal_case_ref(ref)}?done=unheld")

    def forget(self, request: Request, ref: str) -> Response:
        """Forget the case and go to its certificate; the reference is typed once more."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        if form.text("ground") not in GROUNDS:
            raise Refused(plain(422))
        kept = forget_case(
            ref=ref,
            confirm=normal_case_ref(form.text("confirm", at_most=20)),
            by=who.actor,
            records=house.records,
            store=house.store,
            ground=form.text("ground"),
        )
        with suppress(UnavailableError):  # the scheduler goes on with it, and no certificate is given before
            keep_register(records=house.records, store=house.store, register=house.register)
        return self.door.to(f"/forgotten/{kept.ref}?done=forgotten")

    def forgotten(self, request: Request) -> Response:
        """List what was forgotten: references, times and counts."""
        who = self.desk.who(request, roles=ADMITTED)
        found = [one for one in list_forgotten(records=self.desk.house.records) if one.ref]
        return self.desk.page(request, "forgotten.html", who=who, found=found, grounds=forgetting_words)

    def certificate(self, request: Request, ref: str) -> Response:
        """Show the certificate, made for paper. That it was given is an event."""
        who = self.desk.who(request, roles=ADMITTED)
        given = self._given(who, ref)
        house, now = self.desk.house, self.desk.house.clock.now()
        with house.records.view() as view:
            left = len(forgotten_case(view, ref).left)
        ends = [one["destroyed_by"] for one in given.body["master_keys"]]
        ahead = [end for end in ends if end is not None and datetime.fromisoformat(end) > now]
        done = forgetting_words.DONE.get(request.query_params.get("done", ""), "")
        return self.desk.page(
            request, "certificate.html", who=who, given=given, body=given.body, grounds=forgetting_words, said_so=done,
            erased_at=datetime.fromisoformat(given.body["forgotten_at"]), left=left,
            readable_until=max(ahead, default=""), is_open_ended=None in ends,
        )  # fmt: skip

    def file(self, request: Request, ref: str) -> Response:
        """Give the certificate as the file whose signature can be checked."""
        who = self.desk.who(request, roles=ADMITTED)
        given = self._given(who, ref)
        return Response(
            given.text + "\n",
            media_type="application/json",
            headers={
                "Content-Disposition": attachment(f"{given.body['case']}-forgotten.json"),
                "Content-Security-Policy": DOWNLOAD_POLICY,
            },
        )

    def _given(self, who: Staff, ref: str) -> Certificate:
        house = self.desk.house
        return give_certificate(
            ref,
            by=who.actor,
            records=house.records,
            store=house.store,
            register=house.register,
            policy=house.policy,
        )
