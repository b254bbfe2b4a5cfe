"""How much room is kept free, and when there is too little to take anything in (D13); nothing is measured here.

The reserve is what people need who go on while senders wait: releases, answers, the audit, and what is under way already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage import Room

MIB, GIB = 1 << 20, 1 << 30
FEWEST_FILES, MOST_FILES = 64, 10_000

Place = Literal["objects", "records", "witness"]
Want = Literal["bytes", "files", "declared", "refused", "failed", "unknown"]
# What the trail was told last: nothing that lasts, too little room, a volume that failed, a volume that is not there.
Told = Literal["", "low", "failed", "away"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRules:
    """What stays free of each volume (docs/decisions/0051).

    Attributes
    ----------
    percent
        Fuller than this is low; 100 leaves it to ``least_bytes`` alone.
    least_bytes
        Less free than this is low, whatever the percentage says; of a volume under four times as large, a quarter.
    most_bytes
        More than this is never kept free: a tenth of 100 TB would lie idle.
    """

    percent: int = 90
    least_bytes: int = 256 * MIB
    most_bytes: int = 32 * GIB

    def reserve_bytes(self, total_bytes: int) -> int:
        """Return how many bytes of a volume of that size stay free."""
        share = total_bytes * (100 - self.percent) // 100
        return min(
            max(share, min(self.least_bytes, total_bytes // 4)), max(self.most_bytes, self.least_bytes)
        )

    @staticmethod
    def reserve_files(total_files: int) -> int:
        """Return how many more files it must be possible to make; 0 where they are not counted."""
        return min(max(total_files // 100, FEWEST_FILES), MOST_FILES) if total_files else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Why nothing is taken in just now: of what there is too little, where, and how much there is and has to be."""

    place: Place
    want: Want
    free: int = 0
    reserve: int = 0

    @property
    def is_of(self) -> Told:
        """Return what the trail is told of it."""
        return "failed" if self.want == "failed" else "away" if self.want == "unknown" else "low"

    def __str__(self) -> str:
        if self.want == "files":
            return (
                f"the volume of the {self.place} takes {self.free} more files, {self.reserve} are kept back"
            )
        if self.want == "refused":
            return f"the place of the {self.place} refused a write for lack of room"
        if self.want == "failed":
            return f"the volume of the {self.place} refused a write that must not be tried again"
        if self.want == "unknown":
            return f"the volume of the {self.place} is not there, or takes no writes"
        told = f"the volume of the {self.place} has {self.free >> 20} MiB free, {self.reserve >> 20} are kept back"
        return f"what was announced does not fit: {told}" if self.want == "declared" else told


def lack_of(place: Place, room: Room, rules: RoomRules, *, wanted_bytes: int = 0) -> Lack | None:
    """Judge one volume; with ``wanted_bytes``, as it would be when these had come too."""
    reserve = rules.reserve_bytes(room.total_bytes)
    if room.free_bytes < reserve:
        return Lack(place=place, want="bytes", free=room.free_bytes, reserve=reserve)
    files = rules.reserve_files(room.total_files)
    if room.free_files < files:
        return Lack(place=place, want="files", free=room.free_files, reserve=files)
    if wanted_bytes and room.free_bytes - wanted_bytes < reserve:
        return Lack(place=place, want="declared", free=room.free_bytes, reserve=reserve)
    if room.failure:
        return Lack(place=place, want="failed")
    return None


def ballast_bytes(total_bytes: int, *, is_trial: bool) -> int:
    """Return how large the ballast of a volume is: 1 %, from 16 MiB to 1 GiB; in a trial 16 MiB, and never over an eighth."""
    share = 16 * MIB if is_trial else min(max(total_bytes // 100, 16 * MIB), GIB)
    return min(share, total_bytes // 8) & -4096


class EndlessRoom:
    """A gauge that always finds room: for a house that keeps nothing on a volume, as in tests."""

    told_of: Told = ""
    well_s = float("inf")

    def lack(self, wanted_bytes: int = 0) -> Lack | None:
        """Find none."""

    def refused(self) -> None:
        """Nothing was."""

    def tend(self) -> None:
        """Nothing is tended."""

    def tell_of(self, told: Told) -> None:
        """Nothing is told."""
