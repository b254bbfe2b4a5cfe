"""``consilium rules``: what humans judged once and is used again: listing, showing, confirming and revoking it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.console import emit, table
from gateway.cli.frame import house_of, operator
from gateway.domain.errors import NotFoundError
from gateway.domain.rule import LAYOUT, CaseRule, DeviceRule
from gateway.journeys.lookup import case_row
from gateway.journeys.review_rules import confirm_rule, revoke_rule
from gateway.ports import View

app = typer.Typer(
    help="Reviewed rules: masks, clean pictures and words that a human judged.", no_args_is_help=True
)
RuleId = Annotated[str, typer.Argument(metavar="RULE", help="Its id; the beginning is enough.")]
_WORDS = {
    "mask": "mask these places",
    "clean": "nothing identifies",
    "kept_word": "this word does not identify",
    "removed_word": "this word identifies",
}


@app.command("list")
def list_(
    ctx: typer.Context,
    case: Annotated[
        str,
        typer.Option(
            metavar="REF", help="The rules of this case only; without it those of all cases and of devices."
        ),
    ] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also those that were revoked or declined.")] = False,
) -> None:
    """List the reviewed rules; words and pictures are shown at the desk only."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        states: dict[str, Any] = {} if ended else {"state": ("active", "proposed")}
        where = states | ({"case_id": case_row(view, case).id} if case else {})
        found: list[CaseRule | DeviceRule] = [*view.case_rules.find_readable(order="made_at", **where)[0]]
        found += [] if case else view.device_rules.find(order="made_at", **states)
        refs = dict(view.cases.pick(("id", "ref")))
        told = [_as_json(rule, refs) for rule in found]
        rows = [
            (r["id"][:8], r["case"] or "device", _WORDS[r["kind"]], r["reach"], r["state"], r["made_at"])
            for r in told
        ]
        shown = table("rule", "of", "what", "reach", "state", "made", rows=rows)
        emit(
            ctx,
            data=told,
            human=shown if rows else "There is no reviewed rule yet: they are made at the desk.",
        )


@app.command("show")
def show(ctx: typer.Context, rule: RuleId) -> None:
    """Show one rule: layout and places of a mask, who made it and when. A word is not shown here: the desk does."""
    with house_of(ctx) as parts, parts.house.records.view() as view:
        refs = dict(view.cases.pick(("id", "ref")))
        told = _as_json(_rule(view, rule), refs)
        rows = [(name, value) for name, value in told.items() if value not in ("", None, [])]
        emit(ctx, data=told, human=table("", "", rows=rows))


@app.command("confirm")
def confirm(ctx: typer.Context, rule: RuleId) -> None:
    """Let a proposed rule for a device hold in all cases."""
    with house_of(ctx) as parts:
        house = parts.house
        with house.records.view() as view:
            found = _rule(view, rule)
        confirmed = confirm_rule(found.id, by=operator(), records=house.records, clock=house.clock)
        emit(
            ctx,
            data={"id": confirmed.id, "state": confirmed.state},
            human="in force for this device in all cases",
        )


@app.command("revoke")
def revoke(ctx: typer.Context, rule: RuleId) -> None:
    """Revoke a rule, or decline a proposed one; the copies that were made by it are made anew."""
    with house_of(ctx) as parts:
        house = parts.house
        with house.records.view() as view:
            found = _rule(view, rule)
        ended = revoke_rule(found.id, by=operator(), records=house.records, clock=house.clock)
        emit(ctx, data={"id": ended.id, "state": ended.state}, human=ended.state)


def _rule(view: View, start: str) -> CaseRule | DeviceRule:
    own = [id_ for (id_,) in view.case_rules.pick(("id",)) if id_.startswith(start)]
    devices = [id_ for (id_,) in view.device_rules.pick(("id",)) if id_.startswith(start)]
    if len(own) + len(devices) != 1:
        raise NotFoundError(
            f"{len(own) + len(devices)} rules begin with {start[:32]}",
            next_step="`consilium rules list` shows them.",
        )
    return view.case_rules.get(own[0]) if own else view.device_rules.get(devices[0])


def _as_json(rule: CaseRule | DeviceRule, refs: dict[str, str]) -> dict[str, Any]:
    own = rule if isinstance(rule, CaseRule) else None
    told: dict[str, Any] = {
        "id": rule.id,
        "case": refs.get(own.case_id, own.case_id) if own else "",
        "kind": rule.kind,
        "reach": own.scope if own else "device",
        "state": rule.state,
        "made_by": rule.made_by,
        "made_at": rule.made_at.isoformat(timespec="seconds"),
        "confirmed_by": rule.confirmed_by if isinstance(rule, DeviceRule) else "",
        "ended_by": rule.ended_by,
        "ended_at": rule.ended_at.isoformat(timespec="seconds") if rule.ended_at else None,
    }
    if "rectangles" in rule.body:
        told["mask"] = {**rule.body, "reach": "picture" if own and own.scope == "picture" else "layout"}
        told["layout"] = {name: rule.body.get(name) for name in LAYOUT}
        told["rectangles"] = rule.body["rectangles"]
    return told
