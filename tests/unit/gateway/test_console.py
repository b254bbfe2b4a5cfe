"""How commands speak: JSON or words, exit codes, what happened and what to do next."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import console
from gateway.domain.errors import (
    BusyError,
    ConflictError,
    ConsiliumError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)


@dataclass(frozen=True)
class Shown:
    name: str
    at: datetime
    where: Path


VALUE = Shown(name="å[b]", at=datetime(2026, 3, 1, tzinfo=UTC), where=Path("/x"))


def an_app(error=None):
    app = typer.Typer()

    @app.callback()
    def root(ctx: typer.Context, as_json: bool = typer.Option(False, "--json")):
        ctx.obj = {"json": as_json}

    @app.command()
    def show(ctx: typer.Context, as_json: bool = typer.Option(False, "--json")):
        with console.spoken_errors(ctx), console.progress("working", total=2) as move:
            move(1)
            if error is not None:
                raise error
            rows = [("[red]x", VALUE.name)]
            console.emit(ctx, data={"shown": VALUE, "set": {1}}, human=console.table("a", "b", rows=rows))

    return app


@pytest.mark.parametrize("arguments", [["--json", "show"], ["show", "--json"]])
def test_json_is_one_value_wherever_the_option_stands(arguments):
    result = CliRunner().invoke(an_app(), arguments)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "shown": {"name": "å[b]", "at": "2026-03-01T00:00:00+00:00", "where": "/x"},
        "set": [1],
    }


def test_a_table_shows_what_comes_from_outside_as_it_is():
    result = CliRunner().invoke(an_app(), ["show"])
    assert "[red]x" in result.stdout
    assert "å[b]" in result.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError(), 3),
        (InvalidError(), 2),
        (UnavailableError(), 75),
        (BusyError(), 75),
        (ConflictError(), 1),
        (ForbiddenError(), 1),
        (ConsiliumError("Refused.", next_step="Do this."), 1),
    ],
)
def test_an_error_says_what_happened_and_what_to_do_next(error, code):
    words = CliRunner().invoke(an_app(error), ["show"])
    assert words.exit_code == code
    assert f"{error} — {error.next_step}" in words.stderr.replace("\n", "")
    assert words.stdout == ""
    as_json = CliRunner().invoke(an_app(error), ["--json", "show"])
    assert as_json.exit_code == code
    assert json.loads(as_json.stdout)["next_step"] == error.next_step


def test_no_bar_is_drawn_where_nobody_watches():
    assert CliRunner().invoke(an_app(), ["--json", "show"]).stderr == ""
