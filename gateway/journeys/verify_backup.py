"""Verifying a backup: who made it, whether all of it is there, and, when asked, whether every byte of it opens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.domain.backup import (
    PAPERS_KIND,
    SNAPSHOT_KIND,
    BackupManifest,
    Database,
    Facts,
    NamedObject,
    Papers,
    is_signed,
    key_of_line,
    read_manifest,
)
from gateway.domain.backup_ports import BackupPlace
from gateway.domain.errors import ConsiliumError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.people import Actor
from gateway.journeys.back_up_house import SIGNING_LABEL, read_inventory, silent
from gateway.journeys.mend_backup import mend_object
from gateway.ports import Clock, Records
from storage import (
    BYTES_LOST,
    KeyRefusedError,
    KeyUnknownError,
    Readable,
    SealedStore,
    StorageError,
    WrappedKey,
    sealed_length,
)

CheckSnapshot = Callable[[Database, Readable], Facts | None]
MOST_FLAWS = 100
_TAKE_ANOTHER = (
    "Take an earlier backup (`consilium backup list --from DIR`), and find out who could write there."
)


@dataclass(slots=True, kw_only=True)
class BackupVerdict:
    """What was found; ``flaws`` names each thing, the first hundred in words. ``mended`` objects were broken and are whole now."""

    backup_id: str
    objects: int = 0
    bytes: int = 0
    data_read: bool = False
    mended: int = 0
    flaw_count: int = 0
    flaws: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not self.flaw_count

    def flaw(self, told: str) -> None:
        """Take one more down."""
        self.flaw_count += 1
        if len(self.flaws) < MOST_FLAWS:
            self.flaws.append(told)


def open_backup(*, place: BackupPlace, backup_id: str, store: SealedStore) -> BackupManifest:
    """Return a backup's manifest, once it is proven that the house whose master key is at hand wrote it.

    The signing key is derived from the house's own key, which the manifest carries wrapped: whoever lacks the master key
    can neither read that nor make another.

    Raises
    ------
    NotFoundError
        There is none of that name.
    InvalidError
        It was altered, or is another house's.
    UnavailableError
        The master key that it needs is not at hand.
    """
    content = place.manifest(backup_id)
    manifest = read_manifest(content)
    try:
        seed = store.derive(key=manifest.facts.house_key, label=SIGNING_LABEL)
    except KeyUnknownError as error:
        raise UnavailableError(
            f"the master key of this backup is not at hand ({error.detail})",
            next_step="Name the place of the right keys with --keys; `consilium key` tells how they come back from their backup.",
        ) from error
    except KeyRefusedError as error:
        raise InvalidError(
            f"the manifest of {backup_id} does not belong to this house's keys and tenant",
            next_step=_TAKE_ANOTHER,
        ) from error
    if manifest.id != backup_id or not is_signed(content, origin=f"{manifest.tenant}/backup", seed=seed):
        raise InvalidError(
            f"the manifest of {backup_id} was altered: its signature does not hold", next_step=_TAKE_ANOTHER
        )
    return manifest


def newest_backup(*, place: BackupPlace) -> str:
    """Return the name of the newest one."""
    if not (found := place.ids()):
        raise NotFoundError(
            f"there is no backup in {place.name} yet",
            next_step="`consilium backup create --to DIR` makes one.",
        )
    return found[-1]


def verify_backup(
    *,
    place: BackupPlace,
    backup_id: str,
    store: SealedStore,
    check: CheckSnapshot,
    read_data: bool = False,
    mend: bool = False,
    told: Callable[[int, int], None] = silent,
) -> BackupVerdict:
    """Look through one backup; nothing is written unless ``mend``. ``told`` hears of (done, total) objects.

    1. The manifest's signature. Without it nothing else is believed, and this raises as ``open_backup`` does.
    2. The snapshot: every byte, its digest, the database's own check, and that it says of itself what the manifest says.
    3. The list and the inventory: of one accord, and every object there with the length that its row implies.
    4. With ``read_data`` every object is opened to its end with its own key and held against its digest.
    5. With ``mend`` too, and what is broken is copied again from ``store`` where that has it whole, the repository held
       against other writers. The backup's own parts have no other copy: make another backup.

    Ids and lengths of all objects are held in memory, with ``read_data`` all wrapped keys too.

    Raises
    ------
    BusyError
        With ``mend``: another is at work in this repository.
    UnavailableError
        The repository does not answer, or did not keep what was copied.
    """
    manifest = open_backup(place=place, backup_id=backup_id, store=store)  # 1
    with place.alone() if mend else nullcontext():
        return _verify(
            manifest,
            place=place,
            store=store,
            check=check,
            read_data=read_data or mend,
            mend=mend,
            told=told,
        )


def _verify(
    manifest: BackupManifest,
    *,
    place: BackupPlace,
    store: SealedStore,
    check: CheckSnapshot,
    read_data: bool,
    mend: bool,
    told: Callable[[int, int], None],
) -> BackupVerdict:
    verdict = BackupVerdict(backup_id=manifest.id, data_read=read_data)
    vault = store.beside(place.objects)
    for told_as, part in (
        ("snapshot", partial(look_at_snapshot, vault, manifest, check)),  # 2
        ("papers", partial(read_papers, vault, manifest)),
    ):
        try:
            part()
        except (*BYTES_LOST, ConsiliumError) as error:
            verdict.flaw(f"the {told_as}: {error}")
    try:  # 3
        listed = listed_lengths(place, manifest)
    except ConsiliumError as error:
        verdict.flaw(f"the list of objects: {error}")
        listed = None
    try:
        look_at_objects(
            vault,
            manifest,
            listed,
            verdict,
            told=told,
            read_data=read_data,
            source=store if mend else None,
        )
    except (*BYTES_LOST, KeyRefusedError, ValueError) as error:
        verdict.flaw(f"the inventory: {error}")
    for object_id in manifest.missing:
        verdict.flaw(f"{object_id}: was lost before this backup was made")
    return verdict


def remember_verified(verdict: BackupVerdict, *, by: Actor, records: Records, clock: Clock) -> None:
    """Keep in the records that a backup was verified and with what result."""
    now = clock.now()
    with records.change(by=by) as change:
        if verdict.is_sound and change.backups.first(id=verdict.backup_id) is not None:
            columns: dict[str, Any] = {"verified_at": now}
            if verdict.data_read:
                columns["data_read_at"] = now
            change.backups.set(verdict.backup_id, **columns)
        change.note(
            "backup_verified",
            subject=verdict.backup_id,
            outcome="ok" if verdict.is_sound else "flawed",
            objects=verdict.objects,
            flaws=verdict.flaw_count,
            data_read=int(verdict.data_read),
            mended=verdict.mended,
        )


def look_at_snapshot(vault: SealedStore, manifest: BackupManifest, check: CheckSnapshot) -> None:
    """Read the whole snapshot twice: once against its digest, once as a database.

    Raises
    ------
    InvalidError
        It is damaged, or says something else of itself than the manifest.
    ObjectMissingError, SealBrokenError, ObjectUnreadableError
        It is not there, or not what was sealed.
    """
    vault.verify(manifest.snapshot, key=manifest.key, kind=SNAPSHOT_KIND)
    with vault.open(manifest.snapshot, key=manifest.key, kind=SNAPSHOT_KIND) as stream:
        found = check(manifest.database, stream)
    if found is not None and not same_facts(found, manifest.facts):
        raise InvalidError("it is not the database that the manifest tells of", next_step=_TAKE_ANOTHER)


def same_facts(found: Facts, wanted: Facts) -> bool:
    """Tell whether two databases say the same of themselves."""
    return (found.schema_version, found.head_seq, found.head_hash, dict(found.rows), found.house_key) == (
        wanted.schema_version,
        wanted.head_seq,
        wanted.head_hash,
        dict(wanted.rows),
        wanted.house_key,
    )


def read_papers(vault: SealedStore, manifest: BackupManifest) -> Papers:
    """Return the witness's notes and the register that a backup holds."""
    vault.verify(manifest.papers, key=manifest.key, kind=PAPERS_KIND)
    with vault.open(manifest.papers, key=manifest.key, kind=PAPERS_KIND) as reader:
        return Papers.from_bytes(reader.read())


def listed_lengths(place: BackupPlace, manifest: BackupManifest) -> dict[str, int]:
    """Return the objects of a backup with their lengths, all in memory, from a list that its manifest vouches for."""
    digest, found = hashlib.sha256(), dict[str, int]()
    for line in place.listed(manifest.id):
        digest.update(line)
        object_id, _, length = line.decode("ascii", "replace").rstrip("\n").partition(" ")
        found[object_id] = int(length) if length.isdecimal() else -1
    if digest.hexdigest() != manifest.list_sha256:
        raise InvalidError(f"the list of {manifest.id} was altered", next_step=_TAKE_ANOTHER)
    return found


def look_at_objects(
    vault: SealedStore,
    manifest: BackupManifest,
    listed: dict[str, int] | None,
    verdict: BackupVerdict,
    *,
    told: Callable[[int, int], None],
    read_data: bool,
    source: SealedStore | None = None,
) -> None:
    """Hold every object against inventory and list, and with ``read_data`` against its digest; mend it from ``source``."""
    objects, keys = read_inventory(vault, manifest.inventory, manifest.key)
    wrapped = None
    if read_data:
        wrapped = {(key.holder, key.purpose): key for key in inventory_keys(vault, manifest)}
    gone, total = set(manifest.missing), manifest.objects
    named = 0
    for one in objects:
        object_id = one.ref.object_id
        if object_id in gone:
            continue
        named += 1
        try:
            wrong = _wrong(vault, one, listed, wrapped)
            key = wrapped.get((one.holder, one.purpose)) if wrong and wrapped and source else None
            if key and source and mend_object(one, key, source=source, vault=vault):
                verdict.mended += 1
                wrong = _wrong(vault, one, listed, wrapped)
        except StorageError as error:
            raise UnavailableError(
                f"the repository does not answer ({type(error).__name__}: {error.detail})"
            ) from error
        if wrong:
            verdict.flaw(wrong)
        verdict.objects += 1
        verdict.bytes += one.ref.size_bytes
        told(verdict.objects, total)
    for _ in keys():  # to the end, whose segment tells that nothing was cut off
        pass
    if named != manifest.objects:
        verdict.flaw(f"the inventory names {named} objects, the manifest {manifest.objects}")


def _wrong(
    vault: SealedStore,
    one: NamedObject,
    listed: dict[str, int] | None,
    wrapped: dict[tuple[str, str], WrappedKey] | None,
) -> str:
    """Return what is wrong with an object, or nothing; its bytes are read where ``wrapped`` keys are given."""
    object_id = one.ref.object_id
    try:
        length = sealed_length(vault.objects, object_id, size_bytes=one.ref.size_bytes)
        if wrapped is not None:
            read_whole(vault, one, wrapped)
    except (*BYTES_LOST, KeyRefusedError, NotFoundError) as error:
        return str(error) if object_id in str(error) else f"{object_id}: {error}"
    if listed is not None and listed.get(object_id) != length:
        return f"{object_id}: the list says another length"
    return ""


def inventory_keys(vault: SealedStore, manifest: BackupManifest) -> Iterator[WrappedKey]:
    """Yield the wrapped keys of everything in the backup."""
    objects, keys = read_inventory(vault, manifest.inventory, manifest.key)
    for _ in objects:
        pass
    yield from map(key_of_line, keys())


def read_whole(vault: SealedStore, one: NamedObject, wrapped: dict[tuple[str, str], WrappedKey]) -> None:
    """Open an object with its own key, to its end, and compare its digest."""
    key = wrapped.get((one.holder, one.purpose))
    if key is None:
        raise NotFoundError(f"{one.ref.object_id}: its key is not in the backup")
    vault.verify(one.ref, key=key, kind=one.kind)
