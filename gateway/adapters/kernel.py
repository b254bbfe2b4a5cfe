"""What a process asks of the Linux kernel for itself; which process asks for what is decided elsewhere.

References
----------
prctl(2), unshare(2), capset(2), landlock(7). Every function returns what came into force, so that a
caller can report it: a kernel that lacks a protection is told about, never worked around in silence.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2

CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
CLONE_NEWIPC: Final = 0x08000000

_CAPABILITY_VERSION_3: Final = 0x20080522

# The three Landlock calls have one number on every architecture.
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_ADD_RULE: Final = 445
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION: Final = 1
_LANDLOCK_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# File-system rights known to each Landlock version: 1, then REFER, TRUNCATE and IOCTL_DEV.
_LANDLOCK_FS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_LANDLOCK_FS_5: Final = (1 << 16) - 1
_LANDLOCK_NET_4: Final = 0b11  # bind and connect over TCP
_LANDLOCK_SCOPE_6: Final = 0b11  # abstract sockets of, and signals to, processes outside

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # a packed layout must name its kind since Python 3.14
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def prctl(option: int, value: int) -> bool:
    """Set one attribute of this process; False when the kernel refuses."""
    zero = ctypes.c_ulong(0)
    return bool(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)


def die_with_parent(parent_pid: int | None = None, sign: int = signal.SIGKILL) -> None:
    """Let the kernel kill this process when the thread that started it ends.

    The request is lost when it comes after the parent's death, so the parent is looked at once more. It is
    also lost on a change of credentials: call it after those.
    """
    prctl(PR_SET_PDEATHSIG, sign)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)


def forbid_core_dumps() -> None:
    """Keep this process's memory out of core files and away from other processes of the same user (E14)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> bool:
    """No program that this process starts can gain rights by set-user-id or file capabilities."""
    return prctl(PR_SET_NO_NEW_PRIVS, 1)


def install_filter(program: ctypes.Structure) -> bool:
    """Put a ``struct sock_fprog`` of system-call rules over this process for good (seccomp(2))."""
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    return bool(
        _libc.prctl(PR_SET_SECCOMP, mode, ctypes.byref(program), ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0
    )


def leave_network() -> bool:
    """Move into an empty network of one's own; needs a process with a single thread.

    The new user namespace maps nobody: what this process owned it may still read, what it could do as root
    it cannot do any more.
    """
    return bool(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0)


def drop_capabilities() -> bool:
    """Give up every capability in every set."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    empty = (ctypes.c_uint32 * 6)()
    return bool(_libc.capset(ctypes.byref(header), ctypes.byref(empty)) == 0)


def landlock_version() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    return max(int(version), 0)


def allow_only_reading(folders: Iterable[Path]) -> int:
    """Forbid this process, for good, every file but those under ``folders``, which it may read.

    Returns the Landlock version in force, 0 when the kernel has none or refuses.
    """
    version = landlock_version()
    if version == 0:
        return 0
    rules = _Ruleset(_LANDLOCK_FS.get(version, _LANDLOCK_FS_5), 0, 0)
    size = 8
    if version >= 4:
        rules.net, size = _LANDLOCK_NET_4, 16
    if version >= 6:
        rules.scoped, size = _LANDLOCK_SCOPE_6, 24
    ruleset = int(
        _libc.syscall(
            _LANDLOCK_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0)
        )
    )
    if ruleset < 0:
        return 0
    try:
        for folder in folders:
            _allow_reading(ruleset, folder)
        restricted = _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version if restricted == 0 else 0


def _allow_reading(ruleset: int, path: Path) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a folder that is not there needs no permission
    try:
        allowed = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        rule = _PathBeneath(allowed, parent)
        _libc.syscall(
            _LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)
        )
    finally:
        os.close(parent)
