"""One sealed object in a file, open for reading."""

import errno
import os

from storage.errors import ObjectBusyError, ObjectUnreadableError
from storage.objects.writeback import in_memory, leave_cache

BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}
LET_GO_BYTES = 32 << 20


class DiskObject:
    """One file, open for reading."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._fd = fd
        self._passed: int | None = None
        self.size_bytes = size_bytes

    def pass_by(self) -> None:
        """Leave what is in memory where it is; what is not, is let go again as it is read."""
        if not in_memory(self._fd):
            self._passed = 0

    def read_into(self, offset: int, buffer: memoryview) -> int:
        done = 0
        try:
            while done < len(buffer):
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
                if count == 0:
                    break
                done += count
        except OSError as error:
            raise unreadable(error.strerror or "", error) from error
        if self._passed is not None and offset - self._passed >= LET_GO_BYTES:
            leave_cache(self._fd, self._passed, offset - self._passed)
            self._passed = offset
        return done

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            if self._passed is not None:
                leave_cache(fd)
            os.close(fd)


def unreadable(detail: str, error: OSError) -> ObjectUnreadableError | ObjectBusyError:
    """Tell damage, which stays, from a want of handles or memory, which says nothing of the object."""
    return (ObjectBusyError if error.errno in BUSY else ObjectUnreadableError)(detail)
