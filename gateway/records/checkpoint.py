"""Bringing SQLite's write-ahead log home in the background, so that no instance waits for it; PostgreSQL does this itself.

SQLite checkpoints inside the commit that passes a thousand pages: every ninetieth instance would wait for four megabytes to
be copied and flushed. A passive checkpoint beside the writers blocks none of them; what it cannot finish, the next one does.
The bound inside the commit stays, further out, for processes that write now and then.

References
----------
https://www.sqlite.org/wal.html, "Checkpointing"; PRAGMA wal_checkpoint.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import structlog
from sqlalchemy import Engine

EVERY_COMMITS = 64
PAGES_IN_A_COMMIT = 8000

log = structlog.get_logger()


class Checkpointer:
    """Counts the commits of one writing engine and checkpoints behind them, in a thread that begins with the first need."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._commits = 0
        self._wanted = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """Count one; called by whoever has the turn, so by one thread at a time.

        Never refuses: what was counted is committed. A thread that could not begin is begun with the next need.
        """
        self._commits += 1
        if self._commits % EVERY_COMMITS:
            return
        try:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._serve, name="records-checkpoint", daemon=True)
                thread.start()
                self._thread = thread
        except Exception as error:  # noqa: BLE001 - no thread and no memory are no reason to refuse what is durable
            with suppress(Exception):
                log.warning("checkpoint_not_begun", error=type(error).__name__)
        else:
            self._wanted.release()

    def _serve(self) -> None:
        while self._wanted.acquire():
            while self._wanted.acquire(blocking=False):
                pass  # several wishes are one
            self._checkpoint()

    def _checkpoint(self) -> None:
        try:
            pooled = self._engine.raw_connection()
            try:
                pooled.driver_connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # type: ignore[union-attr]  # a leased connection has one
            finally:
                pooled.close()
        except Exception as error:  # noqa: BLE001 - the next commit over the outer bound does it, and tells if it cannot
            log.warning("checkpoint_failed", error=type(error).__name__)
