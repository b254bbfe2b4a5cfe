"""The rows of the audit trail: appended inside the change that they tell of, read back in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect

from gateway.domain.audit import GENESIS, AuditEvent
from gateway.domain.errors import UnavailableError
from gateway.records.statements import Statements
from gateway.records.tables import audit_event
from gateway.records.transaction import Connection

Head = tuple[int, str]
NO_HEAD: Head = (0, GENESIS)
_PAGE = 1000
_HEAD = "SELECT seq, hash FROM audit_head WHERE id = 1"


class Trail:
    """Reads and writes the trail over whichever connection it is given."""

    def __init__(self, dialect: Dialect) -> None:
        self._sql = Statements(audit_event, dialect)
        mark = self._sql.mark
        self._move = f"UPDATE audit_head SET seq = {mark}, hash = {mark} WHERE id = 1"  # noqa: S608  # ours alone
        self._lock = "" if dialect.name == "sqlite" else " FOR UPDATE"
        self._twice: type[Exception] = dialect.loaded_dbapi.IntegrityError

    def take_turn(self, connection: Connection) -> Head:
        """Wait for the head's row lock and return the head: a change reads nothing that another is about to change (P6, P8, R8; D9).

        SQLite has given the turn already (``BEGIN IMMEDIATE``). In PostgreSQL two changes that both read «not used yet» would
        both go on; as every change ends in the one chain, waiting here instead of there costs little.
        """
        row = connection.execute(_HEAD + self._lock).fetchone()
        if row is None:
            raise UnavailableError(
                "the audit trail has lost its head, so nothing is written",
                next_step="Run `consilium audit verify`; restore the records from a backup that verifies.",
            )
        return row[0], row[1]

    def append(
        self, connection: Connection, drafts: list[dict[str, Any]], *, head: Head, at: datetime
    ) -> Head:
        """Chain the drafts behind the head, write them and return the new head, which ``move`` will store."""
        seq, previous = head
        rows = []
        for draft in drafts:
            seq += 1
            event = AuditEvent(seq=seq, at=at, previous=previous, **draft)
            values = draft | {"seq": seq, "at": at, "previous": previous, "hash": event.chained_hash()}
            rows.append(self._sql.row(values))
            previous = values["hash"]
        try:
            for row in rows:
                connection.execute(self._sql.insert, row)
        except self._twice as error:
            raise UnavailableError(
                "the audit trail does not go on where its head says, so nothing is written",
                next_step="Run `consilium audit verify`; restore the records from a backup that verifies.",
            ) from error
        return seq, previous

    def move(self, connection: Connection, head: Head) -> None:
        """Store the head of all that was appended in this transaction."""
        connection.execute(self._move, head)

    def events(
        self, connection: Connection, *, case_id: str | None, after: int, limit: int | None
    ) -> Iterator[AuditEvent]:
        """Yield events in the order in which they lie in the table's key, a thousand rows in memory at a time."""
        chosen, values = self._sql.matching({} if case_id is None else {"case_id": case_id})
        test = f"{chosen} AND" if chosen else " WHERE"
        while limit is None or limit > 0:
            size = _PAGE if limit is None else min(limit, _PAGE)
            sql = f"{self._sql.select}{test} seq > {self._sql.mark}{self._sql.ordered('seq', size)}"
            rows = connection.execute(sql, (*values, after)).fetchall()
            for row in rows:
                event = AuditEvent(**self._sql.values(self._sql.names, row))
                after = event.seq
                yield event
            if len(rows) < size:
                return
            limit = None if limit is None else limit - size

    def head(self, connection: Connection) -> Head:
        """Return the newest event's number and hash."""
        row = connection.execute(_HEAD).fetchone()
        return (int(row[0]), str(row[1])) if row is not None else NO_HEAD
