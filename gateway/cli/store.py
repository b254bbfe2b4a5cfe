"""``consilium store``: whether rows and sealed objects agree, reading everything whole, and settling what was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from gateway.cli.console import REFUSED, TRY_LATER, emit, err, note, table
from gateway.cli.frame import house_of, operator
from gateway.domain.kept_object import NAMINGS
from gateway.domain.store_finding import StoreRound
from gateway.journeys.lookup import case_row
from gateway.journeys.scrub_store import Scrubbed, scrub_store
from gateway.journeys.settle_store_finding import finding_by, remove_orphan, settle_store_finding
from gateway.journeys.show_store import StoreState, show_store
from gateway.journeys.sweep_store import Swept, sweep_store

app = typer.Typer(help="The store of sealed objects: does it agree with the rows?", no_args_is_help=True)

_ROW = {naming.shelf: naming.word for naming in NAMINGS} | {"": "-"}
_SHOWN = 20


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Sum up the store as it was last seen, with what is not as it should be; exit code 1 if anything is lost."""
    with house_of(ctx) as parts:
        state = show_store(records=parts.house.records)
        emit(ctx, data=_as_json(state), human=partial(_print, state))
    if state.lost:
        raise typer.Exit(REFUSED)


@app.command("sweep")
def sweep(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; touch nothing.")
    ] = False,
) -> None:
    """Hold the objects against the rows: remove what is ours and nobody's, show the rest; exit code 1 if any is missing."""
    with house_of(ctx) as parts:
        house = parts.house
        swept = sweep_store(
            records=house.records,
            store=house.store,
            clock=house.clock,
            by=operator(),
            witness=house.witness,
            is_rehearsal=dry_run,
        )
        data = asdict(swept) | {"missing": [_kept_as_json(one) for one in asdict(swept)["missing"]]}
        emit(ctx, data=data, human=_swept_in_words(swept))
    if swept.missing:
        raise typer.Exit(REFUSED)


@app.command("scrub")
def scrub(
    ctx: typer.Context,
    rate: Annotated[
        float, typer.Option(metavar="MB/s", min=0, help="Read no faster; 0 is as fast as it goes.")
    ] = 0,
    case: Annotated[str, typer.Option(metavar="REF", help="Only the objects of this case.")] = "",
    afresh: Annotated[
        bool, typer.Option("--afresh", help="From the first object, whatever was read before.")
    ] = False,
) -> None:
    """Read every object whole and compare its digest. What was stopped goes on; exit code 1 if anything is lost."""
    with house_of(ctx) as parts:
        house, last, began = parts.house, None, time.monotonic()
        case_id = None
        if case:
            with house.records.view() as view:
                case_id = case_row(view, case).id
        steps = scrub_store(
            records=house.records,
            store=house.store,
            clock=house.clock,
            by=operator(),
            case_id=case_id,
            bytes_a_second=rate * 1e6,
            afresh=afresh,
        )
        first_bytes = 0
        try:
            with _bar() as bar:
                for last in steps:
                    if not bar.tasks:
                        first_bytes = last.size_bytes
                        if last.went_on:
                            note(f"going on behind {last.objects} objects; --afresh begins at the first")
                        bar.add_task("reading", total=last.of_bytes or 1, completed=last.size_bytes)
                    bar.update(bar.tasks[0].id, completed=last.size_bytes, total=last.of_bytes or 1)
        except KeyboardInterrupt:
            steps.close()  # type: ignore[attr-defined]  # a generator: it writes down how far it is
        took_s = time.monotonic() - began
        if last is None:
            raise typer.Exit(TRY_LATER)
        speed = (last.size_bytes - first_bytes) / took_s / 1e6 if took_s > 0 else 0.0
        emit(
            ctx,
            data=asdict(last) | {"seconds": round(took_s, 1), "megabytes_a_second": round(speed, 1)},
            human=_scrubbed_in_words(last, took_s=took_s, speed=speed, case=case),
        )
    if not last.is_ended:
        raise typer.Exit(TRY_LATER)
    if last.found:
        raise typer.Exit(REFUSED)


@app.command("settle")
def settle(
    ctx: typer.Context,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Its id; the beginning is enough.")],
    remove: Annotated[
        str, typer.Option(metavar="OBJECT", help="Remove the orphan for good: its whole id, to confirm.")
    ] = "",
) -> None:
    """Verify an object that was brought back and close its finding; or remove an orphan."""
    with house_of(ctx) as parts:
        house = parts.house
        ports: dict[str, Any] = {
            "by": operator(), "records": house.records, "store": house.store, "clock": house.clock,
        }  # fmt: skip
        found = finding_by(finding, records=house.records)
        ended = (
            remove_orphan(found.id, confirm=remove, **ports) if remove else settle_store_finding(found.id, **ports)
        )  # fmt: skip
        words = {
            "whole": "read whole; the finding is closed",
            "unnamed": "no row names it any more; the finding is closed",
            "settled": "removed for good",
        }
        emit(ctx, data=asdict(ended), human=f"object {ended.object_id}: {words[ended.state]}")


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar with speed and time left, where a person watches."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        yield bar


def _as_json(state: StoreState) -> dict[str, object]:
    return {
        "ok": not state.lost,
        "objects": state.objects,
        "bytes": state.size_bytes,
        "lost": state.lost,
        "orphans": state.orphans,
        "young": state.young,
        "swept_at": state.swept_at,
        "scrubbed_at": state.scrubbed_at,
        "scrub_under_way": _round_as_json(state.under_way),
        "findings": [asdict(line.finding) | {"case": line.ref} for line in state.lines],
    }


def _round_as_json(round_: StoreRound | None) -> dict[str, object] | None:
    if round_ is None:
        return None
    told = ("begun_at", "moved_at", "objects", "size_bytes", "found")
    return {name: getattr(round_, name) for name in told}


def _kept_as_json(kept: dict[str, Any]) -> dict[str, Any]:
    return {name: kept[name] for name in ("shelf", "row_id", "case_id", "object_id")}


def _print(state: StoreState, console: Console) -> None:
    console.print(_in_words(state))
    rows = [
        (
            line.finding.id[:8],
            line.finding.kind.replace("_", " "),
            line.finding.object_id,
            _ROW[line.finding.shelf],
            line.ref or "-",
            _at(line.finding.first_seen_at),
            _at(line.finding.last_seen_at),
        )
        for line in state.lines
    ]
    if rows:
        console.print(table("finding", "what", "object", "row", "case", "first seen", "last seen", rows=rows))


def _in_words(state: StoreState) -> str:
    lines = [
        f"objects           {state.objects}, {state.size_bytes / 1e9:.2f} GB before sealing",
        f"lost or damaged   {'[bold red]' + str(state.lost) + '[/]' if state.lost else 'none known'}",
        f"without a row     {state.orphans}" + (" (shown; they stay)" if state.orphans else ""),
    ]
    if state.young:
        lines.append(f"without a row yet {state.young} (the sweep clears them a day after their batch)")
    lines.append(f"last sweep        {_at(state.swept_at)}")
    lines.append(f"last full scrub   {_at(state.scrubbed_at)}")
    if (going := state.under_way) is not None:
        share = 100 * going.size_bytes / state.size_bytes if state.size_bytes else 100
        lines.append(f"scrub under way   {min(share, 100):.0f} %, last at {_at(going.moved_at)}")
    if state.lost:
        lines.append(
            "Bring lost objects back (`consilium backup restore`), then `consilium store settle FINDING`."
        )
    return "\n".join(lines)


def _at(when: object) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else "never"


def _swept_in_words(swept: Swept) -> str:
    verb = "would be removed" if swept.is_rehearsal else "removed"
    lines = [
        f"{swept.objects} objects, {swept.named} named by rows",
        f"{verb}: {len(swept.removed)} that were ours and nobody's ({swept.removed_bytes / 1e6:.1f} MB)",
        f"without a row yet: {len(swept.young)}",
        f"without a row, and shown only: {len(swept.orphans)}",
    ]
    lines += [f"  {object_id}" for object_id in swept.orphans[:_SHOWN]]
    lines.append(f"missing: {'[bold red]' + str(len(swept.missing)) + '[/]' if swept.missing else 'none'}")
    lines += [f"  {one.object_id} ({_ROW[one.shelf]} {one.row_id})" for one in swept.missing[:_SHOWN]]
    if swept.healed:
        lines.append(f"findings that ended: {swept.healed}")
    return "\n".join(lines)


def _scrubbed_in_words(last: Scrubbed, *, took_s: float, speed: float, case: str) -> str:
    told = f"{last.objects} of {last.of_objects} objects read, {last.size_bytes / 1e9:.2f} GB"
    pace = f" in {took_s:.0f} s ({speed:.0f} MB/s)"
    if not last.is_ended:
        again = f"consilium store scrub{' --case ' + case if case else ''}"
        return f"stopped: {told}{pace}. Go on with `{again}`: it begins where this one stopped."
    found = (
        f"[bold red]{last.found} are lost or damaged[/]; see `consilium store show`"
        if last.found
        else "all whole"
    )
    return f"{told}{pace}: {found}"
