"""A backup: its signed manifest, what it names and which old ones may go; no byte of it is read or written here.

The layout of a repository is told in ``docs/spec/backup.md``. A manifest is signed as the heads of the audit trail are
(decision 0024): a note over its length and SHA-256, under the same key, with an origin of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from gateway.domain.audit import Checkpoint, public_key, read_checkpoint
from gateway.domain.errors import InvalidError
from storage import SealedRef, WrappedKey

FORMAT = "consilium-backup/1"
BACKUP_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
SNAPSHOT_KIND, INVENTORY_KIND, PAPERS_KIND = "backup-snapshot", "backup-inventory", "backup-papers"
BACKUP_HOLDER, BACKUP_PURPOSE = "backup", "records"
WARN_DAYS = 1
MOST_APART = timedelta(
    days=8
)  # backups are made every day or week; what is longer may be a step of the clock
MOST_AHEAD = timedelta(hours=1)

Database = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What the house remembers of a backup that it made: where, how much and whether anybody verified it since."""

    id: str
    made_at: datetime
    place: str
    objects: int
    size_bytes: int
    missing: int = 0
    verified_at: datetime | None = None
    data_read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedObject:
    """One sealed object that a row names, with all that is needed to open it but the key itself."""

    ref: SealedRef
    kind: str
    holder: str
    purpose: str

    def line(self) -> str:
        """Return the object's line in the inventory."""
        ref = self.ref
        return json.dumps(
            [ref.object_id, ref.size_bytes, ref.digest.hex(), ref.generation, self.kind, self.holder, self.purpose],
            separators=(",", ":"),
        )  # fmt: skip

    @classmethod
    def from_line(cls, line: str) -> NamedObject:
        """Read ``line``."""
        object_id, size, digest, generation, kind, holder, purpose = json.loads(line)
        ref = SealedRef(
            object_id=object_id, size_bytes=size, digest=bytes.fromhex(digest), generation=generation
        )
        return cls(ref=ref, kind=kind, holder=holder, purpose=purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a snapshot of the records says of itself; a restored copy must say the same."""

    schema_version: int
    head_seq: int
    head_hash: str
    rows: Mapping[str, int]
    house_key: WrappedKey
    keks: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """All that a backup is; without it the objects beside it are no backup.

    Attributes
    ----------
    key
        Seals snapshot, inventory and papers; wrapped under the master key, which is not in the backup.
    snapshot, inventory, papers
        The database; one line for each object with what opens it, and all wrapped keys; the witness's notes and the
        register of forgotten cases.
    objects, objects_bytes, list_sha256
        How many sealed objects the rows name, their length as they lie, and the digest of the list of them.
    missing
        Ids that two snapshots named and the store had not, or not whole: lost before this backup.
    """

    id: str
    tenant: str
    made_at: datetime
    version: str
    database: Database
    facts: Facts
    key: WrappedKey
    snapshot: SealedRef
    inventory: SealedRef
    papers: SealedRef
    objects: int
    objects_bytes: int
    list_sha256: str
    missing: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[SealedRef, ...]:
        """The sealed objects that are the backup's own."""
        return self.snapshot, self.inventory, self.papers

    def body(self) -> bytes:
        """Return the bytes that are signed: JSON with sorted keys and no blanks."""
        facts = self.facts
        value = {
            "format": FORMAT,
            "id": self.id,
            "tenant": self.tenant,
            "made_at": self.made_at.astimezone(UTC).isoformat(),
            "version": self.version,
            "database": self.database,
            "schema_version": facts.schema_version,
            "audit_head": [facts.head_seq, facts.head_hash],
            "rows": dict(facts.rows),
            "keks": [list(kek) for kek in facts.keks],
            "house_key": _key_to_json(facts.house_key),
            "key": _key_to_json(self.key),
            "snapshot": _ref_to_json(self.snapshot),
            "inventory": _ref_to_json(self.inventory),
            "papers": _ref_to_json(self.papers),
            "objects": self.objects,
            "objects_bytes": self.objects_bytes,
            "list_sha256": self.list_sha256,
            "missing": list(self.missing),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    def signed(self, seed: bytes) -> bytes:
        """Return the file: one line of JSON, and the note that signs it."""
        return signed_file(self.body(), origin=f"{self.tenant}/backup", seed=seed)


def signed_file(body: bytes, *, origin: str, seed: bytes) -> bytes:
    """Return a line of JSON and the note that signs its bytes."""
    note = Checkpoint(origin=origin, size=len(body), hash=hashlib.sha256(body).hexdigest()).signed(seed)
    return body + b"\n\n" + note.encode()


def is_signed(content: bytes, *, origin: str, seed: bytes) -> bool:
    """Tell whether ``signed_file`` made this with the same seed and origin."""
    body, _, note = content.partition(b"\n\n")
    checkpoint = read_checkpoint(note.decode("utf-8", "replace"), public=public_key(seed))
    wanted = (origin, len(body), hashlib.sha256(body).hexdigest())
    return checkpoint is not None and (checkpoint.origin, checkpoint.size, checkpoint.hash) == wanted


def read_manifest(content: bytes) -> BackupManifest:
    """Read a manifest whose signature nobody has looked at yet.

    Raises
    ------
    InvalidError
        It is no manifest, or one of a format that this version does not know.
    """
    try:
        value: dict[str, Any] = json.loads(content.partition(b"\n\n")[0])
        if value["format"] != FORMAT:
            raise _unknown_format(value["format"])
        facts = Facts(
            schema_version=int(value["schema_version"]),
            head_seq=int(value["audit_head"][0]),
            head_hash=str(value["audit_head"][1]),
            rows={str(name): int(count) for name, count in value["rows"].items()},
            house_key=_key_from_json(value["house_key"]),
            keks=tuple((str(kek_id), int(version)) for kek_id, version in value["keks"]),
        )
        database: Database = {"sqlite": "sqlite", "postgresql": "postgresql"}[value["database"]]  # type: ignore[assignment]  # one of the two
        return BackupManifest(
            id=str(value["id"]),
            tenant=str(value["tenant"]),
            made_at=datetime.fromisoformat(value["made_at"]),
            version=str(value["version"]),
            database=database,
            facts=facts,
            key=_key_from_json(value["key"]),
            snapshot=_ref_from_json(value["snapshot"]),
            inventory=_ref_from_json(value["inventory"]),
            papers=_ref_from_json(value["papers"]),
            objects=int(value["objects"]),
            objects_bytes=int(value["objects_bytes"]),
            list_sha256=str(value["list_sha256"]),
            missing=tuple(str(one) for one in value["missing"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidError(
            "the manifest is malformed",
            next_step="Take an earlier backup: `consilium backup list --from DIR`.",
        ) from error


def _unknown_format(found: object) -> InvalidError:
    return InvalidError(
        f"its format is {str(found)[:40]}", next_step="Use the version that made it, or a newer one."
    )


def new_backup_id(now: datetime, random: bytes) -> str:
    """Return a name that sorts by time: second and 32 random bits."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{random[:4].hex()}"


def made_at_of(backup_id: str) -> datetime:
    """Return the second that is in the name."""
    return datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def outlived(backup_ids: Sequence[str], *, newest_good: str, keep_days: int, now: datetime) -> list[str]:
    """Return those that are older than so many days; never the newest good one, nor those after it.

    What is damaged in these may be something else than their registers of forgotten cases, of which the good one knows less.
    """
    oldest = now - timedelta(days=keep_days)
    return [one for one in backup_ids if one < newest_good and made_at_of(one) < oldest]


def clock_doubt(
    backup_ids: Sequence[str], *, old: Sequence[str], keep_days: int, last_event: datetime, now: datetime
) -> str:
    """Say why the clock may not be believed when it says that ``old`` backups are old; nothing where it may.

    A clock that was set forward makes everything old at once, and looks like a time in which nothing was done. So the ages
    must hold even if every gap of more than eight days between two backups, or between the newest and now, were of eight
    days only, and the trail's last event must not be older than that. A clock that was ahead has left later times behind.
    """
    if not old:
        return ""
    times = [made_at_of(one) for one in backup_ids]
    newest = max(*times, last_event)
    if newest > now + MOST_AHEAD:
        return f"a backup or an event is of {newest:%Y-%m-%d %H:%M}, and the clock says {now:%Y-%m-%d %H:%M}"
    if now - last_event > MOST_APART:
        return f"the trail's last event is {(now - last_event).days} days old"
    age, later = timedelta(0), now
    for backup_id, at in zip(reversed(backup_ids), reversed(times), strict=True):
        age, later = age + min(later - at, MOST_APART), at
        if backup_id in old and age < timedelta(days=keep_days):
            return (
                f"between {backup_id} and now are more than {MOST_APART.days} days in a row without a backup"
            )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What belongs to a backup and lies in no row: the witness's notes and the register of forgotten cases."""

    notes: tuple[str, ...] = field(default_factory=tuple)
    forgotten: str = ""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"notes": list(self.notes), "forgotten": self.forgotten}).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Papers:
        """Read ``to_bytes``."""
        value = json.loads(content)
        return cls(notes=tuple(value["notes"]), forgotten=value["forgotten"])


def key_line(key: WrappedKey) -> str:
    """Return a wrapped key as a line of the inventory."""
    return json.dumps(_key_to_json(key), separators=(",", ":"))


def key_of_line(line: str) -> WrappedKey:
    """Read ``key_line``."""
    return _key_from_json(json.loads(line))


def _key_to_json(key: WrappedKey) -> dict[str, str | int]:
    return {
        "holder": key.holder,
        "purpose": key.purpose,
        "kek_id": key.kek_id,
        "kek_version": key.kek_version,
        "blob": base64.b64encode(key.blob).decode(),
    }


def _key_from_json(value: Mapping[str, Any]) -> WrappedKey:
    return WrappedKey(
        holder=str(value["holder"]),
        purpose=str(value["purpose"]),
        kek_id=str(value["kek_id"]),
        kek_version=int(value["kek_version"]),
        blob=base64.b64decode(value["blob"], validate=True),
    )


def _ref_to_json(ref: SealedRef) -> dict[str, str | int]:
    return {
        "object_id": ref.object_id,
        "size_bytes": ref.size_bytes,
        "digest": ref.digest.hex(),
        "generation": ref.generation,
    }


def _ref_from_json(value: Mapping[str, Any]) -> SealedRef:
    return SealedRef(
        object_id=value["object_id"],
        size_bytes=value["size_bytes"],
        digest=bytes.fromhex(value["digest"]),
        generation=value["generation"],
    )
