"""One transaction: what a journey changes, what it owes and what it tells the audit commit together or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.domain.audit import EVENT_KINDS, AuditEvent
from gateway.domain.errors import ConflictError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.ports import Change, Clock, Doorbell, View
from gateway.records import audit
from gateway.records.received import received_from
from gateway.records.schema import unanswered
from gateway.records.sealed_columns import KeyRing
from gateway.records.shelf import SqlShelf
from gateway.records.tables import KINDS, case_key
from storage import SealedStore, WrappedKey

RING_AHEAD_S = 0.3


class UnauditedChangeError(Exception):
    """A change tried to commit without an audit event; nothing was written. Call ``change.note`` in the journey."""


class _Unit:
    """Shelves and keys over one connection: what a view and a change have in common."""

    def __init__(self, connection: Connection, ring: KeyRing) -> None:
        self._connection, self._ring = connection, ring
        for name, kind in KINDS.items():
            setattr(self, name, SqlShelf(kind, connection, ring))

    def key(self, holder: str, purpose: str) -> WrappedKey:
        return self._ring.get(self._connection, holder, purpose)

    def events(
        self, *, case_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        return audit.events(self._connection, case_id=case_id, after=after, limit=limit)

    def head(self) -> tuple[int, str]:
        return audit.head(self._connection)

    def peer_events(
        self, *kinds: str, actor: str = "", subject: str = "", limit: int = 100
    ) -> list[AuditEvent]:
        return audit.peer_events(self._connection, kinds=kinds, actor=actor, subject=subject, limit=limit)

    def received_from(self, ae_title: str, *, since: datetime) -> tuple[int, int]:
        return received_from(self._connection, ae_title, since=since)


class _Change(_Unit):
    """The writing half: notes, debts and keys."""

    def __init__(self, connection: Connection, ring: KeyRing, by: Actor, now: datetime) -> None:
        super().__init__(connection, ring)
        self._by, self.now = by, now
        self.drafts: list[AuditEvent] = []
        self.owed: dict[str, datetime] = {}
        self.forgotten: list[str] = []

    def note(
        self, kind: str, *, case_id: str = "", subject: str = "", outcome: str = "ok", **details: str | int
    ) -> None:
        if kind not in EVENT_KINDS:
            raise KeyError(f"{kind} is no audit event: add it to EVENT_KINDS")
        self.drafts.append(
            AuditEvent(
                seq=0,
                at=self.now,
                kind=kind,
                actor=_storable(str(self._by)),
                address=_storable(self._by.address),
                case_id=_storable(case_id),
                subject=_storable(subject),
                outcome=_storable(outcome),
                details={k: _storable(v) if isinstance(v, str) else v for k, v in details.items()},
            )
        )

    def owe(self, kind: str, subject_id: str, *, due_at: datetime, case_id: str | None = None) -> str:
        jobs = KINDS["jobs"].table
        dialect: Any = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(jobs).values(
            id=new_id(),
            kind=kind,
            subject_id=subject_id,
            case_id=case_id,
            state="queued",
            dedup_key=f"{kind}:{subject_id}",
            due_at=due_at,
            created_at=self.now,
            attempts=0,
            owner="",
            error="",
        )
        statement = statement.on_conflict_do_update(
            index_elements=["dedup_key"],
            set_={"due_at": statement.excluded.due_at, "case_id": statement.excluded.case_id},
        ).returning(jobs.c.id)
        job_id = str(self._connection.execute(statement).scalar_one())
        self.owed[job_id] = due_at
        return job_id

    def add_key(self, key: WrappedKey, *, case_id: str | None) -> None:
        row = {name: getattr(key, name) for name in ("holder", "purpose", "kek_id", "kek_version", "blob")}
        try:
            self._connection.execute(insert(case_key).values(case_id=case_id, **row))
        except IntegrityError as error:
            raise ConflictError(f"{key.holder} has a key for {key.purpose} already") from error

    def adopt_keys(self, holder: str, *, case_id: str | None) -> None:
        self._connection.execute(update(case_key).where(case_key.c.holder == holder).values(case_id=case_id))

    def destroy_keys(self, case_id: str) -> int:
        """Delete all wrapped keys of a case, its adopted studies' among them: what they sealed is gone for good."""
        holders = self._connection.execute(
            select(case_key.c.holder).where(case_key.c.case_id == case_id)
        ).scalars()
        self.forgotten.extend(set(holders))
        return int(self._connection.execute(delete(case_key).where(case_key.c.case_id == case_id)).rowcount)


def _storable(text: str) -> str:
    """Replace what no database and no UTF-8 can hold: a sender's odd bytes must not keep an event from being written."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class SqlRecords:
    """Implements ``ports.Records`` over a writing and a reading engine."""

    def __init__(
        self, *, write: Engine, read: Engine, store: SealedStore, clock: Clock, doorbell: Doorbell
    ) -> None:
        self._write, self._read = write, read
        self._ring = KeyRing(store)
        self._clock, self._doorbell = clock, doorbell
        # SQLite has one writer: threads of this process queue here, in order, instead of in the busy handler's naps.
        self._turn = threading.Lock() if write.dialect.name == "sqlite" else nullcontext()

    @contextmanager
    def change(self, *, by: Actor) -> Iterator[Change]:
        """Open a transaction; it commits on leaving, with its audit events, or leaves nothing behind.

        The promise «nothing unaudited» is the three lines after ``yield``.
        """
        unit: _Change | None = None
        try:
            with self._turn, self._write.begin() as connection:
                audit.take_turn(connection)
                unit = _Change(connection, self._ring, by, self._clock.now())
                yield unit  # type: ignore[misc]  # the shelves are set by name
                if not unit.drafts:
                    raise UnauditedChangeError
                audit.append(connection, unit.drafts, at=unit.now)
        except DBAPIError as error:
            raise unanswered(error) from error
        for holder in unit.forgotten:
            self._ring.forget(holder)
        soon = self._clock.now().timestamp() + RING_AHEAD_S
        for job_id, due_at in unit.owed.items():
            if due_at.timestamp() <= soon:
                self._doorbell.ring(job_id)

    @contextmanager
    def view(self) -> Iterator[View]:
        """Open a reading of one moment."""
        try:
            with self._read.connect() as connection:
                yield _Unit(connection, self._ring)  # type: ignore[misc]  # the shelves are set by name
        except DBAPIError as error:
            raise unanswered(error) from error

    def touch_session(self, session_id: str, *, now: datetime) -> None:
        """Move a session's idle time on."""
        sessions = KINDS["sessions"].table
        try:
            with self._turn, self._write.begin() as connection:
                connection.execute(update(sessions).where(sessions.c.id == session_id).values(seen_at=now))
        except DBAPIError as error:
            raise unanswered(error) from error

    def close(self) -> None:
        """Give back all connections."""
        self._write.dispose()
        self._read.dispose()
