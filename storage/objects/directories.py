"""The directories of a store on a disk: made once, durably, so that no publish waits for a new parent to be flushed."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from storage.errors import VolumeUnfitError

DRAFTS = "tmp"
SHARDS = tuple(f"{number:02x}" for number in range(256))
READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def sync_directory(path: Path) -> None:
    fd = os.open(path, READ_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def prepare_directories(root: Path) -> None:
    """Make a root that is missing, durably."""
    try:
        new = []
        for directory in (*reversed(root.parents), root):
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
                new.append(directory)
        for directory in reversed(new):
            sync_directory(directory.parent)
        is_directory = stat.S_ISDIR(os.lstat(root).st_mode)
    except OSError as error:
        raise VolumeUnfitError(f"{root}: {error.strerror}") from error
    if not is_directory:
        raise VolumeUnfitError(f"{root} is no directory")


def prepare_shards(root: Path, fd: int) -> None:
    """Make the directories that are missing below an open root, durably, and refuse a root that others may enter."""
    try:
        is_new = False
        for name in (DRAFTS, *SHARDS):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=fd)
                is_new = True
        if is_new:
            os.fsync(fd)
        facts = os.fstat(fd)
    except OSError as error:
        raise VolumeUnfitError(f"{root}: {error.strerror}") from error
    if facts.st_uid != os.geteuid():
        raise VolumeUnfitError(f"{root} belongs to another user; chown it to the one who runs the exchange")
    if facts.st_mode & 0o077:
        raise VolumeUnfitError(f"others may enter {root}; chmod 700 it")
