"""One transaction on one connection of the database's driver: begun, ended and translated here, without SQLAlchemy between.

SQLAlchemy keeps the schema and the pool. Its work for each statement costs ten times what SQLite needs to run it, and an
instance that is received takes ten statements: so these go to the driver as text (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gateway.domain.errors import UnavailableError

# A driver's connection: pysqlite3's or psycopg's. ``execute(sql, values)`` returns a cursor in both.
Connection = Any

# What an operator has to hear of a file; the rest heals or is damage. https://www.sqlite.org/rescode.html
_SAID_BY_SQLITE = (
    ("SQLITE_FULL", "there is no room for the records", "Make room on their volume; nothing was written."),
    (
        "SQLITE_READONLY",
        "the records may not be written",
        "Give the user who runs this the right to write the file and its folder, or mount the volume for writing.",
    ),
    (
        "SQLITE_CANTOPEN",
        "the file of the records cannot be opened",
        "Check its path, its folder and the rights of the user who runs this.",
    ),
    (
        "SQLITE_IOERR",
        "the volume of the records fails",
        "Check the device and its room; nothing was written.",
    ),
)
_SPOILT = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_NOMEM")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_ENDED_WHILE_IDLE = "25P03"  # PostgreSQL ended a session that let it wait inside a transaction


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read one moment; nothing is ever committed. The pool rolls back when the connection is given back."""
    with worded(engine):
        pooled = lease(engine)
        try:
            connection: Connection = pooled.driver_connection
            if engine.dialect.name == "sqlite":
                connection.execute("BEGIN")
            yield connection
        except BaseException as error:
            give_back(engine, pooled, error)
            raise
        else:
            give_back(engine, pooled)


def lease(engine: Engine) -> PoolProxiedConnection:
    """Take a connection of the pool."""
    return engine.raw_connection()


def give_back(engine: Engine, pooled: PoolProxiedConnection, error: BaseException | None = None) -> None:
    """Return a connection; one that the server has closed is thrown away, with the others of its age.

    So is a spoilt one of SQLite's.
    """
    driver = engine.dialect.loaded_dbapi
    is_lost = isinstance(error, driver.Error) and engine.dialect.is_disconnect(
        error, pooled.dbapi_connection, None
    )
    if is_lost or is_spoilt(error):
        pooled.invalidate(error)
    pooled.close()


def is_spoilt(error: BaseException | None) -> bool:
    """Tell a connection of SQLite's that is of no use any more.

    One that may not open the log for writing opens it for reading, and says READONLY for the rest of its life.
    """
    return getattr(error, "sqlite_errorname", "").startswith(_SPOILT)


def discard(pooled: PoolProxiedConnection) -> None:
    """Close a connection that could not be given back: an open transaction would keep its locks."""
    if pooled.is_valid:
        pooled.invalidate()


@contextmanager
def worded(engine: Engine) -> Iterator[None]:
    """Tell the database's failures in the house's words."""
    try:
        yield
    except (engine.dialect.loaded_dbapi.Error, PoolTimeoutError) as error:
        raise failure(engine, error) from error


def failure(engine: Engine, error: BaseException) -> UnavailableError:
    """Word a failure: only the driver tells of damage, and what is not the driver's (no memory, no time) heals."""
    driver = engine.dialect.loaded_dbapi
    is_damage = isinstance(error, driver.Error) and not isinstance(error, driver.OperationalError)
    return unanswered(error, is_outage=not is_damage or getattr(error, "sqlstate", None) == _ENDED_WHILE_IDLE)


def is_full(error: BaseException | None) -> bool:
    """Tell a database whose writes find no room from one that does not answer; a quota says the same as a broken device.

    References
    ----------
    https://www.sqlite.org/rescode.html; PostgreSQL Appendix A, 53100 disk_full.
    """
    return getattr(error, "sqlite_errorname", "") in _FULL or getattr(error, "sqlstate", None) == "53100"


def unanswered(error: BaseException | None, *, is_outage: bool) -> UnavailableError:
    """Word a failure of the database: an outage heals, damage does not, and neither may quote a value."""
    name = type(error).__name__
    told = getattr(error, "sqlite_errorname", "")
    if is_outage:
        for begins, what, then in _SAID_BY_SQLITE:
            if told.startswith(begins):
                return UnavailableError(f"{what} ({told})", next_step=then)
        return UnavailableError(f"the records do not answer ({name})")
    return UnavailableError(
        f"the records cannot be read as they should be ({name})",
        next_step="Run `consilium audit verify`; if the database is damaged, restore it from a backup.",
    )
