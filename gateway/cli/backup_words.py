"""How the commands of a backup speak: their bar, sizes, and the list of backups; what they do is told elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.adapters.backup_repository import BackupDirectory
from gateway.cli.console import emit, err, table
from gateway.cli.frame import house_of
from gateway.compose import Parts
from gateway.domain.backup import made_at_of
from gateway.domain.errors import ConsiliumError
from gateway.journeys.verify_backup import open_backup
from storage import SealedStore

Told = Callable[[str, int, int], None]


def register(app: typer.Typer) -> None:
    """Add ``consilium backup list``."""
    app.command("list")(list_)


def list_(
    ctx: typer.Context,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Also what is in this repository.")
    ] = None,
) -> None:
    """List the backups that this house made, and with --from those that are in a repository."""
    with house_of(ctx) as parts:
        place = BackupDirectory(from_.expanduser().absolute()) if from_ else None
        data = _listed(parts, place)
        rows = [
            (
                one["id"],
                f"{one['made_at']:%Y-%m-%d %H:%M}",
                one["objects"],
                size(one["objects_bytes"]),
                one["missing"],
                _verified(one["verified_at"], one["data_read_at"]),
                one["state"],
            )
            for one in data
        ]
        names = ("backup", "made (UTC)", "objects", "size", "lost", "verified", "")
        emit(ctx, data=data, human=table(*names, rows=rows))


def _verified(at: datetime | None, data_read_at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}" + (", every byte" if data_read_at else "")


def _listed(parts: Parts, place: BackupDirectory | None) -> list[dict[str, Any]]:
    with parts.house.records.view() as view:
        known = {one.id: one for one in view.backups.find(order="made_at")}
    ids = sorted({*known, *(place.ids() if place else ())})
    rows: list[dict[str, Any]] = []
    for backup_id in ids:
        row: dict[str, Any] = {
            "id": backup_id, "made_at": made_at_of(backup_id), "objects": 0, "objects_bytes": 0, "missing": 0,
            "verified_at": None, "data_read_at": None, "state": "",
        }  # fmt: skip
        if one := known.get(backup_id):
            row |= {
                "objects": one.objects, "objects_bytes": one.size_bytes, "missing": one.missing,
                "verified_at": one.verified_at, "data_read_at": one.data_read_at, "state": f"in {one.place}",
            }  # fmt: skip
        if place is not None:
            row["state"] = _state(backup_id, place, parts.house.store, row)
        rows.append(row)
    return rows


def _state(backup_id: str, place: BackupDirectory, store: SealedStore, row: dict[str, Any]) -> str:
    """Say of a backup whether it is in the repository and signed; the signed numbers go before remembered ones."""
    if backup_id not in place.ids():
        return f"not in {place.name}"
    try:
        manifest = open_backup(place=place, backup_id=backup_id, store=store)
    except ConsiliumError as error:
        return f"unusable: {error}"
    row |= {
        "objects": manifest.objects,
        "objects_bytes": manifest.objects_bytes,
        "missing": len(manifest.missing),
    }
    return "here, signed"


@contextmanager
def bar() -> Iterator[Told]:
    """A bar on standard error that is told (what, done, total); nothing is drawn where no person watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console: Console = err
    with Progress(*columns, console=console, disable=not console.is_terminal) as drawn:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = drawn.add_task(what, total=total or None)
            drawn.update(tasks[what], completed=done, total=total or None)

        yield told


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
