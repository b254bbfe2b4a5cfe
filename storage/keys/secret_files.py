"""Small files that hold a secret (keys, a PIN, a token, a passphrase): read only where nobody else could, and written durably."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import KeyFileError

MAX_FILE_BYTES = 1 << 16
Passphrase = Callable[[], bytes]
Mark = tuple[int, ...]


def read_guarded(path: Path) -> tuple[bytes, Mark]:
    """Return content and mark of a file that nobody else could have read or written; checks are on the open file, not its name."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFileError("there is none; create one, or bring it back from its backup") from None
    except OSError as error:
        raise KeyFileError(
            f"cannot be opened, and a symbolic link is not followed: {error.strerror}"
        ) from error
    try:
        facts = os.fstat(fd)
        _refuse_exposed(facts)
        return os.read(fd, MAX_FILE_BYTES), _mark(facts)
    finally:
        os.close(fd)


def mark_of(path: Path) -> Mark:
    """Return what changes whenever the file does, its mode and owner included."""
    try:
        return _mark(path.lstat())
    except OSError as error:
        raise KeyFileError(
            f"it was there and is gone: {error.strerror}; bring it back from its backup"
        ) from error


def read_secret(path: Path, *, what: str) -> bytes:
    """Return one line from a file for its owner, or root's, alone; without the end of the line.

    The same rule as for the key file, but systemd's credentials may belong to root.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileError(f"{what} {path} cannot be opened: {error.strerror}") from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077 or facts.st_uid not in {0, os.geteuid()}:
            raise KeyFileError(f"{what} {path} is not private; chown it to the exchange's user and chmod 600")
        secret = os.read(fd, MAX_FILE_BYTES).rstrip(b"\r\n")
    finally:
        os.close(fd)
    if not secret:
        raise KeyFileError(f"{what} {path} is empty")
    return secret


def write_new(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, durably; never over an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyFileError("there is a key file already, and it is never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"cannot be created: {error.strerror}") from error
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(fd)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise KeyFileError(f"cannot be written: {error.strerror}") from error
    _flush_folder(path)


def replace(path: Path, content: bytes) -> None:
    """Put a new content in a file's place: whoever is killed, and whatever loses power, leaves the old or the new one.

    For who holds `lock` on it.
    """
    fresh = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()  # of one that was killed
    write_new(fresh, content)
    try:
        fresh.replace(path)
    except OSError as error:
        raise KeyFileError(f"cannot be replaced: {error.strerror}") from error
    _flush_folder(path)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Let one process at a time change a file; the lock ends with its holder, however that ends."""
    beside = path.with_name(path.name + ".lock")
    try:
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyFileError(f"{beside.name} cannot be opened beside it: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _refuse_exposed(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise KeyFileError("it is no regular file")
    if facts.st_uid != os.geteuid():
        raise KeyFileError("it belongs to another user; chown it to the one who runs the exchange")
    if facts.st_mode & 0o077:
        raise KeyFileError("others may read or write it; chmod 600 it, and replace the key if anybody did")
    if facts.st_size > MAX_FILE_BYTES:
        raise KeyFileError("it is too large to be a key file")


def _mark(facts: os.stat_result) -> Mark:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _flush_folder(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
