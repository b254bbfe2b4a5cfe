"""The parent of one home's processes: starts, watches, restarts and stops them, and does none of their work.

It has a single thread on purpose: a child's life is bound to the thread that forked it (PR_SET_PDEATHSIG, prctl(2)),
so children die with this process even when it is killed, and no lock can be held while it forks.

A child says that it answers by ``announce_ready``: one datagram to the socket that ``CONSILIUM_READY`` names.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.adapters.datagram import Mailslot
from gateway.cli.part import READY_VARIABLE, Part, announce_ready
from gateway.domain.errors import BusyError

__all__ = ["HomeBusyError", "announce_ready", "print_ready", "refuse_busy", "run_tree", "running_parts"]

# Who stops first: the doors, so that nothing new comes in while the worker finishes what it holds.
STOP_ORDER: Final = (frozenset({"web", "dicom"}), frozenset({"worker"}), frozenset({"scheduler"}))
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 10.0
HEALTHY_AFTER_S: Final = 60.0
START_TRIES: Final = 5
USAGE_EXIT: Final = 2


class HomeBusyError(BusyError):
    """Another exchange is running on this home."""

    next_step = "Stop it first, or give this one a home of its own with --home."


def running_parts(home: Path) -> dict[str, object]:
    """What the supervisor of this home last wrote about itself; empty when none runs."""
    try:
        if not _is_locked(home / "run" / "lock"):
            return {}
        status: dict[str, object] = json.loads((home / "run" / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return status


def refuse_busy(home: Path) -> None:
    """Say it early and by its name; what counts is the lock that ``run_tree`` takes."""
    with contextlib.suppress(FileNotFoundError):
        if _is_locked(home / "run" / "lock"):
            raise _busy(home, (home / "run" / "lock").read_text(encoding="ascii", errors="replace"))


def _busy(home: Path, holder: str) -> HomeBusyError:
    return HomeBusyError(
        f"Another exchange (process {holder[:20].strip() or 'unknown'}) is running on the home {home}."
    )


def print_ready(addresses: Mapping[str, str]) -> None:
    """Print the one line that scripts wait for."""
    told = " ".join(f"{name}={detail}" for name, detail in addresses.items() if detail)
    with contextlib.suppress(BrokenPipeError):  # whoever asked may have gone
        sys.stdout.write(f"ready {told}".rstrip() + "\n")
        sys.stdout.flush()


def run_tree(
    commands: Mapping[str, Sequence[str]],
    *,
    home: Path,
    ready: Callable[[], bool] = lambda: True,
    on_ready: Callable[[Mapping[str, str]], None] = print_ready,
    grace_s: float = 25.0,
) -> int:
    """Keep ``commands`` running until SIGTERM or SIGINT; return the exit code of the whole.

    ``on_ready`` is called once, with every part's address, when all have announced themselves and ``ready()``
    agrees. A part that refuses its settings (exit code 2), or that dies five times before it ever answered,
    ends the tree with code 1: what is wrong is for a person to mend. Raises ``HomeBusyError``.
    """
    with _only_one(home), Mailslot(home / "run" / "ready.sock") as slot:
        tree = _Tree(commands, home=home, slot=slot, ready=ready, on_ready=on_ready, grace_s=grace_s)
        return tree.run()


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock. It goes with the process, however that ends."""
    run = home / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (run / "lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise _busy(home, lock.read(20)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _is_locked(path: Path) -> bool:
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class _Tree:
    """The parts of one home while they run."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        home: Path,
        slot: Mailslot,
        ready: Callable[[], bool],
        on_ready: Callable[[Mapping[str, str]], None],
        grace_s: float,
    ) -> None:
        self._parts = {name: Part(name=name, argv=list(argv)) for name, argv in commands.items()}
        self._home = home
        self._slot = slot
        self._ready = ready
        self._on_ready = on_ready
        self._grace_s = grace_s
        self._state = "starting"
        self._since = datetime.now(UTC)
        self._stop_signals = 0
        self._exit_code = 0
        self._environment = os.environ | {READY_VARIABLE: str(slot.path), "CONSILIUM_HOME": str(home)}
        self._service_manager = os.environ.get("NOTIFY_SOCKET", "")
        self._next_sign_of_life = 0.0
        self._environment.pop("NOTIFY_SOCKET", None)  # only this process speaks for the service

    def run(self) -> int:
        with self._signals() as wake:
            try:
                while not self._stop_signals:
                    self._start_due()
                    self._attend(wake, self._seconds_to_next_start())
                    self._bury()
                    self._tell_when_ready()
            finally:
                self._stop(wake)
        return self._exit_code

    # -- the life of one part ------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for part in self._parts.values():
            if not part.alive and part.start_at <= now:
                part.start(self._environment)
                self._write_status()

    def _bury(self) -> None:
        """Take note of parts that ended, clear away what they left behind and say when they come back."""
        for part in self._parts.values():
            if (code := part.bury()) is None:
                continue
            lived_s = time.monotonic() - part.started_at
            part.failures = 1 if lived_s >= HEALTHY_AFTER_S else part.failures + 1
            part.state = "waiting"
            if self._stop_signals:
                part.state = "stopped"
            elif not part.was_ready and (code == USAGE_EXIT or part.failures >= START_TRIES):
                self._say(f"{part.name} cannot start (exit code {code}): its last lines above say why")
                self._exit_code, self._stop_signals = 1, 1
            else:
                wait_s = min(FIRST_WAIT_S * 2 ** (part.failures - 1), LONGEST_WAIT_S)
                part.start_at = time.monotonic() + wait_s
                part.restarts += 1
                self._say(f"{part.name} ended (exit code {code}); it is started again in {wait_s:.1f} s")
            self._write_status()

    def _tell_when_ready(self) -> None:
        if self._state != "starting" or any(part.state != "ready" for part in self._parts.values()):
            return
        if self._ready():
            self._state = "ready"
            self._write_status()
            self._notify("READY=1")
            self._on_ready({part.name: part.detail for part in self._parts.values()})

    # -- waiting -------------------------------------------------------------------------------------------

    def _seconds_to_next_start(self) -> float:
        waiting = [part.start_at for part in self._parts.values() if not part.alive]
        soonest = min(waiting, default=float("inf")) - time.monotonic()
        return max(0.0, min(soonest, 1.0 if self._state == "ready" else 0.1))

    def _attend(self, wake: socket.socket, wait_s: float) -> None:
        """Sleep until a child speaks, ends or announces itself, a signal comes, or the time is up."""
        poll = select.poll()
        speaking = {part.output.fileno(): part for part in self._parts.values() if part.output is not None}
        for fd in (wake.fileno(), self._slot.fileno(), *speaking):
            poll.register(fd, select.POLLIN)
        for fd, _event in poll.poll(wait_s * 1000):
            if fd == wake.fileno():
                wake.recv(4096)
            elif fd == self._slot.fileno():
                self._take_announcements()
            else:
                speaking[fd].forward_output()
        self._notify("WATCHDOG=1")

    def _take_announcements(self) -> None:
        for message in self._slot.messages():
            try:
                told = json.loads(message)
                part = self._parts[told["part"]]
                pid, detail = told["pid"], str(told["detail"])
            except (ValueError, KeyError, TypeError):
                continue
            if part.alive and part.pid == pid:  # not the last word of one that has ended since
                part.state, part.detail, part.was_ready = "ready", detail, True
                self._write_status()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        reading, writing = socket.socketpair()
        with reading, writing:
            reading.setblocking(False)
            writing.setblocking(False)
            previous = {
                sign: signal.signal(sign, handler)
                for sign, handler in (
                    (signal.SIGTERM, self._on_stop_signal),
                    (signal.SIGINT, self._on_stop_signal),
                    (signal.SIGHUP, self._on_stop_signal),
                    (signal.SIGCHLD, lambda *_: None),
                )
            }
            previous_wake = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
            try:
                yield reading
            finally:
                signal.set_wakeup_fd(previous_wake)
                for sign, handler in previous.items():
                    signal.signal(sign, handler)

    def _on_stop_signal(self, *_: object) -> None:
        self._stop_signals += 1

    # -- the end -------------------------------------------------------------------------------------------

    def _stop(self, wake: socket.socket) -> None:
        """Ask stage by stage, each with its share of the time; a second signal, or the end of it, kills."""
        self._state = "stopping"
        self._stop_signals = max(self._stop_signals, 1)
        self._notify("STOPPING=1")
        self._write_status()
        begun = time.monotonic()
        asked: set[str] = set()
        for number, stage in enumerate(self._stages(), start=1):
            asked |= stage
            for name in stage:
                self._parts[name].ask_to_stop()
            until = begun + self._grace_s * number / len(STOP_ORDER)
            while self._alive(asked) and time.monotonic() < until and self._stop_signals < 2:
                self._attend(wake, 0.1)
                self._bury()
        if late := self._alive(set(self._parts)):
            self._say(f"killed, since the time to stop was over: {', '.join(sorted(late))}")
            self._exit_code = self._exit_code or 1
        for part in self._parts.values():
            part.kill()
        self._bury()
        for part in self._parts.values():
            part.state = "stopped"
        self._state = "stopped"
        self._write_status()

    def _stages(self) -> list[set[str]]:
        known = frozenset[str]().union(*STOP_ORDER)
        others = set(self._parts) - known
        first, *rest = STOP_ORDER
        return [others | (set(self._parts) & first), *(set(self._parts) & stage for stage in rest)]

    def _alive(self, names: set[str]) -> set[str]:
        return {name for name in names if self._parts[name].alive}

    # -- telling -------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{'up':<9} | {text}\n")
            sys.stderr.flush()

    def _write_status(self) -> None:
        status = {
            "supervisor_pid": os.getpid(),
            "state": self._state,
            "since": self._since.isoformat(timespec="seconds"),
            "parts": {
                part.name: {
                    "pid": part.pid if part.alive else None,
                    "state": part.state,
                    "address": part.detail,
                    "restarts": part.restarts,
                }
                for part in self._parts.values()
            },
        }
        path = self._home / "run" / "status.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(status, indent=1), encoding="utf-8")
        fresh.replace(path)

    def _notify(self, message: str) -> None:
        """Tell the service manager, when one listens (sd_notify(3))."""
        if not self._service_manager or (
            message == "WATCHDOG=1" and time.monotonic() < self._next_sign_of_life
        ):
            return
        self._next_sign_of_life = time.monotonic() + 2.0
        address = self._service_manager
        address = "\0" + address[1:] if address.startswith("@") else address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), address)
