"""The doorbell of one computer: a datagram wakes the worker of this home; the work itself is a row elsewhere."""

from __future__ import annotations

import select
from pathlib import Path
from typing import Final, Self

import structlog

from gateway.adapters.datagram import Mailslot, post

BELL: Final = Path("run") / "bell.sock"
_RING_TIMEOUT_S: Final = 0.05
_JOB_ID_LIMIT: Final = 64

log = structlog.get_logger()


class LocalDoorbell:
    """Rings the worker of ``home``. Nobody at home, or a full queue, is no error: the worker looks by itself."""

    def __init__(self, home: Path) -> None:
        self._path = home / BELL

    def ring(self, job_id: str) -> None:
        if not post(self._path, job_id.encode(), timeout_s=_RING_TIMEOUT_S):
            log.debug("bell_unheard", job=job_id)


class LocalBell:
    """The worker's ear: one per home; a second one takes over from the first."""

    def __init__(self, home: Path) -> None:
        self._slot = Mailslot(home / BELL)

    def fileno(self) -> int:
        return self._slot.fileno()

    def wait(self, timeout_s: float) -> list[str]:
        """Return the ids of jobs that were rung, as soon as there is one; none when the time is up."""
        poll = select.poll()
        poll.register(self._slot, select.POLLIN)
        if not poll.poll(timeout_s * 1000):
            return []
        rung = (message.decode("ascii", "replace") for message in self._slot.messages())
        return [job_id for job_id in rung if job_id.isalnum() and len(job_id) <= _JOB_ID_LIMIT]

    def close(self) -> None:
        self._slot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
