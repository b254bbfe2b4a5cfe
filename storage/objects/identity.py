"""Which volume this is: a random id in the root of a store of objects, known to the records too (docs/decisions/0055).

Whoever knows the id writes only below the root that has it, so that no object comes to lie under an empty mount point. The same
file carries a lock that says «a process of this house writes nothing more»: the kernel takes it back when that process ends.
"""

import fcntl
import os
import re
import secrets
from contextlib import suppress

IDENTITY = ".store"
_PATTERN = re.compile(rb"[0-9a-f]{32}")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_identity(root: int) -> str | None:
    """Return the id of a root that is open; None where it has none that can be read as one. Raises ``OSError``."""
    try:
        fd = os.open(IDENTITY, _READ, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        found = os.read(fd, 64).strip()
    finally:
        os.close(fd)
    return found.decode() if _PATTERN.fullmatch(found) else None


def give_identity(root: int, drafts: str) -> str | None:
    """Write a new id, durably and whole, where there is none; return the one that is there. Raises ``OSError``."""
    draft = f"{drafts}/{secrets.token_hex(16)}"
    fd = os.open(draft, _NEW, 0o600, dir_fd=root)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # as a draft of an object: no sweep takes it
        os.write(fd, f"{secrets.token_hex(16)}\n".encode())
        os.fsync(fd)
        with suppress(FileExistsError):  # another process was first
            os.link(draft, IDENTITY, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)
        os.fsync(root)
    finally:
        with suppress(OSError):
            os.unlink(draft, dir_fd=root)
        os.close(fd)
    return read_identity(root)


def show_failure(root: int) -> int | None:
    """Let the other processes see that this one writes nothing more; None where that cannot be shown just now.

    Keep the handle that is returned for as long as that holds: it is the lock. Nothing is written, for nothing may be.
    """
    try:
        fd = os.open(IDENTITY, _READ, dir_fd=root)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def is_failure_shown(root: int) -> bool:
    """Tell whether a living process has shown one. Two that ask at once do not take each other for it."""
    try:
        fd = os.open(IDENTITY, _READ, dir_fd=root)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    else:
        return False
    finally:
        os.close(fd)
