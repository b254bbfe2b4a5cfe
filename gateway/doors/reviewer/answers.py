"""Writing the answer to a release: filled in, read once more, then signed; what is signed is a locked version."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import InvalidError
from gateway.domain.opinion import ANSWER_FIELDS, checked_body
from gateway.domain.release import Release
from gateway.doors.http import Form, Refused, plain
from gateway.doors.reviewer.visitor import ReviewRoom, Visitor
from gateway.journeys.answer_case import sign_answer
from gateway.journeys.open_release import permitted

_LONGEST = 20_000


class AnswerPages:
    """The form, the second look, the signature, and what was signed before."""

    def __init__(self, room: ReviewRoom) -> None:
        self.room, self.door = room, room.door
        routes = room.door.routes
        one = "/releases/{release_id}/answer"
        routes.add_api_route(one, self.write, methods=["GET"])
        routes.add_api_route(f"{one}/check", self.check, methods=["POST"])
        routes.add_api_route(one, self.sign, methods=["POST"])
        routes.add_api_route(f"{one}/signed", self.signed, methods=["GET"])

    def write(self, request: Request, release_id: str) -> Response:
        """Show the form: empty, with the case's questions, or with what was signed last."""
        who = self.room.who(request)
        release = self._permitted(who, release_id)
        with self.room.house.records.view() as view:
            last = view.answers.first(release_id=release_id, person_id=who.person.id, order="-version")
        shown = self.room.shown(who, release)
        body = last.body if last else {"question": shown.questions}
        return self._form(request, who, release_id, body=body)

    def check(self, request: Request, release_id: str) -> Response:
        """Show the text once more before it is signed. Nothing is kept by this, so it is a page and no redirect."""
        who, form = self.room.posted(request)
        self._permitted(who, release_id)
        body = _body(form)
        if form.text("back"):
            return self._form(request, who, release_id, body=body)
        try:
            body = checked_body(body)
        except InvalidError:
            return self._form(request, who, release_id, body=body, status=422, checked=True)
        return self._page(request, who, release_id, "answer_check.html", body=body)

    def sign(self, request: Request, release_id: str) -> Response:
        """Sign: a new version, locked."""
        who, form = self.room.posted(request)
        if form.text("confirm") != "yes":
            raise Refused(plain(422))
        house = self.room.house
        sign_answer(
            release_id,
            _body(form),
            person_id=who.person.id,
            address=who.address,
            records=house.records,
            clock=house.clock,
        )
        return self.door.to(f"/releases/{release_id}/answer/signed?done=signed")

    def signed(self, request: Request, release_id: str) -> Response:
        """Show every version that was signed to this release."""
        who = self.room.who(request)
        self._permitted(who, release_id)
        with self.room.house.records.view() as view:
            answers = view.answers.find(release_id=release_id, order="-version")
        return self._page(request, who, release_id, "answer_signed.html", answers=answers)

    def _form(
        self,
        request: Request,
        who: Visitor,
        release_id: str,
        *,
        body: dict[str, str],
        status: int = 200,
        checked: bool = False,
    ) -> Response:
        lacking = [name for name, needed in ANSWER_FIELDS if checked and needed and not body.get(name)]
        return self._page(
            request,
            who,
            release_id,
            "answer.html",
            status=status,
            body=body,
            lacking=lacking,
            longest=_LONGEST,
        )

    def _page(
        self,
        request: Request,
        who: Visitor,
        release_id: str,
        template: str,
        *,
        status: int = 200,
        **values: object,
    ) -> Response:
        shown = self.room.shown(who, self._permitted(who, release_id))
        return self.room.page(
            request, template, who=who, status=status, release=shown, fields=ANSWER_FIELDS, **values
        )

    def _permitted(self, who: Visitor, release_id: str) -> Release:
        house = self.room.house
        return permitted(
            release_id,
            person_id=who.person.id,
            address=who.address,
            records=house.records,
            clock=house.clock,
        )


def _body(form: Form) -> dict[str, str]:
    return {name: form.text(name, at_most=_LONGEST) for name, _ in ANSWER_FIELDS}
