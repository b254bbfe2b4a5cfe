"""The DICOM conformance statement as a file for the engineers of a hospital, made at the moment it is asked for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.doors.desk.staff import ADMITTED, Desk
from gateway.doors.http.downloads import attachment
from gateway.doors.http.headers import DOWNLOAD_POLICY
from gateway.journeys.state_conformance import state_conformance


class ConformancePage:
    """One download for whoever may sign in at the desk: it holds nothing of a case, and no peer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.door.routes.add_api_route("/conformance.html", self.statement, methods=["GET", "HEAD"])

    def statement(self, request: Request) -> Response:
        """Give out the statement of the running configuration, ready for printing."""
        self.desk.who(request, roles=ADMITTED)
        house = self.desk.house
        stated = state_conformance(
            policy=house.policy, rules=house.calls, issued=f"{house.clock.now():%Y-%m-%d}"
        )
        return Response(
            stated.html(),
            media_type="text/html; charset=utf-8",
            headers={
                "Content-Disposition": attachment("consilium-conformance.html"),
                "Content-Security-Policy": DOWNLOAD_POLICY,
            },
        )
