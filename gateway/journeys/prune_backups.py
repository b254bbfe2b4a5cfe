"""Removing backups that are older than wished, and the objects that no kept one names; never the newest good one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from gateway.domain.backup import (
    INVENTORY_KIND,
    PAPERS_KIND,
    SNAPSHOT_KIND,
    clock_doubt,
    outlived,
)
from gateway.domain.backup_ports import BackupPlace
from gateway.domain.errors import ConflictError, ConsiliumError
from gateway.domain.people import Actor
from gateway.journeys.back_up_house import silent
from gateway.journeys.verify_backup import listed_lengths, open_backup
from gateway.ports import Clock, Records
from storage import BYTES_LOST, KeyRefusedError, SealedStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Which backups were removed and kept, and how many objects went."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    objects: int


def prune_backups(
    *,
    by: Actor,
    place: BackupPlace,
    store: SealedStore,
    records: Records,
    clock: Clock,
    keep_days: int,
    dry_run: bool = False,
    trust_clock: bool = False,
    told: Callable[[int, int], None] = silent,
) -> Pruned:
    """Remove old manifests, then the objects that no other names. With ``dry_run`` only say what would go.

    Manifests go first, each durably: killed in between, objects lie there that nobody names, and the next call removes them.
    The other way round a manifest would promise objects that are gone. Where a manifest that stays cannot be read, nothing
    is removed: nobody knows which objects it needs. Nor is anything removed where the clock may have been set forward,
    unless ``trust_clock``: one step would make all backups old. The ids of all objects that stay are held in memory.

    Raises
    ------
    ConflictError
        A backup that would stay is damaged, none is good, or the clock is in doubt.
    """
    with place.alone():
        backup_ids = place.ids()
        newest_good = next(
            (one for one in reversed(backup_ids) if _is_good(one, place=place, store=store)), None
        )
        if newest_good is None:
            raise ConflictError(
                f"no backup in {place.name} is good, so none is removed",
                next_step="Make one: `consilium backup create --to DIR`.",
            )
        old = outlived(backup_ids, newest_good=newest_good, keep_days=keep_days, now=clock.now())
        if not trust_clock:
            _refuse_doubt(backup_ids, old, keep_days=keep_days, records=records, clock=clock)
        kept = [one for one in backup_ids if one not in old]
        needed: set[str] = set()
        for backup_id in kept:
            try:
                manifest = open_backup(place=place, backup_id=backup_id, store=store)
                needed.update(part.object_id for part in manifest.parts)
                needed.update(listed_lengths(place, manifest))
            except ConsiliumError as error:
                raise ConflictError(
                    f"backup {backup_id} cannot be read ({error}), so nobody knows what it needs and nothing is removed",
                    next_step="Keep its files apart as evidence, then take manifests/ and lists/ of that name away.",
                ) from error
        if not dry_run:
            for backup_id in old:
                place.drop(backup_id)
        unneeded = [object_id for object_id in place.objects.ids() if object_id not in needed]
        if not dry_run:
            for done, object_id in enumerate(unneeded, 1):
                place.objects.remove(object_id)
                told(done, len(unneeded))
            if old or unneeded:
                _remember(old, len(unneeded), by=by, records=records)
        return Pruned(removed=tuple(old), kept=tuple(kept), objects=len(unneeded))


def _is_good(backup_id: str, *, place: BackupPlace, store: SealedStore) -> bool:
    """Tell whether a backup is signed, nothing was lost before it, its own parts open, and all else has its length.

    Only `verify_backup` reads the bytes of the house's objects. What rots there rots for every backup that names them, so
    that no older one would be any better; the parts are each backup's own.
    """
    try:
        manifest = open_backup(place=place, backup_id=backup_id, store=store)
        vault = store.beside(place.objects)
        kinds = (SNAPSHOT_KIND, INVENTORY_KIND, PAPERS_KIND)
        for part, kind in zip(manifest.parts, kinds, strict=True):
            vault.verify(part, key=manifest.key, kind=kind)
        for object_id, length in listed_lengths(place, manifest).items():
            with closing(place.objects.open(object_id)) as stored:
                if stored.size_bytes != length:
                    return False
    except (ConsiliumError, KeyRefusedError, *BYTES_LOST):
        return False
    return not manifest.missing


def _refuse_doubt(
    backup_ids: list[str], old: list[str], *, keep_days: int, records: Records, clock: Clock
) -> None:
    now = clock.now()
    with records.view() as view:
        last = next(view.events(after=view.head()[0] - 1, limit=1), None)
    doubt = clock_doubt(
        backup_ids, old=old, keep_days=keep_days, last_event=last.at if last else now, now=now
    )
    if doubt:
        raise ConflictError(
            f"the clock may be wrong, so no backup is removed by its age: {doubt}",
            next_step="Look at `date` and `consilium backup list --from DIR`. If the clock is right, say so with --trust-clock.",
        )


def _remember(old: list[str], objects: int, *, by: Actor, records: Records) -> None:
    with records.change(by=by) as change:
        for backup_id in old:
            change.backups.remove(id=backup_id)
        change.note("backups_pruned", backups=len(old), objects=objects)
