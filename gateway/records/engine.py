"""Opening the database: two engines on one file or server, one that writes and one that only reads.

SQLite: a write takes the lock when it begins (``BEGIN IMMEDIATE``): a deferred read-then-write loses updates or fails
(measured, requirements/ecosystem.md 5.2). Reads begin deferred, so that a page view never takes the write lock. Releases
before 3.51.3 can corrupt a WAL database with several writers (D9) and are refused.

PostgreSQL: nothing waits without a bound. The driver gives up a connection and a network that do not answer, the server ends a
statement that takes too long and, at both ends, the session of a machine that is gone, with its locks. The operator's own
values in the address go before ours; what brings older records up is not bounded (``schema``), nor is a commit by its time.

References
----------
https://www.postgresql.org/docs/current/libpq-connect.html, "Parameter Key Words"; runtime-config-client.html, "Statement
Behavior"; runtime-config-connection.html, "TCP Settings".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from gateway.domain.errors import UnavailableError
from gateway.records.checkpoint import PAGES_IN_A_COMMIT
from gateway.records.transaction import is_spoilt

SQLITE_FLOOR = (3, 51, 3)
BUSY_MS = 30_000
NAP_MS = 1
CONNECT_S = 5
STATEMENT_S = 30
IDLE_S = 60
ALIVE_S = 30
PROBE_S, PROBES = 5, 3


def open_engines(url: str) -> tuple[Engine, Engine]:
    """Return (writing, reading) engines for ``sqlite:///…`` or ``postgresql://…``."""
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url, begin_writing, busy_ms=NAP_MS), _sqlite(url, begin_reading, busy_ms=BUSY_MS)
    return _postgres(url, read_only=False), _postgres(url, read_only=True)


def sqlite_is_safe(version: str) -> bool:
    """Tell whether this SQLite may have several writers in WAL mode (D9)."""
    return tuple(int(part) for part in version.split(".")[:3]) >= SQLITE_FLOOR


def _sqlite(url: str, begin: Callable[[Callable[[str], object]], None], *, busy_ms: int) -> Engine:
    if not sqlite_is_safe(pysqlite3.sqlite_version):
        raise UnavailableError(
            f"SQLite {pysqlite3.sqlite_version} can corrupt a database that several processes write (fixed in 3.51.3)",
            next_step="Install the pysqlite3 wheel of requirements.lock, which carries a newer SQLite.",
        )
    database = make_url(url).database
    if not database or database == ":memory:":
        raise UnavailableError(
            "the records need a file", next_step="Write sqlite:////absolute/path/records.db."
        )
    _private(Path(database))
    engine = create_engine(url, module=pysqlite3, pool_size=8, max_overflow=24, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            f"wal_autocheckpoint={PAGES_IN_A_COMMIT}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "secure_delete=ON",
            "mmap_size=0",
            "temp_store=MEMORY",
            f"busy_timeout={busy_ms}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "handle_error")
    def _spoilt(context: Any) -> None:
        context.is_disconnect = context.is_disconnect or is_spoilt(context.original_exception)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        begin(connection.exec_driver_sql)

    return engine


def begin_reading(run: Callable[[str], object]) -> None:
    """Begin a reading: it takes no lock that a writer waits for."""
    run("BEGIN")


def begin_writing(run: Callable[[str], object]) -> None:
    """Begin with the write lock in hand; where another process has it, ask again every millisecond.

    SQLite's own handler naps longer from time to time, up to 0.1 s: twenty associations behind one nap were 0.2 s late.
    """
    until = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            run("BEGIN IMMEDIATE")  # a writing connection's busy_timeout is one nap
        except (pysqlite3.OperationalError, DBAPIError) as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        else:
            return


def _private(path: Path) -> None:
    """Make the file readable for its owner alone before SQLite writes its first page."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)


def _postgres(url: str, *, read_only: bool) -> Engine:
    target = make_url(url).set(drivername="postgresql+psycopg")
    options = {"isolation_level": "REPEATABLE READ"} if read_only else {}
    bounds = _bounds(target, read_only=read_only)
    engine = create_engine(
        target, connect_args=bounds, pool_pre_ping=True, pool_size=8, max_overflow=24, hide_parameters=True,
        **options,
    )  # fmt: skip
    with engine.connect() as connection:
        for name in ("fsync", "synchronous_commit"):
            if connection.execute(text(f"SHOW {name}")).scalar() == "off":
                raise UnavailableError(
                    f"PostgreSQL runs with {name} = off: an acknowledged object could be lost (D9)",
                    next_step=f"Set {name} = on in postgresql.conf and reload.",
                )
    return engine


def _bounds(target: URL, *, read_only: bool) -> dict[str, Any]:
    """Return the driver's and the session's bounds, without those that the operator has set in the address."""
    driver: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "keepalives_idle": ALIVE_S,
        "keepalives_interval": PROBE_S,
        "keepalives_count": PROBES,
        "tcp_user_timeout": ALIVE_S * 1000,
    }
    session = {
        "statement_timeout": int(STATEMENT_S * 1000),
        "tcp_keepalives_idle": ALIVE_S,
        "tcp_keepalives_interval": PROBE_S,
        "tcp_keepalives_count": PROBES,
    }
    if not read_only:  # who reads may look at a row for long: no lock of it keeps a writer waiting
        session["idle_in_transaction_session_timeout"] = int(IDLE_S * 1000)
    theirs = target.normalized_query
    options = [f"-c {name}={value}" for name, value in session.items()]  # of two, the later one holds
    left = {name: value for name, value in driver.items() if name not in theirs}
    return left | {"options": " ".join((*options, *theirs.get("options", ())))}
