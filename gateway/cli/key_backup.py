"""``consilium key backup``, ``restore`` and ``drill``: the master keys in the hands of custodians, none of whom can use them alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.console import REFUSED, emit, spoken_errors
from gateway.cli.frame import house_of, operator, read_text, settings_of
from gateway.compose import records_url
from gateway.compose.keys import key_file, passphrase_of, refuse_restored_keys
from gateway.domain.epoch import OtherKeysError
from gateway.domain.errors import ConflictError, InvalidError, UnavailableError
from gateway.journeys.back_up_key import back_up_key, drill_key
from gateway.settings import Settings
from storage import (
    KeyBackup,
    KeyBackupError,
    KeyFile,
    StorageError,
    create_key_file,
    fingerprint_of,
    open_backup,
    read_words,
)
from storage.keys.secret_files import write_new

_FINGERPRINT = re.compile(r"^Backup +([0-9a-f]{4}(?:-[0-9a-f]{4}){3})\b", re.MULTILINE)
FromOption = Annotated[Path, typer.Option("--from", metavar="SEALED", help="The sealed file of the backup.")]
SharesArgument = Annotated[list[Path], typer.Argument(metavar="SHARE…", help="The custodians' sheets.")]


def register(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("drill")(drill)


def backup(
    ctx: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="An empty medium, not the home.")],
    shares: Annotated[int, typer.Option(min=2, max=16, help="How many custodians.")] = 3,
    threshold: Annotated[int, typer.Option(min=2, max=16, help="How many of them are needed.")] = 2,
) -> None:
    """Seal the key file for custodians: one sheet of words for each, and one sealed file that may lie with any."""
    with house_of(ctx) as parts:
        folder = to.expanduser().resolve()
        if folder.is_relative_to(parts.settings.home.resolve()):
            raise InvalidError(
                "a backup in the home is lost with it, and whoever copies the home has both",
                next_step="Give --to a medium of its own.",
            )
        written: list[Path] = []

        def keep(made: KeyBackup) -> None:
            sealed = folder / f"key-backup-{made.fingerprint}.sealed"
            write_new(sealed, made.sealed)
            written.append(sealed)
            for number, words in enumerate(made.shares, 1):
                sheet = folder / f"key-backup-{made.fingerprint}.share-{number}-of-{shares}.txt"
                write_new(sheet, _sheet(made, number=number, of=shares, words=words).encode())
                written.append(sheet)

        made = back_up_key(
            by=operator(),
            records=parts.house.records,
            masters=parts.masters,
            shares=shares,
            threshold=threshold,
            keep=keep,
        )
        data = {
            "fingerprint": made.fingerprint,
            "version": made.kek_version,
            "sealed": written[0],
            "shares": written[1:],
            "threshold": threshold,
        }
        told = "\n".join(
            [
                *(escape(str(path)) for path in written),
                f"fingerprint {made.fingerprint}; any {threshold} of {shares} sheets and the sealed file bring the key back.",
                "Try it now with all sheets (`consilium key drill`), then give each sheet to its custodian and remove them from here.",
            ]
        )
        emit(ctx, data=data, human=told)


def restore(ctx: typer.Context, sealed: FromOption, shares: SharesArgument) -> None:
    """Make the key file anew from enough sheets. Never over one that is there."""
    with spoken_errors(ctx):
        settings = settings_of(ctx)
        path = key_file(settings)
        if path is None:
            raise ConflictError(
                "the master key lies in a key service", next_step="Restore it by the service's own means."
            )
        if path.exists():
            raise ConflictError(
                f"there is a key file already: {path}",
                next_step="Look at it with `consilium key show`; move it away only if it is not the one in use.",
            )
        try:
            content = _sealed(sealed)
            file = open_backup(content, _words(content, shares))
            is_held_against = _refuse_older(file, settings)
            create_key_file(path, file=file, passphrase=passphrase_of(settings))
        except KeyBackupError as error:
            raise InvalidError(str(error), next_step="Compare the fingerprints on the sheets.") from error
        except StorageError as error:
            raise UnavailableError(str(error)) from error
        data = {
            "key_file": path,
            "kek_id": file.kek_id,
            "versions": sorted(file.versions),
            "current": file.current,
            "fits_records": is_held_against or None,
        }
        held = ", ".join(str(number) for number in sorted(file.versions))
        told = (
            f"{escape(str(path))} holds of {file.kek_id} version {held}; {file.current} is current. "
            + (
                "The records know none that is newer"
                if is_held_against
                else "No records could be held against it"
            )
            + "; see `consilium doctor`"
        )
        emit(ctx, data=data, human=told)


def drill(ctx: typer.Context, sealed: FromOption, shares: SharesArgument) -> None:
    """Prove with every set of enough sheets that the backup opens and holds the live key; exit code 1 if any does not."""
    with house_of(ctx) as parts:
        try:
            content = _sealed(sealed)
            words = _words(content, shares)
            done = drill_key(
                by=operator(),
                records=parts.house.records,
                masters=parts.masters,
                sealed=content,
                shares=words,
            )
        except KeyBackupError as error:
            raise InvalidError(str(error), next_step="Give the sealed file and all its sheets.") from error
        data = {"ok": done.is_passed, "sets": len(done.sets), "failures": done.failures}
        told = "\n".join(
            [f"[bold red]{escape(failure)}[/]" for failure in done.failures]
            or [f"[green]each of {len(done.sets)} sets of sheets brings the live key back[/]"]
        )
        emit(ctx, data=data, human=told)
    if not done.is_passed:
        raise typer.Exit(REFUSED)


def _sealed(path: Path) -> bytes:
    return read_text(path, what="the sealed file").encode()


def _words(sealed: bytes, shares: list[Path]) -> list[str]:
    """Read the sheets; those that are none, or of another backup than the sealed file, are refused by name."""
    ours, words, strange = fingerprint_of(sealed), [], []
    for path in shares:
        text = _sheet_text(path)
        written = _FINGERPRINT.search(text)
        if written is not None and written[1] != ours:
            strange.append(f"{path.name} (of backup {written[1]})")
            continue
        try:
            words.append(read_words(text))
        except KeyBackupError:
            strange.append(f"{path.name} (no sheet)")
    if strange:
        raise InvalidError(
            f"these do not belong to backup {ours}: {', '.join(strange)}",
            next_step=f"Give the sheets of {ours} alone: key-backup-{ours}.share-*",
        )
    return words


def _refuse_older(file: KeyFile, settings: Settings) -> bool:
    try:
        return refuse_restored_keys(file, url=records_url(settings), settings=settings)
    except OtherKeysError as error:  # waiting mends nothing
        raise ConflictError(
            f"nothing was written: {error}",
            next_step=f"{error.next_step} To read an old backup of the data, restore both into a home of their own.",
        ) from error


def _sheet_text(path: Path) -> str:
    return read_text(path, what="the sheet")


def _sheet(made: KeyBackup, *, number: int, of: int, words: str) -> str:
    """Return a custodian's sheet: what it is, what it is for, and the words, one to a line."""
    lines = [f"{place:>2}. {word}" for place, word in enumerate(words.split(), 1)]
    return "\n".join(
        [
            f"CONSILIUM KEY BACKUP, SHARE {number} OF {of}",
            "",
            f"Backup    {made.fingerprint}   (the same on every sheet and in the name of the sealed file)",
            f"Key       {made.kek_id}, version {made.kek_version}",
            f"Needed    any {made.threshold} of {of} sheets, and the sealed file",
            "",
            "These words are one share of the key that opens a backup of the exchange's master keys (SLIP-39).",
            "Alone they open nothing and tell nothing. Together with another sheet they open every patient's records:",
            "keep this sheet where neither another sheet nor a backup of the data lies, and copy it for nobody.",
            "",
            "To bring the keys back, on the exchange's computer, as its user, with the key file gone:",
            "  consilium key restore --from THE-SEALED-FILE SHEET SHEET",
            "A sheet on paper is typed into a text file: the words alone, in this order.",
            "",
            *lines,
            "",
        ]
    )
