"""The register of what was forgotten as a file beside the audit witness: one line each, appended to, never rewritten."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.errors import UnavailableError


class FileRegister:
    """Lines that are durable when ``append`` returns, the folder's entry of a new file too."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, lines: Sequence[str]) -> None:
        """Write in one call: what a crash cuts is the end of the last line, and the next call begins a new one."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self.path, flags, 0o600)
            try:
                left = memoryview(("\n" + "".join(f"{line}\n" for line in lines)).encode())
                while left:
                    left = left[os.write(fd, left) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise UnavailableError(
                f"the register of what was forgotten cannot be written ({error.strerror})"
            ) from error

    def lines(self) -> list[str]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnavailableError(
                f"the register of what was forgotten cannot be read ({error.strerror})"
            ) from error
        return [line for line in text.split("\n") if line]
