"""Ids for sealed objects, each under a batch that the records hold before the object can be there (D7); no id without one.

The row of a batch costs one commit in an hour, where a row for each object would cost one each time. It tells three things
of an object that no row names: that this exchange made it, when at the latest its id was given, and so that nobody names it
any more (``domain.kept_object``). Clocks of one exchange's machines differ by less than hours (D12); where one jumps or a
machine sleeps, ``OpenBatches`` keeps a late row from naming what was swept meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy import Dialect, Engine, insert

from gateway.domain.errors import UnavailableError
from gateway.domain.kept_object import ObjectBatch
from gateway.ports import Clock
from gateway.records.audit import NO_HEAD, Head
from gateway.records.statements import Statements
from gateway.records.tables import KINDS
from gateway.records.transaction import Connection
from gateway.records.turn import alone
from storage import batch_of, new_batch, new_object_id

USED_FOR = timedelta(hours=2)
RENEWED_AFTER = timedelta(hours=1)
PATIENCE_S = 10.0

log = structlog.get_logger()
_batches = KINDS["object_batches"].table
# The batches that this process has used, and those of them that a sweep has closed; a few dozen a day.
_ours: set[str] = set()
_closed: set[str] = set()


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
        3. Who finds none (the process is new, or was asleep, or a sweep has closed it) waits for that thread, for a while.
        4. Then it is refused: an object that nobody listed could never be told from somebody else's.
        """
        if self._process != os.getpid():
            self._begin()  # after a fork: the thread that fetches, and perhaps holds the lock, is the parent's
        now, held = self._clock.now(), self._batch
        batch = None if held is not None and held.id in _closed else held
        # 2, also where the clock was put back: a batch from the future would be used until then
        if batch is None or abs(now - batch.made_at) >= RENEWED_AFTER:
            thread = self._fetch(instead_of=held)
            if batch is None or now >= batch.until:
                thread.join(PATIENCE_S)  # 3
                batch = self._batch
        if batch is None or now >= batch.until or batch.id in _closed:
            raise UnavailableError("the records do not answer: there is no batch of object ids")  # 4
        return new_object_id(batch.id)  # 1

    def _fetch(self, *, instead_of: ObjectBatch | None) -> threading.Thread:
        """Have the next batch written down, once at a time, and once for all who found the same one wanting."""
        with self._lock:
            thread = self._fetching
            has_come = self._batch is not instead_of
            if thread is None or not (has_come or thread.is_alive()):
                thread = self._fetching = threading.Thread(
                    target=self._write_down, name="object-batch", daemon=True
                )
                thread.start()
            return thread

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
        _ours.add(made.id)
        self._batch = made

    def give_back(self) -> None:
        """Wait for a batch that is being written, before the records are closed."""
        thread = self._fetching
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE_S)


class OpenBatches:
    """Keeps a row from naming an object that a sweep has given up since it was sealed; asked inside each change.

    A sweep closes a batch in a change of its own and removes what lies under it after that. Changes come one after the
    other (``Trail.take_turn``), so a row is either committed before, and the sweep sees it, or refused here. No clock has
    a say in it: one that jumped, and a machine that slept for a day, cost a refusal and no object.
    """

    def __init__(self, dialect: Dialect) -> None:
        mark = Statements(_batches, dialect).mark
        self._ask = f"SELECT 1 FROM object_batch WHERE id = {mark} AND until > made_at"  # noqa: S608  # ours alone
        self._known_open: tuple[str, Head] = ("", NO_HEAD)

    def refuse_closed(
        self, connection: Connection, object_id: str, *, head: Head, is_named: Callable[[], bool]
    ) -> str:
        """Return the batch of an object that a row is about to name; "" for one that this process did not seal.

        The trail's head tells whether anybody has changed anything since the batch was last seen open: while only this
        process writes, nothing is asked. What a row names already is named for good, however old its batch.

        Raises
        ------
        UnavailableError
            The object was given up. It has to be sealed anew.
        """
        try:
            batch = batch_of(object_id)
        except ValueError:
            return ""
        if batch not in _ours:
            return ""
        if self._known_open == (batch, head):
            return batch
        if connection.execute(self._ask, (batch,)).fetchone() is not None:
            self._known_open = (batch, head)
            return batch
        _closed.add(batch)
        if is_named():
            return ""
        raise UnavailableError(
            "a sweep has given this object up while it waited for its row",
            next_step="Send it again; if that happens twice, see that this computer's clock is right.",
        )

    def seen_open(self, batch: str, head: Head) -> None:
        """Remember that the batch was open up to this head; if the change fails, nobody will ever see that head."""
        self._known_open = (batch, head)
