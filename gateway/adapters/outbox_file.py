"""A file to which messages are appended instead of being sent; who may read it is the operator's choice of folder.

An address or a number is a person's: only enough of it is written to tell two recipients apart.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.domain.errors import UnavailableError


class Outbox:
    """One JSON object per line, the newest last; durable when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def append(self, **message: str) -> None:
        line = json.dumps(
            {"at": datetime.now(UTC).isoformat(timespec="seconds"), **message}, ensure_ascii=False
        )
        try:
            with self._lock:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                fd = os.open(self.path, flags, 0o600)
                try:
                    os.write(fd, line.encode() + b"\n")  # one write: lines of several processes do not mix
                    os.fsync(fd)
                finally:
                    os.close(fd)
        except OSError as error:
            raise UnavailableError(
                f"The outbox {self.path.name} cannot be written ({error.strerror})."
            ) from error

    def messages(self) -> list[dict[str, Any]]:
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]


def masked(address: str) -> str:
    """``+46701234567`` becomes ``+46…67``, ``anna.berg@example.org`` becomes ``a…@example.org``."""
    name, at, host = address.strip().rpartition("@")
    if at:
        return f"{name[:1]}…@{host}"
    return f"{address.strip()[:3]}…{address.strip()[-2:]}" if len(address.strip()) > 7 else "…"
