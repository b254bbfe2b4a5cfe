"""One transaction: what a journey changes, what it owes and what it tells the audit commit together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Dialect, Engine

from gateway.domain.audit import EVENT_KINDS, AuditEvent
from gateway.domain.epoch import ABANDONED
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.forgetting import Tombstone
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.store_finding import StoreRound
from gateway.domain.trouble import Trouble
from gateway.ports import Change, Clock, Doorbell, View
from gateway.records.audit import Head, Trail
from gateway.records.case_keys import KeyRows
from gateway.records.forgotten import ForgottenHolders, Tombstones
from gateway.records.group import Writer
from gateway.records.kept import KeptRows, KeptStatements
from gateway.records.object_ids import OpenBatches
from gateway.records.received import PeerHistory
from gateway.records.sealed_columns import KeyRing
from gateway.records.shelf import Mapping, SqlShelf
from gateway.records.statements import Statements
from gateway.records.tables import KINDS, case_key
from gateway.records.transaction import Connection, is_full, reading
from storage import KekRef, SealedStore, WrappedKey

RING_AHEAD_S = 0.3

log = structlog.get_logger()


# The columns of a job that nobody has taken yet.
_UNSTARTED = {
    "state": "queued",
    "attempts": 0,
    "owner": "",
    "lease_until": None,
    "error": "",
    "finished_at": None,
}


class UnauditedChangeError(Exception):
    """A change tried to commit without an audit event; nothing was written. Call ``change.note`` in the journey."""


class _Craft:
    """What all transactions of one database use: texts, mappings and keys."""

    def __init__(self, dialect: Dialect, store: SealedStore) -> None:
        self.ring = KeyRing(store, dialect)
        self.trail = Trail(dialect)
        self.peers = PeerHistory(dialect)
        self.tombstones = Tombstones(dialect)
        self.shelves = {name: Mapping(kind, dialect) for name, kind in KINDS.items()}
        self.keys = Statements(case_key, dialect)
        self.key_rows = KeyRows(dialect)
        self.kept = KeptStatements(dialect)
        self.batches = OpenBatches(dialect)
        jobs = self.shelves["jobs"].statements
        self.owe = (
            f"{jobs.insert} ON CONFLICT (dedup_key) DO UPDATE SET due_at = excluded.due_at, "
            "case_id = excluded.case_id RETURNING id"
        )
        self.twice: type[Exception] = dialect.loaded_dbapi.IntegrityError


class _Unit:
    """Shelves and keys over one connection: what a view and a change have in common. A shelf is made when it is asked for."""

    def __init__(self, connection: Connection, craft: _Craft) -> None:
        self._connection, self._craft = connection, craft

    def __getattr__(self, name: str) -> SqlShelf[Any]:
        if name not in self._craft.shelves:
            raise AttributeError(name)
        shelf = self._shelf(self._craft.shelves[name])
        self.__dict__[name] = shelf
        return shelf

    def _shelf(self, mapping: Mapping) -> SqlShelf[Any]:
        return SqlShelf(mapping, self._connection, self._craft.ring)

    def key(self, holder: str, purpose: str) -> WrappedKey:
        return self._craft.ring.get(self._connection, holder, purpose)

    def older_keys(self, kek: KekRef, *, after: tuple[str, str] = ("", ""), limit: int) -> list[WrappedKey]:
        return self._craft.key_rows.older(self._connection, kek, after=after, limit=limit)

    def keys_by_version(self) -> dict[KekRef, int]:
        return self._craft.key_rows.by_version(self._connection)

    @property
    def kept(self) -> KeptRows:
        return KeptRows(self._connection, self._craft.kept)

    def events(
        self, *, case_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        return self._craft.trail.events(self._connection, case_id=case_id, after=after, limit=limit)

    def head(self) -> tuple[int, str]:
        return self._craft.trail.head(self._connection)

    def peer_events(
        self, *kinds: str, actor: str = "", subject: str = "", limit: int = 100
    ) -> list[AuditEvent]:
        return self._craft.peers.events(
            self._connection, kinds=kinds, actor=actor, subject=subject, limit=limit
        )

    def received_from(self, ae_title: str, *, since: datetime) -> tuple[int, int]:
        return self._craft.peers.received(self._connection, ae_title, since=since)

    def tombstones(self, *, after: int = 0) -> list[Tombstone]:
        return self._craft.tombstones.all(self._connection, after=after)


class _Change(_Unit):
    """The writing half: notes, debts and keys."""

    def __init__(self, connection: Connection, craft: _Craft, head: Head, by: Actor, now: datetime) -> None:
        super().__init__(connection, craft)
        self._head, self.now = head, now
        self._actor, self._address = _storable(str(by)), _storable(by.address)
        self.drafts: list[dict[str, Any]] = []
        self.owed: dict[str, datetime] = {}
        self.forgotten: list[str] = []
        self.batch = ""

    def _shelf(self, mapping: Mapping) -> SqlShelf[Any]:
        return SqlShelf(mapping, self._connection, self._craft.ring, self._will_name)

    def _will_name(self, object_id: str) -> None:
        batch = self._craft.batches.refuse_closed(
            self._connection,
            object_id,
            head=self._head,
            is_named=lambda: bool(self.kept.naming([object_id])),
        )
        self.batch = batch or self.batch

    def head(self) -> Head:
        return self._head

    def note(
        self, kind: str, *, case_id: str = "", subject: str = "", outcome: str = "ok", **details: str | int
    ) -> None:
        if kind not in EVENT_KINDS:
            raise KeyError(f"{kind} is no audit event: add it to EVENT_KINDS")
        self.drafts.append(
            {
                "kind": kind,
                "actor": self._actor,
                "address": self._address,
                "case_id": _storable(case_id),
                "subject": _storable(subject),
                "outcome": _storable(outcome),
                "details": {k: _storable(v) if isinstance(v, str) else v for k, v in details.items()},
            }
        )

    def owe(self, kind: str, subject_id: str, *, due_at: datetime, case_id: str | None = None) -> str:
        job = _UNSTARTED | {
            "id": new_id(),
            "kind": kind,
            "subject_id": subject_id,
            "case_id": case_id,
            "dedup_key": f"{kind}:{subject_id}",
            "due_at": due_at,
            "created_at": self.now,
        }
        row = self._craft.shelves["jobs"].statements.row(job)
        ((job_id,),) = self._connection.execute(self._craft.owe, row).fetchall()
        self.owed[job_id] = due_at
        return str(job_id)

    def add_key(self, key: WrappedKey, *, case_id: str | None) -> None:
        self._craft.key_rows.refuse_ending(self._connection, key)
        sql = self._craft.keys
        row = {name: case_id if name == "case_id" else getattr(key, name) for name in sql.names}
        try:
            self._connection.execute(sql.insert, sql.row(row))
        except self._craft.twice as error:
            raise ConflictError(f"{key.holder} has a key for {key.purpose} already") from error

    def replace_keys(self, pairs: Sequence[tuple[WrappedKey, WrappedKey]]) -> int:
        return self._craft.key_rows.replace(self._connection, pairs)

    def adopt_keys(self, holder: str, *, case_id: str | None) -> None:
        mark = self._craft.keys.mark
        sql = f"UPDATE case_key SET case_id = {mark} WHERE holder = {mark}"  # noqa: S608  # ours alone
        self._connection.execute(sql, (case_id, holder))

    def destroy_keys(self, case_id: str) -> int:
        """Delete all wrapped keys of a case, its adopted studies' among them: what they sealed is gone for good."""
        mark = self._craft.keys.mark
        held = f"SELECT 1 FROM hold WHERE holder = {mark} AND ended_at IS NULL"  # noqa: S608  # ours alone
        if self._connection.execute(held, (case_id,)).fetchone() is not None:
            raise ConflictError(
                "the case is under a legal hold, and nobody may forget it",
                next_step="Ask who placed the hold; `consilium case unhold REF --reason …` ends it.",
            )
        holders = {holder for holder, _, _ in self.keks_of(case_id)}
        return sum(self.bury(holder, case_id=case_id) for holder in sorted(holders))

    def bury(self, holder: str, *, case_id: str) -> int:
        sql = f"DELETE FROM case_key WHERE holder = {self._craft.keys.mark}"  # noqa: S608  # ours alone
        count = int(self._connection.execute(sql, (holder,)).rowcount)
        self._craft.tombstones.add(self._connection, holder, case_id=case_id, at=self.now)
        self.forgotten.append(holder)
        return count

    def keks_of(self, case_id: str) -> list[tuple[str, str, int]]:
        sql = self._craft.keys
        matching, values = sql.matching({"case_id": case_id})
        rows = self._connection.execute(
            sql.selecting(("holder", "kek_id", "kek_version")) + matching, values
        ).fetchall()
        return [
            (str(holder), str(kek_id).removeprefix(ABANDONED), int(version))
            for holder, kek_id, version in rows
        ]


def _storable(text: str) -> str:
    """Replace what no database and no UTF-8 can hold: a sender's odd bytes must not keep an event from being written."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class SqlRecords:
    """Implements ``ports.Records`` over a writing and a reading engine."""

    def __init__(
        self,
        *,
        write: Engine,
        read: Engine,
        store: SealedStore,
        clock: Clock,
        doorbell: Doorbell,
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._read = write, read
        self._craft = _Craft(write.dialect, store)
        self._ring = self._craft.ring
        self._forgotten = ForgottenHolders(write=write, read=read, ring=self._ring)
        store.heed(self._forgotten)
        self._writer = Writer(write, self._craft.trail)
        self._clock, self._doorbell, self._on_full = clock, doorbell, on_full

    @contextmanager
    def change(self, *, by: Actor) -> Iterator[Change]:
        """Open a transaction; it commits on leaving, with its audit events, or leaves nothing behind.

        The promise «nothing unaudited» is the three lines after ``yield``.
        """
        forgotten: list[str] = []
        try:
            with self._writer.share() as group:
                unit = _Change(group.connection, self._craft, group.head, by, self._clock.now())
                forgotten = unit.forgotten
                yield unit  # type: ignore[misc]  # the shelves are made by name
                if not unit.drafts:
                    raise UnauditedChangeError
                group.head = self._craft.trail.append(
                    group.connection, unit.drafts, head=group.head, at=unit.now
                )
                if unit.batch:
                    self._craft.batches.seen_open(unit.batch, group.head)
        except UnavailableError as error:
            if is_full(error.__cause__):
                self._on_full()  # D13: the ballast goes, so that the refusal of this change can be told
            raise
        finally:
            for (
                holder
            ) in forgotten:  # also where nobody knows whether it was committed: what is kept is read again
                self._ring.forget(holder)
        if forgotten:
            self._forgotten.cut()
        if unit.owed:
            self._announce(unit.owed)

    def _announce(self, owed: dict[str, datetime]) -> None:
        """Ring for what is due. It is committed, and the rows are the authority: a bell that breaks refuses nobody."""
        soon = self._clock.now().timestamp() + RING_AHEAD_S
        for job_id, due_at in owed.items():
            if due_at.timestamp() <= soon:
                try:
                    self._doorbell.ring(job_id)
                except Exception as error:  # noqa: BLE001 - as above
                    log.warning("bell_lost", job=job_id, reason=type(error).__name__)

    @contextmanager
    def view(self) -> Iterator[View]:
        """Open a reading of one moment."""
        with reading(self._read) as connection:
            yield _Unit(connection, self._craft)  # type: ignore[misc]  # the shelves are made by name

    def keep_round(self, round_: StoreRound) -> None:
        """Write down how far a round over the store has come."""
        self._keep("store_rounds", round_)

    def keep_trouble(self, trouble: Trouble) -> None:
        """Write down what a door has to refuse, or that it goes well again."""
        self._keep("troubles", trouble)

    def _keep(self, shelf: str, value: StoreRound | Trouble) -> None:
        known = self._craft.shelves[shelf].statements
        row = known.row({name: getattr(value, name) for name in known.names})
        renewed = ", ".join(f"{name} = excluded.{name}" for name in known.column.values())
        with self._writer.share() as group:
            group.connection.execute(f"{known.insert} ON CONFLICT (id) DO UPDATE SET {renewed}", row)

    def touch_session(self, session_id: str, *, now: datetime) -> None:
        """Move a session's idle time on."""
        sessions = self._craft.shelves["sessions"]
        setting, values = sessions.statements.setting({"seen_at": now})
        sql = f"UPDATE {sessions.statements.table} {setting}{sessions.is_key}"  # the schema's names only
        with self._writer.share() as group:
            group.connection.execute(sql, (*values, session_id))

    def watch_forgotten(self) -> None:
        """Drop keys that another process destroyed within a second, also while nobody uses them here."""
        self._forgotten.watch()

    def close(self) -> None:
        """Give back all connections."""
        self._forgotten.close()
        self._writer.close()
        self._write.dispose()
        self._read.dispose()
