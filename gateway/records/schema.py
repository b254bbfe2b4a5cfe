"""Making the tables in an empty database, and refusing one of another version."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.domain.audit import GENESIS
from gateway.domain.errors import UnavailableError
from gateway.records.tables import SCHEMA_VERSION, audit_head, case_key, meta, metadata
from gateway.records.transaction import unanswered

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
    """Create what is missing; True when the database was empty. Safe when several processes start at once."""
    try:
        return _make_schema(engine)
    except DBAPIError as error:
        raise unanswered(error.orig, is_outage=isinstance(error, OperationalError)) from error


def _make_schema(engine: Engine) -> bool:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7246)"))
        fresh = not inspect(connection).has_table("meta")
        if fresh:
            _create(connection)
        found = connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
    if found != str(SCHEMA_VERSION):
        raise UnavailableError(
            f"the records have schema version {found}, this Consilium needs {SCHEMA_VERSION}",
            next_step="Run the Consilium version that wrote this home, or restore a backup that fits.",
        )
    return fresh


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    for statement in _SQLITE_GUARDS if connection.dialect.name == "sqlite" else _POSTGRES_GUARDS:
        connection.exec_driver_sql(statement)
    connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
    connection.execute(insert(audit_head).values(id=1, seq=0, hash=GENESIS))


def has_sealed(engine: Engine) -> bool:
    """Tell whether any key is wrapped here, and so whether the master key must exist already."""
    with engine.connect() as connection:
        return connection.execute(select(case_key.c.holder).limit(1)).first() is not None
