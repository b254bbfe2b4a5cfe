"""The witness port as a file beside the records: it shows a cut trail to whoever did not also rewrite this file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.errors import UnavailableError

_SEPARATOR = "\n\x1e\n"


class FileWitness:
    """Signed checkpoints one after another, each durable when ``publish`` returns; appended to, never rewritten."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, note: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                os.write(fd, (note + _SEPARATOR).encode())
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise UnavailableError(f"the audit witness cannot be written ({error.strerror})") from error

    def notes(self) -> Sequence[str]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return [note for note in text.split(_SEPARATOR) if note.strip()]
