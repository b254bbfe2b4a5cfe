"""Peers at the desk: who may send and be sent to, whether they answer, who was refused; each change is a journey's."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dicom_node.scu import EchoResult
from gateway.domain.errors import ConflictError, ConsiliumError, InvalidError, NotFoundError
from gateway.domain.peer import TitleUsedError
from gateway.doors.desk import peer_form, peer_words
from gateway.doors.desk.staff import Desk, Staff
from gateway.doors.http import Form, Refused, plain
from gateway.journeys.echo_peer import echo_peer
from gateway.journeys.know_peer import (
    add_peer,
    change_peer,
    disable_peer,
    enable_peer,
    pin_certificate,
    unpin_certificate,
)
from gateway.journeys.peer_sheet import peer_sheet
from gateway.journeys.show_peer import show_peer, show_peers, show_strangers

_SWITCHES = {"disable": (disable_peer, "peer_disabled"), "enable": (enable_peer, "peer_enabled")}
_PEM = 20_000


class PeerPages:
    """The routes below ``/peers``."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/peers", self.peers, methods=["GET", "HEAD"])
        routes.add_api_route("/peers", self.add, methods=["POST"])
        routes.add_api_route("/peers/new", self.new, methods=["GET", "HEAD"])
        one = "/peers/of/{slug}"
        routes.add_api_route(one, self.peer, methods=["GET"])
        routes.add_api_route(one, self.change, methods=["POST"])
        routes.add_api_route(f"{one}/sheet", self.sheet, methods=["GET"])
        routes.add_api_route(f"{one}/call", self.call, methods=["POST"])
        routes.add_api_route(f"{one}/pins", self.pin, methods=["POST"])
        for switch in _SWITCHES:
            routes.add_api_route(f"{one}/{switch}", self._switch(switch), methods=["POST"])

    def peers(self, request: Request) -> Response:
        """Show all peers, and who was refused of late."""
        who, house = self.desk.who(request), self.desk.house
        return self._page(
            request,
            "peers.html",
            who,
            files=show_peers(records=house.records, clock=house.clock),
            strangers=show_strangers(records=house.records),
            house_ae_title=house.policy.ae_title,
        )

    def new(self, request: Request) -> Response:
        """Show the form for a new peer; a refused stranger's title and address may stand in it."""
        who = self.desk.who(request)
        return self._new(request, who, peer_form.given(None, request.query_params))

    def add(self, request: Request) -> Response:
        """Add a peer, or show the form again with what is not right in it."""
        who, form = self.desk.posted(request)
        pem = form.text("certificate", at_most=_PEM)
        try:
            values = peer_form.changes(form)
            peer = add_peer(
                ae_title=form.text("ae_title", at_most=80),
                certificates=[pem] if pem else [],
                again="again" in form,
                **values,
                **self._ports(who),
            )
        except (InvalidError, ConflictError) as error:
            asks_again = "again" in form or isinstance(error, TitleUsedError)
            return self._new(request, who, peer_form.given(form), problem=error, asks_again=asks_again)
        return self._to(peer.ae_title, "peer_added")

    def peer(self, request: Request, slug: str) -> Response:
        """Show one peer."""
        return self._peer(request, self.desk.who(request), slug)

    def change(self, request: Request, slug: str) -> Response:
        """Change a peer to what its form says, or show what is not right."""
        who, form = self.desk.posted(request)
        title = peer_form.title_of(slug)
        try:
            change_peer(ae_title=title, changes=peer_form.changes(form), **self._ports(who))
        except InvalidError as error:
            return self._peer(request, who, slug, form=form, problem=error)
        return self._to(title, "peer_changed")

    def call(self, request: Request, slug: str) -> Response:
        """C-ECHO the peer now and show how far it came; nothing of it is kept but the audit's event."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        try:
            found = echo_peer(
                ae_title=peer_form.title_of(slug),
                by=who.actor,
                records=house.records,
                policy=house.policy,
                rules=house.calls,
            )
        except NotFoundError:
            raise
        except ConsiliumError as error:
            return self._peer(request, who, slug, problem=error)
        return self._peer(request, who, slug, echo=found)

    def pin(self, request: Request, slug: str) -> Response:
        """Let the peer show one more certificate, or take one away."""
        who, form = self.desk.posted(request)
        title = peer_form.title_of(slug)
        try:
            if spki := form.text("unpin", at_most=64):
                unpin_certificate(ae_title=title, spki=spki, **self._ports(who))
            else:
                pin_certificate(
                    ae_title=title, pem=form.text("certificate", at_most=_PEM), **self._ports(who)
                )
        except InvalidError as error:
            return self._peer(request, who, slug, problem=error)
        return self._to(title, "peer_unpinned" if spki else "peer_pinned")

    def sheet(self, request: Request, slug: str) -> Response:
        """Show the onboarding sheet, made for paper."""
        who, house = self.desk.who(request), self.desk.house
        found = peer_sheet(
            ae_title=peer_form.title_of(slug),
            records=house.records,
            clock=house.clock,
            policy=house.policy,
            rules=house.calls,
        )
        return self._page(
            request, "peer_sheet.html", who, sheet=found, css="", back=f"/peers/of/{peer_form.slug_of(found.peer.ae_title)}"
        )  # fmt: skip

    def _switch(self, name: str) -> Any:
        journey, done = _SWITCHES[name]

        def switch(request: Request, slug: str) -> Response:
            who, _ = self.desk.posted(request)
            peer = journey(ae_title=peer_form.title_of(slug), **self._ports(who))
            return self._to(peer.ae_title, done)

        return switch

    def _peer(
        self,
        request: Request,
        who: Staff,
        slug: str,
        *,
        form: Form | None = None,
        problem: ConsiliumError | None = None,
        echo: EchoResult | None = None,
    ) -> Response:
        house = self.desk.house
        title = peer_form.title_of(slug)
        if peer_form.slug_of(title) != slug:
            raise Refused(plain(404))
        file, ends, changes = show_peer(ae_title=title, records=house.records, clock=house.clock)
        return self._page(
            request,
            "peer.html",
            who,
            status=422 if problem else 200,
            file=file,
            peer=file.peer,
            slug=slug,
            ends=ends,
            changes=changes,
            given=peer_form.given(form if form is not None else file.peer),
            is_open=form is not None,
            problem=problem,
            echo=echo,
            house_ae_title=house.policy.ae_title,
        )

    def _new(
        self,
        request: Request,
        who: Staff,
        given: dict[str, Any],
        *,
        problem: ConsiliumError | None = None,
        asks_again: bool = False,
    ) -> Response:
        return self._page(
            request,
            "new_peer.html",
            who,
            status=422 if problem else 200,
            given=given,
            problem=problem,
            asks_again=asks_again,
        )

    def _page(
        self, request: Request, template: str, who: Staff, *, status: int = 200, **values: Any
    ) -> Response:
        return self.desk.page(
            request,
            template,
            who=who,
            status=status,
            peer_words=peer_words,
            slug_of=peer_form.slug_of,
            **values,
        )

    def _ports(self, who: Staff) -> dict[str, Any]:
        house = self.desk.house
        return {"by": who.actor, "records": house.records, "clock": house.clock}

    def _to(self, ae_title: str, done: str) -> Response:
        return self.door.to(f"/peers/of/{peer_form.slug_of(ae_title)}?done={done}")
