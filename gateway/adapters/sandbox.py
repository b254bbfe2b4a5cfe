"""The sandbox port: hands untrusted bytes to a confined child and never parses any of them itself.

One owner per process; threads share it. The children's parent (``sandbox_child``) is started at the first task and
again when it is gone. The payload and the options travel in sealed memory files, the answer through a pipe; neither
touches a disk. An answer is data from an untrusted process: its length and its shape are checked here.

References
----------
docs/security.md F4.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from gateway.adapters.sandbox_seam import Limits, MemoryFile, RunningTask, Stopped
from gateway.domain.errors import UnavailableError
from gateway.ports import SandboxFailed, SandboxResult

_START_TIMEOUT_S: Final = 60.0
_PROGRAM: Final = "import sys; from gateway.adapters.sandbox_child import main; main(*sys.argv[1:])"

# What a failure means, in the coordinator's words. A code that the child made up is told as "crashed".
REASONS: Final = {
    "unreadable": "The file could not be read: its content breaks the rules of its format.",
    "memory_limit": "The file was put aside: reading it would take more memory than one file may use.",
    "cpu_limit": "The file was put aside: reading it took more computing time than one file may use.",
    "time_limit": "The file was put aside: reading it took longer than one file may take.",
    "too_deep": "The file was put aside: its parts are nested deeper than any true file's.",
    "output_limit": "The file was put aside: what came out of it is larger than the limit.",
    "forbidden_call": "The file was put aside: while it was read, something tried to leave the sandbox.",
    "crashed": "The file was put aside: the program that reads such files broke down on it.",
    "killed": "The file was put aside: the computer ran short of memory while it was read.",
    "unconfined": "Nothing was read: this computer's kernel offers no way to cut a reader off from the network.",
    "unavailable": "Nothing was read: the sandbox did not start.",
    "misused": "Nothing was read: the task was not given the profile, key or identifiers that it needs.",
    "unknown_task": "Nothing was read: the sandbox does not know this task.",
}

Payload = bytes | memoryview | Iterable[bytes]


class ForkingSandbox:
    """Runs up to ``workers`` tasks at once, each in a fresh child."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        limits: Limits | None = None,
        tasks: str = "gateway.adapters.sandbox_tasks",
        search_path: tuple[Path, ...] = (),
    ) -> None:
        self.limits = limits or Limits()
        self.workers = workers or os.cpu_count() or 1
        self._command = [sys.executable, "-I", "-c", _PROGRAM, tasks, *map(str, search_path)]
        self._slots = threading.BoundedSemaphore(self.workers)
        self._lock = threading.Lock()
        self._parent: _ChildrensParent | None = None

    def run(
        self, task: str, payload: Payload, options: Mapping[str, Any], *, limits: Limits | None = None
    ) -> SandboxResult | SandboxFailed:
        """Run one task from the child's table and wait for it; blocks while all workers are busy."""
        limits = limits or self.limits
        with self._slots:
            try:
                meta, content = self._run(task, payload, options, limits)
            except Stopped as stopped:
                reason = REASONS[stopped.code]
                detail = f" ({stopped.kind})" if stopped.kind else ""
                return SandboxFailed(code=stopped.code, reason=f"{reason}{detail}")
        return SandboxResult(meta=meta, content=content)

    def describe(self) -> dict[str, Any]:
        """Tell which confinements are in force here; starts the children's parent."""
        try:
            parent = self._living_parent()
        except UnavailableError:
            return {"running": False}
        return {
            "running": True,
            "network": _network(parent.report),
            "files": f"Landlock {parent.report['landlock']}: reads the program only"
            if parent.report["landlock"]
            else "",
            "system_calls": "allow list" if parent.report["seccomp"] else "",
            "workers": self.workers,
            "memory_bytes": self.limits.memory_bytes,
            "cpu_s": self.limits.cpu_s,
            "wall_s": self.limits.wall_s,
        }

    def start(self) -> None:
        """Load the parsers now and not with the first task; raises ``UnavailableError``."""
        self._living_parent()

    def close(self) -> None:
        with self._lock:
            if self._parent is not None and self._parent.owner_pid == os.getpid():
                self._parent.close()
            self._parent = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _living_parent(self) -> _ChildrensParent:
        with self._lock:
            if self._parent is None or not self._parent.usable():
                if self._parent is not None and self._parent.owner_pid == os.getpid():
                    self._parent.close()
                self._parent = _ChildrensParent(self._command)
            return self._parent

    def _run(
        self, task: str, payload: Payload, options: Mapping[str, Any], limits: Limits
    ) -> tuple[dict[str, Any], bytes]:
        with MemoryFile("payload") as content, MemoryFile("request") as request:
            size = content.fill([payload] if isinstance(payload, bytes | bytearray | memoryview) else payload)
            for attempt in (1, 2):
                try:
                    parent = self._living_parent()
                except UnavailableError:
                    raise Stopped("unavailable") from None
                if _network(parent.report) == "":
                    raise Stopped("unconfined")
                if attempt == 1:
                    request.fill([_request(task, options, limits, size, filtered=parent.report["seccomp"])])
                with RunningTask(limits) as running:
                    if parent.hand_over(request.fd, content.fd, running.result_write, running.report_write):
                        return running.answer()
            raise Stopped("unavailable")


def _network(report: Mapping[str, Any]) -> str:
    cuts = (("own_network", "empty network"), ("seccomp", "no sockets"))
    return ", ".join(words for name, words in cuts if report[name])


def _request(
    task: str, options: Mapping[str, Any], limits: Limits, payload_bytes: int, *, filtered: bool
) -> bytes:
    return json.dumps(
        {
            "task": task,
            "options": dict(options),
            "filter": filtered,
            "limits": {"memory_bytes": limits.memory_for(payload_bytes), "cpu_s": limits.cpu_s},
        }
    ).encode()


class _ChildrensParent:
    """The running ``sandbox_child`` process and the socket on which it takes tasks."""

    def __init__(self, command: list[str]) -> None:
        self.owner_pid = os.getpid()
        self._sending = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment |= {name: os.environ[name] for name in ("TESSDATA_PREFIX",) if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                close_fds=True,
            )
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            self.report: dict[str, Any] = json.loads(self._control.recv(4096) or b"null")
        except (OSError, ValueError):
            self.report = {}
        if not self.report:
            self.close()
            raise UnavailableError("The sandbox did not start.")
        self._control.settimeout(5.0)

    def usable(self) -> bool:
        return self.owner_pid == os.getpid() and self._process.poll() is None

    def hand_over(self, *descriptors: int) -> bool:
        """Send one task's descriptors; False when the process is gone."""
        with self._sending, suppress(OSError):
            socket.send_fds(self._control, [b"task"], list(descriptors))
            return True
        return False

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
