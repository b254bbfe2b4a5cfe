"""``consilium backup``: everything but the keys into a repository on another disk, looked through, and back into an empty home."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.adapters.backup_home import FolderToRestore, begun_restore
from gateway.adapters.backup_repository import BackupDirectory
from gateway.adapters.clock import SystemClock
from gateway.cli.backup_parts import checker, is_set_up, keyed, opening, snapshots_at
from gateway.cli.backup_words import bar, size
from gateway.cli.backup_words import register as register_list
from gateway.cli.console import REFUSED, emit, spoken_errors
from gateway.cli.frame import house_of, operator, read_text, settings_of
from gateway.compose import records_url, store_to_restore
from gateway.domain.backup import BackupManifest
from gateway.domain.errors import InvalidError
from gateway.domain.restore_report import in_words
from gateway.journeys.back_up_house import back_up_house
from gateway.journeys.prune_backups import prune_backups
from gateway.journeys.restore_house import restore_house
from gateway.journeys.verify_backup import (
    BackupVerdict,
    newest_backup,
    remember_verified,
    verify_backup,
)
from gateway.records.tables import SCHEMA_VERSION
from storage import SealedStore

app = typer.Typer(help="Backups: make, look through, restore, remove.", no_args_is_help=True)

register_list(app)
NOT_IN_IT = "not in it: the master keys (`consilium key backup`), consilium.env, tls/ and outbox/"
To = Annotated[
    Path,
    typer.Option("--to", metavar="DIR", help="The repository; made where the directory is empty or missing."),
]
From = Annotated[Path, typer.Option("--from", metavar="DIR", help="The repository.")]
Id = Annotated[str, typer.Argument(metavar="[ID]", help="Which backup; the newest by default.")]
Keys = Annotated[
    str,
    typer.Option(
        "--keys", metavar="PLACE", help="Where the master keys are: a file, or as in CONSILIUM_KEYS."
    ),
]
Told = Callable[[str, int, int], None]


@app.command("create")
def create(ctx: typer.Context, to: To) -> None:
    """Make a backup beside the running exchange: the records of one moment, then every object that is not there yet."""
    with house_of(ctx) as parts, bar() as told:
        began, house = time.monotonic(), parts.house
        if to.expanduser().resolve().is_relative_to(parts.settings.home.resolve()):
            raise InvalidError(
                "a backup in the home is lost with it",
                next_step="Give --to another disk, or a folder of a mount.",
            )
        made = back_up_house(
            by=operator(),
            records=house.records,
            store=house.store,
            snapshots=snapshots_at(records_url(parts.settings)),
            place=BackupDirectory(to.expanduser().absolute(), is_new=True),
            witness=house.witness,
            register=house.register,
            clock=house.clock,
            random=house.random,
            tenant=house.policy.tenant,
            version=version("consilium"),
            told=lambda done, total: told("copying objects", done, total),
        )
        seconds, manifest = time.monotonic() - began, made.manifest
        data = _as_data(manifest) | {
            "copied": made.copied,
            "copied_bytes": made.copied_bytes,
            "snapshots": made.snapshots,
            "seconds": round(seconds, 2),
            "not_in_it": NOT_IN_IT,
        }
        words = [
            f"made [cyan]{manifest.id}[/]: {manifest.objects} objects, {size(manifest.objects_bytes)}, of which {made.copied} ({size(made.copied_bytes)}) are new; records up to event {manifest.facts.head_seq}; {seconds:.1f} s",
            NOT_IN_IT,
            *(f"[bold red]lost before this backup[/]: {one}" for one in manifest.missing[:20]),
        ]
        emit(ctx, data=data, human="\n".join(words))
    if manifest.missing:
        raise typer.Exit(REFUSED)


@app.command("verify")
def verify(
    ctx: typer.Context,
    from_: From,
    backup_id: Id = "",
    read_data: Annotated[bool, typer.Option("--read-data", help="Open every object to its end.")] = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="Read all, and copy from this house again what is broken.")
    ] = False,
    keys: Keys = "",
) -> None:
    """Look through a backup: signature, records, every object's presence and length; with --read-data every byte."""
    with spoken_errors(ctx):
        place = BackupDirectory(from_.expanduser().absolute())
        settings = settings_of(ctx)
        chosen = backup_id or newest_backup(place=place)
    if keys or not is_set_up(settings) or begun_restore(settings.home):
        with spoken_errors(ctx):
            if mend:
                raise InvalidError(
                    "only the house that made a backup has what mends it",
                    next_step="Run it in that house's home, without --keys.",
                )
        with spoken_errors(ctx):
            store = store_to_restore(keyed(settings, keys, objects=from_.expanduser().absolute()))
            verdict = _verify(ctx, place, chosen, store, read_data=read_data)
    else:
        with house_of(ctx) as parts:
            verdict = _verify(ctx, place, chosen, parts.house.store, read_data=read_data or mend, mend=mend)
            remember_verified(verdict, by=operator(), records=parts.house.records, clock=parts.house.clock)
    if not verdict.is_sound:
        raise typer.Exit(REFUSED)


@app.command("restore")
def restore(
    ctx: typer.Context,
    from_: From,
    backup_id: Id = "",
    keys: Keys = "",
    forgotten: Annotated[
        Path | None,
        typer.Option(
            "--forgotten",
            metavar="FILE",
            help="The newest register of forgotten cases (audit/forgotten.jsonl).",
        ),
    ] = None,
    without_register: Annotated[
        bool, typer.Option("--without-register", help="There is none newer than those in the repository.")
    ] = False,
    accept_losses: Annotated[
        bool,
        typer.Option(
            "--accept-losses", help="Let the home start although objects are lost; the report names them."
        ),
    ] = False,
) -> None:
    """Restore into an empty home (--home NEW) and read all of it; killed, the same command goes on."""
    with spoken_errors(ctx):
        if forgotten is None and not without_register:
            raise InvalidError(
                "cases that were forgotten after the newest backup would come back",
                next_step="Give the register of the lost home or its copy with --forgotten FILE (audit/forgotten.jsonl);"
                " if there is none, say so with --without-register: those in the repository are used anyway.",
            )
        lines = None
        if forgotten is not None:
            text = read_text(forgotten, what="the register")
            lines = [line for line in text.split("\n") if line]
        settings = keyed(settings_of(ctx), keys)
        home = FolderToRestore(settings.home)
        with home.alone(), bar() as told:
            report = restore_house(
                by=operator(),
                place=BackupDirectory(from_.expanduser().absolute()),
                backup_id=backup_id,
                home=home,
                store=store_to_restore(settings),
                snapshots=snapshots_at(records_url(settings)),
                check=checker(settings.home),
                open_house=opening(settings),
                clock=SystemClock(),
                tenant=settings.tenant,
                schema_version=SCHEMA_VERSION,
                register=lines,
                accept_losses=accept_losses,
                told=told,
            )
        starts = report.is_whole or accept_losses
        words = in_words(report) + (
            "The home may start: `consilium doctor`, then `consilium up`.\n"
            if starts
            else "The home does not start. Mend the repository and run the same command again, or add --accept-losses.\n"
        )
        data = {
            "ok": report.is_whole, "starts": starts, "home": str(settings.home), "not_in_it": NOT_IN_IT,
            **{name: getattr(report, name) for name in type(report).__dataclass_fields__},
        }  # fmt: skip
        emit(ctx, data=data, human=escape(words))
    if not report.is_whole:
        raise typer.Exit(REFUSED)


@app.command("prune")
def prune(
    ctx: typer.Context,
    from_: From,
    keep_days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Keep what is younger than so many days.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    trust_clock: Annotated[
        bool,
        typer.Option(
            "--trust-clock", help="The clock is right although it may have been set: remove by age."
        ),
    ] = False,
) -> None:
    """Remove old backups and what only they name; never the newest good one."""
    with house_of(ctx) as parts, bar() as told:
        house = parts.house
        pruned = prune_backups(
            by=operator(),
            place=BackupDirectory(from_.expanduser().absolute()),
            store=house.store,
            records=house.records,
            clock=house.clock,
            keep_days=keep_days,
            dry_run=dry_run,
            trust_clock=trust_clock,
            told=lambda done, total: told("removing objects", done, total),
        )
        data = {"removed": pruned.removed, "kept": pruned.kept, "objects": pruned.objects, "dry_run": dry_run}
        word = "would remove" if dry_run else "removed"
        emit(
            ctx,
            data=data,
            human=f"{word} {len(pruned.removed)} backups and {pruned.objects} objects; {len(pruned.kept)} backups stay",
        )


def _verify(
    ctx: typer.Context,
    place: BackupDirectory,
    chosen: str,
    store: SealedStore,
    *,
    read_data: bool,
    mend: bool = False,
) -> BackupVerdict:
    began = time.monotonic()
    with bar() as told:
        verdict = verify_backup(
            place=place,
            backup_id=chosen,
            store=store,
            check=checker(settings_of(ctx).home),
            read_data=read_data,
            mend=mend,
            told=lambda done, total: told(
                "reading objects" if read_data else "looking at objects", done, total
            ),
        )
    seconds = max(time.monotonic() - began, 1e-6)
    data = {
        "ok": verdict.is_sound, "id": chosen, "objects": verdict.objects, "bytes": verdict.bytes, "data_read": read_data, "mended": verdict.mended,
        "flaw_count": verdict.flaw_count, "flaws": verdict.flaws, "seconds": round(seconds, 2),
        "objects_per_s": round(verdict.objects / seconds, 1), "bytes_per_s": round(verdict.bytes / seconds) if read_data else None,
    }  # fmt: skip
    rate = f"{verdict.objects / seconds:.0f} objects/s" + (
        f", {size(verdict.bytes / seconds)}/s" if read_data else ""
    )
    if verdict.is_sound:
        read = "opened and held against their digests" if read_data else "there, with the right length"
        told_human = f"[green]sound[/]: {chosen}, signed, the records whole, {verdict.objects} objects {read}; {seconds:.1f} s, {rate}"
    else:
        told_human = "\n".join(
            [
                f"[bold red]{verdict.flaw_count} flaws[/] in {chosen}",
                *(f"  {escape(one)}" for one in verdict.flaws),
            ]
        )
    if verdict.mended:
        told_human += f"\n[yellow]{verdict.mended} objects were broken[/] and were copied again: the disk may be failing"
    emit(ctx, data=data, human=told_human)
    return verdict


def _as_data(manifest: BackupManifest) -> dict[str, object]:
    return {
        "id": manifest.id,
        "made_at": manifest.made_at,
        "database": manifest.database,
        "schema_version": manifest.facts.schema_version,
        "audit_head": manifest.facts.head_seq,
        "objects": manifest.objects,
        "objects_bytes": manifest.objects_bytes,
        "snapshot_bytes": manifest.snapshot.size_bytes,
        "missing": manifest.missing,
        "keys_needed": [f"{kek_id}:{number}" for kek_id, number in manifest.facts.keks],
    }
