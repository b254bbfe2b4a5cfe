"""Verifying that originals are what was received: by sender and UID, from the sealed object itself; nothing is written here.

PS3.4 J.3.3.1.2: what is committed was stored whole, with every attribute. Copies are another table, and never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.commitment import CLASS_CONFLICT, MISSING_QUIET, NO_SUCH_INSTANCE, PROCESSING_FAILURE
from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.journeys.lookup import house_secret, uid_key_under
from gateway.ports import Records
from storage import (
    BYTES_LOST,
    KeyRefusedError,
    KeyUnknownError,
    SealedRef,
    SealedStore,
    StorageError,
)

_LOOKED_UP_AT_ONCE = 500
_COLUMNS = (
    "sender_key", "sop_class_uid", "study_id", "holder", "object_id", "size_bytes", "digest", "generation", "state", "conflict_of",
)  # fmt: skip
# What says of one object that it is not as it was received; whatever else storage says (it is busy, the volume is away) is
# ours to mend, and proves nothing.
_LOST = (*BYTES_LOST, KeyRefusedError, KeyUnknownError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What became of one reference: ``reason`` is empty when it is whole, else one of PS3.3 C.14.1.1."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: str
    study_id: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    sop_class_uid: str
    study_id: str
    holder: str
    ref: SealedRef
    is_contested: bool


class OriginalsOf:
    """The originals that one sender sent, in whatever case or study of its they lie."""

    def __init__(self, peer: str, *, records: Records, store: SealedStore) -> None:
        self._source = f"peer:{peer}"
        self._peer = peer
        self._records = records
        self._store = store

    def look(self, references: Sequence[Sequence[str]]) -> Iterator[Looked]:
        """Verify each reference in its order, as it is asked for.

        Raises
        ------
        UnavailableError
            Storage does not answer: nothing is known, ask again.
        """
        for at in range(0, len(references), _LOOKED_UP_AT_ONCE):
            chunk = references[at : at + _LOOKED_UP_AT_ONCE]
            rows = self._rows({uid for _, uid in chunk})
            for sop_class_uid, uid in chunk:
                yield self._looked(sop_class_uid, uid, rows.get(uid, []))

    def studies_of(self, references: Sequence[Sequence[str]]) -> Iterator[str]:
        """Return the study of each reference that is here, without reading any object."""
        for at in range(0, len(references), _LOOKED_UP_AT_ONCE):
            chunk = references[at : at + _LOOKED_UP_AT_ONCE]
            rows = self._rows({uid for _, uid in chunk})
            yield from (rows[uid][0].study_id for _, uid in chunk if uid in rows)

    def last_sent_at(self, *, now: datetime) -> datetime | None:
        """Return when this sender sent anything, as far as waiting goes: now if it did of late, else None."""
        with self._records.view() as view:
            count, _ = view.received_from(self._peer, since=now - MISSING_QUIET)
        return now if count else None

    def _rows(self, uids: set[str]) -> dict[str, list[_Row]]:
        """Return the rows of these UIDs, in whatever case they lie; the newest first. One query."""
        found: dict[str, list[_Row]] = {}
        with self._records.view() as view:
            secret = house_secret(view, self._store, b"uid-index")
            uid_of = {uid_key_under(secret, self._source, uid): uid for uid in uids}
            rows = view.instances.pick(_COLUMNS, sender_key=list(uid_of), order="-received_at")
        for key, sop_class, study, holder, object_id, size, digest, generation, state, conflict_of in rows:
            ref = SealedRef(object_id=object_id, size_bytes=size, digest=digest, generation=generation)
            contested = conflict_of is not None and state == "quarantined"
            found.setdefault(uid_of[key], []).append(_Row(sop_class, study, holder, ref, contested))
        return found

    def _looked(self, sop_class_uid: str, uid: str, rows: list[_Row]) -> Looked:
        alike = [row for row in rows if row.sop_class_uid == sop_class_uid]
        study_id = rows[0].study_id if rows else ""
        size = 0
        if not rows:
            reason = NO_SUCH_INSTANCE
        elif not alike:
            reason = CLASS_CONFLICT
        elif any(row.is_contested for row in rows):
            reason = (
                PROCESSING_FAILURE  # two objects under one UID: which one she means, a human decides first
            )
        else:
            size = sum(row.ref.size_bytes for row in alike)
            reason = "" if all(self._is_whole(row) for row in alike) else PROCESSING_FAILURE
        return Looked(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=uid,
            reason=reason,
            study_id=study_id,
            size_bytes=size,
        )

    def _is_whole(self, row: _Row) -> bool:
        try:
            with self._records.view() as view:
                key = view.key(row.holder, "originals")
            self._store.verify(row.ref, key=key, kind="original")
        except (NotFoundError, *_LOST):
            return False
        except StorageError as error:
            raise UnavailableError(f"storage does not answer ({type(error).__name__})") from error
        return True
