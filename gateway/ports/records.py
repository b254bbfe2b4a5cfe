"""The records as journeys see them: shelves of values, a change that commits with its audit events, and owed jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from gateway.domain.audit import AuditEvent
from gateway.domain.backup import Backup
from gateway.domain.case import Case
from gateway.domain.commitment import AskedInstances, Commitment
from gateway.domain.delivery import Delivery
from gateway.domain.document import Document
from gateway.domain.epoch import Epoch
from gateway.domain.finding import Finding
from gateway.domain.forgetting import Forgetting, Hold, Tombstone
from gateway.domain.grant import Grant
from gateway.domain.job import Job
from gateway.domain.kept_object import KeptObject, ObjectBatch
from gateway.domain.opinion import Answer
from gateway.domain.peer import Peer
from gateway.domain.people import Actor, Person
from gateway.domain.release import Copy, Release
from gateway.domain.rule import CaseRule, DeviceRule
from gateway.domain.store_finding import StoreFinding, StoreRound
from gateway.domain.study import Instance, Study
from gateway.domain.trouble import Trouble
from gateway.domain.upload import Challenge, Link, Part, Session, Upload
from storage import KekRef, KeyRefusedError, KeyUnknownError, SealBrokenError, WrappedKey

T = TypeVar("T")

UNOPENED = (KeyRefusedError, KeyUnknownError, SealBrokenError)
"""What says that one row does not open. A key service that does not answer says nothing of any row, and is not among them."""


class Shelf(Protocol[T]):
    """The rows of one kind, as values. Sealed columns are opened on the way out and sealed on the way in.

    ``where`` compares columns for equality; a tuple or list means «one of»; None means null.
    """

    def get(self, key: str) -> T:
        """Return the row with this primary key, or raise ``NotFoundError``."""

    def find(self, *, order: str = "", limit: int | None = None, **where: Any) -> list[T]:
        """Return rows in ``order`` (a column, ``-column`` descending), oldest first by default."""

    def find_readable(
        self, *, order: str = "", limit: int | None = None, **where: Any
    ) -> tuple[list[T], list[str]]:
        """Return as ``find`` what opens, and the keys of the rows that do not (``UNOPENED``): one bad row hides no other.

        ``KeyServiceError`` passes through: an outage is no damage.
        """

    def first(self, *, order: str = "", **where: Any) -> T | None:
        """Return the first such row, or None."""

    def count(self, **where: Any) -> int:
        """Return how many such rows there are, without opening any."""

    def pick(
        self, columns: Sequence[str], *, order: str = "", limit: int | None = None, **where: Any
    ) -> list[tuple[Any, ...]]:
        """Return only these unsealed columns of such rows, in ``order`` as ``find``; no key is asked for and nothing opened."""


class WritableShelf(Shelf[T], Protocol[T]):
    """A shelf inside a change."""

    def add(self, value: T) -> None:
        """Insert; a second row with the same key raises ``ConflictError``."""

    def put(self, value: T) -> None:
        """Replace the row with the same primary key."""

    def set(self, key: str, **columns: Any) -> None:
        """Set some unsealed columns of one row; raises ``NotFoundError`` where there is none."""

    def bump(self, key: str, column: str, *, below: int | None = None) -> bool:
        """Add one to a counter in one statement; False (nothing done) where it is not below ``below`` (P8)."""

    def advance(self, key: str, column: str, *, to: int) -> bool:
        """Raise a counter to ``to`` in one statement; False (nothing done) where it is there already: replay is seen here."""

    def remove(self, **where: Any) -> int:
        """Delete such rows and return how many."""


class Kept(Protocol):
    """Every row that names a sealed object, whatever its kind (``domain.kept_object``)."""

    def ids(self) -> Iterator[str]:
        """Return the object of each row, without holding them all in memory."""

    def page(self, *, after: str = "", limit: int, case_id: str | None = None) -> list[KeptObject]:
        """Return the next rows behind a cursor, in an order that stays; of one case, where it is given."""

    def naming(self, object_ids: Sequence[str]) -> list[KeptObject]:
        """Return the rows that name these objects."""

    def amount(self, *, case_id: str | None = None) -> tuple[int, int]:
        """Return how many objects rows name, and the bytes of what was sealed in them."""


class View(Protocol):
    """One consistent reading of the records. It takes no write lock."""

    cases: Shelf[Case]
    peers: Shelf[Peer]
    studies: Shelf[Study]
    instances: Shelf[Instance]
    commitments: Shelf[Commitment]
    asked_instances: Shelf[AskedInstances]
    deliveries: Shelf[Delivery]
    documents: Shelf[Document]
    copies: Shelf[Copy]
    findings: Shelf[Finding]
    links: Shelf[Link]
    challenges: Shelf[Challenge]
    sessions: Shelf[Session]
    uploads: Shelf[Upload]
    parts: Shelf[Part]
    releases: Shelf[Release]
    grants: Shelf[Grant]
    answers: Shelf[Answer]
    people: Shelf[Person]
    jobs: Shelf[Job]
    backups: Shelf[Backup]
    epochs: Shelf[Epoch]
    holds: Shelf[Hold]
    forgettings: Shelf[Forgetting]
    case_rules: Shelf[CaseRule]
    device_rules: Shelf[DeviceRule]

    object_batches: Shelf[ObjectBatch]
    store_findings: Shelf[StoreFinding]
    store_rounds: Shelf[StoreRound]
    troubles: Shelf[Trouble]

    @property
    def kept(self) -> Kept:
        """Return every row that names a sealed object."""

    def key(self, holder: str, purpose: str) -> WrappedKey:
        """Return the wrapped key of a holder, or raise ``NotFoundError`` (it was forgotten, or never was)."""

    def older_keys(self, kek: KekRef, *, after: tuple[str, str] = ("", ""), limit: int) -> list[WrappedKey]:
        """Return the next wrapped keys under another version than ``kek`` or a later one, by holder and purpose, behind ``after``."""

    def keys_by_version(self) -> dict[KekRef, int]:
        """Return how many wrapped keys there are under each version of the master key."""

    def events(
        self, *, case_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        """Return the audit trail in stored order."""

    def head(self) -> tuple[int, str]:
        """Return the sequence number and hash of the newest event (0 and zeros when there is none)."""

    def peer_events(
        self, *kinds: str, actor: str = "", subject: str = "", limit: int = 100
    ) -> list[AuditEvent]:
        """Return the newest events of these kinds of peers' events, newest first, by one actor or about one subject."""

    def received_from(self, ae_title: str, *, since: datetime) -> tuple[int, int]:
        """Return how many instances of a peer were kept since then, and their bytes."""

    def tombstones(self, *, after: int = 0) -> list[Tombstone]:
        """Return whose keys were destroyed, in the order of commits."""


class Change(Protocol):
    """One transaction. It commits only if ``note`` was called at least once: a change without an event cannot be."""

    cases: WritableShelf[Case]
    peers: WritableShelf[Peer]
    studies: WritableShelf[Study]
    instances: WritableShelf[Instance]
    commitments: WritableShelf[Commitment]
    asked_instances: WritableShelf[AskedInstances]
    deliveries: WritableShelf[Delivery]
    documents: WritableShelf[Document]
    copies: WritableShelf[Copy]
    findings: WritableShelf[Finding]
    links: WritableShelf[Link]
    challenges: WritableShelf[Challenge]
    sessions: WritableShelf[Session]
    uploads: WritableShelf[Upload]
    parts: WritableShelf[Part]
    releases: WritableShelf[Release]
    grants: WritableShelf[Grant]
    answers: WritableShelf[Answer]
    people: WritableShelf[Person]
    jobs: WritableShelf[Job]
    backups: WritableShelf[Backup]
    epochs: WritableShelf[Epoch]
    holds: WritableShelf[Hold]
    forgettings: WritableShelf[Forgetting]
    case_rules: WritableShelf[CaseRule]
    device_rules: WritableShelf[DeviceRule]
    now: datetime
    """The moment of this change, as its events tell it."""

    object_batches: WritableShelf[ObjectBatch]
    store_findings: WritableShelf[StoreFinding]
    store_rounds: WritableShelf[StoreRound]
    troubles: WritableShelf[Trouble]

    @property
    def kept(self) -> Kept:
        """Return every row that names a sealed object."""

    def note(
        self, kind: str, *, case_id: str = "", subject: str = "", outcome: str = "ok", **details: str | int
    ) -> None:
        """Append an audit event by this change's actor; ``kind`` is one of ``EVENT_KINDS``; ids and counts only."""

    def owe(self, kind: str, subject_id: str, *, due_at: datetime, case_id: str | None = None) -> str:
        """Add a job (or move an unstarted one of the same kind and subject to ``due_at``); rung after commit. Returns its id."""

    def key(self, holder: str, purpose: str) -> WrappedKey:
        """Return the wrapped key of a holder."""

    def keys_by_version(self) -> dict[KekRef, int]:
        """Return how many wrapped keys there are under each version of the master key."""

    def replace_keys(self, pairs: Sequence[tuple[WrappedKey, WrappedKey]]) -> int:
        """Put the second of each pair in the first one's row and return how many; a row that is another by now, or gone, stays so."""

    def events(
        self, *, case_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        """Return the audit trail as it stood when the change began."""

    def head(self) -> tuple[int, str]:
        """Return the sequence number and hash of the newest event before this change."""

    def add_key(self, key: WrappedKey, *, case_id: str | None) -> None:
        """Keep a wrapped key; the keys of a case are those whose ``case_id`` it is."""

    def adopt_keys(self, holder: str, *, case_id: str | None) -> None:
        """Give the keys of an unmatched study to a case, so that forgetting the case forgets them."""

    def destroy_keys(self, case_id: str) -> int:
        """Delete the wrapped keys of a case, its adopted studies' among them: what they sealed is gone for good.

        Each holder gets a tombstone in the same transaction. Raises ``ConflictError`` while the case is under a legal hold.
        """

    def bury(self, holder: str, *, case_id: str) -> int:
        """Delete a holder's wrapped keys wherever they are and keep a tombstone, also of one that has none here. Returns how many keys."""

    def keks_of(self, case_id: str) -> list[tuple[str, str, int]]:
        """Return (holder, id, version of the master key) for each wrapped key of a case."""

    def tombstones(self, *, after: int = 0) -> list[Tombstone]:
        """Return whose keys were destroyed, in the order of commits."""


class Records(Protocol):
    """The authority on what there is. Blocking; safe to use from many threads and processes."""

    def change(self, *, by: Actor) -> AbstractContextManager[Change]:
        """Open a transaction that is committed on leaving without an error, and only with an event."""

    def view(self) -> AbstractContextManager[View]:
        """Open a reading."""

    def keep_round(self, round_: StoreRound) -> None:
        """Write down how far a round over the store has come: bookkeeping, and no change that an audit would tell of."""

    def keep_trouble(self, trouble: Trouble) -> None:
        """Write down what a door has to refuse, or that it goes well again: bookkeeping, and no change that an audit would tell of."""

    def touch_session(self, session_id: str, *, now: datetime) -> None:
        """Move a session's idle time on: bookkeeping of the door, and no change that an audit would tell of."""


class Jobs(Protocol):
    """The job rows as a queue. Each call is one short transaction of its own; the audit is the journeys' affair."""

    def claim_job(
        self, *, now: datetime, owner: str, lease_s: float, job_id: str | None = None
    ) -> Job | None:
        """Take one due job (or just that one): queued and due, or running with a lapsed lease. Atomic. None if there is none."""

    def renew_lease(self, job_id: str, *, owner: str, now: datetime, lease_s: float) -> bool:
        """Prolong; False when the job is not ours any more."""

    def finish_job(self, job_id: str, *, owner: str, now: datetime) -> bool:
        """Mark done; False when the job is not ours any more. What was owed again meanwhile is a row of its own."""

    def fail_job(
        self, job_id: str, *, owner: str, now: datetime, error: str, retry_at: datetime | None
    ) -> None:
        """Queue again for ``retry_at``, or mark failed when it is None (an audit event says so)."""

    def due_jobs(self, *, now: datetime, limit: int = 100) -> list[str]:
        """Return ids of jobs that are due or whose lease lapsed: the sweeper rings them."""

    def next_due(self) -> datetime | None:
        """Return when the next queued job is due, for a worker to sleep until."""

    def claim_duty(self, name: str, *, now: datetime, every_s: float) -> bool:
        """True for exactly one caller per period: guards what the scheduler does once in a cluster."""
