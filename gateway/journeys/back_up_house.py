"""Backing everything up beside a running exchange: the database of one moment first, then the objects that it names."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from gateway.domain.audit import public_key as public_key_of
from gateway.domain.audit import read_checkpoint
from gateway.domain.backup import (
    BACKUP_HOLDER,
    BACKUP_PURPOSE,
    INVENTORY_KIND,
    PAPERS_KIND,
    SNAPSHOT_KIND,
    Backup,
    BackupManifest,
    Facts,
    NamedObject,
    Papers,
    key_line,
    new_backup_id,
)
from gateway.domain.backup_ports import BackupPlace, Snapshot, Snapshots
from gateway.domain.errors import BusyError
from gateway.domain.people import Actor
from gateway.journeys.keep_register import keep_register
from gateway.ports import Clock, Records, Register, Witness
from storage import (
    BYTES_LOST,
    Objects,
    SealedRef,
    SealedStore,
    WrappedKey,
    copy_object,
)

SIGNING_LABEL = b"audit-checkpoint"  # the key of the trail's signed heads; the origin tells the two apart
AT_ONCE = 4
MOST_SNAPSHOTS = 6
_WINDOW = 256
_NOTHING_MORE = b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was made, and how much of it was new."""

    manifest: BackupManifest
    copied: int
    copied_bytes: int
    snapshots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """One snapshot, sealed in the repository."""

    facts: Facts
    snapshot: SealedRef
    inventory: SealedRef
    count: int


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


def back_up_house(
    *,
    by: Actor,
    records: Records,
    store: SealedStore,
    snapshots: Snapshots,
    place: BackupPlace,
    witness: Witness,
    clock: Clock,
    random: Callable[[int], bytes],
    tenant: str,
    version: str,
    register: Register,
    told: Callable[[int, int], None] = silent,
) -> Made:
    """Make one backup; what was acknowledged before its snapshot is in it. ``told`` hears of (done, total) objects.

    1. The database of one moment, sealed under a new key that only the master key opens.
    2. Every object that its rows name, as it lies. Objects never change, so what is there already is not copied again.
    3. If one of them is gone, rows may have been forgotten meanwhile, or parts become a document: then 1 again, since a
       backup whose rows name what it has not would be one that lost something. What two snapshots in turn name and the
       store has not is lost; the backup is made without it and says so.
    4. The list, and last the signed manifest: killed anywhere before it, this has been no backup.

    The id and length of every object, and the list's lines, are held in memory: some 300 bytes an object.

    Raises
    ------
    BusyError
        Another is at work in this repository, or objects went faster than they were copied.
    UnavailableError
        The records or the repository do not answer.
    """
    with place.alone():
        key = store.new_key(holder=BACKUP_HOLDER, purpose=BACKUP_PURPOSE)
        vault = store.beside(place.objects)
        keep_register(records=records, store=store, register=register)
        made_at, lost = clock.now(), set[str]()
        number = copied = copied_bytes = 0
        for _ in range(MOST_SNAPSHOTS):
            moment, number = _seal_moment(snapshots, vault, key), number + 1  # 1
            lengths: dict[str, int] = {}
            absent: set[str] = set()
            for object_id, length, is_new in _copies(store.objects, vault, moment, key, told):  # 2
                if length:
                    lengths[object_id] = length
                    copied, copied_bytes = copied + is_new, copied_bytes + length * is_new
                else:
                    absent.add(object_id)
            if absent <= lost:  # 3
                break
            lost = absent
            vault.forget(moment.snapshot.object_id)
            vault.forget(moment.inventory.object_id)
        else:
            raise BusyError(
                "objects were removed faster than they could be copied",
                next_step="Try again when less is forgotten and uploaded at the same time.",
            )
        seed = store.derive(key=moment.facts.house_key, label=SIGNING_LABEL)
        papers = Papers(
            notes=_notes(witness, seed, upto=moment.facts.head_seq), forgotten="\n".join(register.lines())
        )
        lines = [f"{object_id} {lengths[object_id]}\n".encode() for object_id in sorted(lengths)]
        manifest = BackupManifest(
            id=new_backup_id(made_at, random(4)),
            tenant=tenant,
            made_at=made_at,
            version=version,
            database=snapshots.database,
            facts=moment.facts,
            key=key,
            snapshot=moment.snapshot,
            inventory=moment.inventory,
            papers=vault.seal(_Lines([papers.to_bytes()]), key=key, kind=PAPERS_KIND),
            objects=len(lengths),
            objects_bytes=sum(lengths.values()),
            list_sha256=hashlib.sha256(b"".join(lines)).hexdigest(),
            missing=tuple(sorted(absent)),
        )
        place.keep_list(manifest.id, lines)  # 4
        place.keep_manifest(manifest.id, manifest.signed(seed))
    _remember(manifest, by=by, records=records, place=place)
    return Made(manifest=manifest, copied=copied, copied_bytes=copied_bytes, snapshots=number)


def read_inventory(
    vault: SealedStore, inventory: SealedRef, key: WrappedKey
) -> tuple[Iterator[NamedObject], Callable[[], Iterator[str]]]:
    """Return the objects that an inventory names, each once, whose ids are held in memory, and then its lines of wrapped keys."""
    reader = vault.open(inventory, key=key, kind=INVENTORY_KIND)
    lines = _split(iter(lambda: reader.read(1 << 18), b""))

    def objects() -> Iterator[NamedObject]:
        seen: set[str] = set()
        for line in lines:
            if not line:
                return
            named = NamedObject.from_line(line)
            if named.ref.object_id not in seen:
                seen.add(named.ref.object_id)
                yield named

    def keys() -> Iterator[str]:
        with closing(reader):
            yield from lines

    return objects(), keys


def copied_all(
    source: Objects, target: Objects, named: Iterable[NamedObject]
) -> Iterator[tuple[str, int, bool]]:
    """Copy, a few at once, and yield (id, sealed length, was it copied); the length is 0 where ``source`` has it not, or not whole."""

    def copy(one: NamedObject) -> tuple[str, int, bool]:
        object_id = one.ref.object_id
        try:
            return object_id, *copy_object(source, target, object_id, size_bytes=one.ref.size_bytes)
        except BYTES_LOST:
            return object_id, 0, False

    waiting: deque[Future[tuple[str, int, bool]]] = deque()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="copy") as pool:
        try:
            for one in named:
                waiting.append(pool.submit(copy, one))
                if len(waiting) >= _WINDOW:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _seal_moment(snapshots: Snapshots, vault: SealedStore, key: WrappedKey) -> _Moment:
    with snapshots.take() as taken:
        with taken.reading() as stream:
            snapshot = vault.seal(stream, key=key, kind=SNAPSHOT_KIND)
        counted = [0]
        inventory = vault.seal(_Lines(_inventory(taken, counted)), key=key, kind=INVENTORY_KIND)
        return _Moment(facts=taken.facts, snapshot=snapshot, inventory=inventory, count=counted[0])


def _inventory(taken: Snapshot, counted: list[int]) -> Iterator[bytes]:
    """Objects, an empty line, keys: enough to open and verify everything without a database."""
    for named in taken.objects():
        counted[0] += 1
        yield named.line().encode() + b"\n"
    yield _NOTHING_MORE
    for key in taken.wrapped_keys():
        yield key_line(key).encode() + b"\n"


def _copies(
    source: Objects, vault: SealedStore, moment: _Moment, key: WrappedKey, told: Callable[[int, int], None]
) -> Iterator[tuple[str, int, bool]]:
    objects, keys = read_inventory(vault, moment.inventory, key)
    told(0, moment.count)
    for done, copied in enumerate(copied_all(source, vault.objects, objects), 1):
        told(done, moment.count)
        yield copied
    deque(keys(), maxlen=0)  # to the end: the final segment is verified, and the reader closed


def _notes(witness: Witness, seed: bytes, *, upto: int) -> tuple[str, ...]:
    """Return the witness's notes that the snapshot's trail reaches: a later head would look like a cut trail."""
    public = public_key_of(seed)
    found = []
    for note in witness.notes():
        checkpoint = read_checkpoint(note, public=public)
        if checkpoint is not None and checkpoint.size <= upto:
            found.append(note)
    return tuple(found)


def remembered(manifest: BackupManifest, place: str) -> Backup:
    """Return what the records keep of a backup."""
    return Backup(
        id=manifest.id,
        made_at=manifest.made_at,
        place=place,
        objects=manifest.objects,
        size_bytes=manifest.objects_bytes,
        missing=len(manifest.missing),
    )


def _remember(manifest: BackupManifest, *, by: Actor, records: Records, place: BackupPlace) -> None:
    with records.change(by=by) as change:
        change.backups.add(remembered(manifest, place.name))
        change.note(
            "backup_made",
            subject=manifest.id,
            outcome="incomplete" if manifest.missing else "ok",
            objects=manifest.objects,
            bytes=manifest.objects_bytes,
            missing=len(manifest.missing),
            head=manifest.facts.head_seq,
        )


class _Lines:
    """Pieces of bytes as a stream to be sealed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._left = iter(pieces), b""

    def read(self, size: int, /) -> bytes:
        parts, have = [self._left], len(self._left)
        while have < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]


def _split(pieces: Iterable[bytes]) -> Iterator[str]:
    left = b""
    for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        yield from (line.decode() for line in lines)
