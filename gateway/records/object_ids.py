"""Ids for sealed objects, each under a batch that the records hold before the object can be there (D7); no id without one.

The row of a batch costs one commit in an hour, where a row for each object would cost one each time. It tells three things
of an object that no row names: that this exchange made it, when at the latest its id was given, and so that nobody names it
any more (``domain.kept_object``). Clocks of one exchange's machines differ by less than hours (D12).
"""

from __future__ import annotations

import os
import threading
from datetime import timedelta

import structlog
from sqlalchemy import Engine, insert

from gateway.domain.errors import UnavailableError
from gateway.domain.kept_object import ObjectBatch
from gateway.ports import Clock
from gateway.records.tables import KINDS
from gateway.records.turn import alone
from storage import new_batch, new_object_id

USED_FOR = timedelta(hours=2)
RENEWED_AFTER = timedelta(hours=1)
PATIENCE_S = 10.0

log = structlog.get_logger()
_batches = KINDS["object_batches"].table


class BatchedIds:
    """A source of ids for one process and its threads; called where the turn to write must not be waited for.

    So it never writes in the caller's thread: a change may be open in it, and would wait for itself.
    """

    def __init__(self, write: Engine, clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._begin()

    def _begin(self) -> None:
        """Know of no batch."""
        self._process = os.getpid()
        self._batch: ObjectBatch | None = None
        self._lock = threading.Lock()
        self._fetching: threading.Thread | None = None

    def __call__(self) -> str:
        """Return a new id. The whole promise:

        1. An id is given under a batch that is committed in the records, durably, and never after the batch's end.
        2. The next batch is asked for an hour before that, by a thread of its own, so that nobody waits for it.
        3. Who finds none (the process is new, or was asleep) waits for that thread, for a while.
        4. Then it is refused: an object that nobody listed could never be told from somebody else's.
        """
        if self._process != os.getpid():
            self._begin()  # after a fork: the thread that fetches, and perhaps holds the lock, is the parent's
        now, batch = self._clock.now(), self._batch
        if batch is None or now >= batch.made_at + RENEWED_AFTER:  # 2
            thread = self._fetch()
            if batch is None or now >= batch.until:
                thread.join(PATIENCE_S)  # 3
                batch = self._batch
        if batch is None or now >= batch.until:
            raise UnavailableError("the records do not answer: there is no batch of object ids")  # 4
        return new_object_id(batch.id)  # 1

    def _fetch(self) -> threading.Thread:
        """Have the next batch written down, once at a time."""
        with self._lock:
            if self._fetching is None or not self._fetching.is_alive():
                self._fetching = threading.Thread(target=self._write_down, name="object-batch", daemon=True)
                self._fetching.start()
            return self._fetching

    def _write_down(self) -> None:
        try:
            now = self._clock.now()
            made = ObjectBatch(id=new_batch(), made_at=now, until=now + USED_FOR)
            row = {"id": made.id, "made_at": made.made_at, "until": made.until}
            with alone(self._write), self._write.begin() as connection:
                connection.execute(insert(_batches).values(**row))
        except Exception as error:  # noqa: BLE001 - whoever needs the batch is refused in words
            log.warning("object_batch_failed", error=type(error).__name__)
            return
        self._batch = made

    def give_back(self) -> None:
        """Wait for a batch that is being written, before the records are closed."""
        thread = self._fetching
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE_S)
