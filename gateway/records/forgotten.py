"""What was forgotten, for every process: no key of it is used two seconds later, whoever destroyed it and whatever was put back.

Two things look. A thread asks for new tombstones twice a second, so that an idle process holds no key of theirs. And whoever
uses a key looks first where nobody has for a second, so that a starved thread gives nothing away: where the records do not
answer for two seconds, no key is used (docs/decisions/0047). A key that was not in hand is asked for by its holder, which
finds tombstones of any age: a row that was put back opens nothing.

It also takes the old bytes out of the database: SQLite's log holds the page as it was before the deletion until it is cut,
PostgreSQL keeps the deleted row until it is vacuumed, which does nothing while anybody may still see that row. What could not
be taken out is tried again, and told of once a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import structlog
from sqlalchemy import Dialect, Engine, PoolProxiedConnection

from gateway.domain.forgetting import Tombstone
from gateway.records.statements import Statements
from gateway.records.tables import forgotten
from gateway.records.transaction import Connection
from storage import KeyForgottenError, KeyUnconfirmedError

LOOK_EVERY_S = 0.5
LOOK_AGAIN_S = 1.0
BOUND_S = 2.0
CUT_FOR_S = 0.5
VACUUM_AGAIN_S = 5.0  # a backup may stand for hours, and each attempt reads the table's changed pages
TELL_AFTER_S = 1.0  # a reader that is just passing is nobody's concern
TELL_EVERY_S = 60.0
# As of the VACUUM of this connection right before: rows that it had to leave. Null where the server keeps no statistics.
_LEFT = (
    "SELECT CASE WHEN current_setting('track_counts')::boolean THEN n_dead_tup END "
    "FROM pg_stat_all_tables WHERE relid = 'case_key'::regclass"
)

log = structlog.get_logger()


class Tombstones:
    """Reads and writes the rows over whichever connection it is given."""

    def __init__(self, dialect: Dialect) -> None:
        self._sql = Statements(forgotten, dialect)
        mark = self._sql.mark
        self._add = (
            "INSERT INTO forgotten (seq, holder, case_id, at) "  # noqa: S608  # ours alone
            f"SELECT coalesce(max(seq), 0) + 1, {mark}, {mark}, {mark} FROM forgotten"
        )
        self._has = f"SELECT seq FROM forgotten WHERE holder = {mark}"  # noqa: S608  # ours alone
        self._newest = "SELECT coalesce(max(seq), 0) FROM forgotten"
        self._new = f"SELECT seq, holder FROM forgotten WHERE seq > {mark} ORDER BY seq"  # noqa: S608  # ours alone

    def add(self, connection: Connection, holder: str, *, case_id: str, at: Any) -> None:
        """Keep one; the second of a holder changes nothing. Writers are one at a time, so numbers are in the order of commits."""
        if not self.has(connection, holder):
            connection.execute(self._add, (holder, case_id, self._sql.bound("at", at)))

    def has(self, connection: Connection, holder: str) -> bool:
        return connection.execute(self._has, (holder,)).fetchone() is not None

    def newest(self, connection: Connection) -> int:
        return int(connection.execute(self._newest).fetchone()[0])

    def since(self, connection: Connection, seq: int) -> list[tuple[int, str]]:
        return list(connection.execute(self._new, (seq,)).fetchall())

    def all(self, connection: Connection, *, after: int) -> list[Tombstone]:
        sql = f"{self._sql.select} WHERE seq > {self._sql.mark}{self._sql.ordered('seq', None)}"
        rows = connection.execute(sql, (after,)).fetchall()
        return [Tombstone(**self._sql.values(self._sql.names, row)) for row in rows]


class Ring(Protocol):
    """What drops a holder's keys in this process."""

    def forget(self, holder: str) -> None:
        """Drop them."""


class ForgottenHolders:
    """Says for each use of a key whether its holder was forgotten; one for all threads of a process."""

    def __init__(
        self, *, write: Engine, read: Engine, ring: Ring, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._engine, self._ring, self._clock = write, read, ring, clock
        self._rows = Tombstones(read.dialect)
        self._lock = threading.Lock()
        self._connection: PoolProxiedConnection | None = None
        self._gone: set[str] = set()
        self._seq: int | None = None
        self._looked_at = float("-inf")
        self._is_cut = False  # what an earlier process left in the log, this one cuts
        self._cut_at = self._told_at = float("-inf")
        self._left_since: float | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, holder: str, is_known: bool) -> None:  # the shape that the store calls
        """Raise where a key of this holder must not be used; ``is_known`` says that it was in hand before.

        Raises
        ------
        KeyForgottenError
            It was destroyed.
        KeyUnconfirmedError
            The records have not answered for two seconds.
        """
        if self._clock() - self._looked_at >= LOOK_AGAIN_S:
            self._confirm()
        if not is_known and holder not in self._gone:
            self._ask(holder)
        if holder in self._gone:
            raise KeyForgottenError(holder)

    def look(self) -> None:
        """Drop the keys of all that was forgotten since the last look. Raises what the driver raises."""
        with self._lock:
            self._look()

    def watch(self) -> None:
        """Look twice a second from now on, in a thread of this process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="forgotten-holders", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread and give back the connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        with self._lock:
            self._let_go()

    def cut(self, *, for_s: float = CUT_FOR_S) -> bool:
        """Take the deleted keys' old bytes out of the database's own files; False where somebody still reads the old pages.

        With PostgreSQL True says that the rows are gone and their space is free; inside a page it is not wiped before it is used.
        """
        is_sqlite, why = self._write.dialect.name == "sqlite", "read"
        try:
            self._is_cut = self._cut_log(for_s) if is_sqlite else self._vacuum()
        except Exception as error:  # noqa: BLE001 - the keys are destroyed; the thread tries again
            self._is_cut, why = False, type(error).__name__
        self._cut_at = self._clock() + (0.0 if is_sqlite else VACUUM_AGAIN_S)
        self._tell_of_the_left(why)
        return self._is_cut

    def _tell_of_the_left(self, why: str) -> None:
        now = self._clock()
        if self._is_cut:
            self._left_since = None
            return
        since = self._left_since = now if self._left_since is None else self._left_since
        if now - since >= TELL_AFTER_S and now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning("key_bytes_left", reason=why, seconds=round(now - since))

    def _confirm(self) -> None:
        # Somebody is looking already, for all: a slow machine is waited for, records that do not answer are not.
        if not self._lock.acquire(timeout=BOUND_S):
            self._refuse_unconfirmed()
            return
        try:
            if self._clock() - self._looked_at >= LOOK_AGAIN_S:
                self._look()
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the answer is not known
            log.warning("forgotten_unknown", error=type(error).__name__)
            self._refuse_unconfirmed()
        finally:
            self._lock.release()

    def _refuse_unconfirmed(self) -> None:
        if self._clock() - self._looked_at >= BOUND_S:
            raise KeyUnconfirmedError

    def _ask(self, holder: str) -> None:
        try:
            with self._lock:
                if self._run(lambda connection: self._rows.has(connection, holder)):
                    self._gone.add(holder)
        except Exception as error:  # as above
            log.warning("forgotten_unknown", error=type(error).__name__)
            raise KeyUnconfirmedError from error

    def _look(self) -> None:
        began = self._clock()
        if self._seq is None:  # nothing older is in hand, and what is asked for anew is asked by name
            self._seq = self._run(self._rows.newest)
            self._is_cut = not self._seq
        else:
            for seq, holder in self._run(lambda connection: self._rows.since(connection, self._seq or 0)):
                self._gone.add(holder)
                self._ring.forget(holder)
                self._seq, self._is_cut = seq, False
        self._looked_at = began

    def _run(self, ask: Callable[[Connection], Any]) -> Any:
        """Ask over a connection of our own, which no busy pool keeps us waiting for."""
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            self._connection.detach()
        try:
            answer = ask(self._connection.dbapi_connection)
            self._connection.rollback()
        except BaseException:
            self._let_go()
            raise
        return answer

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _serve(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look tries again, and users of keys look themselves
                log.warning("forgotten_unknown", error=type(error).__name__)
            if not self._is_cut and self._clock() >= self._cut_at:
                self.cut(for_s=0.0)

    def _cut_log(self, for_s: float) -> bool:
        until = time.monotonic() + for_s
        while True:
            pooled = self._write.raw_connection()
            try:
                connection: Connection = pooled.driver_connection
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                pooled.close()
            if not busy:
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)

    def _vacuum(self) -> bool:
        pooled = self._write.raw_connection()
        pooled.detach()  # it is not given back with autocommit on
        try:
            connection: Connection = pooled.dbapi_connection
            connection.autocommit = True
            connection.execute("VACUUM case_key")
            (left,) = connection.execute(_LEFT).fetchone()
        finally:
            pooled.close()
        return bool(left == 0)
