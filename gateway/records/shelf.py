"""A shelf: the rows of one kind as the domain's values, written and read by one mapping for all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from gateway.domain.errors import ConflictError, NotFoundError
from gateway.records.sealed_columns import KeyRing
from gateway.records.tables import Kind

T = TypeVar("T")


class SqlShelf(Generic[T]):
    """Implements ``ports.WritableShelf`` over one connection."""

    def __init__(self, kind: Kind, connection: Connection, ring: KeyRing) -> None:
        self._kind, self._connection, self._ring = kind, connection, ring
        self._table = kind.table

    def get(self, key: str) -> T:
        row = self._connection.execute(
            select(self._table).where(self._table.c[self._kind.key] == key)
        ).first()
        if row is None:
            raise NotFoundError(f"no {self._table.name.rstrip('_')} {key}")
        return self._value(row)

    def find(self, *, order: str = "", limit: int | None = None, **where: Any) -> list[T]:
        statement = select(self._table).where(self._matches(where))
        column = self._table.c[order.lstrip("-") or self._kind.key]
        statement = statement.order_by(column.desc() if order.startswith("-") else column.asc())
        if limit is not None:
            statement = statement.limit(limit)
        return [self._value(row) for row in self._connection.execute(statement)]

    def first(self, *, order: str = "", **where: Any) -> T | None:
        found = self.find(order=order, limit=1, **where)
        return found[0] if found else None

    def count(self, **where: Any) -> int:
        statement = select(func.count()).select_from(self._table).where(self._matches(where))
        return int(self._connection.execute(statement).scalar_one())

    def pick(
        self, columns: Sequence[str], *, order: str = "", limit: int | None = None, **where: Any
    ) -> list[tuple[Any, ...]]:
        if sealed := self._kind.sealed & set(columns):
            raise TypeError(f"{sorted(sealed)} are sealed: find the whole value")
        statement = select(*(self._table.c[name] for name in columns)).where(self._matches(where))
        column = self._table.c[order.lstrip("-") or self._kind.key]
        statement = statement.order_by(column.desc() if order.startswith("-") else column.asc()).limit(limit)
        return [tuple(row) for row in self._connection.execute(statement)]

    def add(self, value: T) -> None:
        try:
            self._connection.execute(insert(self._table).values(**self._row(value)))
        except IntegrityError as error:
            raise ConflictError(f"there is such a {self._table.name.rstrip('_')} already") from error

    def put(self, value: T) -> None:
        row = self._row(value)
        key = row.pop(self._kind.key)
        self._changed(update(self._table).where(self._table.c[self._kind.key] == key).values(**row), key)

    def set(self, key: str, **columns: Any) -> None:
        if sealed := self._kind.sealed & columns.keys():
            raise TypeError(f"{sorted(sealed)} are sealed: put the whole value")
        self._changed(update(self._table).where(self._table.c[self._kind.key] == key).values(**columns), key)

    def bump(self, key: str, column: str, *, below: int | None = None) -> bool:
        counter = self._table.c[column]
        statement = update(self._table).where(self._table.c[self._kind.key] == key)
        if below is not None:
            statement = statement.where(counter < below)
        return bool(self._connection.execute(statement.values({column: counter + 1})).rowcount)

    def advance(self, key: str, column: str, *, to: int) -> bool:
        counter = self._table.c[column]
        statement = update(self._table).where(self._table.c[self._kind.key] == key, counter < to)
        return bool(self._connection.execute(statement.values({column: to})).rowcount)

    def remove(self, **where: Any) -> int:
        if not where:
            raise TypeError("removing everything is never meant")
        return int(self._connection.execute(delete(self._table).where(self._matches(where))).rowcount)

    def _changed(self, statement: Any, key: str) -> None:
        if self._connection.execute(statement).rowcount != 1:
            raise NotFoundError(f"no {self._table.name.rstrip('_')} {key}")

    def _matches(self, where: dict[str, Any]) -> ColumnElement[bool]:
        tests: list[ColumnElement[bool]] = []
        for name, wanted in where.items():
            column = self._table.c[name]
            if name in self._kind.sealed:
                raise TypeError(f"{name} is sealed and cannot be searched")
            if wanted is None:
                tests.append(column.is_(None))
            elif isinstance(wanted, (tuple, list, set, frozenset)):
                tests.append(column.in_(list(wanted)))
            else:
                tests.append(column == wanted)
        return and_(true(), *tests)

    def _row(self, value: T) -> dict[str, Any]:
        row = {field.name: getattr(value, field.name) for field in fields(self._kind.value)}
        holder = getattr(value, "holder", "")
        for name in self._kind.sealed:
            row[name] = self._ring.seal(
                self._connection, self._kind, holder, row[self._kind.key], name, row[name]
            )
        return row

    def _value(self, row: Row[Any]) -> T:
        columns = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented accessor
        holder = columns.get("holder") or columns[self._kind.key]
        for name in self._kind.sealed:
            columns[name] = self._ring.open(
                self._connection, self._kind, holder, columns[self._kind.key], name, columns[name]
            )
        return self._kind.value(**columns)
