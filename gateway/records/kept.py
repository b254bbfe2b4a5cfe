"""Every row that names a sealed object, read page by page or all at once; which rows these are stands in the domain's list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Dialect

from gateway.domain.kept_object import NAMINGS, KeptObject, Naming
from gateway.records.statements import Statements
from gateway.records.tables import KINDS
from gateway.records.transaction import Connection

_ASKED_AT_ONCE = 500
_FETCHED_AT_ONCE = 5000


class KeptStatements:
    """The texts for one driver, made once."""

    def __init__(self, dialect: Dialect) -> None:
        self.mark = Statements(KINDS["cases"].table, dialect).mark
        self.of = {naming.shelf: _Texts(naming) for naming in NAMINGS}


class _Texts:
    """The parts of the queries over one kind of row. All names are the schema's."""

    def __init__(self, naming: Naming) -> None:
        kind = KINDS[naming.shelf]
        self.key, self.object_id = f'r."{kind.key}"', f'r."{naming.object_id}"'
        self.size = f'r."{naming.size_bytes}"'
        shelf, column = naming.through
        owner = "u" if shelf else "r"
        self.case = f'{owner}."case_id"'
        joined = f' JOIN "{KINDS[shelf].table.name}" u ON u."id" = r."{column}"' if shelf else ""
        self.source = f""" FROM "{kind.table.name}" r{joined} WHERE {self.object_id} <> ''"""
        generation = f'r."{naming.generation}"' if naming.generation else "1"
        self.columns = ", ".join(
            (self.key, self.case, f'{owner}."holder"', self.object_id, self.size, f'r."{naming.digest}"', generation)
        )  # fmt: skip


class KeptRows:
    """Implements ``ports.Kept`` over one connection."""

    def __init__(self, connection: Connection, statements: KeptStatements) -> None:
        self._connection, self._sql = connection, statements

    def ids(self) -> Iterator[str]:
        """Return the object of each row, a few thousand in memory at a time."""
        for texts in self._sql.of.values():
            sql = f"SELECT {texts.key}, {texts.object_id}{texts.source} AND {texts.key} > {self._sql.mark}"
            sql, last = f"{sql} ORDER BY {texts.key} LIMIT {_FETCHED_AT_ONCE}", ""
            # Asked page by page: psycopg's cursor takes a whole answer into memory, and one long statement runs out of time.
            while rows := self._connection.execute(sql, (last,)).fetchall():
                yield from (row[1] for row in rows)
                last = rows[-1][0]

    def page(self, *, after: str = "", limit: int, case_id: str | None = None) -> list[KeptObject]:
        """Return the next rows behind a cursor."""
        mark, found = self._sql.mark, list[KeptObject]()
        began, _, last = after.partition("/")
        shelves = list(self._sql.of)
        for shelf in shelves[shelves.index(began) if began else 0 :]:
            texts = self._sql.of[shelf]
            sql, values = f"SELECT {texts.columns}{texts.source}", list[Any]()
            if shelf == began:
                sql, values = f"{sql} AND {texts.key} > {mark}", [last]
            if case_id is not None:
                sql, values = f"{sql} AND {texts.case} = {mark}", [*values, case_id]
            sql += f" ORDER BY {texts.key} LIMIT {limit - len(found)}"
            found += self._values(shelf, sql, values)
            if len(found) >= limit:
                break
        return found

    def naming(self, object_ids: Sequence[str]) -> list[KeptObject]:
        """Return the rows that name these objects."""
        found = list[KeptObject]()
        for at in range(0, len(object_ids), _ASKED_AT_ONCE):
            asked = list(object_ids[at : at + _ASKED_AT_ONCE])
            marks = ", ".join([self._sql.mark] * len(asked))
            for shelf, texts in self._sql.of.items():
                sql = f"SELECT {texts.columns}{texts.source} AND {texts.object_id} IN ({marks})"
                found += self._values(shelf, sql, asked)
        return found

    def amount(self, *, case_id: str | None = None) -> tuple[int, int]:
        """Return how many objects rows name, and the bytes of what was sealed in them."""
        objects = size_bytes = 0
        for texts in self._sql.of.values():
            sql, values = f"SELECT count(*), coalesce(sum({texts.size}), 0){texts.source}", list[Any]()
            if case_id is not None:
                sql, values = f"{sql} AND {texts.case} = {self._sql.mark}", [case_id]
            count, size = self._connection.execute(sql, values).fetchone()
            objects, size_bytes = objects + int(count), size_bytes + int(size)
        return objects, size_bytes

    def _values(self, shelf: str, sql: str, values: Sequence[Any]) -> list[KeptObject]:
        return [
            KeptObject(
                shelf=shelf,
                row_id=row_id,
                case_id=case,
                holder=holder,
                object_id=object_id,
                size_bytes=int(size),
                digest=bytes(digest),
                generation=int(generation),
            )
            for row_id, case, holder, object_id, size, digest, generation in self._connection.execute(
                sql, values
            ).fetchall()
        ]
