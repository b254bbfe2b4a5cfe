"""Removing backups that are older than wished, and the objects that no kept one names; never the newest good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.backup import outlived
from gateway.domain.backup_ports import BackupPlace
from gateway.domain.errors import ConflictError, ConsiliumError, InvalidError, NotFoundError
from gateway.domain.people import Actor
from gateway.journeys.back_up_house import silent
from gateway.journeys.verify_backup import listed_lengths, open_backup
from gateway.ports import Clock, Records
from storage import BYTES_LOST, SealedStore


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
    told: Callable[[int, int], None] = silent,
) -> Pruned:
    """Remove old manifests, then the objects that no other names. With ``dry_run`` only say what would go.

    Manifests go first, each durably: killed in between, objects lie there that nobody names, and the next call removes them.
    The other way round a manifest would promise objects that are gone. Where a manifest that stays cannot be read, nothing
    is removed: nobody knows which objects it needs.

    Raises
    ------
    ConflictError
        A backup that would stay is damaged, or none is good.
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
    """Tell whether a backup is signed, nothing was lost before it, and all that it lists is there."""
    try:
        manifest = open_backup(place=place, backup_id=backup_id, store=store)
        listed = listed_lengths(place, manifest)
        for object_id in (*listed, *(part.object_id for part in manifest.parts)):
            place.objects.open(object_id).close()
    except (InvalidError, NotFoundError, ConsiliumError, *BYTES_LOST):
        return False
    return not manifest.missing


def _remember(old: list[str], objects: int, *, by: Actor, records: Records) -> None:
    with records.change(by=by) as change:
        for backup_id in old:
            change.backups.remove(id=backup_id)
        change.note("backups_pruned", backups=len(old), objects=objects)
