"""A backup repository as a directory: another disk, or a mount of another machine; what is in it is told in docs/spec/backup.md.

``objects/`` is laid out as a store's own, ``manifests/<id>`` holds one line of JSON and its signature, and ``lists/<id>`` the
objects it names. A manifest is written last and taken away first, so that no kill leaves one that promises too much.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.domain.backup import BACKUP_ID
from gateway.domain.errors import BusyError, NotFoundError, UnavailableError
from storage import DiskObjects, StorageError

_MOST_MANIFEST_BYTES = 4 << 20
_README = "README.txt"
_WORDS = """This directory is a backup repository of a Consilium exchange (docs/spec/backup.md).
Everything in objects/ is encrypted. The master keys are not here: without them nothing of it can be read, by anybody.
Do not change or remove anything by hand: `consilium backup prune --from DIR` removes what is old.
"""


class BackupDirectory:
    """Implements ``BackupPlace``."""

    def __init__(self, root: Path, *, is_new: bool = False) -> None:
        """Open a repository; ``is_new`` makes one where there is none, and never in a directory that holds other things."""
        self._root = root
        self.name = str(root)
        if not (root / "manifests").is_dir():
            if not is_new:
                raise NotFoundError(
                    f"there is no backup repository in {root}",
                    next_step="Check the path, and that the disk is mounted; `consilium backup create --to DIR` makes one.",
                )
            _make(root)
        try:
            self.objects = DiskObjects(root / "objects")
        except StorageError as error:
            raise UnavailableError(
                f"the backup repository cannot be used: {error}",
                next_step="Mend what it names and call again.",
            ) from error

    def ids(self) -> list[str]:
        with _worded("read"):
            return sorted(
                entry.name
                for entry in (self._root / "manifests").iterdir()
                if BACKUP_ID.fullmatch(entry.name)
            )

    def manifest(self, backup_id: str) -> bytes:
        if not BACKUP_ID.fullmatch(backup_id):
            raise NotFoundError(f"{backup_id[:40]} is no name of a backup", next_step=_SEE_LIST)
        try:
            with (self._root / "manifests" / backup_id).open("rb") as file:
                return file.read(_MOST_MANIFEST_BYTES)
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no backup {backup_id} in {self._root}", next_step=_SEE_LIST
            ) from None
        except OSError as error:
            raise _unavailable("read", error) from error

    def listed(self, backup_id: str) -> Iterator[bytes]:
        with _worded("read"), (self._root / "lists" / backup_id).open("rb") as file:
            yield from file

    def keep_list(self, backup_id: str, lines: Iterable[bytes]) -> None:
        self._write("lists", backup_id, lines)

    def keep_manifest(self, backup_id: str, content: bytes) -> None:
        self._write("manifests", backup_id, [content])

    def drop(self, backup_id: str) -> None:
        with _worded("changed"):
            for folder in ("manifests", "lists"):
                with suppress(FileNotFoundError):
                    (self._root / folder / backup_id).unlink()
                _sync(self._root / folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with _worded("locked"):
            fd = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"another backup or prune is at work in {self._root}",
                    next_step="Wait until it has ended.",
                ) from None
            except OSError as error:
                raise _unavailable("locked", error) from error
            self._sweep()
            yield
        finally:
            os.close(fd)

    def _sweep(self) -> None:
        """Remove what killed calls left: drafts, and lists whose manifest never came or is gone."""
        kept = set(self.ids())
        with _worded("changed"):
            for folder in ("manifests", "lists"):
                for entry in (self._root / folder).iterdir():
                    if entry.name.startswith(".") or (folder == "lists" and entry.name not in kept):
                        entry.unlink(missing_ok=True)

    def _write(self, folder: str, name: str, pieces: Iterable[bytes]) -> None:
        """Beside, flushed, renamed, the directory flushed."""
        draft = self._root / folder / f".{secrets.token_hex(8)}"
        with _worded("written"):
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._root / folder / name)
            _sync(self._root / folder)


_SEE_LIST = "See `consilium backup list --from DIR`."


def _make(root: Path) -> None:
    with _worded("made"):
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours = {"objects", "lists", "lock", _README}  # a call that was killed here may have made these
        if others := {entry.name for entry in root.iterdir()} - ours - {"lost+found"}:
            raise NotFoundError(
                f"{root} holds other things ({min(others)})",
                next_step="Name a directory that is empty, or a backup repository.",
            )
        if root.stat().st_mode & 0o077:
            root.chmod(0o700)
        (root / _README).write_text(_WORDS)
        (root / "lists").mkdir(mode=0o700, exist_ok=True)
        (root / "manifests").mkdir(mode=0o700, exist_ok=True)
        _sync(root)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _worded(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(what, error) from error


def _unavailable(what: str, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"the backup repository cannot be {what}: {error.strerror} ({error.filename or ''})",
        next_step="Check that the disk is mounted, has room and belongs to the user who runs the exchange.",
    )
