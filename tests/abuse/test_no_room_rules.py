"""What counts as too little room, who finds it out and at what cost; the clock and the volumes are the test's own here (D13)."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.adapters.room_gauge import HOLD_S, LOOK_S, VolumeGauge
from gateway.domain.room import GIB, MIB, Lack, RoomRules, ballast_bytes, lack_of
from gateway.journeys.check_room import refuse_if_low, room_for
from gateway.journeys.refuse_instance import REFUSALS, refusal_of
from gateway.settings import Settings
from storage import Ballast, Room, StoreFullError, StoreLowError, VolumeAwayError, VolumeFailedError

pytestmark = pytest.mark.abuse

TB = 10**12


def room(free, total=1 << 40, files=0, free_files=0):
    return Room(total_bytes=total, free_bytes=free, total_files=files, free_files=free_files)


@pytest.mark.parametrize(
    ("mode", "total", "reserve"),
    [
        ("production", 100 * TB, 32 * GIB),  # not ten terabytes
        ("production", 200 * GIB, 20 * GIB),
        ("production", 5 * GIB, GIB // 2),
        ("trial", 250 * GIB, 256 * MIB),  # a developer's disk at 98 % still works
        ("trial", 64 * MIB, 16 * MIB),
    ],
)
def test_reserve_is_in_proportion_but_never_silly(mode, total, reserve):
    rules = Settings(mode=mode).room_rules()
    assert rules.reserve_bytes(total) == pytest.approx(reserve, rel=0.001)


def test_operators_own_figures_win():
    rules = Settings(mode="trial", room_percent=50, room_bytes=GIB, room_most_bytes=40 * GIB).room_rules()
    assert [rules.reserve_bytes(total) for total in (10 * GIB, 60 * GIB, 200 * GIB)] == [
        5 * GIB,
        30 * GIB,
        40 * GIB,
    ]
    assert Settings(room_bytes=2 * GIB).room_rules().reserve_bytes(TB) == 2 * GIB


def test_each_lack_is_found_at_its_very_edge():
    rules = RoomRules(percent=90, least_bytes=MIB, most_bytes=GIB)
    assert lack_of("objects", room(GIB), rules) is None
    assert lack_of("objects", room(GIB - 1), rules).want == "bytes"
    assert lack_of("objects", room(GIB + 5), rules, wanted_bytes=5) is None
    assert lack_of("objects", room(GIB + 5), rules, wanted_bytes=6).want == "declared"
    assert lack_of("objects", room(GIB, files=10_000, free_files=100), rules) is None
    assert lack_of("objects", room(GIB, files=10_000, free_files=99), rules).want == "files"
    assert lack_of("objects", room(GIB, files=0, free_files=0), rules) is None  # btrfs counts none


class Volumes:
    """Volumes by hand: how they are is said, how often they were asked is counted."""

    def __init__(self, tmp_path, **places):
        self.places, self.asked, self.at = places, 0, 0.0
        self.gauge = VolumeGauge(
            {place: lambda place=place: self._measure(place) for place in places},
            rules=RoomRules(percent=100, least_bytes=MIB),
            ballasts={},
            mark=tmp_path / "mark",
            monotonic=lambda: self.at,
        )

    def _measure(self, place):
        self.asked += 1
        found = self.places[place]
        if isinstance(found, Exception):
            raise found
        return found


def test_thousand_instances_a_second_cost_two_looks(tmp_path):
    volumes = Volumes(tmp_path, objects=room(GIB))
    for number in range(1000):
        volumes.at = number / 1000
        assert volumes.gauge.lack() is None
    assert volumes.asked == 2


@pytest.mark.parametrize("place", ["objects", "records", "witness"])
def test_any_of_the_volumes_is_enough_and_it_heals_with_the_next_look(tmp_path, place):
    volumes = Volumes(tmp_path, objects=room(GIB), records=room(GIB), witness=room(GIB))
    volumes.places[place] = room(MIB - 1)
    assert volumes.gauge.lack().place == place
    volumes.places[place] = room(GIB)
    assert volumes.gauge.lack() is not None
    volumes.at += LOOK_S
    assert volumes.gauge.lack() is None


def test_volume_that_is_gone_takes_nothing(tmp_path):
    volumes = Volumes(tmp_path, objects=FileNotFoundError(), records=room(GIB))
    assert volumes.gauge.lack() == Lack(place="objects", want="unknown")


def test_place_without_a_volume_is_known_by_its_refusals_only(tmp_path):
    """S3, and a quota that statvfs does not tell of: after a refusal nothing is let in for a moment, then one may try."""
    volumes = Volumes(tmp_path, objects=None, records=room(GIB))
    assert volumes.gauge.lack(wanted_bytes=1 << 50) is None
    with pytest.raises(StoreFullError), room_for(room=volumes.gauge):
        raise StoreFullError("XMinioStorageFull")
    with pytest.raises(StoreLowError), room_for(room=volumes.gauge):
        pytest.fail("somebody was let in")
    volumes.at += HOLD_S
    with room_for(room=volumes.gauge):
        pass


@pytest.mark.parametrize(
    ("number", "is_room"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EMFILE, False),
        (errno.ENFILE, False),
        (errno.ENOMEM, False),
    ],
)
def test_want_of_handles_shuts_nobody_else_out(tmp_path, number, is_room):
    volumes = Volumes(tmp_path, objects=room(GIB))
    with pytest.raises(StoreFullError), room_for(room=volumes.gauge):
        raise StoreFullError from OSError(number, "x")
    assert (volumes.gauge.lack() is not None) == is_room


def test_engineers_at_the_other_end_are_told_room_and_not_damage():
    told = refusal_of(StoreLowError("a path of ours"))
    assert told.status == 0xA700
    assert told.comment == next(why for kind, _, why in REFUSALS if kind is StoreLowError)
    assert "room" in told.comment
    assert "path" not in told.comment


def test_ballast_is_bounded_and_takes_real_blocks(tmp_path: Path):
    assert ballast_bytes(100 * TB, is_trial=False) == GIB
    assert ballast_bytes(50 * GIB, is_trial=False) == pytest.approx(GIB // 2, rel=0.001)
    assert ballast_bytes(GIB, is_trial=False) == 16 * MIB
    assert ballast_bytes(TB, is_trial=True) == 16 * MIB
    assert ballast_bytes(32 * MIB, is_trial=False) == 4 * MIB
    ballast = Ballast(tmp_path / "ballast", 2 * MIB)
    assert not ballast.is_whole
    assert ballast.make()
    assert ballast.is_whole
    assert ballast.path.stat().st_mode & 0o077 == 0
    assert ballast.give_up() == 2 * MIB
    assert ballast.held_bytes == 0
    assert ballast.give_up() == 0


def test_room_that_a_ballast_gave_back_is_not_for_intake(tmp_path: Path):
    """It is for the audit. Intake waits until the ballast could be made again, and the trail tells that once."""
    ballast = Ballast(tmp_path / "ballast", 16 * MIB)
    assert ballast.make()
    volumes = Volumes(tmp_path, objects=room(GIB), records=room(20 * MIB))
    volumes.gauge._ballasts["records"] = ballast
    assert volumes.gauge.lack() is None
    volumes.places["records"] = room(0)
    volumes.at += LOOK_S
    assert volumes.gauge.lack().place == "records"
    assert ballast.held_bytes == 0
    for free, has_room in ((16 * MIB, False), (17 * MIB - 1, False), (17 * MIB, True)):
        volumes.places["records"] = room(free)
        volumes.at += LOOK_S
        assert (volumes.gauge.lack() is None) == has_room
    volumes.places["records"] = room(33 * MIB)
    volumes.at += LOOK_S
    volumes.gauge.lack()
    volumes.gauge.tend()
    assert ballast.is_whole


@pytest.mark.parametrize(
    ("found", "want", "refusal"),
    [
        (room(MIB - 1), "bytes", StoreLowError),
        (VolumeAwayError("x"), "unknown", VolumeAwayError),
        (OSError(errno.EIO, "x"), "unknown", VolumeAwayError),
        (replace(room(GIB), failure="fsync: EIO"), "failed", VolumeFailedError),
        (replace(room(MIB - 1), failure="fsync: EIO"), "bytes", StoreLowError),
    ],
)
def test_a_sender_is_told_room_only_where_it_is_room(tmp_path, found, want, refusal):
    volumes = Volumes(tmp_path, objects=found, records=room(GIB))
    assert volumes.gauge.lack().want == want
    with pytest.raises(refusal) as told:
        refuse_if_low(1, room=volumes.gauge)
    assert type(told.value) is refusal
