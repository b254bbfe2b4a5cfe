"""How much room a volume has, and the ballast that is given up when it has none; what is too little is decided elsewhere.

References
----------
statvfs(3): ``f_bavail`` is what this user may still fill, ``f_favail`` how many files she may still make. A file system that
has no fixed number of files says 0 of both. A quota that statvfs does not know shows only when a write is refused (EDQUOT).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage.errors import StoreFullError

# What a write says that found no room. A want of handles or memory is told to senders alike, and says nothing of room.
FULL = {errno.ENOSPC, errno.EDQUOT}
_SCARCE_HANDLES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one volume has, in bytes and in files; ``total_files`` is 0 where files are not counted.

    ``failure`` tells why a process writes nothing more there until it is started again (D2); empty where all write.
    """

    total_bytes: int
    free_bytes: int
    total_files: int = 0
    free_files: int = 0
    failure: str = ""


def room_of(path: Path | int) -> Room:
    """Measure the volume on which a path, or an open file, lies; one system call.

    Raises
    ------
    OSError
        The path is gone, or its volume does not answer.
    """
    facts = os.statvfs(path)
    return Room(
        total_bytes=facts.f_blocks * facts.f_frsize,
        free_bytes=facts.f_bavail * facts.f_frsize,
        total_files=facts.f_files,
        free_files=facts.f_favail,
    )


def tells_of_room(error: StoreFullError) -> bool:
    """Tell a full place from a process that has no handles or memory left."""
    return getattr(error.__cause__, "errno", None) not in _SCARCE_HANDLES


class Ballast:
    """A file that only takes room, so that there is some to give back when a write beside it finds none (D13).

    Any process may give it up; that is one ``truncate``, which needs no room. It holds zeros, never data.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes

    @property
    def held_bytes(self) -> int:
        """How much it takes now: by blocks, since a length alone takes nothing."""
        try:
            return self.path.stat().st_blocks * 512
        except OSError:
            return 0

    @property
    def is_whole(self) -> bool:
        """Tell whether all of it is there to be given up."""
        return self.held_bytes >= self.size_bytes

    def give_up(self) -> int:
        """Give all of it back and return how many bytes that was; never raises."""
        held = self.held_bytes
        if held:
            with suppress(OSError):
                os.truncate(self.path, 0)
        return held - self.held_bytes

    def make(self) -> bool:
        """Take the room again; False, with nothing taken, where there is not enough."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(fd, 0, self.size_bytes)
            except OSError:
                os.ftruncate(fd, 0)
                raise
            finally:
                os.close(fd)
        except OSError:
            return False
        return True
