"""``consilium deidentify``: a folder in, de-identified copies and a report out, without a house or a home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anonymizer.errors import AnonymizerError
from anonymizer.known import Known
from anonymizer.offline import deidentify_folder
from gateway.cli.console import emit, progress, spoken_errors, table
from gateway.cli.frame import read_text
from gateway.domain.errors import InvalidError


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("deidentify", help="De-identify a folder of DICOM files and documents, offline.")(deidentify)


def deidentify(
    ctx: typer.Context,
    in_dir: Annotated[Path, typer.Argument(metavar="IN_DIR", exists=True, file_okay=False)],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR")],
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="KNOWN.json", help="What identifies the patient (docs/spec/known-identifiers.md)."
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="mdt-default, strict or identified.")] = "mdt-default",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Where the report is written.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="How many at once; 0 takes the computer's cores.")] = 0,
) -> None:
    """De-identify a folder; what is quarantined is listed and not written."""
    with spoken_errors(ctx):
        identifiers = _known(known)
        out = _fresh(out_dir, in_dir)
        with progress("de-identifying") as move:
            done = 0

            def beat(count: int, total: int) -> None:
                nonlocal done
                move(count - done)
                done = count

            try:
                result = deidentify_folder(
                    in_dir,
                    out,
                    known=identifiers,
                    profile_name=profile,
                    key=None,
                    progress=beat,
                    workers=workers,
                )
            except AnonymizerError as error:
                raise InvalidError(str(error), next_step="See `consilium deidentify --help`.") from error
        told = result.to_json()
        if report is not None:
            report.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        held = [(f["input"], f["reason"]) for f in told["files"] if f["status"] == "quarantined"]
        totals = ", ".join(f"{count} {what}" for what, count in told["totals"].items())
        human = table("held, not written", "why", rows=held, title=totals) if held else totals
        emit(ctx, data=told, human=human)


def _known(path: Path | None) -> Known:
    if path is None:
        return Known()
    try:
        return Known.from_json(json.loads(read_text(path, what="the file of known identifiers")))
    except (AnonymizerError, ValueError, TypeError) as error:
        raise InvalidError(
            str(error), next_step="See docs/spec/known-identifiers.md for the shape."
        ) from error


def _fresh(out_dir: Path, in_dir: Path) -> Path:
    """Refuse to write into what is read, or beside files that are there already."""
    out, source = out_dir.absolute(), in_dir.absolute()
    if out == source or source in out.parents or out in source.parents:
        raise InvalidError("OUT_DIR and IN_DIR lie in one another", next_step="Choose a folder apart.")
    if out.exists() and any(out.iterdir()):
        raise InvalidError(
            f"{out_dir} is not empty",
            next_step="Choose an empty folder, so that no old copy is taken for a new one.",
        )
    out.mkdir(parents=True, exist_ok=True)
    return out
