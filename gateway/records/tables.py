"""Which value lies in which table, and which of its columns are sealed: the schema as a list, one entry per kind.

Columns follow the fields of the domain's dataclasses. A sealed column holds ciphertext of the field's JSON under the key of
the row's holder (E12). The audit trail, the keys and the duties are not values of the domain and are spelled out.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, Field, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    false,
    text,
    true,
)

from gateway.domain.backup import Backup
from gateway.domain.case import Case
from gateway.domain.commitment import AskedInstances, Commitment
from gateway.domain.delivery import Delivery
from gateway.domain.document import Document
from gateway.domain.epoch import Epoch
from gateway.domain.finding import Finding
from gateway.domain.forgetting import Forgetting, Hold
from gateway.domain.grant import Grant
from gateway.domain.job import Job
from gateway.domain.kept_object import ObjectBatch
from gateway.domain.opinion import Answer
from gateway.domain.peer import Peer
from gateway.domain.people import Person
from gateway.domain.release import Copy, Release
from gateway.domain.rule import CaseRule, DeviceRule
from gateway.domain.store_finding import StoreFinding, StoreRound
from gateway.domain.study import Instance, Study
from gateway.domain.trouble import Trouble
from gateway.domain.upload import Challenge, Link, Part, Session, Upload

SCHEMA_VERSION = 4
metadata = MetaData()


class Utc(TypeDecorator[datetime]):
    """Aware UTC in Python, whatever the database makes of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return (
            value.astimezone(UTC) if dialect.name != "sqlite" else value.astimezone(UTC).replace(tzinfo=None)
        )

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return (
            None
            if value is None
            else value.replace(tzinfo=UTC)
            if value.tzinfo is None
            else value.astimezone(UTC)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one dataclass lies in one table."""

    value: type
    table: Table
    key: str
    sealed: frozenset[str]
    purpose: str


_PLAIN: dict[object, Any] = {
    str: Text,
    int: BigInteger,
    float: BigInteger,
    bytes: LargeBinary,
    bool: Boolean,
    datetime: Utc,
}


def _column_type(hint: object) -> tuple[Any, bool]:
    """Return the column type of a field and whether it may be null."""
    if isinstance(hint, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not types.NoneType]
        return _column_type(inner[0])[0], True
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return Text, False
    if origin in {dict, list, tuple}:
        return JSON, False
    return _PLAIN[hint], False


def _server_default(field: Field[Any]) -> TextClause | ColumnElement[Any] | None:
    """Return the field's default as the database writes it."""
    value = field.default if field.default is not MISSING else field.default_factory()  # type: ignore[operator]  # it has either
    if value is None:
        return None
    if isinstance(value, bool):
        return true() if value else false()
    literal = json.dumps(value) if not isinstance(value, str) else value
    return text(literal if isinstance(value, int) else f"'{literal}'")


def _kind(  # the schema reads as one line per kind
    value: type,
    name: str,
    *,
    key: str = "id",
    sealed: tuple[str, ...] = (),
    purpose: str = "originals",
    index: tuple[tuple[str, ...], ...] = (),
    unique: tuple[tuple[str, ...], ...] = (),
    added: tuple[str, ...] = (),
) -> Kind:
    """Lay a dataclass out as a table. ``added`` columns came after version 1: they have their field's default in the database too.

    So code of the version before, which does not write them, can go on beside this one while an upgrade is under way.
    """
    hints = typing.get_type_hints(value)
    columns: list[Column[Any]] = []
    for field in fields(value):
        kind, nullable = (LargeBinary, False) if field.name in sealed else _column_type(hints[field.name])
        default = _server_default(field) if field.name in added else None
        columns.append(
            Column(
                field.name,
                kind,
                primary_key=field.name == key,
                nullable=nullable,
                server_default=default,
            )
        )
    table = Table(name, metadata, *columns)
    for group, is_unique in [(g, False) for g in index] + [(g, True) for g in unique]:
        Index(
            f"{'uq' if is_unique else 'ix'}_{name}_{'_'.join(group)}",
            *(table.c[c] for c in group),
            unique=is_unique,
        )
    return Kind(value=value, table=table, key=key, sealed=frozenset(sealed), purpose=purpose)


KINDS: dict[str, Kind] = {
    "cases": _kind(
        Case,
        "case_",
        sealed=("patient", "harvest", "questions", "pauses"),
        unique=(("ref",),),
        index=(("state",),),
    ),
    "peers": _kind(
        Peer,
        "peer",
        key="ae_title",
        added=(
            "called",
            "certificates",
            "names",
            "may_commit",
            "may_receive",
            "sop_classes",
            "transfer_syntaxes",
            "max_associations",
            "max_instance_bytes",
            "day_bytes",
            "address",
            "calls_by_tls",
            "token_hash",
        ),
    ),
    "studies": _kind(
        Study,
        "study",
        sealed=("head",),
        index=(("case_id",),),
        unique=(("sender", "study_key"),),
        added=("told",),
    ),
    "instances": _kind(
        Instance,
        "instance",
        sealed=("head",),
        index=(("case_id", "state"), ("sender_key",)),
        unique=(("study_id", "sop_key", "digest"),),
        added=("sender_key",),
    ),
    "commitments": _kind(
        Commitment,
        "commitment",
        unique=(("peer", "transaction_uid"),),
        index=(("state", "peer"), ("association_id",)),
    ),
    "asked_instances": _kind(AskedInstances, "asked_instances", sealed=("references",), purpose="records"),
    "deliveries": _kind(Delivery, "delivery", index=(("release_id",), ("case_id",), ("peer", "state"))),
    "documents": _kind(
        Document, "document", sealed=("name", "sha256"), index=(("case_id", "state"), ("parent_id",))
    ),
    "copies": _kind(
        Copy, "copy_", sealed=("index",), purpose="releases", index=(("case_id", "state"), ("subject_id",))
    ),
    "findings": _kind(Finding, "finding", index=(("case_id", "state"), ("subject_id",))),
    "links": _kind(Link, "link", sealed=("phone",), unique=(("token_hash",),), index=(("case_id",),)),
    "challenges": _kind(Challenge, "challenge", index=(("link_id",), ("pre_session_id",))),
    "sessions": _kind(Session, "session", unique=(("token_hash",),), index=(("subject_id",), ("case_id",))),
    "uploads": _kind(Upload, "upload", sealed=("name",), index=(("link_id", "state"), ("case_id",))),
    "parts": _kind(Part, "part", unique=(("upload_id", "offset_bytes"),)),
    "releases": _kind(Release, "release_", unique=(("case_id", "number"),)),
    "grants": _kind(Grant, "grant_", index=(("person_id",), ("release_id",), ("case_id",))),
    "answers": _kind(Answer, "answer", sealed=("body",), index=(("case_id",),)),
    "people": _kind(
        Person, "person", sealed=("email", "totp_seed"), purpose="records", unique=(("email_key",),)
    ),
    "epochs": _kind(Epoch, "epoch", unique=(("kek_id", "kek_version"),)),
    "backups": _kind(Backup, "backup", index=(("made_at",),)),
    "jobs": _kind(
        Job,
        "job",
        unique=(("dedup_key",),),
        index=(("state", "due_at"), ("kind", "subject_id"), ("case_id",)),
    ),
    "object_batches": _kind(ObjectBatch, "object_batch"),
    "store_findings": _kind(
        StoreFinding, "store_finding", index=(("state", "kind"), ("object_id",), ("case_id",))
    ),
    "store_rounds": _kind(StoreRound, "store_round"),
    "troubles": _kind(Trouble, "trouble"),
    "holds": _kind(Hold, "hold", sealed=("reason", "end_reason"), index=(("holder",),)),
    "forgettings": _kind(Forgetting, "forgetting", index=(("ref",),)),
    "case_rules": _kind(CaseRule, "case_rule", sealed=("body", "reason"), index=(("case_id", "state"),)),
    "device_rules": _kind(
        DeviceRule, "device_rule", sealed=("body", "reason"), purpose="records", index=(("state",),)
    ),
}

case_key = Table(
    "case_key",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("purpose", String(16), primary_key=True),
    Column("case_id", String(64), nullable=True, index=True),
    Column("kek_id", Text, nullable=False),
    Column("kek_version", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
)
audit_event = Table(
    "audit_event",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("case_id", Text, nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
# What a peer's page tells. Partial: instances, which are most of the trail, are not in it and do not pay for it.
PEER_EVENTS = (
    "association_ended",
    "association_refused",
    "peer_added",
    "peer_called",
    "peer_disabled",
    "peer_removed",
    "peer_token_made",
)
# The very text of the index must stand in a query that is to use it (SQLite, «Partial Indexes», 2).
IS_PEER_EVENT = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in PEER_EVENTS))
Index(
    "ix_audit_event_peers",
    audit_event.c.kind,
    audit_event.c.seq,
    sqlite_where=text(IS_PEER_EVENT),
    postgresql_where=text(IS_PEER_EVENT),
)
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
# Whose keys were destroyed, kept for ever: every process asks for what is new, and a restored backup forgets it again (E8).
forgotten = Table(
    "forgotten",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("holder", String(64), nullable=False, unique=True, index=True),
    Column("case_id", String(64), nullable=False),
    Column("at", Utc, nullable=False),
)
duty = Table("duty", metadata, Column("name", Text, primary_key=True), Column("next_at", Utc, nullable=False))
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
