"""``consilium key``: the epochs of the master key and its passphrase; its backup stands in ``key_backup``."""

from __future__ import annotations

import getpass
import sys
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import key_abandon, key_backup
from gateway.cli.console import REFUSED, emit, note, progress, table
from gateway.cli.frame import house_of, operator
from gateway.compose import Parts
from gateway.compose.keys import key_file
from gateway.domain.epoch import ABANDONED, NOTICE, Epoch
from gateway.domain.errors import ConsiliumError, InvalidError
from gateway.journeys.back_up_key import protect_key
from gateway.journeys.compare_keys import refuse_other_keys
from gateway.journeys.destroy_epochs import destroy_due_epochs
from gateway.journeys.rotate_keys import know_epochs, rotate_keys
from storage import KekRef
from storage.keys.secret_files import read_secret

app = typer.Typer(help="The master keys: epochs, passphrase, backup.", no_args_is_help=True)
key_backup.register(app)
key_abandon.register(app)

SHORTEST_PASSPHRASE = 12
DRILL_AGAIN_DAYS = 365
LINGERS_S = 3600.0
LATE_DAYS = 2


@app.command("show")
def show(ctx: typer.Context) -> None:
    """Show where the master keys are, and every epoch: how many keys are in it, and when it is destroyed."""
    with house_of(ctx) as parts:
        records, masters = parts.house.records, parts.masters
        know_epochs(by=operator(), records=records, masters=masters)
        current = masters.current()
        with records.view() as view:
            counts = view.keys_by_version()
            epochs = view.epochs.find(order="began_at")
        days = parts.settings.backup_days
        data = {
            "provider": _provider(parts),
            "kek_id": current.kek_id,
            "current": current.kek_version,
            "passphrase": masters.is_protected,
            "epoch_days": parts.settings.key_epoch_days,
            "backup_days": days,
            "epochs": [_as_json(epoch, counts, days) for epoch in epochs],
        }
        rows = [_row(epoch, counts, days) for epoch in epochs]
        columns = ("version", "state", "began", "keys", "destroyed", "backup", "drill")
        emit(ctx, data=data, human=table(*columns, rows=rows, title=f"{data['provider']}: {current.kek_id}"))


@app.command("rotate")
def rotate(ctx: typer.Context) -> None:
    """Make a new version and bring every key under it: no object is touched. Run it again if it was cut short."""
    with house_of(ctx) as parts:
        house = parts.house
        with house.records.view() as view:
            total = sum(view.keys_by_version().values())
        with progress("keys", total) as move:
            done = rotate_keys(
                by=operator(),
                records=house.records,
                jobs=house.jobs,
                masters=parts.masters,
                clock=house.clock,
                pause=time.sleep,
                moved=move,
            )
        data = {
            "version": done.kek.kek_version,
            "new": done.is_new,
            "moved": done.moved,
            "unopened": done.unopened,
            "retired": done.retired,
        }
        began = (
            "is in use" if done.is_new else "was in use already: a rotation that was cut short is finished"
        )
        told = f"version {done.kek.kek_version} {began}; {done.moved} keys came along"
        if done.retired:
            told += f"\nthe version before is destroyed in {parts.settings.backup_days} days, and backups from before now with it"
        if done.unopened:
            told += f"\n[bold red]{done.unopened} keys do not open[/] and stay where they are; their version is kept for them"
        if parts.masters.file_content() is not None:
            told += "\nthe key's own backup is of the version before: run `consilium key backup`"
        emit(ctx, data=data, human=told)
    if done.unopened:
        raise typer.Exit(REFUSED)


@app.command("destroy-due")
def destroy_due(ctx: typer.Context) -> None:
    """Destroy the versions whose time is over, as the scheduler does, a day after they were found to be: old backups die with them."""
    with house_of(ctx) as parts:
        house, days = parts.house, parts.settings.backup_days
        know_epochs(by=operator(), records=house.records, masters=parts.masters)
        gone = destroy_due_epochs(
            by=operator(), records=house.records, masters=parts.masters, clock=house.clock, backup_days=days
        )
        with house.records.view() as view:
            waiting = view.epochs.find(destroyed_at=None, order="kek_version")
        dates = [dies for epoch in waiting if (dies := epoch.destroyed_from(days)) is not None]
        data = {"destroyed": [epoch.kek_version for epoch in gone], "next": min(dates, default=None)}
        told = "; ".join(f"version {epoch.kek_version} is destroyed" for epoch in gone) or "nothing is due"
        emit(ctx, data=data, human=told + (f"; the next on {min(dates):%Y-%m-%d}" if dates else ""))


@app.command("passphrase")
def passphrase(
    ctx: typer.Context,
    new: Annotated[
        Path | None,
        typer.Option(
            "--new", metavar="FILE", help="Take the new passphrase from this file, not the terminal."
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Leave the key file without any.")] = False,
) -> None:
    """Set, change or remove the passphrase of the key file. Processes that run need it too: name it in CONSILIUM_KEYS_PASSPHRASE_FILE first."""
    with house_of(ctx) as parts:
        if remove and new:
            raise InvalidError("either a new passphrase or none", next_step="Give --new or --remove.")
        secret = b"" if remove else _new_passphrase(new)
        protect_key(
            by=operator(),
            records=parts.house.records,
            masters=parts.masters,
            passphrase=None if remove else lambda: secret,
        )
        told = "the key file has no passphrase any more" if remove else "the key file has the new passphrase"
        if not remove and not parts.settings.keys_passphrase_file:
            note("Every part that runs needs it: CONSILIUM_KEYS_PASSPHRASE_FILE, or a systemd credential.")
        emit(ctx, data={"passphrase": not remove}, human=told)


def key_health(parts: Parts) -> str:
    """Tell how the epochs and the key's own backup are; what an operator has to do is raised with its next step."""
    records, masters = parts.house.records, parts.masters
    refuse_other_keys(records=records, masters=masters)
    current, now = masters.current(), parts.house.clock.now()
    with records.view() as view:
        epochs = view.epochs.find(kek_id=current.kek_id)
        counts = view.keys_by_version()
    named = next((epoch for epoch in epochs if epoch.kek_version == current.kek_version), None)
    began = named.began_at if named is not None else now
    older = sum(
        count for kek, count in counts.items() if kek != current and not kek.kek_id.startswith(ABANDONED)
    )
    if older and (now - began).total_seconds() > LINGERS_S:
        raise ConsiliumError(
            f"{older} keys are under an older version than {current.kek_version}",
            next_step="Run `consilium key rotate`. Those that do not open (`consilium key unopened`) keep all later versions"
            " alive: bring their rows back from a backup, or give them up with `consilium key abandon`.",
        )
    _refuse_endless(epochs, now, parts.settings.backup_days)
    if masters.file_content() is None:
        return f"version {current.kek_version}; kept and backed up by the key service"
    if named is None or named.backed_up_at is None:
        raise ConsiliumError(
            f"version {current.kek_version} has no backup of its own: with the key file, everything is lost",
            next_step="Run `consilium key backup --shares 3 --threshold 2 --to DIR`, then `consilium key drill`.",
        )
    if named.drilled_at is None or (now - named.drilled_at).days >= DRILL_AGAIN_DAYS:
        raise ConsiliumError(
            f"the backup of version {current.kek_version} was not tried yet, or long ago",
            next_step="Run `consilium key drill --from SEALED SHARE SHARE …` with all its shares.",
        )
    return f"version {current.kek_version}, backed up and tried on {named.drilled_at:%Y-%m-%d}"


def _refuse_endless(epochs: list[Epoch], now: datetime, days: int) -> None:
    """Raise where a version lives a day longer than it should, or is about to be destroyed at a time that looks wrong."""
    for epoch in epochs:
        dies_at, until = epoch.dies_at(days), epoch.destroyed_from(days)
        if epoch.destroyed_at is not None or dies_at is None or until is None:
            continue
        if now >= until + timedelta(days=1):
            raise ConsiliumError(
                f"version {epoch.kek_version} should have been destroyed on {until:%Y-%m-%d}: backups of before still open",
                next_step="Look whether the scheduler runs; `consilium key destroy-due` says what is in the way,"
                " `consilium key show` whether an older version is.",
            )
        if epoch.ending_at is not None and epoch.ending_at - (dies_at - NOTICE) >= timedelta(days=LATE_DAYS):
            late = (epoch.ending_at - (dies_at - NOTICE)).days
            raise ConsiliumError(
                f"version {epoch.kek_version} was found to be over {late} days late and is destroyed at {until:%Y-%m-%d %H:%M} UTC",
                next_step="If the exchange did not stand still so long, the clock is ahead: put it right before then, and"
                " this end is called off.",
            )


def _new_passphrase(path: Path | None) -> bytes:
    if path is not None:
        secret = read_secret(path, what="the file of the new passphrase")
    elif sys.stdin.isatty():
        ask = partial(getpass.getpass)
        secret = ask("New passphrase of the master keys: ").encode()
        if ask("Once more: ").encode() != secret:
            raise InvalidError("the two are not the same", next_step="Type it again.")
    else:
        raise InvalidError("there is no terminal to ask at", next_step="Give --new FILE.")
    if len(secret.decode("utf-8", "replace")) < SHORTEST_PASSPHRASE:
        raise InvalidError(
            f"a passphrase has {SHORTEST_PASSPHRASE} signs at least", next_step="Take six random words."
        )
    return secret


def _provider(parts: Parts) -> str:
    path = key_file(parts.settings)
    return f"file {path}" if path else parts.settings.keys.partition(":")[0].partition("+")[0]


def _as_json(epoch: Epoch, counts: dict[KekRef, int], days: int) -> dict[str, Any]:
    return {
        "id": epoch.id,
        "version": epoch.kek_version,
        "state": epoch.state,
        "keys": _keys(epoch, counts),
        "began_at": epoch.began_at,
        "retired_at": epoch.retired_at,
        "destroy_at": epoch.destroyed_from(days),
        "destroyed_at": epoch.destroyed_at,
        "backed_up_at": epoch.backed_up_at,
        "drilled_at": epoch.drilled_at,
    }


def _row(epoch: Epoch, counts: dict[KekRef, int], days: int) -> tuple[object, ...]:
    return (
        epoch.kek_version,
        epoch.state,
        _day(epoch.began_at),
        _keys(epoch, counts),
        _day(epoch.destroyed_at or epoch.destroyed_from(days)),
        _day(epoch.backed_up_at),
        _day(epoch.drilled_at),
    )


def _keys(epoch: Epoch, counts: dict[KekRef, int]) -> int:
    return counts.get(KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version), 0)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "–"
