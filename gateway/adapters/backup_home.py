"""A home that is being restored: the mark that keeps it from starting, and its report; records and objects are not touched here."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.domain.errors import BusyError, ConflictError, UnavailableError

MARK = "RESTORING"


class FolderToRestore:
    """Implements ``NewHome`` over a folder, for one process at a time."""

    def __init__(self, home: Path) -> None:
        self._home, self._mark = home, home / MARK

    def chosen(self, backup_id: str) -> str:
        begun = self._begun()
        if begun and backup_id not in ("", begun):
            raise ConflictError(
                f"a restore of {begun} was begun in {self._home} and has not come to its end",
                next_step=f"Restore {begun} again, or name an empty home.",
            )
        return begun or backup_id

    def claim(self, backup_id: str, *, is_empty: bool) -> None:
        if self._begun() == backup_id:
            return
        if not is_empty:
            raise ConflictError(
                f"{self._home}, its records or its objects are not empty",
                next_step="Name an empty home (and an empty database and object place, where they lie elsewhere).",
            )
        _durable(self._mark, json.dumps({"backup": backup_id}).encode() + b"\n")

    def keep_report(self, name: str, signed: bytes, words: str) -> None:
        folder = self._home / "audit"
        with _worded():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _durable(folder / f"{name}.json", signed)
        _durable(folder / f"{name}.txt", words.encode())

    def release(self) -> None:
        with _worded():
            self._mark.unlink(missing_ok=True)
            _sync(self._home)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second restore of the same home out."""
        with _worded():
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise BusyError(f"another restore is at work in {self._home}") from None
        finally:
            os.close(fd)

    def _begun(self) -> str:
        return begun_restore(self._home)


def begun_restore(home: Path) -> str:
    """Return the backup whose restore was begun here and has not come to its end."""
    try:
        return str(json.loads((home / MARK).read_bytes())["backup"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"{home / MARK} cannot be read, so nobody knows what was being restored here",
            next_step="Empty the home, but for keys, consilium.env and tls/, and restore again.",
        ) from error


def refuse_half_restored(home: Path) -> None:
    """Refuse a home whose restore has not come to its end: something of it is missing, or nobody has looked yet."""
    if begun := begun_restore(home):
        raise ConflictError(
            f"{home} is half restored from backup {begun} and does not start",
            next_step="Run the same `consilium backup restore` again; it goes on where it stopped.",
        )


def _durable(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    with _worded():
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"the home cannot be written: {error.strerror} ({error.filename or ''})"
        ) from error
