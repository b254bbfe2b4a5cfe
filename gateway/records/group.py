"""Group commit: changes of this process that wait for one another share one transaction, and so one fsync and one head.

1. A change that finds no transaction open begins one, which takes the database's write lock.
2. When it has done its work and another change waits, it hands the open transaction on to that one; each that joins works
   behind a savepoint of its own, so that its failure takes back nobody else's rows.
3. The last in the queue commits for all. Each returns from here only then: committed, or all of them failed.

A joiner reads what those before it wrote; as they commit together or not at all, it can rely on that. A change that fails
leaves from here no sooner than the others: what it says («there is such a row already») can be seen by then. The body of a
change waits for nothing but the database: who waits in it for another thread's change may wait for itself.

Whatever is raised while a group ends, by the database or not, is told to all of its changes, and the turn goes on. Only what
comes after the commit (keeping or giving back the connection, the checkpoint) can fail without anybody being refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
from sqlalchemy import Engine, PoolProxiedConnection

from gateway.domain.errors import UnavailableError
from gateway.records import turn
from gateway.records.audit import NO_HEAD, Head, Trail
from gateway.records.checkpoint import Checkpointer
from gateway.records.engine import begin_writing
from gateway.records.transaction import Connection, discard, failure, give_back, lease, worded
from gateway.records.turn import Seat, turn_of

MOST_MEMBERS = 64
MOST_S = 0.02

log = structlog.get_logger()


class Group:
    """One open transaction, the head of the trail in it, and how many changes it holds."""

    __slots__ = (
        "began", "connection", "done", "error", "head", "is_given_up", "is_shared", "members", "pooled", "stored",
    )  # fmt: skip

    def __init__(self, pooled: PoolProxiedConnection) -> None:
        self.pooled = pooled
        self.connection: Connection = pooled.driver_connection
        self.began = time.monotonic()
        self.stored: Head | None = None
        self.head: Head = NO_HEAD
        self.members = 0
        self.is_shared = False
        self.is_given_up = False
        self.error: BaseException | None = None
        self.done = threading.Event()


class Writer:
    """The writing transactions of one engine, one at a time."""

    def __init__(self, engine: Engine, trail: Trail) -> None:
        self._engine, self._trail = engine, trail
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._turn = turn_of(engine)
        self._open: Group | None = None
        self._checkpointer = Checkpointer(engine) if self._is_sqlite else None
        # SQLite has one writer at a time, and the turn gives it to one thread: one connection serves all its transactions.
        self._held: PoolProxiedConnection | None = None

    @contextmanager
    def share(self) -> Iterator[Group]:
        """Give the transaction; return when what was done in it is durable, raise when it is not."""
        seat, group = Seat(joins=self), None
        with worded(self._engine):
            try:
                self._turn.take(seat)
                if self._open is None:
                    self._open = Group(self._held or lease(self._engine))
                group = self._open
                with self._kept_apart(group):
                    yield group
            finally:
                if seat.is_called:
                    self._pass_on()
                if group is not None and group.is_shared:
                    self._wait_for_the_end(group)
        if group.error is not None:
            raise failure(self._engine, group.error) from group.error

    @contextmanager
    def _kept_apart(self, group: Group) -> Iterator[None]:
        """Take back a failing change alone. The first needs no savepoint: there is nothing else to keep."""
        run, head = group.connection.execute, group.head
        try:
            if group.members:
                run("SAVEPOINT joiner")
            else:
                if self._is_sqlite:  # psycopg begins with the first statement
                    begin_writing(run)
                group.head = group.stored = self._trail.take_turn(group.connection)
            yield
            if group.members:
                run("RELEASE SAVEPOINT joiner")
            group.members += 1
        except BaseException as error:
            group.head = head
            if not group.members:
                group.error = error
            else:
                self._take_back(group)
            raise

    @staticmethod
    def _take_back(group: Group) -> None:
        try:
            group.connection.execute("ROLLBACK TO SAVEPOINT joiner")
            group.connection.execute("RELEASE SAVEPOINT joiner")
        except BaseException as error:
            group.error = error  # the transaction itself is lost, and with it the changes before this one
            if not isinstance(error, Exception):
                raise

    def _pass_on(self) -> None:
        """Hand the open transaction to the next who waits; where nobody can join, end it and let the next begin anew."""
        group, is_handed_on = self._open, False
        try:
            if group is not None:
                is_handed_on = self._hand_on(group)
                if not is_handed_on:
                    self._open = None
                    self._end(group)
        finally:
            if not is_handed_on:
                self._turn.leave()

    def _hand_on(self, group: Group) -> bool:
        was_shared, group.is_shared = group.is_shared, True
        if self._may_grow(group) and self._turn.leave_to_joiner(self):
            return True
        group.is_shared = was_shared
        return False

    @staticmethod
    def _may_grow(group: Group) -> bool:
        is_full = group.members >= MOST_MEMBERS or time.monotonic() - group.began > MOST_S
        return group.error is None and group.members > 0 and not is_full and not group.is_given_up

    @staticmethod
    def _wait_for_the_end(group: Group) -> None:
        """Wait until the group is committed or given up. Who waits too long gives up for all, unless the commit has begun."""
        if not group.done.wait(turn.PATIENCE_S):
            group.is_given_up = True
            raise UnavailableError(f"the records were not written within {turn.PATIENCE_S:g} s")

    def _end(self, group: Group) -> None:
        """Commit for all, or give up for all; whoever waits is told by ``done``."""
        is_committed = False
        try:
            if group.is_given_up and group.error is None:
                group.error = TimeoutError()
            if group.error is None and group.members:
                if group.head != group.stored:
                    self._trail.move(group.connection, group.head)
                group.connection.commit()
                is_committed = True
        except BaseException as error:
            group.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            try:
                self._let_go(group, is_committed=is_committed)
            finally:
                group.done.set()
        if is_committed and self._checkpointer is not None:
            self._checkpointer.committed()

    def _let_go(self, group: Group, *, is_committed: bool) -> None:
        """Keep a connection that has committed, where there is one for all; else give it back, and its locks in any case."""
        self._held = None
        if is_committed and self._is_sqlite:
            self._held = group.pooled
            return
        try:
            give_back(self._engine, group.pooled, group.error)
        except BaseException as error:
            with suppress(Exception):
                discard(group.pooled)
                log.warning("connection_discarded", error=type(error).__name__)
            if not isinstance(error, Exception):
                raise

    def close(self) -> None:
        """Give back the connection; for whoever closes the engine."""
        held, self._held = self._held, None
        if held is not None:
            give_back(self._engine, held)
