"""How much a peer has sent: counted from the rows of its instances, so that nothing is counted while they arrive."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from gateway.records.tables import KINDS

# A study's sender is the peer, or the peer and what keeps its studies apart: ``peer:AET>case``, ``peer:AET#2``.
_APART = (">", "#")


def received_from(connection: Connection, ae_title: str, *, since: datetime) -> tuple[int, int]:
    """Return how many instances of a peer were kept since then, and their bytes.

    By the unique indexes on a study's sender and an instance's study: what is read is that peer's studies of late, whatever
    else the house holds.
    """
    studies, instances = KINDS["studies"].table, KINDS["instances"].table
    # Ranges of the index need the order of bytes, which is SQLite's own.
    sender = studies.c.sender if connection.dialect.name == "sqlite" else studies.c.sender.collate("C")
    base = f"peer:{ae_title}"
    ranges = [(sender >= base + sign) & (sender < base + chr(ord(sign) + 1)) for sign in _APART]
    statement = (
        select(func.count(), func.coalesce(func.sum(instances.c.size_bytes), 0))
        .select_from(studies.join(instances, instances.c.study_id == studies.c.id))
        .where(or_(sender == base, *ranges), studies.c.last_at >= since, instances.c.received_at >= since)
    )
    count, size_bytes = connection.execute(statement).one()
    return int(count), int(size_bytes)
