"""The rows of the audit trail: appended inside the change that they tell of, read back in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from gateway.domain.audit import GENESIS, AuditEvent
from gateway.domain.errors import UnavailableError
from gateway.records.tables import IS_PEER_EVENT, PEER_EVENTS, audit_event, audit_head

_NAMES = tuple(field.name for field in fields(AuditEvent))


def take_turn(connection: Connection) -> None:
    """Wait for the head's row lock: a change reads nothing that another is about to change (P6, P8, R8; D9).

    SQLite has given the turn already (``BEGIN IMMEDIATE``). In PostgreSQL two changes that both read «not used yet» would
    both go on; as every change ends in the one chain, waiting here instead of there costs little.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(audit_head.c.id).where(audit_head.c.id == 1).with_for_update())


def append(connection: Connection, drafts: list[AuditEvent], *, at: datetime) -> None:
    """Chain the drafts behind the head and write them. The head's row lock puts concurrent changes in one order."""
    head = connection.execute(select(audit_head).where(audit_head.c.id == 1).with_for_update()).first()
    if head is None:
        raise UnavailableError(
            "the audit trail has lost its head, so nothing is written",
            next_step="Run `consilium audit verify`; restore the records from a backup that verifies.",
        )
    seq, previous = head.seq, head.hash
    rows = []
    for draft in drafts:
        seq += 1
        event = replace(draft, seq=seq, previous=previous, at=at)
        event = replace(event, hash=event.chained_hash())
        previous = event.hash
        rows.append({name: getattr(event, name) for name in _NAMES} | {"details": dict(event.details)})
    try:
        connection.execute(insert(audit_event), rows)
    except IntegrityError as error:
        raise UnavailableError(
            "the audit trail does not go on where its head says, so nothing is written",
            next_step="Run `consilium audit verify`; restore the records from a backup that verifies.",
        ) from error
    connection.execute(update(audit_head).where(audit_head.c.id == 1).values(seq=seq, hash=previous))


def events(
    connection: Connection, *, case_id: str | None, after: int, limit: int | None
) -> Iterator[AuditEvent]:
    """Yield events in the order in which they lie in the table's key."""
    statement = select(audit_event).where(audit_event.c.seq > after).order_by(audit_event.c.seq)
    if case_id is not None:
        statement = statement.where(audit_event.c.case_id == case_id)
    if limit is not None:
        statement = statement.limit(limit)
    for row in connection.execute(statement.execution_options(yield_per=1000)):
        yield AuditEvent(**{name: getattr(row, name) for name in _NAMES})


def peer_events(
    connection: Connection, *, kinds: Sequence[str], actor: str, subject: str, limit: int
) -> list[AuditEvent]:
    """Return the newest events of each of these kinds, all together newest first."""
    found: list[AuditEvent] = []
    for kind in kinds:
        if kind not in PEER_EVENTS:
            raise KeyError(f"{kind} is not in the index of peers' events")
        statement = select(audit_event).where(text(IS_PEER_EVENT), audit_event.c.kind == kind)
        if actor:
            statement = statement.where(audit_event.c.actor == actor)
        if subject:
            statement = statement.where(audit_event.c.subject == subject)
        rows = connection.execute(statement.order_by(audit_event.c.seq.desc()).limit(limit))
        found += [AuditEvent(**{name: getattr(row, name) for name in _NAMES}) for row in rows]
    return sorted(found, key=lambda event: -event.seq)[:limit]


def head(connection: Connection) -> tuple[int, str]:
    """Return the newest event's number and hash."""
    row = connection.execute(select(audit_head).where(audit_head.c.id == 1)).first()
    return (int(row.seq), str(row.hash)) if row is not None else (0, GENESIS)
