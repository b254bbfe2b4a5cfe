"""One child of the supervisor: how it starts, speaks, says that it answers, and ends; when it does so is decided there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from gateway.adapters import kernel
from gateway.adapters.datagram import post

READY_VARIABLE: Final = "CONSILIUM_READY"
PART_VARIABLE: Final = "CONSILIUM_PART"
_LINE_LIMIT_BYTES: Final = 64 * 1024


def announce_ready(detail: str = "", *, name: str | None = None) -> bool:
    """Tell the supervisor that this part answers (``detail``: its address); False when there is none to tell."""
    address = os.environ.get(READY_VARIABLE)
    if not address:
        return False
    message = {"part": name or os.environ.get(PART_VARIABLE, ""), "pid": os.getpid(), "detail": detail}
    return post(Path(address), json.dumps(message).encode(), timeout_s=5.0)


class _Lines:
    """A child's output, handed on line by line under its name; a line of JSON is handed on as it is."""

    def __init__(self, name: str, source: IO[bytes]) -> None:
        self._prefix = f"{name:<9} | ".encode()
        self._source = source
        self._rest = b""
        os.set_blocking(source.fileno(), False)

    def fileno(self) -> int:
        return self._source.fileno()

    def forward(self) -> bool:
        """Hand on what there is; False at the end."""
        while True:
            try:
                piece = os.read(self._source.fileno(), _LINE_LIMIT_BYTES)
            except BlockingIOError:
                return True
            if not piece:
                self._write([self._rest] if self._rest else [])
                self._rest = b""
                return False
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > _LINE_LIMIT_BYTES:
                lines, self._rest = [*lines, self._rest], b""
            self._write(lines)

    def _write(self, lines: Sequence[bytes]) -> None:
        with contextlib.suppress(OSError):  # a log that nobody takes any more stops no exchange
            for line in lines:
                sys.stderr.buffer.write((line if line.startswith(b"{") else self._prefix + line) + b"\n")
            sys.stderr.flush()

    def close(self) -> None:
        self._source.close()


@dataclass(slots=True)
class Part:
    """One child and its fate so far."""

    name: str
    argv: list[str]
    pid: int = 0
    state: str = "waiting"
    detail: str = ""
    restarts: int = 0
    failures: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    was_ready: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    output: _Lines | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        return self.process is not None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it in a group of its own, bound to the life of the calling thread."""
        own_pid = os.getpid()
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, PART_VARIABLE: self.name},
            process_group=0,
            preexec_fn=lambda: kernel.die_with_parent(own_pid),  # noqa: PLW1509 - the supervisor has one thread
        )
        if self.process.stdout is not None:
            self.output = _Lines(self.name, self.process.stdout)
        self.pid, self.state, self.detail = self.process.pid, "starting", ""
        self.started_at = time.monotonic()

    def forward_output(self) -> None:
        if self.output is not None and not self.output.forward():
            self.output.close()
            self.output = None

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and whatever it started, and wait until it has ended."""
        if self.process is not None:
            _kill_group(self.pid)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def bury(self) -> int | None:
        """Return its exit code if it has ended, with all that it left behind cleared away; None while it lives."""
        if self.process is None:
            return None
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        _kill_group(self.pid)  # before the number is given back and could be somebody else's
        code = self.process.wait()
        self.process = None
        if self.output is not None:
            self.output.forward()
            self.output.close()
            self.output = None
        return code


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
