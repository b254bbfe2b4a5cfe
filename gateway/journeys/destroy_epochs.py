"""Epochs that are over are destroyed, and with them what backups of that time hold; what the scheduler does for epochs is here too (E8)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from gateway.domain.epoch import NOTICE, Epoch, epoch_id
from gateway.domain.errors import ConflictError
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.rotate_keys import begin_epoch, know_epochs, retire_epochs, rewrap_keys
from gateway.ports import Change, Clock, Jobs, Records
from storage import KekRef, MasterKeys

TELL_UNOPENED_EVERY_S = 86_400.0


def destroy_due_epochs(
    *, by: Actor = HOUSE, records: Records, masters: MasterKeys, clock: Clock, backup_days: int
) -> list[Epoch]:
    """Destroy, from the oldest on, each version that was retired ``backup_days`` ago and that no row names; return them.

    (0) A version that was destroyed and is at hand again, from a backup of the keys, is destroyed again. (1) A day before its
    time a version is told to be ending: no row names it, and from here on none may (``Change.add_key`` looks). (2) A day
    later at least, and by another call, the key is destroyed for good, if it is still due: a clock that was a year ahead
    for an hour destroys nothing, and its being put back calls the end off. (3) The row says so. Killed in between, the
    next call goes on with (2).

    Raises
    ------
    KeyKeptError
        The keys' provider does not let go of a version that is due; `consilium doctor` tells of it a day later.
    """
    kek_id, now = masters.current().kek_id, clock.now()
    destroyed = _destroy_returned(by, records, masters)
    _spare(by, records, masters, now, backup_days)
    with records.view() as view:
        epochs = view.epochs.find(kek_id=kek_id, destroyed_at=None, order="kek_version")
    is_waiting = False
    for epoch in epochs:
        if epoch.is_near(now, backup_days=backup_days) and (epoch.ending_at is None or epoch.ending_at > now):
            with (
                suppress(ConflictError),
                records.change(by=by) as change,
            ):  # a key that came late comes along next
                _condemn(change, epoch, backup_days)
            is_waiting = True
            continue
        ready_at = epoch.destroyed_from(backup_days)
        is_ready = epoch.ending_at is not None and ready_at is not None and now >= ready_at
        if is_waiting or not is_ready or _named(records, _kek(epoch)):
            is_waiting = True  # later ones wait for it: some key services can only destroy from the oldest on
            continue
        masters.destroy(_kek(epoch))
        with records.change(by=by) as change:
            change.epochs.set(epoch.id, destroyed_at=change.now)
            change.note("epoch_destroyed", subject=epoch.id)
            destroyed.append(change.epochs.get(epoch.id))
    return destroyed


def keep_epochs(
    *, records: Records, jobs: Jobs, masters: MasterKeys, clock: Clock, epoch_days: int, backup_days: int
) -> None:
    """What is to be done by the clock: finish what was cut short, begin the next epoch in time, destroy what is over."""
    know_epochs(records=records, masters=masters)
    current = masters.current()
    with records.view() as view:
        epoch = view.epochs.first(kek_id=current.kek_id, kek_version=current.kek_version)
    if epoch is not None and epoch.is_over(clock.now(), epoch_days=epoch_days):
        begin_epoch(by=HOUSE, records=records, jobs=jobs, masters=masters, clock=clock)
    _, unopened = rewrap_keys(records=records, masters=masters)
    if unopened and jobs.claim_duty("tell_unopened", now=clock.now(), every_s=TELL_UNOPENED_EVERY_S):
        with records.change(by=HOUSE) as change:
            change.note("keys_unopened", outcome="failed", keys=unopened)
    if epoch is not None and masters.current() == current:
        # Not in the round that began it: another process may still wrap under the version before for a second.
        retire_epochs(records=records, masters=masters)
    destroy_due_epochs(records=records, masters=masters, clock=clock, backup_days=backup_days)


def _destroy_returned(by: Actor, records: Records, masters: MasterKeys) -> list[Epoch]:
    """Destroy what a backup of the keys brought back; one that is current, or that a row names, stays and is told by `doctor`."""
    gone = []
    versions = masters.versions()
    for kek in versions[:-1]:
        with records.view() as view:
            epoch = view.epochs.first(id=epoch_id(kek.kek_id, kek.kek_version))
        if epoch is None or epoch.destroyed_at is None or _named(records, kek):
            break
        masters.destroy(kek)
        with records.change(by=by) as change:
            change.note("epoch_destroyed", subject=epoch.id, outcome="again")
        gone.append(epoch)
    return gone


def _spare(by: Actor, records: Records, masters: MasterKeys, now: datetime, backup_days: int) -> None:
    """Call the end off where it is not due any more, by a clock that was put back or by backups that are kept longer."""
    at_hand = masters.versions()
    with records.view() as view:
        ending = [epoch for epoch in view.epochs.find(destroyed_at=None) if epoch.ending_at is not None]
    for epoch in ending:
        if not epoch.is_near(now, backup_days=backup_days) and _kek(epoch) in at_hand:
            with records.change(by=by) as change:
                change.epochs.set(epoch.id, ending_at=None)
                change.note("epoch_spared", subject=epoch.id)


def _condemn(change: Change, epoch: Epoch, backup_days: int) -> None:
    count = change.keys_by_version().get(_kek(epoch), 0)
    if count:
        raise ConflictError(
            f"{count} keys are still under version {epoch.kek_version}",
            next_step="Run `consilium key rotate`, then look with `consilium key show`.",
        )
    change.epochs.set(epoch.id, ending_at=change.now)
    dies_at = epoch.dies_at(backup_days)
    late = (change.now - (dies_at - NOTICE)).days if dies_at is not None else 0
    change.note("epoch_ending", subject=epoch.id, late_days=late)


def _named(records: Records, kek: KekRef) -> bool:
    with records.view() as view:
        return bool(view.keys_by_version().get(kek))


def _kek(epoch: Epoch) -> KekRef:
    return KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version)
