"""Drafts of SQLite snapshots: whole copies of the records, private, and swept where whoever made one was killed.

A draft is as readable as the records, and holds the wrapped keys of cases that were forgotten since. So nothing may leave
one lying: it ends with the block that made it, and what a kill left is removed by the next backup and the next start.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DRAFT = ".snapshot-"
_NAME = re.compile(r"\.snapshot-[0-9a-f]{16}")
_LOOKING = ".look-"  # private folders of ``cli.backup_parts``, with a draft in each
_SIDE_FILES = ("-wal", "-shm", "-journal")


@contextmanager
def draft_beside(folder: Path) -> Iterator[Path]:
    """Give a private file in a folder; it ends with this block. Its lock tells a sweep that its maker lives."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep_drafts(folder)
    path, fd = _locked(folder)
    try:
        yield path
    finally:
        _remove(path)
        os.close(fd)


def sweep_drafts(folder: Path) -> int:
    """Remove the drafts of calls that were killed, whose lock nobody holds; return how many."""
    removed = 0
    for path in (*folder.glob(f"{_DRAFT}*"), *folder.glob(f"{_LOOKING}*/{_DRAFT}*")):
        with suppress(OSError):
            if _NAME.fullmatch(path.name):
                removed += _swept(path)
            elif not path.with_name(path.name[: len(_DRAFT) + 16]).exists():
                path.unlink()  # beside a draft that is gone
            if path.parent != folder:
                path.parent.rmdir()  # refused while anything is in it
    return removed


def _locked(folder: Path) -> tuple[Path, int]:
    """Make a draft and lock it; a sweep that came between the two has taken it away, and another is made."""
    while True:
        path = folder / f"{_DRAFT}{secrets.token_hex(8)}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if path.exists():
            return path, fd
        os.close(fd)


def _swept(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    finally:
        os.close(fd)
    return True


def _remove(path: Path) -> None:
    """The draft goes last: while it is there, its side files are known for what they are."""
    for suffix in (*_SIDE_FILES, ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
