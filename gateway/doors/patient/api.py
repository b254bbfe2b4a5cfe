"""The small JSON calls of the patient's pages: link, code, finish; files go by tus, everything else is a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.domain.errors import ExpiredError, ForbiddenError, InvalidError
from gateway.doors.http import N_, Door, Problem, Refused
from gateway.doors.patient import signed_in as sessions
from gateway.doors.patient.service import PatientService

LINK_REFUSED = Problem(
    status=403,
    code="link_refused",
    title=N_("This link does not work"),
    detail=N_("It may be too old, or a newer one has been sent to you."),
    step=N_("Ask your coordinator for a new link."),
)
WRONG_CODE = Problem(
    status=422,
    code="wrong_code",
    title=N_("That code is not right"),
    step=N_("Check the newest message on your phone and type the code again."),
)
OLD_CODE = Problem(
    status=410,
    code="old_code",
    title=N_("That code is too old"),
    step=N_("Ask for a new code and type that one."),
)


# What telephones and people put between the digits of a code.
_BORNE_SIGNS = " -\u00a0\u2009\u202f\u2011\u2013"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class LinkBody(_Strict):
    """The token that stood in the link's fragment."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class CodeBody(_Strict):
    """The code as typed: spaces and dashes are borne."""

    code: Annotated[str, Field(min_length=1, max_length=40)]


class NoBody(_Strict):
    """Nothing: the cookie says it all."""


class Api:
    """The routes below ``/api``."""

    def __init__(self, door: Door, service: PatientService) -> None:
        self.door, self.service = door, service
        door.get("/api/state", self.state)
        door.post("/api/link", self.link)
        door.post("/api/code", self.code)
        door.post("/api/verify", self.verify)
        door.post("/api/finish", self.finish)

    def state(self, request: Request) -> Response:
        """Tell the first page where this browser stands; changes nothing (P3)."""
        if sessions.pre_session(self.door, request) is not None:
            return JSONResponse({"step": "code"})
        known = sessions.visitor_or_none(self.door, self.service, request)
        return JSONResponse({"step": "case" if known else "link"})

    def link(self, request: Request, body: LinkBody) -> Response:
        """Take the link's token; nothing is sent yet (P3), and every link that does not count is told alike (P10)."""
        try:
            opened = self.service.open_link(body.token, address=self.door.address(request))
        except ForbiddenError:
            raise Refused(LINK_REFUSED) from None
        answer = JSONResponse({"channel_hint": opened.channel_hint})
        sessions.keep_pre_session(self.door, answer, opened.token)
        return answer

    def code(self, request: Request, body: NoBody) -> Response:
        """Send a code on the other channel."""
        token = self._pre_session(request)
        try:
            ends_at = self.service.send_code(token, address=self.door.address(request))
        except (ForbiddenError, ExpiredError):
            raise Refused(LINK_REFUSED) from None
        left_s = int((ends_at - datetime.now(UTC)).total_seconds())
        return JSONResponse({"valid_s": max(left_s, 0)})

    def verify(self, request: Request, body: CodeBody) -> Response:
        """Exchange the code for a session, under a new cookie."""
        token = self._pre_session(request)
        digits = "".join(sign for sign in body.code if sign not in _BORNE_SIGNS)
        if not (digits.isascii() and digits.isdigit() and 6 <= len(digits) <= 10):
            raise Refused(WRONG_CODE)
        try:
            session_id = self.service.verify_code(token, digits, address=self.door.address(request))
        except InvalidError:
            raise Refused(WRONG_CODE) from None
        except ExpiredError:
            raise Refused(OLD_CODE) from None
        except ForbiddenError:
            raise Refused(LINK_REFUSED) from None
        answer = JSONResponse({"next": f"{self.door.config.prefix}/case"})
        sessions.keep_session(self.door, answer, session_id)
        return answer

    def finish(self, request: Request, body: NoBody) -> Response:
        """The patient has sent what there is."""
        who = sessions.visitor(self.door, self.service, request)
        receipt = self.service.finish(who.session_id, address=who.address)
        return JSONResponse(
            {
                "number": receipt.number,
                "files": len(receipt.lines),
                "next": f"{self.door.config.prefix}/receipt",
            }
        )

    def _pre_session(self, request: Request) -> str:
        token = sessions.pre_session(self.door, request)
        if token is None:
            raise Refused(LINK_REFUSED)
        return token
