"""The process that parses untrusted bytes: a parent without work that forks one confined child per task.

It is started by ``sandbox.ForkingSandbox``, which calls ``main`` in a new process. It loads the parsers once, gives up
network, capabilities and files, then forks: each task has a fresh memory, its own limits and a system-call filter,
reads its payload from memory and answers through one pipe. Keys other than the pseudonym key never come here.

Order in a task's child matters: (1) its life is bound to ours, (2) foreign descriptors are closed, (3) limits,
(4) no debugger, no core, (5) the filter, and only then (6) the first untrusted byte is read.

References
----------
docs/security.md F4, F8; setrlimit(2), memfd_create(2).
"""

from __future__ import annotations

import gc
import importlib
import json
import mmap
import os
import resource
import select
import signal
import site
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.adapters import kernel, seccomp

FRAME: Final = struct.Struct("!4sQQ")
FRAME_MAGIC: Final = b"CSR1"
DESCRIPTORS_PER_TASK: Final = 4
_CONTROL_FD: Final = 0
_OPEN_FILES: Final = 64
_OWN_OPEN_FILES: Final = 1024


def main(tasks_module: str, *search_path: str) -> NoReturn:
    """Load, confine, say what is in force, then fork a child per task until the other end closes."""
    sys.path[:0] = search_path
    control = socket.socket(fileno=_CONTROL_FD)
    most = min(_OWN_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ocr = importlib.import_module("anonymizer.ocr")  # here, for who only starts us loads no workshop
    ocr.say_to_stderr()  # which leads nowhere in a child
    module = importlib.import_module(tasks_module)
    getattr(module, "warm_up", lambda: None)()
    nothing = os.open(os.devnull, os.O_RDWR)  # before files are out of reach
    report = _confine([Path(entry) for entry in search_path])
    control.sendall(json.dumps(report).encode())
    gc.freeze()
    _Nursery(control, module.TASKS, nothing).serve()
    os._exit(0)


def _confine(search_path: list[Path]) -> dict[str, Any]:
    """Give up all that no task needs. What the kernel does not offer is reported, not assumed."""
    own_network = kernel.leave_network()
    privileges = kernel.forbid_new_privileges()
    kernel.drop_capabilities()
    kernel.forbid_core_dumps()
    landlock = kernel.allow_only_reading([*_program_folders(), *search_path]) if privileges else 0
    filtered = privileges and seccomp.supported()
    return {"own_network": own_network, "landlock": landlock, "seccomp": filtered}


def _program_folders() -> list[Path]:
    """Where the interpreter and its libraries lie: code and tables, no data of anybody."""
    packages = [
        Path(module.__path__[0])
        for name in ("gateway", "anonymizer")
        if (module := importlib.import_module(name))
    ]
    system = [
        Path(p)
        for p in (
            "/usr/lib",
            "/usr/lib64",
            "/lib",
            "/lib64",
            "/usr/share/zoneinfo",
            "/usr/share/fonts",
            "/etc/ld.so.cache",
        )
    ]
    prefixes = [Path(sys.prefix) / "lib", Path(sys.base_prefix) / "lib", *map(Path, site.getsitepackages())]
    packs = importlib.import_module("anonymizer.ocr").folders()
    return [*packages, *system, *prefixes, *packs]


class MisusedError(Exception):
    """A task was not given what it needs: its options are wrong. No payload is to blame."""


class _Nursery:
    """Forks a child per request and reports how it ended."""

    def __init__(self, control: socket.socket, tasks: dict[str, Any], nothing: int) -> None:
        self._control = control
        self._tasks = tasks
        self._nothing = nothing
        self._reports: dict[int, socket.socket] = {}
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)  # the owner ends us by closing the control socket

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {fd for fd, _event in poll.poll()}
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._take_request():
                return

    def _take_request(self) -> bool:
        message, descriptors, _flags, _sender = socket.recv_fds(self._control, 64, DESCRIPTORS_PER_TASK)
        if not message:
            return False
        request, payload, result, report = descriptors
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _task_process(self._tasks, self._nothing, parent, (request, payload, result))
        for fd in (request, payload, result):
            os.close(fd)
        self._reports[pid] = socket.socket(fileno=report)
        handle = os.pidfd_open(pid)
        try:
            socket.send_fds(self._reports[pid], [b"started"], [handle])
        except OSError:
            signal.pidfd_send_signal(handle, signal.SIGKILL)  # nobody waits for the answer any more
        finally:
            os.close(handle)
        return True

    def _reap(self) -> None:
        while self._reports:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._reports.pop(pid) as report:
                ending = {
                    "exit": os.waitstatus_to_exitcode(status),
                    "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
                    "peak_bytes": usage.ru_maxrss * 1024,
                }
                try:
                    report.sendall(json.dumps(ending).encode())
                except OSError:
                    continue


def _task_process(
    tasks: dict[str, Any], nothing: int, parent: int, descriptors: tuple[int, int, int]
) -> NoReturn:
    code = 70
    try:
        kernel.die_with_parent(parent)  # (1)
        _keep_only(nothing, descriptors)  # (2)
        request, payload, result = descriptors
        options = json.loads(_content(request))
        _limit(options["limits"])  # (3)
        kernel.forbid_core_dumps()  # (4)
        if options["filter"] and not seccomp.install():  # (5)
            _answer(result, {"failed": "unconfined"}, b"")
        else:
            meta, content = _perform(tasks, options, payload)  # (6)
            _answer(result, meta, content)
        code = 0
    finally:
        os._exit(code)


def _keep_only(nothing: int, descriptors: tuple[int, int, int]) -> None:
    """Close all but the three descriptors of this task; standard streams lead nowhere."""
    signal.set_wakeup_fd(-1)
    for sign in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_DFL)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    lowest = 3
    for fd in sorted(descriptors):
        os.closerange(lowest, fd)
        lowest = fd + 1
    os.closerange(lowest, _OWN_OPEN_FILES)


def _limit(limits: dict[str, int]) -> None:
    for kind, soft, hard in (
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (
            resource.RLIMIT_CPU,
            limits["cpu_s"],
            limits["cpu_s"] + 1,
        ),  # the soft one ends with a signal of its own
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def _content(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    if size == 0:
        return b""
    with mmap.mmap(
        fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ
    ) as view:  # sealed: no shared mapping
        return view[:]


def _perform(tasks: dict[str, Any], options: dict[str, Any], payload: int) -> tuple[dict[str, Any], bytes]:
    """Run the task; what goes wrong is told by kind only, since an error's text may quote the patient."""
    task = tasks.get(options["task"])
    if task is None:
        return {"failed": "unknown_task"}, b""
    try:
        meta, content = task(_content(payload), options["options"])
    except MisusedError:
        return {"failed": "misused"}, b""
    except MemoryError:
        return {"failed": "memory_limit"}, b""
    except RecursionError:
        return {"failed": "too_deep"}, b""
    except Exception as error:  # noqa: BLE001 - the boundary: any error of any parser becomes a value
        return {"failed": "unreadable", "kind": type(error).__name__}, b""
    return {"ok": meta}, content


def _answer(result: int, meta: dict[str, Any], content: bytes) -> None:
    head = json.dumps(meta).encode()
    for piece in (FRAME.pack(FRAME_MAGIC, len(head), len(content)), head, content):
        view = memoryview(piece)
        while view:
            view = view[os.write(result, view) :]
