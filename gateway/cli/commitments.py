"""``consilium commitment``: which senders asked whether their images are safe, what was found, and whether they were told."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from gateway.cli.console import emit, table
from gateway.cli.frame import house_of, operator
from gateway.domain.commitment import REASON_OF, WHOLE, AskedInstances
from gateway.domain.errors import NotFoundError
from gateway.journeys.keep_commitments import read_commitment
from gateway.journeys.report_commitment import retry_commitment
from gateway.ports import View

app = typer.Typer(help="Storage commitment: what senders asked and were told.", no_args_is_help=True)

_COLUMNS = (
    "id", "peer", "state", "asked_at", "reported_at", "committed", "failed", "report_attempts", "next_at", "error",
)  # fmt: skip
_SHOWN = (*_COLUMNS, "called", "transaction_uid", "decided_at", "give_up_at", "total")
_STATES = {
    "asked": "being verified",
    "decided": "to be told",
    "reported": "told",
    "given_up": "[red]given up[/]",
}
_REASONS = {
    "0110": "damaged, unreadable, without its key, or in conflict with another object under its UID",
    "0112": "not here",
    "0119": "here as another SOP class",
}

CommitmentId = Annotated[str, typer.Argument(metavar="COMMITMENT", help="Its id, or how it begins.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    peer: Annotated[str, typer.Option(metavar="AET", help="Only of this sender.")] = "",
    open_: Annotated[
        bool, typer.Option("--open", help="Only what is not told yet, or was given up.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
) -> None:
    """List what senders asked."""
    where: dict[str, Any] = {"peer": peer} if peer else {}
    if open_:
        where["state"] = ("asked", "decided", "given_up")
    with house_of(ctx) as parts, parts.house.records.view() as view:
        found = view.commitments.pick(_COLUMNS, order="-asked_at", limit=limit, **where)
        data = [dict(zip(_COLUMNS, row, strict=True)) for row in found]
        rows = [
            (
                one["id"][:8],
                one["peer"],
                f"{one['asked_at']:%Y-%m-%d %H:%M:%S}",
                _STATES[one["state"]],
                one["committed"],
                one["failed"],
                one["report_attempts"],
                f"{one['next_at']:%m-%d %H:%M:%S}" if one["next_at"] else "",
                one["error"],
            )
            for one in data
        ]
        heads = ("id", "sender", "asked (UTC)", "state", "safe", "failed", "tries", "next try", "last error")
        emit(ctx, data=data, human=table(*heads, rows=rows))


@app.command("show")
def show(
    ctx: typer.Context,
    commitment: CommitmentId,
    uids: Annotated[
        bool, typer.Option("--uids", help="Name every instance, and each failure's. The audit notes it.")
    ] = False,
) -> None:
    """Show one: how many failed, for which reason."""
    with house_of(ctx) as parts:
        with parts.house.records.view() as view:
            held = view.commitments.get(_found(view, commitment))
        title = f"{held.peer}, {_STATES[held.state]}: {held.committed} of {held.total} are safe" + (
            f"; {held.error}" if held.error else ""
        )
        data: dict[str, Any] = {name: getattr(held, name) for name in _SHOWN}
        counts = Counter(REASON_OF[mark] for mark in held.marks if mark != WHOLE)
        data["reasons"] = dict(sorted(counts.items()))
        if uids:
            named = read_commitment(held.id, by=operator(), records=parts.house.records)
            data |= _named(named, held.marks)
            heads: tuple[str, ...] = ("SOP instance UID", "reason", "meaning")
            rows: list[tuple[object, ...]] = [
                (uid, reason, _REASONS.get(reason, "")) for _, uid, reason in named.failures(held.marks)
            ]
        else:
            heads = ("instances", "reason", "meaning")
            rows = [(count, reason, _REASONS.get(reason, "")) for reason, count in data["reasons"].items()]
        emit(ctx, data=data, human=table(*heads, rows=rows, title=title) if rows else title)


@app.command("retry")
def retry(ctx: typer.Context, commitment: CommitmentId) -> None:
    """Tell the sender, or verify, now; what was given up is verified anew first."""
    with house_of(ctx) as parts:
        house = parts.house
        with house.records.view() as view:
            commitment_id = _found(view, commitment)
        held = retry_commitment(commitment_id, by=operator(), records=house.records, clock=house.clock)
        emit(ctx, data={"id": held.id, "state": held.state}, human=f"it is {_STATES[held.state]} now")


def _found(view: View, begins: str) -> str:
    """Return the one id that begins so."""
    if rows := view.commitments.pick(("id",), id=begins):
        return str(rows[0][0])
    fitting = [id_ for (id_,) in view.commitments.pick(("id",)) if begins and id_.startswith(begins)]
    if len(fitting) != 1:
        raise NotFoundError(
            f"{len(fitting) or 'no'} storage commitments begin with {begins[:32]}",
            next_step="`consilium commitment list` shows them.",
        )
    return str(fitting[0])


def _named(named: AskedInstances, marks: str) -> dict[str, Any]:
    return {
        "references": [
            {"sop_class_uid": sop_class, "sop_instance_uid": uid} for sop_class, uid in named.references
        ],
        "failures": [
            {"sop_class_uid": sop_class, "sop_instance_uid": uid, "reason": reason}
            for sop_class, uid, reason in named.failures(marks)
        ],
    }
