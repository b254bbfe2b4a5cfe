"""Sealing single columns under the key of the row's holder, so that forgetting the holder forgets them (E8, E12)."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Dialect

from gateway.domain.errors import NotFoundError
from gateway.records.statements import Statements
from gateway.records.tables import Kind, case_key
from gateway.records.transaction import Connection
from storage import SealedStore, WrappedKey

CACHE_S = 300.0
MOST_KEYS = 4096
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PARTS = ("holder", "purpose", "kek_id", "kek_version", "blob")


class KeyRing:
    """Wrapped keys by (holder, purpose), remembered for five minutes: they are immutable, and useless without the KEK.

    No lock is needed: single dictionary operations are atomic.
    """

    def __init__(self, store: SealedStore, dialect: Dialect) -> None:
        self.store = store
        self._known: dict[tuple[str, str], tuple[float, WrappedKey]] = {}
        self._sql = Statements(case_key, dialect)

    def get(self, connection: Connection, holder: str, purpose: str) -> WrappedKey:
        """Return the wrapped key, from memory or its row."""
        now = time.monotonic()
        found = self._known.get((holder, purpose))
        if found is not None and found[0] > now:
            return found[1]
        matching, values = self._sql.matching({"holder": holder, "purpose": purpose})
        row = connection.execute(self._sql.selecting(_PARTS) + matching, values).fetchone()
        if row is None:
            raise NotFoundError(
                f"the keys of {holder} are not here",
                next_step="They were destroyed, or belong to another home.",
            )
        key = WrappedKey(**self._sql.values(_PARTS, row))
        if len(self._known) >= MOST_KEYS:
            self._make_room(now)
        self._known[holder, purpose] = (now + CACHE_S, key)
        return key

    def forget(self, holder: str) -> None:
        """Drop what is remembered of a holder, here, in the store and of all cases' words: every process hears of it here."""
        for known in [k for k in list(self._known) if k[0] == holder]:
            self._known.pop(known, None)
        self.store.forget_holder(holder)
        from anonymizer.forgetting import forget  # a node that never cleans loads none of it

        forget()

    def _make_room(self, now: float) -> None:
        """Drop what has expired, or else the older half."""
        entries = sorted(self._known.items(), key=lambda item: item[1][0])
        expired = sum(until <= now for _, (until, _) in entries)
        for known, _ in entries[: max(expired, len(entries) // 2)]:
            self._known.pop(known, None)

    def seal(
        self, connection: Connection, kind: Kind, holder: str, row_key: str, column: str, value: Any
    ) -> bytes:
        """Return the ciphertext of one field's JSON, bound to its place."""
        plain = _JSON.encode(value).encode()
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
