"""``consilium conformance``: the DICOM conformance statement (PS3.2) of the configuration of this home."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import note, spoken_errors, wants_json
from gateway.cli.frame import settings_of
from gateway.domain.calls import CallRules
from gateway.domain.errors import InvalidError
from gateway.journeys.state_conformance import state_conformance
from gateway.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("conformance", help="Print the DICOM conformance statement of this configuration.")(
        conformance
    )


def conformance(
    ctx: typer.Context,
    html: Annotated[bool, typer.Option("--html", help="One page for a browser or A4 paper.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown (what it is without a choice).")
    ] = False,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Of the defaults, not of this home; without a date.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file instead of printing it.")
    ] = None,
) -> None:
    """Make the statement from the tables and limits that the node runs by."""
    with spoken_errors(ctx):
        if html + markdown + wants_json(ctx) > 1:
            raise InvalidError(
                "a statement is written one way at a time", next_step="Choose --markdown, --html or --json."
            )
        settings = Settings.model_construct() if defaults else settings_of(ctx)
        stated = state_conformance(
            policy=settings.policy(),
            rules=CallRules(
                profile=settings.dicom_tls_profile, plain_elsewhere=settings.plain_dicom_elsewhere
            ),
            issued="" if defaults else f"{datetime.now(UTC):%Y-%m-%d}",
        )
        text = stated.html() if html else stated.json() if wants_json(ctx) else stated.markdown()
        if out is None:
            sys.stdout.write(text)
            return
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidError(
                f"{out} cannot be written ({error.strerror})", next_step="Choose another --out FILE."
            ) from error
        note(f"{out} holds the statement")
