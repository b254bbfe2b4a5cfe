"""The gauge port over the volumes of one computer: measures each at most twice a second, keeps ballast, decides nothing.

What is too little is said by ``gateway.domain.room``. Object stores on a network have no volume to measure: of them only a
refused write tells, and then nothing is let in for a moment before the next one tries (``refused``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock

import structlog

from gateway.domain.room import Lack, Place, RoomRules, Told, lack_of
from storage import Ballast, Room, StorageError, room_of

LOOK_S = 0.5
HOLD_S = 3.0
BALLAST = "ballast"
_MARKS: dict[bytes, Told] = {b"0": "", b"1": "low", b"2": "failed", b"3": "away"}

log = structlog.get_logger()


class VolumeGauge:
    """Implements ``ports.RoomGauge``; one for each process, asked by many threads.

    Parameters
    ----------
    places
        How to measure each place; None where it has no volume.
    ballasts
        What is given up when a volume is about to fill, by the place that it serves.
    mark
        A file of one byte that says across restarts what was told last. It is written in place, so that this works
        on a full volume.
    """

    def __init__(
        self,
        places: Mapping[Place, Callable[[], Room | None]],
        *,
        rules: RoomRules,
        ballasts: Mapping[Place, Ballast],
        mark: Path,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._rules, self._ballasts, self._mark = places, rules, ballasts, mark
        self._monotonic = monotonic
        self._looking = Lock()
        self._looked_at = self._well_since = self._refused_until = float("-inf")
        self._standing: Lack | None = None
        self._rooms: dict[Place, Room] = {}
        self._was_told: Told | None = None

    def lack(self, wanted_bytes: int = 0) -> Lack | None:
        now = self._monotonic()
        if now - self._looked_at >= LOOK_S and self._looking.acquire(blocking=False):
            try:
                self._look(now)
            finally:
                self._looking.release()
        if now < self._refused_until:
            return Lack(place="objects", want="refused")
        if self._standing is not None or not wanted_bytes:
            return self._standing
        room = self._rooms.get("objects")
        return self._judge("objects", room, wanted_bytes=wanted_bytes) if room else None

    def refused(self) -> None:
        self._refused_until = self._monotonic() + HOLD_S
        self._well_since = self._refused_until

    def tend(self) -> None:
        """Make each ballast again where its volume stays above the reserve with it."""
        for place, ballast in self._ballasts.items():
            room = self._rooms.get(place)
            if room is None or ballast.is_whole or self._standing is not None:
                continue
            missing = ballast.size_bytes - ballast.held_bytes
            if lack_of(place, room, self._rules, wanted_bytes=2 * missing) is None and ballast.make():
                log.info("ballast_made", place=place, bytes=ballast.size_bytes)

    def give_up_ballast(self) -> None:
        """Called where a write of the records or of the witness found no room: the next one shall find some."""
        for place, ballast in self._ballasts.items():
            if freed := ballast.give_up():
                log.error("ballast_given_up", place=place, bytes=freed)
        self.refused()

    @property
    def ballasts(self) -> Sequence[Ballast]:
        """Return every ballast, for ``consilium doctor``."""
        return list(self._ballasts.values())

    @property
    def told_of(self) -> Told:
        if self._was_told is None:
            try:
                self._was_told = _MARKS.get(self._mark.read_bytes(), "")
            except OSError:
                self._was_told = ""
                self._write_mark(b"0")  # takes its block while there is room
        return self._was_told

    def tell_of(self, told: Told) -> None:
        self._was_told = told
        self._write_mark(next(mark for mark, one in _MARKS.items() if one == told))

    @property
    def well_s(self) -> float:
        return self._monotonic() - self._well_since if self._standing is None else 0.0

    def told(self) -> Sequence[tuple[Place, Room | None, int, Lack | None]]:
        """Return for each place its room, its reserve and what it lacks, measured now: for ``consilium doctor``."""
        found: list[tuple[Place, Room | None, int, Lack | None]] = []
        for place in self._places:
            room, lack = self._measure(place)
            found.append((place, room, self._rules.reserve_bytes(room.total_bytes) if room else 0, lack))
        return found

    def _look(self, now: float) -> None:
        standing: Lack | None = None
        for place in self._places:
            room, lack = self._measure(place)
            if room is not None:
                self._rooms[place] = room
                self._spare(place, room)
            standing = standing or lack
        if standing is None and self._standing is not None:
            self._well_since = max(now, self._refused_until)
        self._standing, self._looked_at = standing, now

    def _measure(self, place: Place) -> tuple[Room | None, Lack | None]:
        try:
            room = self._places[place]()
        except (OSError, StorageError):
            return None, Lack(place=place, want="unknown")
        return room, self._judge(place, room) if room else None

    def _judge(self, place: Place, room: Room, *, wanted_bytes: int = 0) -> Lack | None:
        """Judge a volume as if its ballast were whole: what was given up is for what must be written, not for intake."""
        ballast = self._ballasts.get(place)
        owed = max(0, ballast.size_bytes - ballast.held_bytes) if ballast else 0
        return lack_of(
            place,
            replace(room, free_bytes=max(0, room.free_bytes - owed)),
            self._rules,
            wanted_bytes=wanted_bytes,
        )

    def _spare(self, place: Place, room: Room) -> None:
        """Give the ballast up before a write fails, where so little is left that the next one may."""
        ballast = self._ballasts.get(place)
        if ballast is not None and room.free_bytes < ballast.size_bytes // 4 and (freed := ballast.give_up()):
            log.error("ballast_given_up", place=place, bytes=freed)

    def _write_mark(self, said: bytes) -> None:
        try:
            fd = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, said, 0)
            finally:
                os.close(fd)
        except OSError as error:  # told again after a restart, at worst
            log.warning("room_mark_not_written", error=error.strerror)


def volume_gauge(
    *,
    objects: Callable[[], Room | None],
    records: str,
    witness: str,
    rules: RoomRules,
    ballast: Callable[[int], int] | None,
    mark: Path,
) -> VolumeGauge:
    """Return a gauge over what one house writes to, with one ballast on each volume of the records and the witness.

    Parameters
    ----------
    records, witness
        As their adapters are named; a server looks after its own room, so only files are measured.
    ballast
        How large it is on a volume of so many bytes; None where there is none.
    """
    folders: dict[Place, Path] = {}
    if records.startswith("sqlite:///"):
        folders["records"] = Path(records.removeprefix("sqlite:///")).parent
    if witness.startswith("/"):
        folders["witness"] = Path(witness).parent
    places: dict[Place, Callable[[], Room | None]] = {"objects": objects}
    ballasts: dict[Place, Ballast] = {}
    devices: set[int] = set()
    for place, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        places[place] = partial(room_of, folder)
        device = folder.stat().st_dev
        if ballast is not None and device not in devices:
            ballasts[place] = Ballast(folder / BALLAST, ballast(room_of(folder).total_bytes))
        devices.add(device)
    return VolumeGauge(places, rules=rules, ballasts=ballasts, mark=mark)
