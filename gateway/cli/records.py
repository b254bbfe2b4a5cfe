"""``consilium records``: bringing the tables of an older version up to this one; what is in them is not looked at here."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.console import emit, spoken_errors
from gateway.cli.frame import settings_of
from gateway.compose import records_url
from gateway.domain.errors import NotFoundError
from gateway.records import open_engines
from gateway.records.schema import upgrade_schema
from gateway.records.tables import SCHEMA_VERSION
from gateway.settings import Settings

app = typer.Typer(help="The tables behind everything.", no_args_is_help=True)


@app.callback()
def records() -> None:
    """The tables behind everything."""


@app.command("upgrade")
def upgrade(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Take every step, then take it back.")] = False,
) -> None:
    """Bring the records up to this version: all steps or none. Back them up first. A home's own file needs no call: it is upgraded when Consilium starts."""
    with spoken_errors(ctx):
        write, read = open_engines(_url(settings_of(ctx)))
        try:
            before, steps = upgrade_schema(write, is_rehearsal=dry_run)
        finally:
            write.dispose()
            read.dispose()
        data = {
            "version_before": before,
            "version": before if dry_run else SCHEMA_VERSION,
            "steps": steps,
            "dry_run": dry_run,
        }
        if not steps:
            told = f"nothing to do: the records have schema version {before}"
        elif dry_run:
            told = (
                f"would go from version {before} to {SCHEMA_VERSION}: {', '.join(steps)}; nothing was changed"
            )
        else:
            told = f"upgraded from version {before} to {SCHEMA_VERSION}: {', '.join(steps)}"
        emit(ctx, data=data, human=told)


def _url(settings: Settings) -> str:
    """Return where the records are; a home without any is not given an empty file on the way."""
    url = records_url(settings)
    if not settings.records and not (settings.home / "records" / "records.db").exists():
        raise NotFoundError(
            f"there are no records in {settings.home}",
            next_step="Name the home with --home; `consilium up` makes a new one.",
        )
    return url
