"""Group commit: changes of this process that wait for one another share one transaction, and so one fsync and one head.

1. A change that finds no transaction open begins one, which takes the database's write lock.
2. When it has done its work and another change waits, it hands the open transaction on to that one; each that joins works
   behind a savepoint of its own, so that its failure takes back nobody else's rows.
3. The last in the queue commits for all. Each returns from here only then: committed, or all of them failed.

A joiner reads what those before it wrote; as they commit together or not at all, it can rely on that. A change that fails
leaves from here no sooner than the others: what it says («there is such a row already») can be seen by then. The body of a
change waits for nothing but the database: who waits in it for another thread's change may wait for itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, PoolProxiedConnection

from gateway.records.audit import NO_HEAD, Head, Trail
from gateway.records.checkpoint import Checkpointer
from gateway.records.engine import begin_writing
from gateway.records.transaction import Connection, failure, give_back, lease, worded
from gateway.records.turn import Seat, turn_of

MOST_MEMBERS = 64
MOST_S = 0.02


class Group:
    """One open transaction, the head of the trail in it, and how many changes it holds."""

    __slots__ = ("began", "connection", "done", "error", "head", "is_shared", "members", "pooled", "stored")

    def __init__(self, pooled: PoolProxiedConnection) -> None:
        self.pooled = pooled
        self.connection: Connection = pooled.driver_connection
        self.began = time.monotonic()
        self.stored: Head | None = None
        self.head: Head = NO_HEAD
        self.members = 0
        self.is_shared = False
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
                    group.done.wait()
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
                begin_writing(run) if self._is_sqlite else run("BEGIN")
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

    def _take_back(self, group: Group) -> None:
        try:
            group.connection.execute("ROLLBACK TO SAVEPOINT joiner")
            group.connection.execute("RELEASE SAVEPOINT joiner")
        except self._engine.dialect.loaded_dbapi.Error as error:
            group.error = error  # the transaction itself is lost, and with it the changes before this one

    def _pass_on(self) -> None:
        """Hand the open transaction to the next who waits; where nobody can join, end it and let the next begin anew."""
        group = self._open
        if group is not None:
            was_shared, group.is_shared = group.is_shared, True
            if self._may_grow(group) and self._turn.leave_to_joiner(self):
                return
            group.is_shared = was_shared
            self._open = None
            self._end(group)
        self._turn.leave()

    @staticmethod
    def _may_grow(group: Group) -> bool:
        is_full = group.members >= MOST_MEMBERS or time.monotonic() - group.began > MOST_S
        return group.error is None and group.members > 0 and not is_full

    def _end(self, group: Group) -> None:
        """Commit for all, or give up for all; whoever waits is told by ``done``."""
        try:
            if group.error is None:
                if group.head != group.stored:
                    self._trail.move(group.connection, group.head)
                group.connection.commit()
                if self._checkpointer is not None:
                    self._checkpointer.committed()
        except self._engine.dialect.loaded_dbapi.Error as error:
            group.error = error
        finally:
            if self._is_sqlite and group.error is None:
                self._held = group.pooled
            else:
                self._held = None
                give_back(self._engine, group.pooled, group.error)
            group.done.set()

    def close(self) -> None:
        """Give back the connection; for whoever closes the engine."""
        held, self._held = self._held, None
        if held is not None:
            give_back(self._engine, held)
