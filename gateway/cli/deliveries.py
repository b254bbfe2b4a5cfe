"""``consilium release send`` and its kin: a release on its way to a PACS; the sending itself is the worker's."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.console import emit, note, progress, table
from gateway.cli.frame import house_of, operator
from gateway.domain.delivery import KEPT, WORK_FAILED, Delivery, in_words
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.journeys.ask_delivery import JOB, ask_again, ask_delivery, is_stranded, stop_delivery
from gateway.journeys.lookup import case_by_ref
from gateway.ports import House, Records

Ref = Annotated[str, typer.Argument(metavar="REF", help="The case's reference.")]
Id = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id; the beginning is enough.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended, with a bar.")]
_LOOK_EVERY_S = 0.3
_NOBODY_AFTER_S = 15.0


def register(app: typer.Typer) -> None:
    """Put the commands below ``consilium release``."""
    app.command("send")(send)
    app.command("deliveries")(deliveries)
    app.command("resend")(resend)
    app.command("stop-sending")(stop_sending)


def send(
    ctx: typer.Context,
    ref: Ref,
    to: Annotated[str, typer.Option(metavar="AET", help="The peer: its AE title.")],
    number: Annotated[int | None, typer.Option(help="Which version; the newest by default.")] = None,
    wait: Wait = False,
) -> None:
    """Send the de-identified images of an approved release to a peer that may receive them."""
    with house_of(ctx) as parts:
        house = parts.house
        asked = ask_delivery(
            ref=ref,
            to=to,
            number=number,
            by=operator(),
            records=house.records,
            clock=house.clock,
            policy=house.policy,
            calls=house.calls,
        )
        _tell(ctx, _ended(asked, house) if wait else asked)


def deliveries(ctx: typer.Context, ref: Ref) -> None:
    """List where the releases of a case were sent, and how far each is."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        case = case_by_ref(view, ref)
        found = view.deliveries.find(case_id=case.id, order="asked_at")
        found = [replace(d, error=WORK_FAILED) if is_stranded(view, d) else d for d in found]
        numbers = {release.id: release.number for release in view.releases.find(case_id=case.id)}
        emit(
            ctx,
            data=[_as_json(one) | {"number": numbers.get(one.release_id)} for one in found],
            human=table(
                "delivery",
                "version",
                "to",
                "state",
                "images",
                "why",
                rows=[
                    (d.id, numbers.get(d.release_id, "?"), d.peer, d.state, f"{d.sent}/{d.total}", d.error)
                    for d in found
                ],
            ),
        )


def resend(ctx: typer.Context, delivery: Id, wait: Wait = False) -> None:
    """Send once more what was not kept, for another day."""
    with house_of(ctx) as parts:
        house = parts.house
        again = ask_again(
            _delivery_id(house.records, delivery), by=operator(), records=house.records, clock=house.clock
        )
        _tell(ctx, _ended(again, house) if wait else again)


def stop_sending(ctx: typer.Context, delivery: Id) -> None:
    """Send nothing more of it; what the peer has, it keeps."""
    with house_of(ctx) as parts:
        house = parts.house
        stopped = stop_delivery(
            _delivery_id(house.records, delivery), by=operator(), records=house.records, clock=house.clock
        )
        _tell(ctx, stopped)


def _ended(delivery: Delivery, house: House) -> Delivery:
    """Wait for the end, or for a setback that is waited out for longer than a person would."""
    began, warned, done = time.monotonic(), False, delivery.sent
    with progress(f"sending to {delivery.peer}", total=delivery.total) as move:
        move(done)
        while True:
            with house.records.view() as view:
                delivery = view.deliveries.get(delivery.id)
                taken = view.jobs.count(kind=JOB, subject_id=delivery.id, state="running")
                is_lost = is_stranded(view, delivery)
            move(delivery.sent - done)
            done = delivery.sent
            if is_lost:
                delivery = replace(delivery, state="incomplete", error=WORK_FAILED)
            if not delivery.is_open or (delivery.next_at is not None and delivery.tries):
                break
            if delivery.state == "queued" and not taken and not warned:
                warned = time.monotonic() - began > _NOBODY_AFTER_S
                if warned:
                    note("no worker has taken it yet; does [cyan]consilium up[/] run?")
            time.sleep(_LOOK_EVERY_S)
    if delivery.state in ("incomplete", "stopped"):
        raise ConflictError(
            f"{delivery.sent} of {delivery.total} images arrived: {delivery.error}",
            next_step=f"Mend that, then `consilium release resend {delivery.id}`.",
        )
    return delivery


def _tell(ctx: typer.Context, delivery: Delivery) -> None:
    words = f"delivery [bold]{delivery.id}[/] to {escape(delivery.peer)}: {delivery.state}, {delivery.sent} of {delivery.total} images"
    if delivery.left_out:
        words += f"; {delivery.left_out} documents are not sent to a PACS"
    if delivery.error:
        words += f"; {escape(delivery.error)}"
    emit(ctx, data=_as_json(delivery), human=words)


def _as_json(delivery: Delivery) -> dict[str, object]:
    odd = {copy: outcome for copy, outcome in delivery.outcomes.items() if outcome[0] not in KEPT}
    return {
        "id": delivery.id,
        "peer": delivery.peer,
        "state": delivery.state,
        "asked_at": delivery.asked_at,
        "finished_at": delivery.finished_at,
        "next_at": delivery.next_at,
        "total": delivery.total,
        "sent": delivery.sent,
        "warned": delivery.warned,
        "refused": delivery.failed,
        "documents_left_out": delivery.left_out,
        "error": delivery.error,
        "not_kept": [
            {"copy": copy, "status": status, "meaning": in_words(status), "why": why}
            for copy, (status, why) in odd.items()
        ],
    }


def _delivery_id(records: Records, start: str) -> str:
    with records.view() as view:
        fits = [one for (one,) in view.deliveries.pick(("id",)) if one.startswith(start)]
    if len(fits) != 1:
        raise NotFoundError(
            f"{len(fits)} deliveries begin with {start[:32]}",
            next_step="`consilium release deliveries REF` shows them.",
        )
    return str(fits[0])
