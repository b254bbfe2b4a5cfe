"""Asking for room before anything is taken in, and telling the audit once when it runs out and once when it is back (D13)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.people import HOUSE
from gateway.ports import Records, RoomGauge
from storage import StoreFullError, StoreLowError, VolumeAwayError, VolumeFailedError, tells_of_room

WELL_FOR_S = 2.0
_REFUSALS = {"low": StoreLowError, "failed": VolumeFailedError, "away": VolumeAwayError}
_EVENTS = {"low": "room_low", "failed": "volume_failed", "away": "volume_away"}
_BACK = {"low": "room_back", "failed": "volume_back", "away": "volume_back"}


@contextmanager
def room_for(wanted_bytes: int = 0, *, room: RoomGauge) -> Iterator[None]:
    """Let something in where there is room for it; what finds none all the same makes the gauge refuse for a moment.

    Parameters
    ----------
    wanted_bytes
        What the sender has announced; 0 where the size is not known before the end.

    Raises
    ------
    StoreLowError
        There is too little room; nothing was read, nothing was kept.
    VolumeFailedError, VolumeAwayError
        A volume is out; likewise.
    """
    refuse_if_low(wanted_bytes, room=room)
    try:
        yield
    except StoreFullError as error:
        if tells_of_room(error):
            room.refused()
        raise


def refuse_if_low(wanted_bytes: int = 0, *, room: RoomGauge) -> None:
    """Raise ``StoreLowError`` where there is too little room for so many bytes more, and what it is where a volume is out."""
    lack = room.lack(wanted_bytes)
    if lack is not None:
        raise _REFUSALS[lack.is_of](str(lack))


def watch_room(*, records: Records, room: RoomGauge) -> None:
    """Tend the ballast and tell of a change; called every second, by one process of each computer.

    The event comes before the mark that it was told: what is killed between the two tells twice, never not at all.
    Room counts as back when it has been there for two seconds, so that a volume at its mark does not fill the trail.
    """
    room.tend()
    lack = room.lack()
    now = lack.is_of if lack else ""
    if now == room.told_of or (lack is None and room.well_s < WELL_FOR_S):
        return
    with records.change(by=HOUSE) as change:
        if lack is None:
            change.note(_BACK[room.told_of])
        else:
            change.note(
                _EVENTS[lack.is_of], subject=lack.place, want=lack.want, free=lack.free, reserve=lack.reserve
            )
    room.tell_of(now)
