"""Which store of objects these records are about: its identity, and the rows by which one is known that had none yet."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, delete, insert, select

from gateway.domain.kept_object import NAMINGS
from gateway.records.tables import KINDS, meta
from gateway.records.turn import alone

_NAME = "objects_identity"
_LOOKED_AT = 64


def known_store(engine: Engine) -> str | None:
    """Return the identity that these records know."""
    with engine.connect() as connection:
        return connection.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar()


def know_store(engine: Engine, identity: str, *, is_restoring: bool = False) -> str:
    """Keep an identity where none is known, and return the one that is; a restore's home takes its own in any case."""
    with alone(engine), engine.begin() as connection:
        known = connection.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar()
        if known is not None and (known == identity or not is_restoring):
            return str(known)
        connection.execute(delete(meta).where(meta.c.name == _NAME))
        connection.execute(insert(meta).values(name=_NAME, value=identity))
    return identity


def named_objects(engine: Engine) -> Sequence[str]:
    """Return up to 64 objects of each kind of row: in the order of the rows' keys, which is none in time."""
    found: list[str] = []
    with engine.connect() as connection:
        for naming in NAMINGS:
            table = KINDS[naming.shelf].table
            column = table.c[naming.object_id]
            asked = (
                select(column)
                .where(column != "")
                .order_by(table.c[KINDS[naming.shelf].key])
                .limit(_LOOKED_AT)
            )
            found += connection.execute(asked).scalars()
    return found
