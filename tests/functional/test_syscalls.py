"""A fault at every system call of the intake: killed, EIO or ENOSPC at each, through the real doors; nothing acknowledged is lost.

Scoreboard #8 and #10; D1, D2, D3, D4. Each point has a fresh home, a house in a process of its own under strace, and
senders outside that remember what they were answered. Afterwards the house is started anew, takes what is left, and every
row and object is read. ``CONSILIUM_SYSCALL_POINTS`` is how many points are tried (12 kills and 6 of each error; ``make crash`` tries all).
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import factories
from tests.fakes.strace_house import LiveHouse, copy_home, prepare
from tests.fakes.strace_oracle import Oracle
from tests.fakes.strace_report import report
from tests.fakes.strace_tracer import ERROR_CALLS, FILE_CALLS, KILL_CALLS, ROOM_CALLS, TELLING_CALLS, Tracer

POINTS = os.environ.get("CONSILIUM_SYSCALL_POINTS", "12")
SEED = int(os.environ.get("CONSILIUM_CRASH_SEED", "2026"))
FRESH_S = 400.0  # a patient's session ends after a quarter of an hour
RULES = {"ballast": "false", "room_bytes": "0"}
LANES = ("store", "stow", "upload")

pytestmark = [
    pytest.mark.functional,
    pytest.mark.timeout(7200 if POINTS == "all" else 200 + 10 * int(POINTS)),
]


@dataclass(frozen=True, slots=True)
class Point:
    """One fault: in which lane, at which call, the how-many-eth of a thread."""

    lane: str
    call: str
    when: int


@dataclass
class Arena:
    """Homes to break. Each is a copy of one that has a peer, a case and a signed-in patient."""

    folder: Path
    number: int = 0
    made_at: float = float("-inf")
    told: dict[str, str] = field(default_factory=dict)

    def home(self) -> Path:
        if time.monotonic() - self.made_at > FRESH_S:
            shutil.rmtree(self.folder / "template", ignore_errors=True)
            self.told = prepare(self.folder / "template", **RULES)
            self.made_at = time.monotonic()
        self.number += 1
        return copy_home(self.folder / "template", self.folder / f"home{self.number}")

    def sender(self, lane: str, *, one_by_one: bool = True) -> Oracle:
        contents = factories.ct_instances(3, 11)
        return Oracle(
            token=self.told["token"],
            session=self.told["session"],
            instances=contents if lane == "store" else [],
            stowed=contents if lane == "stow" else [],
            document=bytes(range(256)) * 130 if lane == "upload" else b"",
            timeout_s=8.0,
            one_by_one=one_by_one,
        )


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("arena"))


@pytest.fixture(scope="module")
def reach(arena):
    """How often each call is made in each lane: found by counting, so that a new call of the code is a new point."""
    found: dict[str, dict[str, int]] = {}
    for lane in LANES:
        home, sender = arena.home(), arena.sender(lane, one_by_one=False)
        with LiveHouse(home, **RULES) as house:
            with Tracer(house.pid, home.parent / "count", calls=(*FILE_CALLS, *TELLING_CALLS)) as tracer:
                sender.everything(house)
            assert sender.is_done, sender.answers
            assert not sender.violations(house.ask("facts"))
        found[lane] = tracer.most_by_thread()
        shutil.rmtree(home)
    print({lane: sum(calls.values()) for lane, calls in found.items()}, file=sys.stderr)
    assert found["store"]["fsync"] >= 6
    assert all(found[lane].get("fdatasync", 0) or found[lane]["fsync"] for lane in LANES)
    return found


def points_of(reach, calls, salt):
    every = [
        Point(lane, call, when)
        for lane in LANES
        for call in calls
        for when in range(1, reach[lane].get(call, 0) + 1)
    ]
    if POINTS == "all":
        return every
    rng = random.Random(f"{SEED}{salt}")
    mixed = rng.sample(every, len(every))
    first: dict[tuple[str, str], Point] = {}
    for point in mixed:  # each call of each lane before any call twice
        first.setdefault((point.lane, point.call), point)
    wanted = int(POINTS) if salt == "KILL" else int(POINTS) // 2
    return (
        rng.sample([*first.values()], min(wanted, len(first)))
        + [point for point in mixed if point not in first.values()][: max(0, wanted - len(first))]
    )


def test_killed_at_every_call_of_the_intake(arena, reach):
    tally: Counter[str] = Counter()
    points = points_of(reach, KILL_CALLS, "KILL")
    broken = []
    for number, point in enumerate(points, start=1):
        home, sender = arena.home(), arena.sender(point.lane, one_by_one=False)
        with LiveHouse(home, **RULES) as house:
            inject = f"{point.call}:signal=KILL:when={point.when}"
            with Tracer(house.pid, arena.folder / "trace", inject=inject):
                sender.everything(house)
            # Threads differ from run to run: at its end a row may be a call shorter than it was counted.
            tally["killed" if is_gone(house) else "the fault did not come"] += 1
            house.kill()
        tally["answered before the kill"] += sum(answer is not None for answer in sender.answers)
        broken += [f"{point}: {what}" for what in after(home, sender, tally)]
        progress("killed", number, len(points), broken)
    assert not broken, "\n".join(broken)
    assert tally["killed"] >= len(points) / 2, tally
    report("killed", points=len(points), violations=len(broken), **tally)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_every_failing_call_is_answered_as_a_failure_and_nothing_is_lost(arena, reach, error):
    tally: Counter[str] = Counter()
    points = points_of(reach, ERROR_CALLS if error == "EIO" else ROOM_CALLS, error)
    broken = []
    for number, point in enumerate(points, start=1):
        home, sender = arena.home(), arena.sender(point.lane)
        with LiveHouse(home, **RULES) as house:
            inject = f"{point.call}:error={error}:when={point.when}"
            with Tracer(house.pid, arena.folder / "trace", inject=inject) as tracer:
                sender.everything(house)
            what = judge(sender, tracer)
            tally[what] += 1
            tally["answers"] += len(sender.answers)
            if what != "the fault did not come":
                heals = heal(sender, house)
                tally["heals in place" if heals else "refuses until restarted"] += 1
                if error == "ENOSPC" and not heals and not is_name_flush(tracer):
                    broken.append(f"{point}: did not heal: {sender.answers} {sender.comments}")
            if what in {"no answer", "acknowledged over a failed call"}:
                broken.append(f"{point}: {what}: {sender.answers}")
            if (
                retried := tracer.flushed_after_fault("/objects/")
                if point.call == "fsync" and error == "EIO"
                else []
            ):
                broken.append(f"{point}: flushed again after a failed flush: {retried[0]}")
            facts = house.ask("facts") if house.is_alive else None
            broken += [
                f"{point}, before the restart: {w}"
                for w in (sender.violations(facts) if facts else ["died"])
                if "draft" not in w
            ]
            house.kill()
        broken += [f"{point}: {what}" for what in after(home, sender, tally)]
        progress(error, number, len(points), broken)
    assert not broken, "\n".join(broken)
    assert tally["answered as a failure"] >= max(1, len(points) // 5), tally
    report(error, points=len(points), violations=len(broken), **tally)


def is_gone(house):
    """Whether the fault killed it; the kernel may need a moment."""
    until = time.monotonic() + 0.3
    while house.is_alive and time.monotonic() < until:
        time.sleep(0.01)
    return not house.is_alive


def judge(sender, tracer):
    """Name what a fault came to. A sender that was not told of success sends again, so only silence is bad."""
    if not tracer.is_hit:
        return "the fault did not come"
    if None in sender.answers:
        return "no answer"
    if sender.is_done and any(map(is_of_publishing, tracer.lines)):
        return "acknowledged over a failed call"
    return "absorbed, everything kept" if sender.is_done else "answered as a failure"


def heal(sender, house):
    """Send what is left; a gauge that saw a full disk holds back for three seconds."""
    until = time.monotonic() + 4.5
    while not sender.is_done and time.monotonic() < until:
        sender.everything(house)
        if not sender.is_done:
            time.sleep(0.5)
        if any("operator is needed" in comment for comment in sender.comments):
            break
    return sender.is_done


def is_of_publishing(line):
    """Whether a fault hit what makes an object durable: an error there must never be taken for success (D2)."""
    call = line.partition("(")[0].split()[-1]
    is_publishing = "/objects/" in line and call in {"write", "fsync", "linkat"}
    return "(INJECTED)" in line and is_publishing


def is_name_flush(tracer):
    """A name whose flush failed is final even for lack of room: what the directory holds is not known (D2)."""
    return any("(INJECTED)" in line and "/objects/" in line and "fsync(" in line for line in tracer.lines)


def after(home, sender, tally):
    """Start again, let the senders finish, and read everything."""
    with LiveHouse(home, **RULES) as house:
        before = house.ask("facts")
        found = sender.violations(before)
        tally["orphans"] += before["orphans"]
        sender.everything(house)
        if not sender.is_done:
            found.append(f"what was left is not taken after a restart: {sender.answers[-4:]}")
        found += sender.violations(house.ask("facts"))
        house.kill()  # quicker than a farewell, and one kill more
    shutil.rmtree(home)
    return found


def progress(what, number, count, broken):
    if (POINTS == "all" and sys.stderr.isatty()) or number in {count, count // 2}:
        print(f"{what}: {number} of {count} points, {len(broken)} violations", file=sys.stderr, flush=True)
