"""One local datagram socket, known by a path; what its messages mean is decided by those who hold it.

A Unix socket's path may have at most 107 bytes. A home that lies deeper is reached through an open descriptor
of its folder (``/proc/self/fd/N/name``), which keeps the folder's permissions; an abstract name would not.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

MESSAGE_LIMIT_BYTES: Final = 4096
_PATH_LIMIT_BYTES: Final = 107
_CREDENTIALS: Final = struct.Struct("3i")


class Mailslot:
    """The receiving end: bound to a path, closed to other users, readable by ``select``."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        with _reachable(path) as address:
            self._socket.bind(address)
        path.chmod(0o600)
        self._inode = path.stat().st_ino

    def fileno(self) -> int:
        return self._socket.fileno()

    def messages(self) -> Iterator[bytes]:
        """Every message that waits, of this user or root; never blocks."""
        while True:
            try:
                message, ancillary, _flags, _sender = self._socket.recvmsg(
                    MESSAGE_LIMIT_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except BlockingIOError:
                return
            except InterruptedError:
                continue
            if _sender_uid(ancillary) in {0, os.geteuid()}:
                yield message

    def close(self) -> None:
        self._socket.close()
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:  # a successor may have taken the name
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sender_uid(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(_CREDENTIALS.unpack(data[: _CREDENTIALS.size])[1])
    return None


def post(path: Path, message: bytes, *, timeout_s: float) -> bool:
    """Send one message to whoever listens at ``path``; False when nobody does or its queue stays full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(timeout_s)
        with suppress(OSError):
            with _reachable(path) as address:
                sender.sendto(message, address)
            return True
    return False


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name for ``path`` that is short enough for the kernel, valid while the context is open."""
    if len(os.fsencode(path)) <= _PATH_LIMIT_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
