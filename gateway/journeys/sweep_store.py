"""Sweeping: what lies in the store is held against what rows name; what is surely ours and nobody's is removed, the rest is shown."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.domain.errors import UnavailableError
from gateway.domain.ids import new_id
from gateway.domain.kept_object import CLEARED_AFTER, KeptObject, ObjectBatch
from gateway.domain.people import HOUSE, Actor
from gateway.domain.store_finding import StoreFinding, StoreRound
from gateway.journeys.keep_store_findings import close_batches, close_findings, keep_losses, open_losses
from gateway.journeys.scrub_store import MOST_LOOKED_AT_AGAIN, close_healed
from gateway.journeys.verify_store import NONE_OF_THE_FIRST, Loss, still_named
from gateway.ports import Change, Clock, Records, Witness
from storage import (
    BYTES_LOST,
    PROBE_BATCH,
    ObjectMissingError,
    SealedStore,
    StorageError,
    batch_of,
)

SWEEP = "sweep"
MOST_ORPHANS_KEPT = 10_000
_KEPT_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep saw. ``removed`` was ours and nobody's; ``young`` will be once its batch is a day over, unless a row comes.

    ``orphans`` no row names and no batch knows: they are shown and stay. ``missing`` are rows whose object is not there.
    """

    objects: int
    named: int
    removed: tuple[str, ...]
    removed_bytes: int
    young: tuple[str, ...]
    orphans: tuple[str, ...]
    missing: tuple[KeptObject, ...]
    healed: int
    is_rehearsal: bool

    def counts(self) -> dict[str, int]:
        """Return the numbers, for the trail and the page."""
        many = {name: len(getattr(self, name)) for name in ("removed", "young", "orphans", "missing")}
        return {"objects": self.objects, "named": self.named, "removed_bytes": self.removed_bytes} | many


def sweep_store(
    *,
    records: Records,
    store: SealedStore,
    clock: Clock,
    by: Actor = HOUSE,
    witness: Witness | None = None,
    is_rehearsal: bool = False,
) -> Swept:
    """Hold the objects against the rows. This is the promise that nothing is removed which somebody may still want:

    1. Objects are listed *before* rows are read: what is sealed and recorded meanwhile was not listed, and is not judged.
    2. Removed is only what no row names and what lies under a batch of ours that ended a day ago: by then whoever sealed it
       has recorded it or given up (``SealedStore`` gives up after half a day). Clocks jump and machines sleep, so the batch
       is closed first, in the records: a row that comes after that is refused (``gateway.records.object_ids.OpenBatches``).
    3. That no row names it is asked again right before, for 500 at a time, when their batches have been closed.
    4. An object under no known batch may be anybody's, or of a backup that is being brought back: it is shown and stays.
       So are those under batches from before records were put back to an earlier state, which the witness tells: what was
       sealed after that state is named by rows that somebody may still bring.
    5. A row is never deleted for the want of its object.

    No change holds the turn to write for longer than 500 findings take. In memory is one entry for each object that is
    listed, about 200 bytes.

    Raises
    ------
    UnavailableError
        The store cannot be listed, or looks empty where it cannot be; nothing was done.
    """
    try:
        listed = dict.fromkeys(store.object_ids(), False)  # (1); whether a row names it
    except StorageError as error:
        raise UnavailableError(f"the store cannot be listed ({type(error).__name__})") from error
    now, absent, named = clock.now(), set[str](), 0
    in_use = {batch_of(object_id) for object_id in listed}
    with records.view() as view:
        batches = {batch.id: batch for batch in view.object_batches.find()}
        known = {one.object_id: one for one in view.store_findings.find(state="open", kind="orphan")}
        for object_id in view.kept.ids():
            named += 1
            if object_id in listed:
                listed[object_id] = True
            else:
                absent.add(object_id)
    if not listed and named >= NONE_OF_THE_FIRST:
        raise UnavailableError(
            f"the store is empty, and rows name {named} objects",
            next_step="See that the volume of the objects is mounted.",
        )
    unnamed = [object_id for object_id, is_named in listed.items() if not is_named]
    ours = _undoubted(batches, records=records, witness=witness) if unnamed else batches
    over, young, orphans = _sorted(unnamed, ours, known, now=now)  # (2) (4)
    over = _unnamed_still(over, records=records)
    orphans = _unnamed_still(orphans, records=records)
    young = _unnamed_still(young, records=records)
    missing = _missing(absent, records=records, store=store)
    swept = Swept(
        objects=len(listed),
        named=named,
        removed=tuple(over),
        removed_bytes=_bytes_of(over, store=store),
        young=tuple(young),
        orphans=tuple(orphans),
        missing=tuple(missing),
        healed=0,
        is_rehearsal=is_rehearsal,
    )
    if is_rehearsal:
        return swept
    with records.view() as view:
        found_before = open_losses(view)[:MOST_LOOKED_AT_AGAIN]
    healed = close_healed(found_before, by=by, records=records, store=store, clock=clock)
    swept = replace(swept, healed=len(healed))
    closing = {batch_of(object_id) for object_id in over} & batches.keys()
    unused = [batch.id for batch in batches.values() if batch.is_over(now) and batch.id not in in_use]
    writes = [_Write("close", batches[one]) for one in sorted(closing) if not batches[one].is_closed]  # (2)
    writes += [_Write("missing", kept) for kept in missing]  # (5)
    writes += _orphans(swept, known, listed=listed)
    writes += [_Write("unused", batch_id) for batch_id in unused]
    _write_down(writes, swept, by=by, records=records, clock=clock, now=now)
    # The event first, the bytes after: a crash between the two is swept next time.
    return replace(swept, removed=tuple(_removed(swept.removed, records=records, store=store)))


@dataclass(frozen=True, slots=True)
class _Write:
    """One thing that a sweep writes down; ``how`` is what becomes of ``what``."""

    how: str
    what: Any


def _write_down(
    writes: Sequence[_Write], swept: Swept, *, by: Actor, records: Records, clock: Clock, now: datetime
) -> None:
    """Write so much in one change that others wait for it no longer than for an instance; the last one tells the whole."""
    for at in range(0, max(len(writes), 1), _KEPT_AT_ONCE):
        some = writes[at : at + _KEPT_AT_ONCE]
        with records.change(by=by) as change:
            _write_some(change, some, now=now)
            outcome = "failed" if swept.missing else "ok"
            if at + _KEPT_AT_ONCE < len(writes):
                change.note("store_swept", outcome=outcome, written=len(some))
                continue
            change.store_rounds.remove(id=SWEEP)
            change.store_rounds.add(
                StoreRound(id=SWEEP, begun_at=now, moved_at=now, ended_at=clock.now(), report=swept.counts())
            )
            change.note("store_swept", outcome=outcome, **_as_details(swept))


def _write_some(change: Change, writes: Sequence[_Write], *, now: datetime) -> None:
    def those(how: str) -> list[Any]:
        return [write.what for write in writes if write.how == how]

    close_batches(change, those("close"))
    keep_losses(change, [Loss(kept=kept, kind="missing") for kept in those("missing")], now=now)
    for finding in those("still"):
        change.store_findings.set(finding.id, last_seen_at=now)
    for object_id in those("orphan"):
        change.store_findings.add(
            StoreFinding(id=new_id(), object_id=object_id, kind="orphan", first_seen_at=now, last_seen_at=now)
        )
    for state in ("gone", "named"):
        close_findings(change, those(state), state=state, now=now)
    if unused := those("unused"):
        change.object_batches.remove(id=unused)


def _removed(object_ids: Sequence[str], *, records: Records, store: SealedStore) -> Iterator[str]:
    """Remove what is nobody's still (3), and return it."""
    try:
        for at in range(0, len(object_ids), _KEPT_AT_ONCE):
            for object_id in _unnamed_still(object_ids[at : at + _KEPT_AT_ONCE], records=records):
                store.forget(object_id)
                yield object_id
    except StorageError as error:
        raise UnavailableError(f"the store removes nothing ({type(error).__name__})") from error


def _as_details(swept: Swept) -> dict[str, Any]:
    return {name: count for name, count in swept.counts().items() if count}


def _undoubted(
    batches: dict[str, ObjectBatch], *, records: Records, witness: Witness | None
) -> dict[str, ObjectBatch]:
    """Leave out the batches from before the records were put back, where the witness knows of another past than they do."""
    noted: dict[int, set[str]] = {}
    for size, head in _noted(witness.notes() if witness is not None else ()):
        noted.setdefault(size, set()).add(head)
    if not noted:
        return batches
    put_back_before: datetime | None = None
    with records.view() as view:
        seq, _ = view.head()
        if max(noted) > seq:
            return {}
        for event in view.events(after=min(noted) - 1):
            if noted.get(event.seq, set()) - {event.hash}:
                put_back_before = event.at
                break
    if put_back_before is None:
        return batches
    return {one.id: one for one in batches.values() if one.made_at > put_back_before}


def _noted(notes: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Return size and hash of each checkpoint; one that cannot be read tells nothing."""
    for note in notes:
        with suppress(ValueError):
            _, size, encoded = note.partition("\n\n")[0].splitlines()
            yield int(size), base64.b64decode(encoded, validate=True).hex()


def _sorted(
    unnamed: Iterable[str],
    batches: dict[str, ObjectBatch],
    known: dict[str, StoreFinding],
    *,
    now: datetime,
) -> tuple[list[str], list[str], list[str]]:
    """Tell what no row names apart: over, young, orphan."""
    over, young, orphans = list[str](), list[str](), list[str]()
    for object_id in sorted(unnamed):
        batch = batches.get(batch_of(object_id))
        if batch is not None:
            (over if batch.is_over(now) else young).append(object_id)
        elif batch_of(object_id) != PROBE_BATCH:
            orphans.append(object_id)
        elif object_id in known and now - known[object_id].first_seen_at > CLEARED_AFTER:
            over.append(
                object_id
            )  # a self-test was killed in the middle; it takes seconds, and this one lies for a day
        else:
            orphans.append(object_id)
    return over, young, orphans


def _unnamed_still(object_ids: Sequence[str], *, records: Records) -> list[str]:
    """Leave out what a row names by now."""
    with records.view() as view:
        named = {kept.object_id for kept in view.kept.naming(object_ids)} if object_ids else set()
    return [object_id for object_id in object_ids if object_id not in named]


def _missing(absent: set[str], *, records: Records, store: SealedStore) -> list[KeptObject]:
    """Return the rows whose object is not there, among those that were not listed: most were published since."""
    if not absent:
        return []
    with records.view() as view:
        rows = view.kept.naming(sorted(absent))
    gone = [kept for kept in rows if _is_missing(kept.object_id, store=store)]
    return [
        loss.kept for loss in still_named([Loss(kept=kept, kind="missing") for kept in gone], records=records)
    ]


def _is_missing(object_id: str, *, store: SealedStore) -> bool:
    try:
        store.sealed_bytes(object_id)
    except ObjectMissingError:
        return True
    except ValueError:
        return True  # the row holds no id at all
    except StorageError as error:
        if isinstance(error, BYTES_LOST):
            return False  # it is there; a scrub tells what is wrong with it
        raise UnavailableError(f"the store does not answer ({type(error).__name__})") from error
    return False


def _bytes_of(object_ids: Sequence[str], *, store: SealedStore) -> int:
    total = 0
    for object_id in object_ids:
        with suppress(StorageError):
            total += store.sealed_bytes(object_id)
    return total


def _orphans(swept: Swept, known: dict[str, StoreFinding], *, listed: Container[str]) -> Iterator[_Write]:
    """Return what is to be written of what is nobody's: each once; closed is what is there no more, or has a row by now."""
    here, room = set(swept.orphans), MOST_ORPHANS_KEPT - len(known)
    for object_id in swept.orphans:
        if object_id in known:
            yield _Write("still", known[object_id])
        elif room > 0:
            room -= 1
            yield _Write("orphan", object_id)
    removed = set(swept.removed)
    for finding in known.values():
        if finding.object_id not in here:
            is_gone = finding.object_id not in listed or finding.object_id in removed
            yield _Write("gone" if is_gone else "named", finding)
