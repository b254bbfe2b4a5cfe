"""The SQL of one table for one driver: its text, and each column's values on their way in and out; nothing is run here.

Names come from the schema, never from a caller: what is no column is a ``KeyError``. Values are always bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Table

Convert = Callable[[Any], Any]


class Statements:
    """Texts and conversions, made once per table and kind of database."""

    def __init__(self, table: Table, dialect: Dialect, *, sealed: frozenset[str] = frozenset()) -> None:
        self.mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self.names = tuple(column.name for column in table.columns)
        self.sealed = sealed
        self.into: dict[str, Convert | None] = {}
        self.out: dict[str, Convert] = {}
        for column in table.columns:
            kind = column.type.dialect_impl(dialect)
            self.into[column.name] = kind.bind_processor(dialect)
            if (convert := kind.result_processor(dialect, None)) is not None:
                self.out[column.name] = convert
        self.table = f'"{table.name}"'
        self.column = {name: f'"{name}"' for name in self.names}
        self.select = self.selecting(self.names)
        marks = ", ".join([self.mark] * len(self.names))
        self.insert = f"INSERT INTO {self.table} ({', '.join(self.column.values())}) VALUES ({marks})"  # noqa: S608  # the schema's names only

    def selecting(self, names: Iterable[str]) -> str:
        return f"SELECT {', '.join([self.column[name] for name in names])} FROM {self.table}"  # noqa: S608  # the schema's names only

    def bound(self, name: str, value: Any) -> Any:
        """Return the value as the driver takes it."""
        convert = self.into[name]
        return value if convert is None else convert(value)

    def row(self, values: Mapping[str, Any]) -> list[Any]:
        """Return one row for ``insert``."""
        return [
            values[name] if convert is None else convert(values[name]) for name, convert in self.into.items()
        ]

    def setting(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return ``SET …`` and what it binds."""
        return (
            "SET " + ", ".join([f"{self.column[name]} = {self.mark}" for name in values]),
            [self.bound(name, value) for name, value in values.items()],
        )

    def matching(self, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Return ``WHERE …`` and what it binds: equality, «one of» for a list or tuple, null for None."""
        tests: list[str] = []
        values: list[Any] = []
        for name, wanted in where.items():
            if name in self.sealed:
                raise TypeError(f"{name} is sealed and cannot be searched")
            column = self.column[name]
            if wanted is None:
                tests.append(f"{column} IS NULL")
            elif isinstance(wanted, (tuple, list, set, frozenset)):
                tests.append(f"{column} IN ({', '.join([self.mark] * len(wanted))})" if wanted else "1 = 0")
                values += [self.bound(name, one) for one in wanted]
            else:
                tests.append(f"{column} = {self.mark}")
                values.append(self.bound(name, wanted))
        return (" WHERE " + " AND ".join(tests) if tests else ""), values

    def ordered(self, order: str, limit: int | None) -> str:
        """Return ``ORDER BY …`` for a column, or ``-column`` for its other direction, and the limit."""
        direction = "DESC" if order.startswith("-") else "ASC"
        text = f" ORDER BY {self.column[order.lstrip('-')]} {direction}"
        return text if limit is None else f"{text} LIMIT {int(limit)}"

    def values(self, names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
        """Return a row as it is in Python."""
        found = dict(zip(names, row, strict=True))
        for name, convert in self.out.items():
            if name in found:
                found[name] = convert(found[name])
        return found
