"""What the house could not do lately, because a part of it is out: as staff see it while it lasts, and never for longer (D13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from gateway.domain.room import Lack
from storage import StoreFullError, tells_of_room

# room: too little of it · failed: the device refused a write · away: the volume is not there, or takes no writes · outage: no answer ·
# denied: the place refuses us · keys: the master keys cannot be used
TroubleKind = Literal["room", "failed", "away", "outage", "denied", "keys"]
STANDS_FOR = timedelta(minutes=10)

KIND_OF_ERROR: dict[str, TroubleKind] = {
    "StoreFullError": "room",
    "StoreLowError": "room",
    "VolumeFailedError": "failed",
    "VolumeAwayError": "away",
    "StoreOutageError": "outage",
    "StoreDeniedError": "denied",
    "KeyServiceError": "keys",
    "KeyUnknownError": "keys",
    "KeyFileError": "keys",
}
"""By the names of errors, as jobs keep them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Refusals of one kind at one door: when they began, and the last one. ``id`` is both names."""

    id: str
    door: str
    kind: TroubleKind
    since: datetime
    last_at: datetime
    ended_at: datetime | None = None

    def stands(self, now: datetime) -> bool:
        """Tell whether it counts: nothing went well at that door since, and the last refusal is not long ago."""
        return self.ended_at is None and now - self.last_at < STANDS_FOR


def trouble_of(error: BaseException) -> TroubleKind | None:
    """Return of which kind of trouble an error tells; None where it says nothing of the service."""
    if isinstance(error, StoreFullError) and not tells_of_room(error):
        return None
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((KIND_OF_ERROR[name] for name in names if name in KIND_OF_ERROR), None)


def trouble_of_lack(lack: Lack) -> TroubleKind:
    """Return of which kind of trouble a gauge tells."""
    told: dict[str, TroubleKind] = {"failed": "failed", "unknown": "away"}
    return told.get(lack.want, "room")
