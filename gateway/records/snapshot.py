"""Snapshots of the records for a backup, taken beside a running exchange, and put back into empty records.

SQLite: its backup interface, inside one reading transaction. The write-ahead log gives that reading one moment, so that no
writer waits for it and none makes it begin again; without the transaction every write of another process would.
PostgreSQL: ``pg_dump`` over a snapshot that a transaction of ours exports, so that dump, head and list of objects are of
one moment; ``pg_restore`` in a single transaction, so that a kill leaves everything or nothing.

References
----------
https://www.sqlite.org/c3ref/backup_finish.html; https://www.sqlite.org/isolation.html. PostgreSQL manual, pg_dump
(``--snapshot``), pg_restore (``--single-transaction``), 9.28.5 (snapshot synchronisation).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, inspect, literal_column, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from gateway.domain.backup import Database, Facts, NamedObject
from gateway.domain.backup_ports import Snapshot, Snapshots
from gateway.domain.errors import ConflictError, InvalidError, UnavailableError
from gateway.domain.kept_object import NAMINGS
from gateway.records.engine import open_engines
from gateway.records.schema import upgrade_schema
from gateway.records.snapshot_drafts import draft_beside
from gateway.records.snapshot_programs import dumped, load, look_through
from gateway.records.tables import KINDS, audit_event, audit_head, case_key, meta
from gateway.records.transaction import unanswered
from storage import Readable, SealedRef, WrappedKey

PAGES = 512
_PIECE_BYTES = 1 << 20


class _Taken:
    """One moment of the records: facts, what they name, and where its bytes come from."""

    def __init__(self, connection: Connection, reading: Any) -> None:
        self._connection, self._reading = connection, reading
        self.facts = facts_of(connection)

    def objects(self) -> Iterator[NamedObject]:
        for naming in NAMINGS:
            table = KINDS[naming.shelf].table
            shelf, column = naming.through
            owner = KINDS[shelf].table if shelf else table
            asked = select(
                table.c[naming.object_id],
                table.c[naming.size_bytes],
                table.c[naming.digest],
                table.c[naming.generation] if naming.generation else literal_column("1"),
                owner.c.holder,
            )
            if shelf:
                asked = asked.join_from(table, owner, table.c[column] == owner.c[KINDS[shelf].key])
            for object_id, length, mac, count, holder in self._rows(asked):
                if object_id:
                    ref = SealedRef(object_id=object_id, size_bytes=length, digest=mac, generation=count)
                    yield NamedObject(ref=ref, kind=naming.kind, holder=holder, purpose=naming.purpose)

    def wrapped_keys(self) -> Iterator[WrappedKey]:
        for row in self._rows(_all_keys()):
            yield _key(row)

    def reading(self) -> AbstractContextManager[Readable]:
        return self._reading()

    def _rows(self, asked: Any) -> Iterator[Any]:
        yield from self._connection.execution_options(yield_per=1000).execute(asked)


class SqliteSnapshots:
    """Implements ``ports.Snapshots`` over one file; drafts lie beside it, are private and die with their maker."""

    database: Database = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def take(self) -> Iterator[Snapshot]:
        if not self._path.exists():
            raise UnavailableError(f"there are no records at {self._path}")
        with draft_beside(self._path.parent) as draft:
            with (
                _worded(),
                closing(pysqlite3.connect(str(self._path), isolation_level=None)) as source,
                closing(pysqlite3.connect(str(draft), isolation_level=None)) as target,
            ):
                source.execute("PRAGMA query_only=ON")
                source.execute("PRAGMA busy_timeout=30000")
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM meta").fetchone()  # the moment begins here
                source.backup(target, pages=PAGES)
                target.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            with _looking(draft) as connection:
                yield _Taken(connection, lambda: draft.open("rb", buffering=0))

    def check(self, stream: Readable) -> Facts | None:
        with draft_beside(self._path.parent) as draft:
            _write(draft, stream)
            with _looking(draft) as connection:
                return facts_of(connection)

    def is_empty(self) -> bool:
        return not self._path.exists()

    def put_back(self, stream: Readable, facts: Facts) -> None:
        """Write beside, look through, then give it its name: the file is there whole or not at all."""
        if self._path.exists():
            if not _is_ours(f"sqlite:///{self._path}", facts):
                raise ConflictError(
                    f"{self._path} holds other records", next_step="Restore into an empty home."
                )
            return
        with draft_beside(self._path.parent) as draft:
            _write(draft, stream)
            with _looking(draft):
                pass
            draft.replace(self._path)
            _sync(self._path.parent)

    def facts(self) -> Facts:
        return _facts_at(f"sqlite:///{self._path}")

    def upgrade(self) -> None:
        _upgrade(f"sqlite:///{self._path}")


class PostgresSnapshots:
    """Implements ``ports.Snapshots`` over a server, by its own programs."""

    database: Database = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def take(self) -> Iterator[Snapshot]:
        url = make_url(self._url)
        with _opened(self._url) as engine, _worded(), engine.connect() as plain:
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            exported = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar())
            yield _Taken(connection, lambda: dumped(url, exported))

    def check(self, stream: Readable) -> Facts | None:
        look_through(stream)
        return None  # what it says of itself is seen once a server has loaded it

    def is_empty(self) -> bool:
        with _opened(self._url) as engine, _worded(), engine.connect() as connection:
            return not inspect(connection).get_table_names()

    def put_back(self, stream: Readable, facts: Facts) -> None:
        if self.is_empty():
            load(make_url(self._url), stream)
        elif not _is_ours(self._url, facts):
            raise ConflictError(
                "the database holds other records", next_step="Name an empty one: CREATE DATABASE … first."
            )

    def facts(self) -> Facts:
        return _facts_at(self._url)

    def upgrade(self) -> None:
        _upgrade(self._url)


def snapshots_of(url: str) -> Snapshots:
    """Return what takes and puts back snapshots of the records at this address."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        return SqliteSnapshots(Path(target.database or ""))
    return PostgresSnapshots(url)


def check_snapshot(database: Database, stream: Readable, *, folder: Path) -> Facts | None:
    """Look through a snapshot of either kind without any records; SQLite's needs a draft in a private folder."""
    if database == "sqlite":
        return SqliteSnapshots(folder / "none").check(stream)
    look_through(stream)
    return None


def facts_of(connection: Connection) -> Facts:
    """Read what these records say of themselves; their schema may be older than ours."""
    version = connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).first()
    house = connection.execute(
        _all_keys().where(case_key.c.holder == "house", case_key.c.purpose == "records")
    ).first()
    if version is None or not str(version).isdecimal() or head is None or house is None:
        raise UnavailableError(
            "these records have no version, no audit head or no key of the house",
            next_step="Run `consilium audit verify`; restore the records from a backup that verifies.",
        )
    rows = {
        name: int(connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar() or 0)  # noqa: S608  # the schema's own names
        for name in sorted(inspect(connection).get_table_names())
    }
    keks = connection.execute(
        select(case_key.c.kek_id, case_key.c.kek_version)
        .distinct()
        .order_by(case_key.c.kek_id, case_key.c.kek_version)
    )
    return Facts(
        schema_version=int(version),
        head_seq=int(head[0]),
        head_hash=str(head[1]),
        rows=rows,
        house_key=_key(house),
        keks=tuple((str(kek_id), int(number)) for kek_id, number in keks),
    )


def _all_keys() -> Any:
    columns = case_key.c
    return select(columns.holder, columns.purpose, columns.kek_id, columns.kek_version, columns.blob)


def _key(row: Any) -> WrappedKey:
    return WrappedKey(
        holder=row[0], purpose=row[1], kek_id=row[2], kek_version=int(row[3]), blob=bytes(row[4])
    )


def _facts_at(url: str) -> Facts:
    with _opened(url) as engine, _worded(), engine.connect() as connection:
        return facts_of(connection)


def _is_ours(url: str, facts: Facts) -> bool:
    """Tell whether records that are there are this backup's, loaded by a restore that did not come to its end."""
    with _opened(url) as engine, engine.connect() as connection:
        try:
            asked = select(audit_event.c.hash).where(audit_event.c.seq == facts.head_seq)
            found = connection.execute(asked).scalar()
        except DBAPIError:
            return False
    return bool(found == facts.head_hash)


def _upgrade(url: str) -> None:
    with _opened(url) as engine:
        upgrade_schema(engine)


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    write, read = open_engines(url)
    try:
        yield write
    finally:
        write.dispose()
        read.dispose()


def _write(path: Path, stream: Readable) -> None:
    with path.open("wb") as file:
        while piece := stream.read(_PIECE_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _looking(path: Path) -> Iterator[Connection]:
    """Open a draft that nobody writes any more, having seen that it is whole."""
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&immutable=1&uri=true", module=pysqlite3)
    try:
        with _worded(), engine.connect() as connection:
            found = connection.execute(text("PRAGMA integrity_check")).scalar()
            if found != "ok":
                raise InvalidError(
                    f"the snapshot of the records is damaged: {str(found)[:200]}",
                    next_step="Run `consilium doctor` on the records; take an earlier backup.",
                )
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise unanswered(error.orig, is_outage=False) from error
    except pysqlite3.Error as error:
        raise unanswered(error, is_outage=isinstance(error, pysqlite3.OperationalError)) from error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
