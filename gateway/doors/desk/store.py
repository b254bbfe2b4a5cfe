"""The store at the desk: what is known of the sealed objects, what is lost with its next step, and looking again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import ConflictError
from gateway.doors.desk import store_words
from gateway.doors.desk.staff import Desk
from gateway.journeys.settle_store_finding import settle_store_finding
from gateway.journeys.show_store import show_store
from gateway.journeys.tell_trouble import standing_troubles
from storage import Room, SealedStore


class StorePages:
    """The routes below ``/store``; ids and counts tell nothing of a patient: looking is no event."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/store", self.store, methods=["GET"])
        routes.add_api_route("/store/{finding_id}/settle", self.settle, methods=["POST"])

    def store(self, request: Request) -> Response:
        """Show what stands now, and what the last sweep and scrubs saw."""
        who = self.desk.who(request)
        house, result = self.desk.house, request.query_params.get("done", "")
        return self.desk.page(
            request,
            "store.html",
            who=who,
            state=show_store(records=house.records),
            troubles=standing_troubles(records=house.records, room=house.room, clock=house.clock),
            trouble_words=store_words,
            room=_room(house.store),
            kinds=store_words.KINDS,
            rows=store_words.ROWS,
            settled=store_words.DONE.get(result, ""),
            is_still_lost=result == "store_still_lost",
        )

    def settle(self, request: Request, finding_id: str) -> Response:
        """Read the object of a finding now; where it is whole, the finding ends."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        try:
            settle_store_finding(
                finding_id, by=who.actor, records=house.records, store=house.store, clock=house.clock
            )
        except ConflictError:
            return self.door.to("/store?done=store_still_lost")
        return self.door.to("/store?done=store_settled")


def _room(store: SealedStore) -> Room | None:
    """Return the room that objects have, where a volume tells."""
    try:
        return store.room()
    except OSError:
        return None
