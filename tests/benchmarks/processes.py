"""What a process tree costs, and the machine that it runs on, read from /proc; nothing is estimated.

References
----------
proc(5): ``stat`` fields 14 to 17, ``status`` VmRSS and VmHWM.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.adapters import kernel

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.1
ROOT = Path(__file__).parents[2]
STOP_S = 30.0


def tree(pid: int) -> list[int]:
    """Return a process and all that it started, those that have ended and are not buried yet too."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                for child in (thread / "children").read_text(encoding="ascii").split():
                    found += tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Return the processor time that a tree has used; children that were buried count with their parent."""
    ticks = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += sum(int(fields[at]) for at in (11, 12, 13, 14))  # utime, stime, cutime, cstime
    return ticks / _TICKS_PER_S


def resident_bytes(pid: int, field: str = "VmRSS") -> int:
    """Return what a tree holds in memory: VmRSS now, VmHWM at most so far; shared pages count once per process."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            for line in (
                Path(f"/proc/{one}/status").read_text(encoding="ascii", errors="replace").splitlines()
            ):
                if line.startswith(field):
                    total += int(line.split()[1]) * 1024
    return total


class Watch:
    """Processor time and highest memory of a tree over one stretch of time; sampled, so that forked children count."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.idle_bytes = self.peak_bytes = 0
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self.idle_bytes = self.peak_bytes = resident_bytes(self._pid)
        self._began_s = cpu_s(self._pid)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.cpu_s = cpu_s(self._pid) - self._began_s
        self.peak_bytes = max(self.peak_bytes, resident_bytes(self._pid, "VmHWM"))

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, resident_bytes(self._pid, "VmHWM"))


@contextlib.contextmanager
def started(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of the block; it ends by its process id, and with us whatever happens to us."""
    own_pid = os.getpid()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=ROOT,
            preexec_fn=lambda: kernel.die_with_parent(own_pid),  # noqa: PLW1509 - no thread holds a lock here
        )
    try:
        yield process
    finally:
        left = tree(process.pid)[1:]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in left:  # forked children of a server that does not wait for them
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1] == "1":
                    os.kill(pid, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the figures were taken."""

    cores: int
    processor: str
    memory_bytes: int
    kernel: str
    file_system: str
    python: str

    def sentence(self) -> str:
        """Return it in one line."""
        return (
            f"{self.cores} cores ({self.processor}), {self.memory_bytes / (1 << 30):.0f} GiB, "
            f"Linux {self.kernel}, {self.file_system}, Python {self.python}"
        )


def machine(folder: Path) -> Machine:
    """Describe this machine, with the file system that holds ``folder``; no host name."""
    said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    model = next((line.partition(":")[2].strip() for line in said if line.startswith("model name")), "?")
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    where = str(folder.resolve())
    holding = [m for m in mounts if m[1] == "/" or where == m[1] or where.startswith(m[1] + "/")]
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=model,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release().partition("-")[0],
        file_system=max(holding, key=lambda m: len(m[1]))[2],
        python=platform.python_version(),
    )


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def quiet_disk() -> None:
    """Let what the one before has left in the page cache go to the disk before the next one's time runs."""
    os.sync()
    time.sleep(0.2)
