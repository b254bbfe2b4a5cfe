"""Sending a release to a PACS, at the desk: choosing the peer, how far it is, what was refused and why, trying again, stopping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.case import Case
from gateway.domain.delivery import ENDINGS, KEPT, WORK_FAILED, Delivery, in_words
from gateway.domain.errors import NotFoundError
from gateway.domain.ids import normal_case_ref
from gateway.domain.release import Release
from gateway.doors.desk import delivery_words
from gateway.doors.desk.staff import Desk
from gateway.journeys.ask_delivery import ask_again, ask_delivery, is_stranded, stop_delivery
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.open_release import read_manifest
from gateway.ports import View

_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLine:
    """One image that was not simply kept: its name in the package, what the peer answered, and what that means."""

    name: str
    status: str
    words: str
    why: str
    is_kept: bool


def sending_panel(view: View, release: Release) -> dict[str, Any]:
    """Return what the release's page shows of its deliveries, and to whom it can be sent."""
    deliveries = view.deliveries.find(release_id=release.id, order="-asked_at")
    busy = {delivery.peer for delivery in deliveries if delivery.is_open and not is_stranded(view, delivery)}
    peers = view.peers.find(may_receive=True, disabled_at=None, order="ae_title")
    return {
        "deliveries": deliveries,
        "receivers": [peer for peer in peers if peer.address and peer.ae_title not in busy],
        "delivery_words": delivery_words,
        "endings": ENDINGS,
    }


class DeliveryPages:
    """The routes below a release that send it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/cases/{ref}/releases/{number}/deliveries", self.send, methods=["POST"])
        one = "/cases/{ref}/deliveries/{delivery_id}"
        routes.add_api_route(one, self.delivery, methods=["GET"])
        routes.add_api_route(f"{one}/again", self.again, methods=["POST"])
        routes.add_api_route(f"{one}/stop", self.stop, methods=["POST"])

    def send(self, request: Request, ref: str, number: int) -> Response:
        """Ask that the release be sent to the peer that was chosen."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        delivery = ask_delivery(
            ref=ref,
            number=number,
            to=form.text("peer", at_most=16),
            by=who.actor,
            records=house.records,
            clock=house.clock,
            policy=house.policy,
            calls=house.calls,
        )
        return self._to(ref, delivery)

    def delivery(self, request: Request, ref: str, delivery_id: str) -> Response:
        """Show how far it is. Names in the package, statuses and counts tell nothing of a patient: looking is no event."""
        is_live = "live" in request.query_params  # the page renews itself, which is not somebody at work
        who, house = self.desk.who(request, is_idle=is_live), self.desk.house
        case, release, delivery = self._find(ref, delivery_id)
        with house.records.view() as view:
            if is_stranded(view, delivery):
                delivery = replace(delivery, state="incomplete", error=WORK_FAILED)
        odd = {copy: outcome for copy, outcome in delivery.outcomes.items() if outcome[0] != "0000"}
        lines: list[OutcomeLine] = []
        if odd:
            manifest = read_manifest(release, records=house.records, store=house.store)
            lines = [
                _line(e.name, odd[e.content.copy_id]) for e in manifest.entries if e.content.copy_id in odd
            ]
        return self.desk.page(
            request,
            "delivery.html",
            who=who,
            case=case,
            release=release,
            delivery=delivery,
            lines=sorted(lines, key=lambda line: line.is_kept)[:_LISTED],
            more=max(0, len(lines) - _LISTED),
            delivery_words=delivery_words,
            endings=ENDINGS,
        )

    def again(self, request: Request, ref: str, delivery_id: str) -> Response:
        """Send once more what was not kept."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        _, _, delivery = self._find(ref, delivery_id)
        ask_again(delivery.id, by=who.actor, records=house.records, clock=house.clock)
        return self._to(ref, delivery)

    def stop(self, request: Request, ref: str, delivery_id: str) -> Response:
        """Send nothing more of it."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        _, _, delivery = self._find(ref, delivery_id)
        stop_delivery(delivery.id, by=who.actor, records=house.records, clock=house.clock)
        return self._to(ref, delivery)

    def _find(self, ref: str, delivery_id: str) -> tuple[Case, Release, Delivery]:
        with self.desk.house.records.view() as view:
            case = case_by_ref(view, ref)
            delivery = view.deliveries.first(id=delivery_id, case_id=case.id)
            release = view.releases.first(id=delivery.release_id) if delivery else None
        if delivery is None or release is None:
            raise NotFoundError
        return case, release, delivery

    def _to(self, ref: str, delivery: Delivery) -> Response:
        return self.door.to(f"/cases/{normal_case_ref(ref)}/deliveries/{delivery.id}")


def _line(name: str, outcome: list[str]) -> OutcomeLine:
    status, why = outcome
    return OutcomeLine(name=name, status=status, words=in_words(status), why=why, is_kept=status in KEPT)
