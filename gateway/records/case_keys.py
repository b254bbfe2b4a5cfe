"""The rows of wrapped keys as rotation sees them: under which version each is, and from one version to the next."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Dialect

from gateway.domain.errors import UnavailableError
from gateway.records.statements import Statements
from gateway.records.tables import case_key
from gateway.records.transaction import Connection
from storage import KekRef, WrappedKey

_PARTS = ("holder", "purpose", "kek_id", "kek_version", "blob")


class KeyRows:
    """Reads and writes them over whichever connection it is given."""

    def __init__(self, dialect: Dialect) -> None:
        self._sql = Statements(case_key, dialect)
        mark = self._sql.mark
        # «Not this version, nor a later one»: two rotations at once both move keys forward.
        self._older = (
            f"{self._sql.selecting(_PARTS)} WHERE (kek_id <> {mark} OR kek_version < {mark})"
            f" AND (holder, purpose) > ({mark}, {mark}) ORDER BY holder, purpose"
        )
        self._count = "SELECT kek_id, kek_version, count(*) FROM case_key GROUP BY kek_id, kek_version"
        # The blob that was unwrapped must still be there: a key that was destroyed meanwhile stays so.
        self._replace = (
            f"UPDATE case_key SET kek_id = {mark}, kek_version = {mark}, blob = {mark}"  # noqa: S608  # ours alone
            f" WHERE holder = {mark} AND purpose = {mark} AND blob = {mark}"
        )
        self._ending = (
            f"SELECT 1 FROM epoch WHERE kek_id = {mark} AND kek_version = {mark}"  # noqa: S608  # ours alone
            " AND ending_at IS NOT NULL"
        )

    def older(
        self, connection: Connection, kek: KekRef, *, after: tuple[str, str], limit: int
    ) -> list[WrappedKey]:
        sql = f"{self._older} LIMIT {int(limit)}"
        rows = connection.execute(sql, (kek.kek_id, kek.kek_version, *after)).fetchall()
        return [WrappedKey(**self._sql.values(_PARTS, row)) for row in rows]

    def by_version(self, connection: Connection) -> dict[KekRef, int]:
        rows = connection.execute(self._count).fetchall()
        return {KekRef(kek_id=kek_id, kek_version=version): count for kek_id, version, count in rows}

    def replace(self, connection: Connection, pairs: Sequence[tuple[WrappedKey, WrappedKey]]) -> int:
        if not pairs:
            return 0
        blob = self._sql.into["blob"] or bytes
        cursor = connection.cursor()
        cursor.executemany(
            self._replace,
            [
                (new.kek_id, new.kek_version, blob(new.blob), old.holder, old.purpose, blob(old.blob))
                for old, new in pairs
            ],
        )
        return int(cursor.rowcount)

    def refuse_ending(self, connection: Connection, key: WrappedKey) -> None:
        """Keep a row from naming a version that is being destroyed: whoever wrapped it has waited very long."""
        if connection.execute(self._ending, (key.kek_id, key.kek_version)).fetchone() is not None:
            raise UnavailableError(f"version {key.kek_version} of the master key is over; nothing was kept")
