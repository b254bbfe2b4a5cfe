"""Making the tables in an empty database, bringing older ones up to this version, and refusing newer ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, Engine, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.domain.audit import GENESIS
from gateway.domain.errors import UnavailableError
from gateway.records.tables import SCHEMA_VERSION, audit_head, case_key, meta, metadata
from gateway.records.transaction import unanswered

log = structlog.get_logger()

# A8: the trail can be appended to and read; the database itself refuses the rest.
_SQLITE_GUARDS = [
    f"CREATE TRIGGER IF NOT EXISTS audit_no_{verb.lower()} BEFORE {verb} ON audit_event "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRES_GUARDS = [
    (
        "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    ),
    (
        "CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
]


def make_schema(engine: Engine) -> bool:
    """Make what is missing; True when the database was empty. Safe when several processes start at once.

    A home's own records (SQLite) of an older version are brought up to this one. A server that several machines share is
    not changed behind its operator's back: there ``consilium records upgrade`` is asked for.
    """
    with _locked(engine) as connection:
        if not inspect(connection).has_table("meta"):
            _create(connection)
            return True
        found = _version(connection)
        if found == SCHEMA_VERSION:
            return False
        if connection.dialect.name != "sqlite":
            raise UnavailableError(
                f"the records have schema version {found}, this Consilium needs {SCHEMA_VERSION}",
                next_step="Back them up, then run `consilium records upgrade` once.",
            )
        _upgrade(connection)
    log.info("records_upgraded", version_before=found, version=SCHEMA_VERSION)
    return False


def upgrade_schema(engine: Engine, *, is_rehearsal: bool = False) -> tuple[int, list[str]]:
    """Bring older records up to this version and return theirs and the steps taken: all of them, or none.

    A rehearsal takes them too, and then takes them back.
    """
    with _locked(engine) as connection:
        if not inspect(connection).has_table("meta"):
            raise UnavailableError(
                "these records are empty: there is nothing to upgrade",
                next_step="Start Consilium; it makes them. Check --home and CONSILIUM_RECORDS.",
            )
        found = _version(connection)
        steps = [] if found == SCHEMA_VERSION else _upgrade(connection)
        if is_rehearsal:
            connection.rollback()
    if steps and not is_rehearsal:
        log.info("records_upgraded", version_before=found, version=SCHEMA_VERSION)
    return found, steps


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """Give the one transaction that may change the schema: SQLite's begins with the write lock, PostgreSQL has one of its own."""
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # A step takes as long as the tables are large, and so does the wait for another process that takes it.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(7246)"))
            yield connection
            connection.commit()
    except DBAPIError as error:
        raise unanswered(error.orig, is_outage=isinstance(error, OperationalError)) from error


def _version(connection: Connection) -> int:
    """Return the version of these records, which is not above our own."""
    found = connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
    if found is None or not found.isdecimal() or not 1 <= int(found) <= SCHEMA_VERSION:
        raise UnavailableError(
            f"the records have schema version {found}, this Consilium knows up to {SCHEMA_VERSION}",
            next_step="Run the Consilium version that wrote this home, or restore a backup that fits.",
        )
    return int(found)


def _upgrade(connection: Connection) -> list[str]:
    from gateway.records import migrations  # Alembic is loaded by who upgrades, not by every call

    steps = migrations.steps_after(connection)
    migrations.take_steps(connection)
    connection.execute(update(meta).where(meta.c.name == "schema_version").values(value=str(SCHEMA_VERSION)))
    return steps


def _create(connection: Connection) -> None:
    from gateway.records import migrations  # as above

    metadata.create_all(connection)
    for statement in _SQLITE_GUARDS if connection.dialect.name == "sqlite" else _POSTGRES_GUARDS:
        connection.exec_driver_sql(statement)
    connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
    connection.execute(insert(audit_head).values(id=1, seq=0, hash=GENESIS))
    migrations.stamp_newest(connection)


def has_sealed(engine: Engine) -> bool:
    """Tell whether any key is wrapped here, and so whether the master key must exist already."""
    with engine.connect() as connection:
        return connection.execute(select(case_key.c.holder).limit(1)).first() is not None
