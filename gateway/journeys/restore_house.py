"""Restoring a backup into an empty home: all of it, verified, with what was forgotten since forgotten again, or no house at all.

A home that is being restored is marked and refuses to start. The mark is taken away last, so that whatever kills a restore
leaves a home that says so, and the same command again goes on where it can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace

from gateway.domain.backup import (
    SNAPSHOT_KIND,
    BackupManifest,
    Facts,
    NamedObject,
    signed_file,
)
from gateway.domain.backup_ports import BackupPlace, NewHome, Snapshots
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from gateway.domain.people import Actor
from gateway.domain.restore_report import MOST_NAMED, RestoreReport, in_words
from gateway.journeys.back_up_house import SIGNING_LABEL, copied_all, read_inventory, remembered
from gateway.journeys.forget_again import forget_again
from gateway.journeys.gather_registers import gather_registers
from gateway.journeys.verify_audit import verify_audit
from gateway.journeys.verify_backup import (
    CheckSnapshot,
    look_at_snapshot,
    newest_backup,
    open_backup,
    read_papers,
    same_facts,
)
from gateway.ports import Clock, Records, Witness
from storage import BYTES_LOST, KeyRefusedError, KeyUnknownError, SealedStore, StorageError

_HELD = (
    "case {ref} was put under a legal hold after the register says it, or a study in it, was forgotten: it stays; "
    "when the hold has ended, run `consilium case forget-again` again"
)
_WITHOUT_EVENTS = ("object_batch", "duty")
Told = Callable[[str, int, int], None]
OpenHouse = Callable[[], AbstractContextManager[tuple[Records, SealedStore, Witness]]]


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def restore_house(
    *,
    by: Actor,
    place: BackupPlace,
    backup_id: str,
    home: NewHome,
    store: SealedStore,
    snapshots: Snapshots,
    check: CheckSnapshot,
    open_house: OpenHouse,
    clock: Clock,
    tenant: str,
    schema_version: int,
    register: Sequence[str] | None,
    accept_losses: bool = False,
    told: Told = silent,
) -> RestoreReport:
    """Restore; return the report, which is also kept in the home, signed. The home may start only if ``is_whole`` or losses were accepted.

    1. Everything that may refuse does so before anything is written: manifest, version, snapshot, register, an empty home.
    2. The mark. From here on the home does not start.
    3. Objects, then records: rows never name what is not there yet, and a database server is filled in one transaction.
    4. Witness, the event that says «restored», and forgetting again: all before anybody is served.
    5. Everything is read: each object to its end against its digest, the trail against its heads.
    6. The report, and last the mark goes away.

    ``register`` holds the lines that were given, or is None where there are none; those in the repository are read anyway,
    and know what was forgotten before the newest backup there. Where that one, or any after the chosen one that none
    readable follows, cannot be read, this is a flaw unless a line that was given is of a later time.

    Raises
    ------
    ConflictError
        The home or the database is not empty.
    InvalidError
        The backup was altered, is damaged, or was made by a newer version or another tenant.
    UnavailableError
        A key is not at hand, or a place does not answer; the same call goes on.
    """
    began = clock.now()
    backup_id = home.chosen(backup_id) or newest_backup(place=place)
    manifest = open_backup(place=place, backup_id=backup_id, store=store)  # 1
    _refuse_misfit(manifest, snapshots=snapshots, tenant=tenant, schema_version=schema_version)
    vault = store.beside(place.objects)
    try:
        look_at_snapshot(vault, manifest, check)
        papers = read_papers(vault, manifest)
    except BYTES_LOST as error:
        raise InvalidError(
            f"backup {backup_id} is damaged: {error}",
            next_step="Restore an earlier one: `consilium backup list --from DIR`.",
        ) from error
    lines, unread = gather_registers(register or (), manifest, place=place, store=store)
    report = _begun(manifest, by=by, place=place)
    report.with_register, report.register_lines = register is not None, len(lines)
    report.flaws += unread
    home.claim(backup_id, is_empty=snapshots.is_empty() and next(store.objects.ids(), None) is None)  # 2
    damaged = _copy_objects(vault, store, manifest, told=told)  # 3
    is_first = snapshots.is_empty()
    with vault.open(manifest.snapshot, key=manifest.key, kind=SNAPSHOT_KIND) as stream:
        snapshots.put_back(stream, manifest.facts)
    _hold_against(snapshots.facts(), manifest.facts, is_first=is_first)
    snapshots.upgrade()
    with open_house() as (records, house_store, witness):
        report.events_after_the_backup = _bring_witness(papers.notes, witness, manifest)  # 4
        report.sessions_ended = _say_restored(manifest, by=by, records=records, report=report)
        if lines:
            again = forget_again(lines, by=by, records=records, store=house_store)
            report.holders_forgotten_again, report.cases_forgotten_again = again.holders, again.cases
            report.flaws += [_HELD.format(ref=ref) for ref in again.held]
        _read_everything(vault, manifest, damaged, report, records=records, store=house_store, told=told)  # 5
        _read_trail(report, papers.notes, by=by, records=records, store=house_store, origin=tenant)
        with records.view() as view:
            report.cases = view.cases.count()
        report.restored_at = clock.now().isoformat()
        report.seconds = round((clock.now() - began).total_seconds(), 1)
        may_start = report.is_whole or accept_losses
        seed = store.derive(key=manifest.facts.house_key, label=SIGNING_LABEL)
        body = json.dumps(asdict(report), sort_keys=True, separators=(",", ":")).encode()
        home.keep_report(  # 6
            f"restored-{backup_id}",
            signed_file(body, origin=f"{tenant}/restore", seed=seed),
            in_words(report),
        )
        if may_start:
            with records.change(by=by) as change:
                if change.backups.first(id=backup_id) is None:  # its own snapshot is older than it
                    change.backups.add(remembered(manifest, place.name))
                change.note(
                    "house_restored",
                    subject=backup_id,
                    outcome="ok" if report.is_whole else "with_losses",
                    objects=report.objects_verified,
                    lost=report.lost_count,
                    forgotten=report.holders_forgotten_again,
                )
    if may_start:
        home.release()
    return report


def _refuse_misfit(
    manifest: BackupManifest, *, snapshots: Snapshots, tenant: str, schema_version: int
) -> None:
    if manifest.facts.schema_version > schema_version:
        raise InvalidError(
            f"this backup has schema version {manifest.facts.schema_version}, this Consilium knows up to {schema_version}",
            next_step=f"Restore it with Consilium {manifest.version} or newer.",
        )
    if manifest.tenant != tenant:
        raise InvalidError(
            f"this backup is of the tenant {manifest.tenant}",
            next_step=f"Set CONSILIUM_TENANT={manifest.tenant}.",
        )
    if manifest.database != snapshots.database:
        raise InvalidError(
            f"this backup is of records in {manifest.database}, and CONSILIUM_RECORDS names {snapshots.database}",
            next_step="Name a place of the same kind: an empty PostgreSQL database, or nothing for the home's own file.",
        )


def _hold_against(found: Facts, wanted: Facts, *, is_first: bool) -> None:
    """Refuse records that are not those of the manifest.

    A restore that was killed after it had put them back may not have compared them. As long as neither the trail nor the
    schema has gone on since, all must still be the same, but for what is kept without an event.
    """
    if not is_first:
        if (found.head_seq, found.schema_version) != (wanted.head_seq, wanted.schema_version):
            return  # both come after the comparison
        rows = dict(wanted.rows) | {name: found.rows.get(name, 0) for name in _WITHOUT_EVENTS}
        wanted = replace(wanted, rows=rows)
    if not same_facts(found, wanted):
        raise InvalidError(
            "the records that were put back are not those of the manifest",
            next_step="Restore an earlier backup into another home.",
        )


def _begun(manifest: BackupManifest, *, by: Actor, place: BackupPlace) -> RestoreReport:
    facts = manifest.facts
    report = RestoreReport(
        backup=manifest.id,
        made_at=manifest.made_at.isoformat(),
        by=str(by),
        source=place.name,
        database=manifest.database,
        schema_version=facts.schema_version,
        audit_head=facts.head_seq,
        audit_hash=facts.head_hash,
        objects=manifest.objects,
    )
    for object_id in manifest.missing:
        report.lose(object_id, "was lost before this backup was made")
    return report


def _copy_objects(
    vault: SealedStore, store: SealedStore, manifest: BackupManifest, *, told: Told
) -> set[str]:
    """Copy what is not there yet; return ids that the repository does not give whole."""
    objects, keys = read_inventory(vault, manifest.inventory, manifest.key)
    gone = set(manifest.missing)
    wanted = (one for one in objects if one.ref.object_id not in gone)
    damaged: set[str] = set()
    told("copying objects", 0, manifest.objects)
    for done, (object_id, length, _) in enumerate(copied_all(vault.objects, store.objects, wanted), 1):
        if not length:
            damaged.add(object_id)
        told("copying objects", done, manifest.objects)
    for _ in keys():
        pass
    return damaged


def _bring_witness(notes: Sequence[str], witness: Witness, manifest: BackupManifest) -> int:
    """Give the witness the notes that it has not; return by how many events its newest is beyond this backup's head."""
    there = set(witness.notes())
    for note in notes:
        if note not in there:
            witness.publish(note)
    sizes = [int(part[1]) for note in there if len(part := note.split("\n")) > 1 and part[1].isdecimal()]
    return max(0, max(sizes, default=0) - manifest.facts.head_seq)


def _say_restored(manifest: BackupManifest, *, by: Actor, records: Records, report: RestoreReport) -> int:
    """Write into the trail that from here on it is a copy's, and end all sessions: some were ended after the backup."""
    with records.change(by=by) as change:
        open_sessions = [id_ for (id_,) in change.sessions.pick(("id",), ended_at=None)]
        for session_id in open_sessions:
            change.sessions.remove(id=session_id)
        change.note(
            "house_restored",
            subject=manifest.id,
            outcome="begun",
            head=manifest.facts.head_seq,
            hash=manifest.facts.head_hash,
            backed_up_at=manifest.made_at.isoformat(),
        )
    return len(open_sessions)


def _read_everything(
    vault: SealedStore,
    manifest: BackupManifest,
    damaged: set[str],
    report: RestoreReport,
    *,
    records: Records,
    store: SealedStore,
    told: Told,
) -> None:
    """Open every object from the new home with the key of the new records."""
    objects, keys = read_inventory(vault, manifest.inventory, manifest.key)
    gone = set(manifest.missing)
    with records.view() as view:
        forgotten = {stone.holder for stone in view.tombstones()}
    for done, one in enumerate(objects, 1):
        told("verifying objects", done, manifest.objects)
        object_id = one.ref.object_id
        if object_id in gone:
            continue
        report.bytes += one.ref.size_bytes
        if object_id in damaged:
            report.lose(object_id, "is missing or has another length in the repository")
            continue
        why = _why_unread(one, forgotten, records=records, store=store)
        if why is None:
            report.objects_verified += 1
        elif why:
            report.lose(object_id, why)
    for _ in keys():
        pass


def _why_unread(one: NamedObject, forgotten: set[str], *, records: Records, store: SealedStore) -> str | None:
    """Return why an object does not open, None where it does, and nothing where it was forgotten."""
    with records.view() as view:
        try:
            key = view.key(one.holder, one.purpose)
        except NotFoundError:
            return "" if one.holder in forgotten else "its key is not in the records"
    try:
        store.verify(one.ref, key=key, kind=one.kind)
    except (*BYTES_LOST, KeyRefusedError, KeyUnknownError) as error:
        return str(error)
    except StorageError as error:
        raise UnavailableError(f"storage does not answer ({type(error).__name__}: {error.detail})") from error
    return None


def _read_trail(
    report: RestoreReport,
    notes: Sequence[str],
    *,
    by: Actor,
    records: Records,
    store: SealedStore,
    origin: str,
) -> None:
    verdict = verify_audit(by=by, records=records, store=store, witness=_Notes(notes), origin=origin)
    report.audit_events = verdict.events
    report.flaws += [f"{flaw.kind}: {flaw.what}" for flaw in verdict.flaws[:MOST_NAMED]]
    with records.view() as view:
        last = next(view.events(after=report.audit_head - 1, limit=1), None)
    if last is None or last.hash != report.audit_hash:
        report.flaws.append(f"event {report.audit_head} is not the head that the manifest names")


class _Notes:
    """The notes of the backup alone: a witness elsewhere may know of a later trail, which is told by itself."""

    def __init__(self, notes: Sequence[str]) -> None:
        self._notes = notes

    def notes(self) -> Sequence[str]:
        return self._notes

    def publish(self, note: str) -> None:
        raise ConflictError(f"nothing is signed while a restore reads ({note[:20]})")
