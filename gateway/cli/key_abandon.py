"""``consilium key unopened`` and ``abandon``: the keys that do not open, and giving one up so that old epochs can end."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.console import emit, table
from gateway.cli.frame import house_of, operator
from gateway.journeys.abandon_key import abandon_key, list_unopened


def register(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command("unopened")(unopened)
    app.command("abandon")(abandon)


def unopened(ctx: typer.Context) -> None:
    """Try every case key and list those that do not open: they keep their version of the master key, and all later ones, alive."""
    with house_of(ctx) as parts:
        found = list_unopened(records=parts.house.records, masters=parts.masters)
        data = [{"holder": key.holder, "purpose": key.purpose, "version": key.kek_version} for key in found]
        rows = [(key.holder, key.purpose, key.kek_version) for key in found]
        human = table("holder", "purpose", "version", rows=rows) if rows else "every key opens"
        emit(ctx, data=data, human=human)


def abandon(
    ctx: typer.Context,
    holder: Annotated[str, typer.Argument(metavar="HOLDER", help="As `consilium key unopened` names it.")],
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help="For example originals.")],
    confirm: Annotated[str, typer.Option(metavar="HOLDER", help="The holder once more.")] = "",
) -> None:
    """Give up a key that does not open and whose row no backup brings back. What it sealed stays unreadable for good."""
    with house_of(ctx) as parts:
        key = abandon_key(
            holder,
            purpose,
            confirm=confirm,
            by=operator(),
            records=parts.house.records,
            masters=parts.masters,
        )
        emit(
            ctx,
            data={"holder": key.holder, "purpose": key.purpose, "version": key.kek_version},
            human=f"the key is given up: version {key.kek_version} waits for it no more",
        )
