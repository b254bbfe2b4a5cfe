"""Asking the kernel to write early and to forget early, for files that are written once; advice, never a promise.

What is durable is decided by ``fsync`` alone, which still waits for every byte and still reports every error.

References
----------
sync_file_range(2), posix_fadvise(2), preadv2(2).
"""

import ctypes
import os
from contextlib import suppress

HASTEN_BYTES, PAGE_BYTES = 65536, 4096
SYNC_FILE_RANGE_WRITE = 2

_call = getattr(
    ctypes.CDLL(None), "sync_file_range", None
)  # glibc on Linux; elsewhere the flush does all the work
if _call is not None:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def hasten(fd: int, begun: int, size_bytes: int) -> int:
    """Have the kernel begin to write out what lies behind `begun`, in whole pages; return where it ends now.

    A page that is being written out makes the next write to it wait, so the last, unfilled one is left alone.
    """
    end = size_bytes & -PAGE_BYTES
    if _call is None or end - begun < HASTEN_BYTES:
        return begun
    _call(fd, begun, end - begun, SYNC_FILE_RANGE_WRITE)
    return end


def in_memory(fd: int) -> bool:
    """Tell whether the file's beginning is in the page cache, as it is where somebody reads it; does not read it."""
    try:
        return os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT) > 0
    except OSError:  # it is not, or this file system does not tell
        return False


def leave_cache(fd: int, offset: int = 0, size_bytes: int = 0) -> None:
    """Give back the memory of what is on the device: ciphertext is read once, and a full cache makes writes slow."""
    with suppress(OSError):
        os.posix_fadvise(fd, offset, size_bytes, os.POSIX_FADV_DONTNEED)
