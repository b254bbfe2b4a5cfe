"""Sweeping: what lies in the store is held against what rows name; what is surely ours and nobody's is removed, the rest is shown."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.domain.errors import UnavailableError
from gateway.domain.ids import new_id
from gateway.domain.kept_object import CLEARED_AFTER, KeptObject, ObjectBatch
from gateway.domain.people import HOUSE, Actor
from gateway.domain.store_finding import StoreFinding, StoreRound
from gateway.journeys.keep_store_findings import close_findings, keep_losses, open_losses
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
       has recorded it or given up (``SealedStore`` gives up after half a day).
    3. That no row names it is asked again right before.
    4. An object under no known batch may be anybody's, or of a backup that is being brought back: it is shown and stays.
       So are those under batches from before records were put back to an earlier state, which the witness tells: what was
       sealed after that state is named by rows that somebody may still bring.
    5. A row is never deleted for the want of its object.

    Raises
    ------
    UnavailableError
        The store cannot be listed, or looks empty where it cannot be; nothing was done.
    """
    try:
        listed = set(store.object_ids())  # (1)
    except StorageError as error:
        raise UnavailableError(f"the store cannot be listed ({type(error).__name__})") from error
    now, unnamed, absent, named = clock.now(), set(listed), set[str](), 0
    in_use = {batch_of(object_id) for object_id in listed}
    with records.view() as view:
        batches = {batch.id: batch for batch in view.object_batches.find()}
        known = {one.object_id: one for one in view.store_findings.find(state="open", kind="orphan")}
        for object_id in view.kept.ids():
            named += 1
            if object_id in listed:
                unnamed.discard(object_id)
            else:
                absent.add(object_id)
    if not listed and named >= NONE_OF_THE_FIRST:
        raise UnavailableError(
            f"the store is empty, and rows name {named} objects",
            next_step="See that the volume of the objects is mounted.",
        )
    ours = _undoubted(batches, records=records, witness=witness) if unnamed else batches
    over, young, orphans = _sorted(unnamed, ours, known, now=now)  # (2) (4)
    over = _unnamed_still(over, records=records)  # (3)
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
    with records.change(by=by) as change:
        for at in range(0, len(missing), _KEPT_AT_ONCE):  # (5)
            some = missing[at : at + _KEPT_AT_ONCE]
            keep_losses(change, [Loss(kept=kept, kind="missing") for kept in some], now=now)
        _keep_orphans(change, swept, known, listed=listed, now=now)
        for batch in batches.values():
            if batch.is_over(now) and batch.id not in in_use:
                change.object_batches.remove(id=batch.id)
        change.store_rounds.remove(id=SWEEP)
        change.store_rounds.add(
            StoreRound(id=SWEEP, begun_at=now, moved_at=now, ended_at=clock.now(), report=swept.counts())
        )
        change.note("store_swept", outcome="failed" if missing else "ok", **_as_details(swept))
    try:
        for (
            object_id
        ) in swept.removed:  # the event first, the bytes after: a crash between the two is swept next time
            store.forget(object_id)
    except StorageError as error:
        raise UnavailableError(f"the store removes nothing ({type(error).__name__})") from error
    return swept


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


def _keep_orphans(
    change: Change, swept: Swept, known: dict[str, StoreFinding], *, listed: set[str], now: datetime
) -> None:
    """Write down what is nobody's, each once, and close what is there no more, or has a row by now."""
    here, room = set(swept.orphans), MOST_ORPHANS_KEPT - len(known)
    for object_id in swept.orphans:
        if object_id in known:
            change.store_findings.set(known[object_id].id, last_seen_at=now)
        elif room > 0:
            room -= 1
            made = StoreFinding(
                id=new_id(), object_id=object_id, kind="orphan", first_seen_at=now, last_seen_at=now
            )
            change.store_findings.add(made)
    ended = [finding for finding in known.values() if finding.object_id not in here]
    gone = {one.id for one in ended if one.object_id not in listed or one.object_id in swept.removed}
    close_findings(change, [one for one in ended if one.id in gone], state="gone", now=now)
    close_findings(change, [one for one in ended if one.id not in gone], state="named", now=now)
