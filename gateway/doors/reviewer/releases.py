"""A reviewer's releases: which there are, what each holds, how it was de-identified and what is missing in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.domain.errors import SignInError
from gateway.doors.reviewer.visitor import ReviewRoom, Shown, Visitor
from gateway.journeys.open_release import open_release
from gateway.journeys.show_release import Contents, contents_of


class ReleasePages:
    """The routes that show releases, as pages and as JSON for scripts."""

    def __init__(self, room: ReviewRoom) -> None:
        self.room, self.door = room, room.door
        routes = room.door.routes
        routes.add_api_route("/", self.mine, methods=["GET", "HEAD"])
        routes.add_api_route("/releases.json", self.mine_json, methods=["GET"])
        routes.add_api_route("/awake", self.awake, methods=["GET"])
        routes.add_api_route("/releases/{release_id}", self.release, methods=["GET"])
        routes.add_api_route("/releases/{release_id}/contents.json", self.contents_json, methods=["GET"])

    def mine(self, request: Request) -> Response:
        """List what is granted; a stranger is sent to sign in."""
        try:
            who = self.room.who(request)
        except SignInError:
            return self.door.to("/sign-in")
        return self.room.page(request, "mine.html", who=who, releases=self.room.granted(who))

    def mine_json(self, request: Request) -> Response:
        """The same list for a script."""
        who = self.room.who(request)
        prefix = self.door.config.prefix
        return JSONResponse({"releases": [_told(one, prefix) for one in self.room.granted(who)]})

    def awake(self, request: Request) -> Response:
        """A page on which somebody is writing an answer says so, that the session does not end under her hands."""
        self.room.who(request)
        return JSONResponse({"awake": True})

    def release(self, request: Request, release_id: str) -> Response:
        """Show what a release holds; opening it is an event, and the first one moves the case to «in review»."""
        who = self.room.who(request)
        shown, contents = self._open(who, release_id)
        with self.room.house.records.view() as view:
            answers = view.answers.find(release_id=release_id, order="-version")
        return self.room.page(
            request, "release.html", who=who, release=shown, contents=contents, answers=answers
        )

    def contents_json(self, request: Request, release_id: str) -> Response:
        """The contents for a script, with every digest."""
        who = self.room.who(request)
        shown, contents = self._open(who, release_id)
        return JSONResponse({**_told(shown, self.door.config.prefix), "contents": asdict(contents)})

    def _open(self, who: Visitor, release_id: str) -> tuple[Shown, Contents]:
        house = self.room.house
        release, manifest = open_release(
            release_id,
            person_id=who.person.id,
            address=who.address,
            records=house.records,
            store=house.store,
            clock=house.clock,
        )
        contents = contents_of(release, manifest, records=house.records, store=house.store)
        return self.room.shown(who, release), contents


def _told(one: Shown, prefix: str) -> dict[str, Any]:
    base = f"{prefix}/releases/{one.release_id}"
    return {
        "id": one.release_id,
        "case": one.ref,
        "number": one.number,
        "opinion": one.opinion,
        "questions": one.questions,
        "totals": one.totals,
        "until": one.until.isoformat(timespec="seconds"),
        "answer_due": one.due_at.isoformat(timespec="seconds") if one.due_at else None,
        "answered": one.answered_at is not None,
        "package": f"{base}/package.zip",
        "page": base,
    }
