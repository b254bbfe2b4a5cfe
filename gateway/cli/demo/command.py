"""``consilium demo``: the whole main job in a fresh home, over real sockets, told as it happens."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import emit, out
from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.material import make_material
from gateway.cli.demo.story import Story, tell

_FOLDER = Path(".demo")


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(
        "demo", help="Run the whole main job in a fresh home, narrated; exit code 0 if every step held."
    )(demo)


def demo(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Option(help="Where the demo's home and results go; a new folder inside it each time.")
    ] = _FOLDER,
    slices: Annotated[int, typer.Option(min=60, max=500, help="How many CT slices the hospital sends.")] = 64,
    seed: Annotated[int, typer.Option(help="Another seed, another patient.")] = 2026,
) -> None:
    """Play all the parts: hospital, patient, coordinator, reviewer, auditor."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=time.strftime("run-%H%M%S-"), dir=folder)).absolute()
    out.print(
        "[bold]Consilium demo[/] — one second opinion from referral to answer, with generated people only"
    )
    out.print(f"[dim]everything of this run lies in {place}[/]\n")
    material = make_material(place / "sent", seed=seed, slices=slices)
    with Exchange(place / "home") as exchange:
        story = Story(exchange=exchange, material=material, place=place)
        tell(story)
    took = time.monotonic() - began
    out.print(f"\n[bold green]Every step held[/] in {took:.0f} s. Where the proofs lie:")
    for what, where in story.proofs:
        out.print(f"  {what:<34} {where}")
    emit(
        ctx,
        data={
            "ok": True,
            "seconds": round(took),
            "proofs": {what: str(where) for what, where in story.proofs},
        },
    )
