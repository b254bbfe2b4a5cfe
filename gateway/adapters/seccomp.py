"""The system calls that a sandboxed child may make, as a table and the kernel filter made from it.

What is not listed fails with EPERM, so that a library that merely tries learns that it may not. What no
parser has a reason to call ends the process at once: that is an escape attempt and shall be seen as one.

References
----------
seccomp(2); include/uapi/linux/{seccomp,filter,audit}.h. Call numbers: asm/unistd_64.h (x86-64) and
asm-generic/unistd.h (arm64). A processor that is not in ``_ARCHITECTURES`` has no filter and says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.adapters import kernel


class _Call(NamedTuple):
    x86_64: int | None
    arm64: int | None


# Reading what is open, memory, time, itself: what Python and the decoders need once everything is loaded.
_ALLOWED: Final = {
    "read": _Call(0, 63), "write": _Call(1, 64), "readv": _Call(19, 65), "writev": _Call(20, 66),
    "pread64": _Call(17, 67), "preadv": _Call(295, 69), "lseek": _Call(8, 62), "close": _Call(3, 57),
    "close_range": _Call(436, 436), "fstat": _Call(5, 80), "newfstatat": _Call(262, 79),
    "stat": _Call(4, None), "lstat": _Call(6, None), "statx": _Call(332, 291), "access": _Call(21, None),
    "faccessat": _Call(269, 48), "faccessat2": _Call(439, 439), "readlink": _Call(89, None),
    "readlinkat": _Call(267, 78), "getdents64": _Call(217, 61), "getcwd": _Call(79, 17),
    "dup": _Call(32, 23), "dup2": _Call(33, None), "dup3": _Call(292, 24),
    "mmap": _Call(9, 222), "munmap": _Call(11, 215), "mremap": _Call(25, 216), "mprotect": _Call(10, 226),
    "madvise": _Call(28, 233), "brk": _Call(12, 214), "mincore": _Call(27, 232),
    "futex": _Call(202, 98), "set_robust_list": _Call(273, 99), "get_robust_list": _Call(274, 100),
    "rseq": _Call(334, 293), "membarrier": _Call(324, 283),
    "rt_sigaction": _Call(13, 134), "rt_sigprocmask": _Call(14, 135), "rt_sigreturn": _Call(15, 139),
    "sigaltstack": _Call(131, 132),
    "clock_gettime": _Call(228, 113), "clock_getres": _Call(229, 114), "gettimeofday": _Call(96, 169),
    "time": _Call(201, None), "nanosleep": _Call(35, 101), "clock_nanosleep": _Call(230, 115),
    "getpid": _Call(39, 172), "gettid": _Call(186, 178), "getppid": _Call(110, 173),
    "getuid": _Call(102, 174), "geteuid": _Call(107, 175), "getgid": _Call(104, 176),
    "getegid": _Call(108, 177), "getresuid": _Call(118, 148), "getresgid": _Call(120, 150),
    "uname": _Call(63, 160), "sysinfo": _Call(99, 179), "getrusage": _Call(98, 165), "times": _Call(100, 153),
    "getcpu": _Call(309, 168), "getrandom": _Call(318, 278), "sched_yield": _Call(24, 124),
    "sched_getaffinity": _Call(204, 123), "getrlimit": _Call(97, 163),
    "poll": _Call(7, None), "ppoll": _Call(271, 73), "select": _Call(23, None), "pselect6": _Call(270, 72),
    "exit": _Call(60, 93), "exit_group": _Call(231, 94), "restart_syscall": _Call(219, 128),
}  # fmt: skip

# An attempt at one of these ends the process.
_DEADLY: Final = {
    "execve": _Call(59, 221), "execveat": _Call(322, 281), "ptrace": _Call(101, 117),
    "process_vm_readv": _Call(310, 270), "process_vm_writev": _Call(311, 271),
    "socket": _Call(41, 198), "socketpair": _Call(53, 199), "connect": _Call(42, 203), "bind": _Call(49, 200),
    "listen": _Call(50, 201), "accept": _Call(43, 202), "accept4": _Call(288, 242),
    "mount": _Call(165, 40), "umount2": _Call(166, 39), "pivot_root": _Call(155, 41), "chroot": _Call(161, 51),
    "bpf": _Call(321, 280), "keyctl": _Call(250, 219), "add_key": _Call(248, 217),
    "request_key": _Call(249, 218), "perf_event_open": _Call(298, 241), "userfaultfd": _Call(323, 282),
    "io_uring_setup": _Call(425, 425), "unshare": _Call(272, 97), "setns": _Call(308, 268),
    "init_module": _Call(175, 105), "finit_module": _Call(313, 273), "kexec_load": _Call(246, 104),
    "open_by_handle_at": _Call(304, 265), "pidfd_getfd": _Call(438, 438), "pidfd_open": _Call(434, 434),
    "pidfd_send_signal": _Call(424, 424), "kill": _Call(62, 129), "tkill": _Call(200, 130),
    "reboot": _Call(169, 142),
}  # fmt: skip

# Allowed for some arguments only; see _conditions.
_OPEN: Final = _Call(2, None)
_OPENAT: Final = _Call(257, 56)
_IOCTL: Final = _Call(16, 29)
_FCNTL: Final = _Call(72, 25)
_PRLIMIT64: Final = _Call(302, 261)
_TGKILL: Final = _Call(234, 131)
_CLONE3: Final = _Call(435, 435)

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HARMLESS_IOCTLS: Final = (0x5401, 0x5451, 0x5450)  # TCGETS (isatty), FIOCLEX, FIONCLEX
_HARMLESS_FCNTLS: Final = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC

_ARCHITECTURES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32_BIT: Final = 0x40000000

_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_NOT_LESS: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JUMP_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4

_Step = tuple[int, int, int, int]


def _argument_at(index: int, *, high: bool = False) -> int:
    """Offset of the low (or high) half of a call's argument in ``struct seccomp_data``, little-endian."""
    return 16 + 8 * index + (4 if high else 0)


def supported() -> bool:
    return platform.machine() in _ARCHITECTURES


def steps(machine: str, own_pid: int) -> list[_Step]:
    """Return the filter for one process as (code, jump if true, jump if false, constant)."""
    architecture, column = _ARCHITECTURES[machine]
    program: list[_Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [(_JUMP_NOT_LESS, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for table, verdict in ((_ALLOWED, _ALLOW), (_DEADLY, _KILL)):
        for call in table.values():
            if (number := call[column]) is not None:
                program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]
    for call, body in _conditions(own_pid):
        if (number := call[column]) is not None:
            program += [(_JUMP_EQUAL, 0, len(body), number), *body]
    return [*program, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _conditions(own_pid: int) -> Iterator[tuple[_Call, list[_Step]]]:
    """Return, per call, the steps that look at its arguments; each body ends in a verdict."""
    refused: _Step = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    allowed: _Step = (_RETURN, 0, 0, _ALLOW)
    for call, flags in ((_OPEN, 1), (_OPENAT, 2)):
        yield call, [(_LOAD, 0, 0, _argument_at(flags)), (_JUMP_ANY_BIT, 0, 1, _WRITING), refused, allowed]
    for call, commands in ((_IOCTL, _HARMLESS_IOCTLS), (_FCNTL, _HARMLESS_FCNTLS)):
        listed: list[_Step] = []
        for command in commands:
            listed += [(_JUMP_EQUAL, 0, 1, command), allowed]
        yield call, [(_LOAD, 0, 0, _argument_at(1)), *listed, refused]
    # prlimit64 may ask, not set: its third argument, a pointer, has to be null in both halves.
    null = [(_LOAD, 0, 0, _argument_at(2)), (_JUMP_EQUAL, 1, 0, 0), refused]
    null_high = [(_LOAD, 0, 0, _argument_at(2, high=True)), (_JUMP_EQUAL, 1, 0, 0), refused]
    yield _PRLIMIT64, [*null, *null_high, allowed]
    # abort() signals its own process; no other one may be signalled, and no other end be feigned.
    own: list[_Step] = [(_LOAD, 0, 0, _argument_at(0)), (_JUMP_EQUAL, 1, 0, own_pid), refused]
    aborting: list[_Step] = [(_LOAD, 0, 0, _argument_at(2)), (_JUMP_EQUAL, 1, 0, signal.SIGABRT), refused]
    yield _TGKILL, [*own, *aborting, allowed]
    # "not known" makes a C library fall back to clone, which is refused.
    yield _CLONE3, [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16), ("if_true", ctypes.c_uint8), ("if_false", ctypes.c_uint8), ("k", ctypes.c_uint32),
    )  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def install() -> bool:
    """Put the filter over this process for good; needs ``kernel.forbid_new_privileges`` before."""
    if not supported():
        return False
    program = steps(platform.machine(), os.getpid())
    filters = (_Filter * len(program))(*(_Filter(*step) for step in program))
    return kernel.install_filter(_Program(len(program), filters))
