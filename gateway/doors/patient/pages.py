"""The patient's pages: the first page, the case, the receipt, the answer; names and sizes, never content (P15)."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import ConflictError, InvalidError
from gateway.doors.http import Door, Refused, plain
from gateway.doors.patient import signed_in as sessions
from gateway.doors.patient import words
from gateway.doors.patient.service import CaseView, PatientService

# How many documents the case page shows at once, and at most; the receipt lists every one.
FOLD_OVER = 8
MOST_LISTED = 200


class PatientPages:
    """The routes that browsers go to."""

    def __init__(self, door: Door, service: PatientService, *, max_file_bytes: int) -> None:
        self.door, self.service, self.max_file_bytes = door, service, max_file_bytes
        door.get("/", self.first)
        door.get("/case", self.case)
        # no HEAD: either is noted in the audit as given to the patient
        door.routes.add_api_route("/receipt", self.receipt, methods=["GET"])
        door.routes.add_api_route("/answer", self.answer, methods=["GET"])
        door.post("/missing", self.missing)
        door.post("/logout", self.logout)

    def first(self, request: Request) -> Response:
        """Generic until the code is proved: no name, no case, no unit (P4), and nothing is asked of the service (P3)."""
        return self.door.page(request, "first.html")

    def case(self, request: Request) -> Response:
        """Where the case stands, what is needed, sending, and what has arrived."""
        who = sessions.visitor_or_none(self.door, self.service, request)
        if who is None:
            return self.door.to("/")
        view = self.service.view(who.session_id, address=who.address)
        return self.door.page(
            request,
            "case.html",
            case=view,
            words=words,
            max_file_bytes=self.max_file_bytes,
            categories=_categories(view),
            documents=view.documents[:FOLD_OVER],
            more_documents=view.documents[FOLD_OVER : FOLD_OVER + MOST_LISTED],
            unlisted=max(len(view.documents) - FOLD_OVER - MOST_LISTED, 0),
        )

    def receipt(self, request: Request) -> Response:
        """What has arrived, to print and to keep (P16)."""
        who = sessions.visitor(self.door, self.service, request)
        made = self.service.receipt(who.session_id, address=who.address)
        return self.door.page(request, "receipt.html", receipt=made, words=words)

    def answer(self, request: Request) -> Response:
        """The answer, once it is delivered; the service notes that it was read."""
        who = sessions.visitor(self.door, self.service, request)
        read = self.service.read_answer(who.session_id, address=who.address)
        return self.door.page(request, "answer.html", answer=read, words=words, case_ref=who.view.case_ref)

    def missing(self, request: Request) -> Response:
        """«I don't have it», and back again."""
        who = sessions.visitor(self.door, self.service, request)
        item = self.door.form(request).text("item", at_most=40)
        if item not in words.CATEGORIES:
            raise Refused(plain(422))
        with suppress(ConflictError, InvalidError):  # it arrived meanwhile: the page shows how things stand
            self.service.mark_missing(who.session_id, item, address=who.address)
        return self.door.to("/case#needed")

    def logout(self, request: Request) -> Response:
        """End the session here and there."""
        self.door.form(request)
        session_id = sessions.session(self.door, request)
        if session_id is not None:
            self.service.end_session(session_id, address=self.door.address(request))
        response = self.door.to("/")
        self.door.cookie.clear(response)
        return response


def _categories(view: CaseView) -> list[str]:
    """Return the categories to choose from, those that are still needed first."""
    needed = [one.item for one in view.checklist if one.state == "wanted"]
    return [*needed, *(name for name in words.CATEGORIES if name not in needed)]
