"""Epochs that are over are destroyed, and with them what backups of that time hold; what the scheduler does for epochs is here too (E8)."""

from __future__ import annotations

from gateway.domain.epoch import Epoch
from gateway.domain.errors import ConflictError
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.rotate_keys import begin_epoch, know_epochs, retire_epochs, rewrap_keys
from gateway.ports import Change, Clock, Jobs, Records
from storage import KekRef, KeyKeptError, MasterKeys


def destroy_due_epochs(
    *, by: Actor = HOUSE, records: Records, masters: MasterKeys, clock: Clock, backup_days: int
) -> list[Epoch]:
    """Destroy, from the oldest on, each version that was retired ``backup_days`` ago and that no row names; return them.

    (1) In one transaction: no row names it, and from here on none may (``Change.add_key`` looks). (2) The key is destroyed
    for good. (3) The row says so. Killed in between, the next call goes on with (2).
    """
    kek_id, now = masters.current().kek_id, clock.now()
    with records.view() as view:
        epochs = view.epochs.find(kek_id=kek_id, destroyed_at=None, order="kek_version")
    destroyed = []
    for epoch in epochs:
        dies_at = epoch.dies_at(backup_days)
        if dies_at is None or now < dies_at:
            break  # later ones wait for it: some key services can only destroy from the oldest on
        kek = KekRef(kek_id=epoch.kek_id, kek_version=epoch.kek_version)
        try:
            with records.change(by=by) as change:
                _condemn(change, epoch, kek)
            masters.destroy(kek)
        except (ConflictError, KeyKeptError):
            break
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
    rewrap_keys(records=records, masters=masters)
    if epoch is not None and masters.current() == current:
        # Not in the round that began it: another process may still wrap under the version before for a second.
        retire_epochs(records=records, masters=masters)
    destroy_due_epochs(records=records, masters=masters, clock=clock, backup_days=backup_days)


def _condemn(change: Change, epoch: Epoch, kek: KekRef) -> None:
    count = change.keys_by_version().get(kek, 0)
    if count:
        raise ConflictError(
            f"{count} keys are still under version {kek.kek_version}",
            next_step="Run `consilium key rotate`, then look with `consilium key show`.",
        )
    if epoch.ending_at is None:
        change.epochs.set(epoch.id, ending_at=change.now)
    change.note("epoch_ending", subject=epoch.id)
