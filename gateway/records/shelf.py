"""A shelf: the rows of one kind as the domain's values, written and read by one mapping for all kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Dialect

from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.kept_object import NAMINGS
from gateway.ports.records import UNOPENED
from gateway.records.sealed_columns import KeyRing
from gateway.records.statements import Statements
from gateway.records.tables import KINDS, Kind
from gateway.records.transaction import Connection

T = TypeVar("T")


class Mapping:
    """What a kind's shelves have in common, however many transactions there are."""

    def __init__(self, kind: Kind, dialect: Dialect) -> None:
        self.kind = kind
        self.statements = Statements(kind.table, dialect, sealed=kind.sealed)
        self.name = kind.table.name.rstrip("_")
        self.is_key = f" WHERE {self.statements.column[kind.key]} = {self.statements.mark}"
        self.twice: type[Exception] = dialect.loaded_dbapi.IntegrityError
        # The column that names a sealed object, in the kinds that have one.
        self.object_id = next((one.object_id for one in NAMINGS if KINDS[one.shelf] is kind), "")


class SqlShelf(Generic[T]):
    """Implements ``ports.WritableShelf`` over one connection."""

    __slots__ = ("_connection", "_kind", "_mapping", "_ring", "_sql", "_will_name")

    def __init__(
        self,
        mapping: Mapping,
        connection: Connection,
        ring: KeyRing,
        will_name: Callable[[str], None] = lambda _object_id: None,
    ) -> None:
        self._mapping, self._connection, self._ring, self._will_name = mapping, connection, ring, will_name
        self._kind, self._sql = mapping.kind, mapping.statements

    def get(self, key: str) -> T:
        row = self._connection.execute(self._sql.select + self._mapping.is_key, (key,)).fetchone()
        if row is None:
            raise NotFoundError(f"no {self._mapping.name} {key}")
        return self._value(row)

    def find(self, *, order: str = "", limit: int | None = None, **where: Any) -> list[T]:
        return [self._value(row) for row in self._rows(order, limit, where)]

    def find_readable(
        self, *, order: str = "", limit: int | None = None, **where: Any
    ) -> tuple[list[T], list[str]]:
        found: list[T] = []
        unopened: list[str] = []
        for row in self._rows(order, limit, where):
            try:
                found.append(self._value(row))
            except UNOPENED:
                unopened.append(row[self._sql.names.index(self._kind.key)])
        return found, unopened

    def first(self, *, order: str = "", **where: Any) -> T | None:
        found = self.find(order=order, limit=1, **where)
        return found[0] if found else None

    def count(self, **where: Any) -> int:
        matching, values = self._sql.matching(where)
        sql = f"SELECT count(*) FROM {self._sql.table}{matching}"  # noqa: S608  # the schema's names only
        return int(self._connection.execute(sql, values).fetchone()[0])

    def pick(
        self, columns: Sequence[str], *, order: str = "", limit: int | None = None, **where: Any
    ) -> list[tuple[Any, ...]]:
        if sealed := self._kind.sealed.intersection(columns):
            raise TypeError(f"{sorted(sealed)} are sealed: find the whole value")
        matching, values = self._sql.matching(where)
        ordered = self._sql.ordered(order or self._kind.key, limit)
        rows = self._connection.execute(self._sql.selecting(columns) + matching + ordered, values).fetchall()
        converts = [self._sql.out.get(name) for name in columns]
        if not any(converts):
            return rows if not rows or type(rows[0]) is tuple else [tuple(row) for row in rows]
        return [
            tuple(
                value if convert is None else convert(value)
                for value, convert in zip(row, converts, strict=True)
            )
            for row in rows
        ]

    def add(self, value: T) -> None:
        values = self._row(value)
        self._look_at_object(values)
        row = self._sql.row(values)
        try:
            self._connection.execute(self._sql.insert, row)
        except self._mapping.twice as error:
            raise ConflictError(f"there is such a {self._mapping.name} already") from error

    def put(self, value: T) -> None:
        row = self._row(value)
        self._look_at_object(row)
        self._update(row.pop(self._kind.key), row)

    def set(self, key: str, **columns: Any) -> None:
        if sealed := self._kind.sealed & columns.keys():
            raise TypeError(f"{sorted(sealed)} are sealed: put the whole value")
        self._look_at_object(columns)
        self._update(key, columns)

    def bump(self, key: str, column: str, *, below: int | None = None) -> bool:
        counter = self._sql.column[column]
        sql = f"UPDATE {self._sql.table} SET {counter} = {counter} + 1{self._mapping.is_key}"  # noqa: S608  # the schema's names only
        if below is None:
            return bool(self._connection.execute(sql, (key,)).rowcount)
        return bool(
            self._connection.execute(f"{sql} AND {counter} < {self._sql.mark}", (key, below)).rowcount
        )

    def advance(self, key: str, column: str, *, to: int) -> bool:
        counter, mark = self._sql.column[column], self._sql.mark
        sql = f"UPDATE {self._sql.table} SET {counter} = {mark}{self._mapping.is_key} AND {counter} < {mark}"  # noqa: S608  # the schema's names only
        return bool(self._connection.execute(sql, (to, key, to)).rowcount)

    def remove(self, **where: Any) -> int:
        if not where:
            raise TypeError("removing everything is never meant")
        matching, values = self._sql.matching(where)
        sql = f"DELETE FROM {self._sql.table}{matching}"  # noqa: S608  # the schema's names only
        return int(self._connection.execute(sql, values).rowcount)

    def _rows(self, order: str, limit: int | None, where: dict[str, Any]) -> Sequence[Any]:
        matching, values = self._sql.matching(where)
        ordered = self._sql.ordered(order or self._kind.key, limit)
        return self._connection.execute(self._sql.select + matching + ordered, values).fetchall()

    def _look_at_object(self, row: dict[str, Any]) -> None:
        """Before a row names a sealed object: see that no sweep has given it up."""
        if self._mapping.object_id and (object_id := row.get(self._mapping.object_id)):
            self._will_name(object_id)

    def _update(self, key: str, columns: dict[str, Any]) -> None:
        setting, values = self._sql.setting(columns)
        sql = f"UPDATE {self._sql.table} {setting}{self._mapping.is_key}"  # the schema's names only
        if self._connection.execute(sql, (*values, key)).rowcount != 1:
            raise NotFoundError(f"no {self._mapping.name} {key}")

    def _row(self, value: T) -> dict[str, Any]:
        row = {name: getattr(value, name) for name in self._sql.names}
        holder = getattr(value, "holder", "")
        for name in self._kind.sealed:
            row[name] = self._ring.seal(
                self._connection, self._kind, holder, row[self._kind.key], name, row[name]
            )
        return row

    def _value(self, row: Sequence[Any]) -> T:
        columns = self._sql.values(self._sql.names, row)
        if self._kind.sealed:
            holder = columns.get("holder") or columns[self._kind.key]
            for name in self._kind.sealed:
                columns[name] = self._ring.open(
                    self._connection, self._kind, holder, columns[self._kind.key], name, columns[name]
                )
        return self._kind.value(**columns)
