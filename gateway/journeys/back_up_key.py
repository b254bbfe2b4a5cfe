"""The master keys' own backup, apart from the data's: made in shares, tried with every set of them, and the passphrase beside (E10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.epoch import epoch_id
from gateway.domain.errors import ConflictError, InvalidError
from gateway.domain.people import Actor
from gateway.journeys.rotate_keys import know_epochs
from gateway.ports import Records
from storage import KeyBackup, KeyBackupError, KeyFile, MasterKeys, every_set, make_backup, open_backup


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What was tried: each set of shares, by the places of its members, and whether it gave the live key."""

    sets: tuple[tuple[int, ...], ...]
    failures: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Whether every set of shares brings the live key back."""
        return not self.failures


def back_up_key(
    *,
    by: Actor,
    records: Records,
    masters: MasterKeys,
    shares: int,
    threshold: int,
    keep: Callable[[KeyBackup], None],
) -> KeyBackup:
    """Make a backup, hand it to ``keep``, which writes it down, and record that there is one of the current epoch."""
    know_epochs(by=by, records=records, masters=masters)
    file = _content(masters)
    try:
        made = make_backup(file, shares=shares, threshold=threshold)
    except ValueError as error:
        raise InvalidError(
            str(error), next_step="Write --shares 3 --threshold 2, or more of each."
        ) from error
    keep(made)
    with records.change(by=by) as change:
        epoch = epoch_id(made.kek_id, made.kek_version)
        change.epochs.set(epoch, backed_up_at=change.now)
        change.note(
            "key_backed_up", subject=epoch, shares=shares, threshold=threshold, fingerprint=made.fingerprint
        )
    return made


def drill_key(
    *, by: Actor, records: Records, masters: MasterKeys, sealed: bytes, shares: Sequence[str]
) -> Drill:
    """Open a backup with each set of shares that should be enough, and compare what is in it with the live key."""
    know_epochs(by=by, records=records, masters=masters)
    live = _content(masters)
    sets = every_set(sealed, shares)
    failures = []
    for chosen in sets:
        told = ", ".join(str(place + 1) for place in chosen)
        try:
            if open_backup(sealed, [shares[place] for place in chosen]) != live:
                failures.append(f"shares {told}: opens, but the live key is another or newer one")
        except KeyBackupError as error:
            failures.append(f"shares {told}: {error.detail}")
    with records.change(by=by) as change:
        epoch = epoch_id(live.kek_id, live.current)
        outcome = "failed" if failures else "ok"
        if not failures:
            change.epochs.set(epoch, drilled_at=change.now)
        change.note("key_drilled", subject=epoch, outcome=outcome, sets=len(sets), failed=len(failures))
    return Drill(sets=tuple(sets), failures=tuple(failures))


def protect_key(
    *, by: Actor, records: Records, masters: MasterKeys, passphrase: Callable[[], bytes] | None
) -> None:
    """Put the key file under a new passphrase, or under none; the event says which, after the file has it."""
    _content(masters)
    masters.protect(passphrase)
    with records.change(by=by) as change:
        change.note("key_protected", outcome="ok" if passphrase else "removed")


def _content(masters: MasterKeys) -> KeyFile:
    content = masters.file_content()
    if content is None:
        raise ConflictError(
            "the master key lies in a key service and never leaves it",
            next_step="Back it up with the service's own means (Vault: snapshots of its storage; a token: its vendor's"
            " backup), and try them.",
        )
    return content
