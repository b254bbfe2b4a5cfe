"""One transaction on one connection of the database's driver: begun, ended and translated here, without SQLAlchemy between.

SQLAlchemy keeps the schema and the pool. Its work for each statement costs ten times what SQLite needs to run it, and an
instance that is received takes ten statements: so these go to the driver as text (docs/decisions).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.domain.errors import UnavailableError

# A driver's connection: pysqlite3's or psycopg's. ``execute(sql, values)`` returns a cursor in both.
Connection = Any


class Turn:
    """Lets one thread in at a time, in the order in which they came; a plain lock lets the quickest in, and others starve."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # whoever leaves opens it: the turn is handed over, and nobody can slip in

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_TURNS: WeakKeyDictionary[Engine, Turn] = WeakKeyDictionary()
_MAKING = threading.Lock()


def turn_of(engine: Engine) -> AbstractContextManager[None]:
    """Return what a writer of this process waits in. SQLite has one writer: its own busy handler naps, and is not fair."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    with _MAKING:
        return _TURNS.setdefault(engine, Turn())


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Commit on leaving without an error; the caller has its turn."""
    with _leased(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read one moment; nothing is ever committed."""
    with _leased(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.execute("BEGIN")
        yield connection


@contextmanager
def _leased(engine: Engine) -> Iterator[Connection]:
    """Lend a connection of the pool, which rolls back what is open when it is given back; word what goes wrong."""
    driver = engine.dialect.loaded_dbapi
    pooled = None
    try:
        pooled = engine.raw_connection()
        yield pooled.driver_connection
    except PoolTimeoutError as error:
        raise UnavailableError("the records do not answer (all connections are in use)") from error
    except driver.Error as error:
        if pooled is not None and engine.dialect.is_disconnect(error, pooled.dbapi_connection, None):
            pooled.invalidate(error)
        raise unanswered(error, is_outage=isinstance(error, driver.OperationalError)) from error
    finally:
        if pooled is not None:
            pooled.close()


def unanswered(error: BaseException | None, *, is_outage: bool) -> UnavailableError:
    """Word a failure of the database: an outage heals, damage does not, and neither may quote a value."""
    name = type(error).__name__
    if is_outage:
        return UnavailableError(f"the records do not answer ({name})")
    return UnavailableError(
        f"the records cannot be read as they should be ({name})",
        next_step="Run `consilium audit verify`; if the database is damaged, restore it from a backup.",
    )
