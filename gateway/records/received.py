"""What the records tell of a peer: its newest events, and how much it sent, counted from rows so that nothing is counted on arrival."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect

from gateway.domain.audit import AuditEvent
from gateway.records.statements import Statements
from gateway.records.tables import IS_PEER_EVENT, KINDS, PEER_EVENTS, audit_event
from gateway.records.transaction import Connection

# A study's sender is the peer, or the peer and what keeps its studies apart: ``peer:AET>case``, ``peer:AET#2``.
_APART = (">", "#")


class PeerHistory:
    """Asks over whichever connection it is given."""

    def __init__(self, dialect: Dialect) -> None:
        self._events = Statements(audit_event, dialect)
        self._studies = Statements(KINDS["studies"].table, dialect)
        mark = self._events.mark
        # Ranges of an index need the order of bytes, which is SQLite's own.
        sender = "s.sender" if dialect.name == "sqlite" else 's.sender COLLATE "C"'
        ranges = " OR ".join([f"({sender} >= {mark} AND {sender} < {mark})"] * len(_APART))
        self._received = (
            "SELECT count(*), coalesce(sum(i.size_bytes), 0) FROM study s JOIN instance i ON i.study_id = s.id "  # noqa: S608  # nothing of a caller's
            f"WHERE ({sender} = {mark} OR {ranges}) AND s.last_at >= {mark} AND i.received_at >= {mark}"
        )

    def events(
        self, connection: Connection, *, kinds: Sequence[str], actor: str, subject: str, limit: int
    ) -> list[AuditEvent]:
        """Return the newest events of these kinds, newest first; the partial index knows no other kinds."""
        found: list[AuditEvent] = []
        for kind in kinds:
            if kind not in PEER_EVENTS:
                raise KeyError(f"{kind} is not in the index of peers' events")
            where: dict[str, Any] = {"kind": kind}
            where |= {"actor": actor} if actor else {}
            where |= {"subject": subject} if subject else {}
            chosen, values = self._events.matching(where)
            sql = f"{self._events.select}{chosen} AND {IS_PEER_EVENT}{self._events.ordered('-seq', limit)}"
            rows = connection.execute(sql, values).fetchall()
            found += [AuditEvent(**self._events.values(self._events.names, row)) for row in rows]
        return sorted(found, key=lambda event: -event.seq)[:limit]

    def received(self, connection: Connection, ae_title: str, *, since: datetime) -> tuple[int, int]:
        """Return how many instances of a peer were kept since then, and their bytes.

        By the unique indexes on a study's sender and an instance's study: what is read is that peer's studies of late,
        whatever else the house holds.
        """
        base = f"peer:{ae_title}"
        bounds = [text for sign in _APART for text in (base + sign, base + chr(ord(sign) + 1))]
        when = self._studies.bound("last_at", since)
        row = connection.execute(self._received, (base, *bounds, when, when)).fetchone()
        return int(row[0]), int(row[1])
