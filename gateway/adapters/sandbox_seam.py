"""The seam between the sandbox and its children: sealed memory goes in, a framed answer comes out, limits end it.

What comes out was made by an untrusted process. Nothing here trusts its lengths, its shape or its words.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from gateway.adapters.sandbox_child import FRAME, FRAME_MAGIC

MIB: Final = 1 << 20
_PIPE_BYTES: Final = MIB
_META_LIMIT_BYTES: Final = 64 * MIB
_SEALED: Final = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_FROM_CHILD: Final = frozenset(
    {"unreadable", "memory_limit", "too_deep", "unconfined", "unknown_task", "misused"}
)
_FROM_SIGNAL: Final = {signal.SIGXCPU: "cpu_limit", signal.SIGSYS: "forbidden_call", signal.SIGKILL: "killed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task may use. ``memory_bytes`` is address space, and grows with the payload.

    Times allow for reading the words of a long cine or of some sixty scanned pages, at about 2 s each.
    """

    memory_bytes: int = 1536 * MIB
    memory_per_payload_byte: int = 6
    memory_ceiling_bytes: int = 8192 * MIB
    cpu_s: int = 150
    wall_s: float = 300.0
    output_bytes: int = 2048 * MIB

    def memory_for(self, payload_bytes: int) -> int:
        wanted = self.memory_bytes + self.memory_per_payload_byte * payload_bytes
        return min(wanted, max(self.memory_ceiling_bytes, self.memory_bytes))


class Stopped(Exception):  # noqa: N818 - no error: it carries the code of a failure to the one place that words it
    """A task ended without an answer."""

    def __init__(self, code: str, kind: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.kind = kind


class MemoryFile:
    """Bytes in memory that another process can be handed; sealed against change once filled."""

    def __init__(self, name: str) -> None:
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def fill(self, chunks: Iterable[bytes | memoryview]) -> int:
        size = 0
        for chunk in chunks:
            view = memoryview(chunk)
            size += view.nbytes
            while view:
                view = view[os.write(self.fd, view) :]
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALED)
        return size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


class RunningTask:
    """One task that runs: its pipe, its report and the handle by which it is killed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._result, self.result_write = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self.result_write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._report, report_write = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.report_write = report_write.detach()
        self._handle = -1
        self._ending: dict[str, Any] | None = None
        self._deadline = time.monotonic() + limits.wall_s

    def answer(self) -> tuple[dict[str, Any], bytes]:
        self._close_theirs()
        head = self._read(FRAME.size)
        magic, meta_size, content_size = FRAME.unpack(head)
        if magic != FRAME_MAGIC:
            raise Stopped("crashed")
        if meta_size > _META_LIMIT_BYTES or content_size > self._limits.output_bytes:
            raise Stopped("output_limit")
        try:
            answer = json.loads(self._read(meta_size))
        except ValueError:
            raise Stopped("crashed") from None
        content = self._read(content_size)
        return _checked(answer), content

    def _read(self, size: int) -> bytes:
        """Exactly ``size`` bytes before the deadline, or the reason why there are none."""
        received = bytearray(size)
        rest = memoryview(received)
        while rest:
            self._wait(self._result)
            count = os.readv(self._result, [rest])
            if count == 0:
                raise Stopped(self._how_it_ended())
            rest = rest[count:]
        return bytes(received)

    def _wait(self, wanted: int) -> None:
        while True:
            poll = select.poll()
            poll.register(wanted, select.POLLIN)
            if self._ending is None and wanted != self._report.fileno():
                poll.register(self._report, select.POLLIN)
            remaining = self._deadline - time.monotonic()
            ready = {fd for fd, _event in poll.poll(max(remaining, 0) * 1000)}
            if not ready:
                raise Stopped("time_limit")
            if self._report.fileno() in ready:
                self._take_report()
            if wanted in ready:
                return

    def _take_report(self) -> None:
        message, descriptors, _flags, _sender = socket.recv_fds(self._report, 4096, 1)
        if descriptors:
            self._handle = descriptors[0]
        elif message:
            self._ending = json.loads(message)
        else:
            self._ending = {}  # the children's parent is gone, and with it the child

    def _how_it_ended(self) -> str:
        while self._ending is None:
            self._wait(self._report.fileno())
        if not self._ending:
            return "unavailable"
        code = int(self._ending["exit"])
        if code == -signal.SIGKILL and self._ending["cpu_s"] >= self._limits.cpu_s:
            return "cpu_limit"  # it had caught the signal that comes first
        return _FROM_SIGNAL.get(signal.Signals(-code), "crashed") if code < 0 else "crashed"

    def _close_theirs(self) -> None:
        for fd in (self.result_write, self.report_write):
            if fd >= 0:
                os.close(fd)
        self.result_write = self.report_write = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened, no child of ours outlives the call."""
        self._close_theirs()
        os.close(self._result)
        if self._handle < 0 and self._ending is None:
            with suppress(OSError, ValueError):
                self._report.settimeout(5.0)
                self._take_report()
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
        self._report.close()


def _checked(answer: object) -> dict[str, Any]:
    """The answer of a child that may have been taken over: of the right shape, or no answer."""
    if not isinstance(answer, dict):
        raise Stopped("crashed")
    if isinstance(meta := answer.get("ok"), dict):
        return meta
    code, kind = answer.get("failed"), answer.get("kind", "")
    if code not in _FROM_CHILD:
        raise Stopped("crashed")
    harmless = isinstance(kind, str) and kind.isidentifier() and kind.isascii() and len(kind) <= 64
    raise Stopped(code, kind if harmless else "")
