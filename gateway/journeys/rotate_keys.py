"""A new version of the master key, and every case key brought under it: rows change, no object is touched (E6).

Safe beside whatever runs: a key that is added meanwhile is found by the next pass, one that is destroyed meanwhile stays
destroyed. Killed anywhere, the next call goes on where this one was: the rows say under which version they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from gateway.domain.epoch import ABANDONED, Epoch, epoch_id
from gateway.domain.errors import BusyError, ConflictError
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.compare_keys import SETTLE_S, refuse_other_keys
from gateway.ports import Change, Clock, Jobs, Records, View
from storage import KekRef, MasterKeys

BATCH = 2000
_BEGIN_EVERY_S = 10.0
_FIRST = ("", "")

Moved = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did: ``is_new`` where it made a version, and did not only finish one that was cut short."""

    kek: KekRef
    is_new: bool
    moved: int
    unopened: int
    retired: tuple[str, ...]


def rotate_keys(
    *,
    by: Actor,
    records: Records,
    jobs: Jobs,
    masters: MasterKeys,
    clock: Clock,
    pause: Callable[[float], None],
    moved: Moved | None = None,
    batch: int = BATCH,
) -> Rotation:
    """Begin a new epoch and bring every key into it; where an earlier rotation was cut short, finish that and begin none.

    Parameters
    ----------
    pause
        Waits for so many seconds: so long may another process still wrap under the version before.
    moved
        Is told of every batch, for a progress bar.

    Raises
    ------
    BusyError
        Another rotation began a moment ago.
    OtherKeysError
        The keys at hand are older than the records, or others.
    """
    know_epochs(by=by, records=records, masters=masters)
    finished, is_new = 0, False
    if _is_cut_short(records, masters.current()):
        finished, _ = rewrap_keys(by=by, records=records, masters=masters, moved=moved, batch=batch)
    if not finished:
        begin_epoch(by=by, records=records, jobs=jobs, masters=masters, clock=clock)
        is_new = True
    count, _ = rewrap_keys(by=by, records=records, masters=masters, moved=moved, batch=batch)
    pause(SETTLE_S)
    late, unopened = rewrap_keys(by=by, records=records, masters=masters, moved=moved, batch=batch)
    retired = retire_epochs(by=by, records=records, masters=masters)
    return Rotation(
        kek=masters.current(),
        is_new=is_new,
        moved=finished + count + late,
        unopened=unopened,
        retired=tuple(retired),
    )


def begin_epoch(*, by: Actor, records: Records, jobs: Jobs, masters: MasterKeys, clock: Clock) -> None:
    """Make a new version of the master key, current from now on; one caller at a time, in all processes."""
    refuse_other_keys(records=records, masters=masters)
    now = clock.now()
    if not jobs.claim_duty("begin_epoch", now=now, every_s=_BEGIN_EVERY_S):
        raise _begun_lately(records, masters.current(), now)
    masters.rotate()
    know_epochs(by=by, records=records, masters=masters)


def know_epochs(*, by: Actor = HOUSE, records: Records, masters: MasterKeys) -> None:
    """Write down the versions that no row tells of yet: a home of before, a key service that was rotated by its operator.

    Each with its probe; keys that are not those the records know are refused (`refuse_other_keys`).
    """
    refuse_other_keys(records=records, masters=masters)
    versions = masters.versions()
    with records.view() as view:
        unknown = _unknown(view, versions)
    if not unknown:
        return
    probes = {
        kek: masters.probe_of(kek) for kek in unknown
    }  # a key service is not asked within a transaction
    with suppress(ConflictError), records.change(by=by) as change:
        new = _unknown(change, tuple(probes))
        for kek in new:
            change.epochs.add(
                Epoch(
                    id=epoch_id(kek.kek_id, kek.kek_version),
                    kek_id=kek.kek_id,
                    kek_version=kek.kek_version,
                    began_at=change.now,
                    probe=probes[kek],
                )
            )
            change.note("epoch_begun", subject=epoch_id(kek.kek_id, kek.kek_version))
        if not new:
            raise ConflictError("another process was first")  # nothing to tell, so nothing is written


def rewrap_keys(
    *,
    by: Actor = HOUSE,
    records: Records,
    masters: MasterKeys,
    moved: Moved | None = None,
    batch: int = BATCH,
) -> tuple[int, int]:
    """Bring every key that is under an older version under the current one; return how many, and how many do not open.

    Passes are repeated until one finds nothing to move. A batch is unwrapped and wrapped outside the transaction, which then
    takes back nothing that happened meanwhile (``Change.replace_keys``).
    """
    total = 0
    while True:
        kek = masters.current()
        done, unopened, after = 0, 0, _FIRST
        while True:
            with records.view() as view:
                keys = view.older_keys(kek, after=after, limit=batch)
            if not keys:
                break
            after = keys[-1].holder, keys[-1].purpose
            keys = [key for key in keys if not key.kek_id.startswith(ABANDONED)]
            fresh = masters.rewrap(keys, new=kek)
            pairs = [(old, new) for old, new in zip(keys, fresh, strict=True) if new is not None]
            unopened += len(keys) - len(pairs)
            if pairs:
                with records.change(by=by) as change:
                    count = change.replace_keys(pairs)
                    _take_back_retirement(change, {(old.kek_id, old.kek_version) for old, _ in pairs})
                    change.note("keys_rewrapped", subject=epoch_id(kek.kek_id, kek.kek_version), keys=count)
                done += count
                if moved is not None:
                    moved(count)
        total += done
        if not done:
            return total, unopened


def retire_epochs(*, by: Actor = HOUSE, records: Records, masters: MasterKeys) -> list[str]:
    """Mark every earlier epoch that no row names any more; from now on its backups grow old. Returns their ids."""
    current = masters.current()
    with records.view() as view:
        if not _unnamed(view, current):
            return []
    retired: list[str] = []
    with suppress(ConflictError), records.change(by=by) as change:
        for epoch in _unnamed(change, current):
            change.epochs.set(epoch.id, retired_at=change.now)
            change.note("epoch_retired", subject=epoch.id)
            retired.append(epoch.id)
        if not retired:
            raise ConflictError("another process was first")
    return retired


def _begun_lately(records: Records, current: KekRef, now: datetime) -> BusyError:
    """Word the refusal: a version that has begun is told with its age, one that is only being made is not known yet."""
    with records.view() as view:
        epoch = view.epochs.first(kek_id=current.kek_id, kek_version=current.kek_version)
    age_s = (now - epoch.began_at).total_seconds() if epoch is not None else _BEGIN_EVERY_S
    if not 0 <= age_s < _BEGIN_EVERY_S:
        return BusyError(
            "another rotation is just beginning",
            next_step=f"Try again in {_BEGIN_EVERY_S:.0f} s; see `consilium key show`.",
        )
    return BusyError(
        f"the last rotation began {age_s:.0f} s ago, with version {current.kek_version}",
        next_step=f"Try again in {ceil(_BEGIN_EVERY_S - age_s)} s.",
    )


def _unknown(view: View | Change, versions: tuple[KekRef, ...]) -> list[KekRef]:
    known = {(kek_id, version) for kek_id, version in view.epochs.pick(("kek_id", "kek_version"))}
    return [kek for kek in versions if (kek.kek_id, kek.kek_version) not in known]


def _unnamed(view: View | Change, current: KekRef) -> list[Epoch]:
    counts = view.keys_by_version()
    return [
        epoch
        for epoch in view.epochs.find(retired_at=None, kek_id=current.kek_id)
        if epoch.kek_version < current.kek_version
        and not counts.get(KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version))
    ]


def _is_cut_short(records: Records, current: KekRef) -> bool:
    """Tell whether an earlier epoch is still named by rows, and was never done with."""
    with records.view() as view:
        counts = view.keys_by_version()
        return any(
            epoch.kek_version < current.kek_version
            and counts.get(KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version))
            for epoch in view.epochs.find(retired_at=None, kek_id=current.kek_id)
        )


def _take_back_retirement(change: Change, versions: set[tuple[str, int]]) -> None:
    """A key that came late was in no count: backups taken since then still need that version."""
    for kek_id, version in versions:
        epoch = change.epochs.first(id=epoch_id(kek_id, version))
        if epoch is not None and epoch.retired_at is not None and epoch.ending_at is None:
            change.epochs.set(epoch.id, retired_at=None)
