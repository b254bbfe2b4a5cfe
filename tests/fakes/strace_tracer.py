"""strace on a running house: counts its system calls, or lets one of them fail, or be the last; the traced code is unchanged."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

# What the write path does to files, and (for kills only) what tells the sender of it.
FILE_CALLS = (
    "openat", "write", "pwrite64", "pread64", "fsync", "fdatasync", "sync_file_range", "link", "linkat", "unlink",
    "unlinkat", "rename", "renameat2", "ftruncate", "fallocate", "flock", "fcntl", "close",
)  # fmt: skip
TELLING_CALLS = ("sendto", "sendmsg", "recvfrom", "recvmsg", "accept4")
# Locks and reading change nothing: to be killed there is to be killed at the next call.
KILL_CALLS = (
    *(call for call in FILE_CALLS if call not in {"fcntl", "flock", "pread64"}), "sendto", "sendmsg",
)  # fmt: skip
# A full disk refuses these and no others (POSIX); sync_file_range is advice, whose errors fsync reports.
ROOM_CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "linkat", "ftruncate", "fallocate")
ERROR_CALLS = tuple(call for call in FILE_CALLS if call != "fcntl")

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


class Tracer:
    """A context manager around some traffic; ``inject`` is strace's own: ``fsync:error=EIO:when=2``. Empty only counts."""

    def __init__(self, pid: int, out: Path, *, inject: str = "", calls: tuple[str, ...] = ()) -> None:
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        traced = inject.partition(":")[0] or ",".join(calls)
        self._out = out
        # Threads that are there already are traced as well; each counts for itself in «when».
        self._command = ["strace", "-f", "-y", "-o", str(out), "-e", f"trace={traced}", "-e", "signal=none"]
        self._command += ["-e", f"inject={inject}"] if inject else []
        self._command += ["-p", str(pid)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if b"attached" not in said:
            self._process.kill()
            self._process.wait()
            pytest.skip(f"strace may not attach here: {said.decode().strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        """Let go. strace may wait for ever for a thread of what it has killed; what it holds is free when it is gone."""
        for end in (self._process.terminate, self._process.kill):
            if self._process.poll() is None:
                end()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=2)
        assert self._process.stderr is not None
        self._process.stderr.close()

    @property
    def lines(self) -> list[str]:
        return self._out.read_text(encoding="utf-8", errors="replace").splitlines()

    @property
    def is_hit(self) -> bool:
        """Whether the fault came."""
        return any("(INJECTED)" in line or "killed by SIGKILL" in line for line in self.lines)

    def most_by_thread(self) -> dict[str, int]:
        """How often each call was made by the thread that made it most: so far «when» reaches."""
        seen: dict[str, Counter[str]] = {}
        for line in self.lines:
            if found := _CALL.match(line):
                seen.setdefault(found[2], Counter())[found[1]] += 1
        return {call: max(counts.values()) for call, counts in seen.items()}

    def total(self) -> int:
        return sum(bool(_CALL.match(line)) for line in self.lines)

    def flushed_after_fault(self, folder: str) -> list[str]:
        """The flushes below a folder that came after a flush below it had failed (D2: there must be none)."""
        lines = [line for line in self.lines if folder in line]
        at = next((n for n, line in enumerate(lines) if "(INJECTED)" in line), len(lines))
        return lines[at + 1 :]
