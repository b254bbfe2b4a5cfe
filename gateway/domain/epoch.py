"""An epoch: the time of one version of the master key, from its first key to its destruction, with which old backups die (E8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One version of one master key. It never goes back, except that a key which came late takes retirement away.

    Attributes
    ----------
    retired_at
        Since when no row names it: what still does are backups from before.
    ending_at
        From here on no row may name it any more, and it is being destroyed.
    backed_up_at, drilled_at
        When a backup of the keys last held this version, and when one was last tried.
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

    def is_over(self, now: datetime, *, epoch_days: int) -> bool:
        """Tell whether a new epoch should begin; with 0 days none ever does by itself."""
        return epoch_days > 0 and now >= self.began_at + timedelta(days=epoch_days)


def epoch_id(kek_id: str, kek_version: int) -> str:
    """Return the id under which rows and events name an epoch."""
    return f"{kek_id}/{kek_version}"
