"""``consilium deidentify``: a folder in, de-identified copies and a report out, without a house or a home."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from anonymizer.errors import AnonymizerError
from anonymizer.known import Known
from anonymizer.offline import deidentify_folder
from anonymizer.offline.journal import NAME as UNFINISHED
from anonymizer.pixels.masks import MaskRule
from gateway.cli.console import emit, err, progress, spoken_errors, table
from gateway.cli.frame import read_text
from gateway.domain.errors import InvalidError
from gateway.domain.rule import PICTURES

_MADE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


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
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Write a page with before and after: it shows the patient's data."
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The case's key, made if missing: later files get the same pseudonyms."
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="MASKS.json", help="Reviewed masks, as `consilium rules list --json` prints them."
        ),
    ] = None,
    media: Annotated[
        bool, typer.Option("--media", help="Write a DICOMDIR, and names that it may hold.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="How many at once; 0 takes the computer's cores.")] = 0,
) -> None:
    """De-identify a folder; what is quarantined is listed and not written."""
    with spoken_errors(ctx):
        identifiers = _known(known)
        _apart(out_dir, in_dir)
        with progress("de-identifying") as move:
            done = 0

            def beat(count: int, total: int) -> None:
                nonlocal done
                move(count - done)
                done = count

            try:
                result = deidentify_folder(
                    in_dir,
                    out_dir,
                    known=identifiers,
                    profile_name=profile,
                    key=_key(key_file),
                    masks=_masks(masks),
                    media=media,
                    compare=compare,
                    resume=resume,
                    progress=beat,
                    workers=workers,
                )
            except AnonymizerError as error:
                step = "See `consilium deidentify --help`."
                if (out_dir / UNFINISHED).exists():
                    step = "Go on with --resume. Do not pass the output folder on before: it is unfinished."
                raise InvalidError(str(error), next_step=step) from error
            except KeyboardInterrupt:
                err.print("Interrupted. The same command with --resume goes on from here.")
                raise
        told = result.to_json()
        if report is not None:
            if out_dir.absolute() in report.absolute().parents:
                err.print(
                    "The report names the input files, which may name the patient: take it out before you pass the folder on."
                )
            report.unlink(missing_ok=True)
            report.touch(mode=0o600)
            said = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
            # A name that is no UTF-8 is written with JSON's own escapes.
            report.write_text(said, encoding="utf-8", errors="backslashreplace")
        held = [(_printable(f["input"]), f["reason"]) for f in told["files"] if f["status"] == "quarantined"]
        totals = ", ".join(f"{count} {what}" for what, count in told["totals"].items())
        if not identifiers:
            err.print(
                "No --known file said whom to look for: only what the files themselves tell was taken out."
            )
        if told["patients_named"] > 1:
            err.print(
                f"These files name {told['patients_named']} patients as theirs. All were given one pseudonym: "
                "check that they are one person under several names, or take the others out."
            )
        human = table("held, not written", "why", rows=held, title=totals) if held else totals
        emit(ctx, data=told, human=human)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _known(path: Path | None) -> Known:
    if path is None:
        return Known()
    try:
        return Known.from_json(json.loads(read_text(path, what="the file of known identifiers")))
    except (AnonymizerError, ValueError, TypeError) as error:
        raise InvalidError(
            str(error), next_step="See docs/spec/known-identifiers.md for the shape."
        ) from error


def _apart(out_dir: Path, in_dir: Path) -> None:
    """Refuse to write into what is read."""
    out, source = out_dir.absolute(), in_dir.absolute()
    if out == source or source in out.parents or out in source.parents:
        raise InvalidError("OUT_DIR and IN_DIR lie in one another", next_step="Choose a folder apart.")


def _key(path: Path | None) -> bytes | None:
    """The key of the case, drawn at the first use: whoever holds it can tell which pseudonym was whom."""
    if path is None:
        return None
    with suppress(FileExistsError), os.fdopen(os.open(path, _MADE_NEW, 0o600), "w") as new:
        new.write(secrets.token_hex(32) + "\n")
    try:
        return bytes.fromhex(read_text(path, what="the key file").strip())
    except ValueError:
        raise InvalidError(
            "the key file does not hold a key",
            next_step="Name the file of an earlier run, or one that does not exist yet.",
        ) from None


def _masks(path: Path | None) -> tuple[MaskRule, ...]:
    """Read the masks of the rules that hold, from the rows of ``rules list``."""
    if path is None:
        return ()
    try:
        rows = json.loads(read_text(path, what="the file of masks"))
        masks = [MaskRule.from_json(row["mask"]) for row in _rules(rows) if _holds(row)]
    except (AnonymizerError, ValueError, KeyError) as error:
        said = "a rule does not say what it is" if isinstance(error, KeyError) else str(error)
        raise InvalidError(
            f"the masks cannot be read: {said}", next_step="Write them with `consilium rules list --json`."
        ) from error
    return tuple(masks)


def _rules(read: object) -> list[dict[str, object]]:
    if isinstance(read, list) and all(isinstance(row, dict) for row in read):
        return read
    raise ValueError("it is no list of rules")


def _holds(row: dict[str, object]) -> bool:
    """Tell whether a rule counts here; raises KeyError for what is no row of a rule.

    One picture's rule is of no use elsewhere. That nothing identifies counts for a device only: two people said so. A
    mask of a case takes more away, never less.
    """
    kind, state, reach = row["kind"], row["state"], row["reach"]
    if kind not in PICTURES or state != "active":
        return False
    return reach == "device" or (kind == "mask" and reach == "layout")
