"""Verifying that originals are what was received: by sender and UID, from the sealed object itself; nothing is written here.

PS3.4 J.3.3.1.2: what is committed was stored whole, with every attribute. Copies are another table, and never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.commitment import CLASS_CONFLICT, NO_SUCH_INSTANCE, PROCESSING_FAILURE
from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.journeys.lookup import house_secret, uid_key_under
from gateway.ports import Records, View
from storage import (
    KeyRefusedError,
    KeyUnknownError,
    ObjectMissingError,
    ObjectUnreadableError,
    SealBrokenError,
    SealedRef,
    SealedStore,
    StorageError,
)

_LOOKED_UP_AT_ONCE = 500
_COLUMNS = (
    "sop_key", "sop_class_uid", "study_id", "holder", "object_id", "size_bytes", "digest", "generation", "state", "conflict_of",
)  # fmt: skip
# What says of one object that it is not as it was received; whatever else storage says is ours to mend, and proves nothing.
_LOST = (SealBrokenError, ObjectMissingError, ObjectUnreadableError, KeyRefusedError, KeyUnknownError)


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
        self._base = f"peer:{peer}"
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

    def last_sent_at(self) -> datetime | None:
        """Return when this sender last sent anything."""
        with self._records.view() as view:
            return max((last_at for _, last_at in self._studies(view)), default=None)

    def _rows(self, uids: set[str]) -> dict[str, list[_Row]]:
        """Return the rows of these UIDs; of the names under which this sender's studies lie, the first that knows one counts."""
        found: dict[str, list[_Row]] = {}
        with self._records.view() as view:
            secret = house_secret(view, self._store, b"uid-index")
            left = self._under(view, secret, self._base, uids, found)
            if (
                left
            ):  # what came for a case by its own AE title lies under that name; the newest studies first
                names = {name: None for name, _ in self._studies(view) if name != self._base}
                for name in names:
                    if not left:
                        break
                    left = self._under(view, secret, name, left, found)
        return found

    def _under(
        self, view: View, secret: bytes, sender: str, uids: set[str], found: dict[str, list[_Row]]
    ) -> set[str]:
        uid_of = {uid_key_under(secret, sender, uid): uid for uid in uids}
        for (
            key,
            sop_class_uid,
            study_id,
            holder,
            object_id,
            size,
            digest,
            generation,
            state,
            conflict_of,
        ) in view.instances.pick(_COLUMNS, sop_key=list(uid_of)):
            ref = SealedRef(object_id=object_id, size_bytes=size, digest=digest, generation=generation)
            contested = conflict_of is not None and state == "quarantined"
            found.setdefault(uid_of[key], []).append(_Row(sop_class_uid, study_id, holder, ref, contested))
        return uids - found.keys()

    def _studies(self, view: View) -> list[tuple[str, datetime]]:
        """Return the names under which this sender's studies lie, newest first, with the time of the last instance."""
        own = re.compile(re.escape(self._base) + r"(>[0-9a-f]{32})?(#[0-9]+)?")
        others = {f"peer:{title}" for (title,) in view.peers.pick(("ae_title",))} - {self._base}
        return [
            (name, last_at)
            for name, last_at in view.studies.pick(("sender", "last_at"), order="-last_at")
            if own.fullmatch(name) and name not in others
        ]

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
