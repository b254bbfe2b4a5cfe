"""What backups need from outside, as protocols beside ``gateway.ports``; who implements them is not known here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from gateway.domain.backup import Database, Facts, NamedObject
from storage import Objects, Readable, WrappedKey


class Snapshot(Protocol):
    """One moment of the records. It is gone when the block that took it ends."""

    facts: Facts

    def objects(self) -> Iterator[NamedObject]:
        """Yield every sealed object that a row names; an id that two rows name comes twice."""

    def wrapped_keys(self) -> Iterator[WrappedKey]:
        """Yield every wrapped key."""

    def reading(self) -> AbstractContextManager[Readable]:
        """Give the bytes from which these records can be put back; the database as it is, so not for a place of others."""


class Snapshots(Protocol):
    """Copies of the whole records, of one moment each. Every method blocks; none holds up a writer."""

    database: Database

    def take(self) -> AbstractContextManager[Snapshot]:
        """Take one beside whatever runs. Raises ``UnavailableError``."""

    def check(self, stream: Readable) -> Facts | None:
        """Read a snapshot to its end and look whether it is whole; None where only a server could tell its facts.

        Raises ``InvalidError`` (it is damaged) or ``UnavailableError``.
        """

    def is_empty(self) -> bool:
        """Tell whether there are no records here."""

    def put_back(self, stream: Readable, facts: Facts) -> None:
        """Make records of a snapshot: all of them or nothing. Idempotent for the same snapshot; ``ConflictError`` for other records."""

    def facts(self) -> Facts:
        """Tell what the records that are here say of themselves."""

    def upgrade(self) -> None:
        """Bring older records up to this version."""


class BackupPlace(Protocol):
    """A backup repository: objects under their ids, and the manifests that make backups of them. ``UnavailableError`` where it fails."""

    name: str

    @property
    def objects(self) -> Objects:
        """Where the sealed objects lie, those of the store and the backup's own."""

    def ids(self) -> list[str]:
        """Return the ids of all backups, oldest first."""

    def manifest(self, backup_id: str) -> bytes:
        """Return a manifest as it lies. Raises ``NotFoundError``."""

    def listed(self, backup_id: str) -> Iterator[bytes]:
        """Yield the lines of its list of objects."""

    def keep_list(self, backup_id: str, lines: Iterable[bytes]) -> None:
        """Write the list, durably."""

    def keep_manifest(self, backup_id: str, content: bytes) -> None:
        """Write the manifest, durably and last: from here on it is a backup."""

    def drop(self, backup_id: str) -> None:
        """Take a manifest away, durably, then its list; idempotent."""

    def alone(self) -> AbstractContextManager[None]:
        """Hold the repository against other writers. Raises ``BusyError`` where another holds it."""


class NewHome(Protocol):
    """The folder of a house that is being restored."""

    def chosen(self, backup_id: str) -> str:
        """Return the backup that is named or, where a restore was begun here, that one; ``ConflictError`` where the two differ."""

    def claim(self, backup_id: str, *, is_empty: bool) -> None:
        """Mark the home, durably; ``ConflictError`` where it holds anything and carries no mark of this backup."""

    def keep_report(self, name: str, signed: bytes, words: str) -> None:
        """Keep the report, durably."""

    def release(self) -> None:
        """Take the mark away, durably: the home may start."""
