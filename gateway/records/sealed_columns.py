"""Sealing single columns under the key of the row's holder, so that forgetting the holder forgets them (E8, E12)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from sqlalchemy import Connection, select

from gateway.domain.errors import NotFoundError
from gateway.records.tables import Kind, case_key
from storage import SealedStore, WrappedKey

CACHE_S = 300.0


class KeyRing:
    """Wrapped keys by (holder, purpose), remembered for five minutes: they are immutable, and useless without the KEK."""

    def __init__(self, store: SealedStore) -> None:
        self.store = store
        self._known: dict[tuple[str, str], tuple[float, WrappedKey]] = {}
        self._lock = threading.Lock()

    def get(self, connection: Connection, holder: str, purpose: str) -> WrappedKey:
        """Return the wrapped key, from memory or its row."""
        now = time.monotonic()
        with self._lock:
            found = self._known.get((holder, purpose))
        if found is not None and found[0] > now:
            return found[1]
        row = connection.execute(
            select(case_key).where(case_key.c.holder == holder, case_key.c.purpose == purpose)
        ).first()
        if row is None:
            raise NotFoundError(
                f"the keys of {holder} are not here",
                next_step="They were destroyed, or belong to another home.",
            )
        key = WrappedKey(
            holder=row.holder,
            purpose=row.purpose,
            kek_id=row.kek_id,
            kek_version=row.kek_version,
            blob=row.blob,
        )
        with self._lock:
            self._known[holder, purpose] = (now + CACHE_S, key)
        return key

    def forget(self, holder: str) -> None:
        """Drop what is remembered of a holder, here and in the store."""
        with self._lock:
            for known in [k for k in self._known if k[0] == holder]:
                del self._known[known]
        self.store.forget_holder(holder)

    def seal(
        self, connection: Connection, kind: Kind, holder: str, row_key: str, column: str, value: Any
    ) -> bytes:
        """Return the ciphertext of one field's JSON, bound to its place."""
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        key = self.get(connection, holder, kind.purpose)
        return self.store.seal_value(plain, key=key, context=_place(kind, row_key, column))

    def open(
        self, connection: Connection, kind: Kind, holder: str, row_key: str, column: str, blob: bytes
    ) -> Any:
        """Return the field that ``seal`` was given."""
        key = self.get(connection, holder, kind.purpose)
        return json.loads(self.store.open_value(blob, key=key, context=_place(kind, row_key, column)))


def _place(kind: Kind, row_key: str, column: str) -> bytes:
    return f"{kind.table.name}|{row_key}|{column}".encode()
