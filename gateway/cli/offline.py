"""``consilium deidentify``: a folder in, de-identified copies and a report out, without a house or a home."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from anonymizer.errors import AnonymizerError
from anonymizer.known import Known
from anonymizer.ocr import languages
from anonymizer.offline import deidentify_folder
from anonymizer.offline.journal import NAME as UNFINISHED
from anonymizer.offline.report import FolderReport
from anonymizer.pixels.masks import MaskRule
from anonymizer.profile import PROFILES
from gateway.cli.console import emit, err, progress, spoken_errors, table
from gateway.cli.frame import read_text
from gateway.domain.errors import InvalidError
from gateway.domain.rule import PICTURES

_MADE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(
        "deidentify",
        help="De-identify a folder of one patient's DICOM files and documents, offline: clean copies come out, the "
        "originals stay as they are. What cannot be cleaned is listed and not written.",
    )(deidentify)


def deidentify(
    ctx: typer.Context,
    in_dir: Annotated[
        Path, typer.Argument(metavar="IN_DIR", exists=True, file_okay=False, help="The originals; only read.")
    ],
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="An empty folder, or a new one.")],
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="KNOWN.json", help="What identifies the patient (docs/spec/known-identifiers.md)."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="mdt-default or strict; `consilium describe` tells them.")
    ] = "mdt-default",
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="Write a report, a row for each file: keep it outside OUT_DIR."
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page with before and after, to check a run by: it shows the patient's data.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key of this patient's stand-ins, made if missing: later files get the same. Keep it secret.",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="MASKS.json", help="Reviewed masks, as `consilium rules list --json` prints them."
        ),
    ] = None,
    media: Annotated[
        bool, typer.Option("--media", help="Lay the copies out as a disc: short names and a DICOMDIR.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Files at once; 0: one for each core.")] = 0,
) -> None:
    """De-identify a folder; what is quarantined is listed and not written."""
    with spoken_errors(ctx):
        identifiers = _known(known)
        _apart(out_dir, in_dir)
        _profile(profile)
        if not languages():
            err.print(
                "Tesseract has no language pack with Latin letters here: pictures that may show text are held. "
                "Install tesseract-ocr-eng and tesseract-ocr-swe to have them read."
            )
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
                step = (
                    "Name an empty folder, or one that does not exist yet."
                    if _filled(out_dir)
                    else "Name another place."
                )
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
        if not identifiers:
            err.print(
                "No --known file said whom to look for: only what the files themselves tell was taken out."
            )
        if told["patients_named"] > 1:
            err.print(
                f"These files name {told['patients_named']} patients as theirs. All were given one pseudonym: "
                "check that they are one person under several names, or take the others out."
            )
        if not result.files:
            err.print("IN_DIR holds no file: nothing was written. Check the path.")
        emit(ctx, data=told, human=lambda console: _say(console, result))


def _say(console: Console, result: FolderReport) -> None:
    """The totals, what was held, and what a human must see before the folder leaves."""
    console.print(result.said)
    held = [(_printable(file.input), file.reason) for file in result.files if file.status == "quarantined"]
    looks = [
        (file.output, " ".join(file.look))
        for file in result.files
        if file.look and file.status == "deidentified"
    ]
    if held:
        console.print()
        console.print(table("held, not written", "why", rows=held))
    if looks:
        console.print()
        console.print(table("look at this copy before you pass it on", "why", rows=looks))


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _known(path: Path | None) -> Known:
    if path is None:
        return Known()
    text = read_text(path, what="the file of known identifiers")
    step = "See docs/spec/known-identifiers.md for the shape."
    try:
        return Known.from_json(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidError(f"{path.name} is no JSON: {_where(error)}", next_step=step) from error
    except (AnonymizerError, ValueError, TypeError) as error:
        raise InvalidError(f"{path.name}: {error}", next_step=step) from error


def _where(error: json.JSONDecodeError) -> str:
    """Where a file stops being JSON; never what stands there."""
    return f"something is wrong at line {error.lineno}, column {error.colno}"


def _profile(name: str) -> None:
    """Refuse a profile that is none, and the one that leaves everything as it is."""
    useful = [one for one, profile in PROFILES.items() if not profile.identified]
    if name not in useful:
        said = "leaves everything as it is" if name in PROFILES else "does not exist"
        raise InvalidError(f"the profile {name} {said}", next_step=f"Choose {' or '.join(useful)}.")


def _filled(out_dir: Path) -> bool:
    return out_dir.is_dir() and any(out_dir.iterdir())


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
        said = _where(error) if isinstance(error, json.JSONDecodeError) else said
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
