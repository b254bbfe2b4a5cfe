"""An epoch: the time of one version of the master key, from its first key to its destruction, with which old backups die (E8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.errors import UnavailableError

# A version is told to be ending for a day before it is destroyed: one wrong step of the clock destroys nothing.
NOTICE = timedelta(days=1)
# Stands before a master key's id in a row whose wrapped key was given up: it is under no version any more.
ABANDONED = "abandoned:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One version of one master key. It goes back only where a key came late, or where a wrong clock was put right.

    Attributes
    ----------
    retired_at
        Since when no row names it: what still does are backups from before.
    ending_at
        From here on no row may name it any more; a day later, if it is still due, it is destroyed.
    backed_up_at, drilled_at
        When a backup of the keys last held this version, and when one was last tried.
    probe
        What only this version's secret opens: an equal number with another secret is seen by it.
    """

    id: str
    kek_id: str
    kek_version: int
    began_at: datetime
    retired_at: datetime | None = None
    ending_at: datetime | None = None
    destroyed_at: datetime | None = None
    backed_up_at: datetime | None = None
    drilled_at: datetime | None = None
    probe: bytes | None = None

    @property
    def state(self) -> str:
        """Return current or earlier, retired, ending or destroyed, as an operator reads it."""
        if self.destroyed_at is not None:
            return "destroyed"
        if self.ending_at is not None:
            return "ending"
        return "retired" if self.retired_at is not None else "in use"

    def dies_at(self, backup_days: int) -> datetime | None:
        """Return when it is to be destroyed: when the newest backup that needs it is ``backup_days`` old."""
        return None if self.retired_at is None else self.retired_at + timedelta(days=backup_days)

    def destroyed_from(self, backup_days: int) -> datetime | None:
        """Return when it can be destroyed: when it is to be, and a day after it was found to be ending."""
        dies_at = self.dies_at(backup_days)
        if dies_at is None or self.ending_at is None:
            return dies_at
        return max(dies_at, self.ending_at + NOTICE)

    def is_near(self, now: datetime, *, backup_days: int) -> bool:
        """Tell whether it is to be destroyed within the day of notice, or should have been."""
        dies_at = self.dies_at(backup_days)
        return dies_at is not None and now >= dies_at - NOTICE

    def is_over(self, now: datetime, *, epoch_days: int) -> bool:
        """Tell whether a new epoch should begin; with 0 days none ever does by itself."""
        return epoch_days > 0 and now >= self.began_at + timedelta(days=epoch_days)


class OtherKeysError(UnavailableError):
    """The master keys at hand are not those that the records know."""

    next_step = "Bring back the newest key file or the newest key backup; make no new version."


def epoch_id(kek_id: str, kek_version: int) -> str:
    """Return the id under which rows and events name an epoch."""
    return f"{kek_id}/{kek_version}"
