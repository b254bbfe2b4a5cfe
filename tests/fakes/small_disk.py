"""A small file system of its own, so that «full» is what the kernel says: ext4 in a file, or a tmpfs where loops are not allowed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHUNK = 1 << 20


@contextmanager
def small_disk(folder: Path, *, mebibytes: int = 48, files: int = 4000) -> Iterator[Path]:
    """Mount one below a folder; skips where this user may mount nothing."""
    where, image = folder / "disk", folder / "disk.img"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    made = _run("mkfs.ext4", "-q", "-m", "0", "-N", str(files), str(image)) and _run(
        "mount", "-o", "loop", str(image), str(where)
    )
    if not made and not _run(
        "mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,nr_inodes={files}", "none", str(where)
    ):
        pytest.skip("no file system may be mounted here (it takes root)")
    try:
        where.chmod(0o700)
        yield where
    finally:
        if not _run("umount", str(where)):
            _run("umount", "-l", str(where))
        image.unlink()


def fill(where: Path, *, leave_bytes: int = 0) -> Path:
    """Take all room but so much, as a log that nobody rotates would; unlinking the file gives it back."""
    hog = where / "hog"
    with hog.open("ab", buffering=0) as file, suppress(OSError):
        while (free := _free(where)) > leave_bytes:
            size = min(CHUNK, free - leave_bytes)
            file.write(bytes(size if size >= 4096 else max(size, 1)))
            if size < 4096:
                break
    return hog


def use_up_files(where: Path, *, leave: int = 0) -> Path:
    """Take all files but so many."""
    nest = where / "nest"
    nest.mkdir()
    number = 0
    with suppress(OSError):
        while os.statvfs(where).f_favail > leave:
            (nest / str(number)).touch()
            number += 1
    return nest


def _free(where: Path) -> int:
    facts = os.statvfs(where)
    return facts.f_bavail * facts.f_frsize


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
