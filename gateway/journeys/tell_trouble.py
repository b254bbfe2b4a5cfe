"""What keeps the house from working just now: noted where somebody is refused, shown at the desk until it goes well again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.trouble import KIND_OF_ERROR, Trouble, TroubleKind, trouble_of_lack
from gateway.ports import Clock, Records, RoomGauge

WORK = "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One kind of trouble as it stands: whom it stops, since when, and when it last did; no time where it is measured now."""

    kind: TroubleKind
    doors: tuple[str, ...] = ()
    since: datetime | None = None
    last_at: datetime | None = None


def note_trouble(kind: TroubleKind, *, door: str, records: Records, clock: Clock) -> None:
    """Write down that somebody was refused at a door. It is bookkeeping: refusals themselves are events already."""
    now, name = clock.now(), f"{door}:{kind}"
    with records.view() as view:
        known = view.troubles.first(id=name)
    since = known.since if known is not None and known.stands(now) else now
    records.keep_trouble(Trouble(id=name, door=door, kind=kind, since=since, last_at=now))


def end_troubles(kinds: Iterable[TroubleKind], *, door: str, records: Records, clock: Clock) -> None:
    """Write down that it goes well again at a door."""
    with records.view() as view:
        known = [view.troubles.first(id=f"{door}:{kind}") for kind in kinds]
    for one in known:
        if one is not None and one.ended_at is None:
            records.keep_trouble(replace(one, ended_at=clock.now()))


def standing_troubles(*, records: Records, room: RoomGauge | None = None, clock: Clock) -> list[Standing]:
    """Return what stands now, by kind: refusals of the last minutes, work that waits for it, and what the gauge measures here."""
    now = clock.now()
    with records.view() as view:
        noted = [one for one in view.troubles.find(order="since") if one.stands(now)]
        waiting = view.jobs.pick(("error",), state="queued", error=sorted(KIND_OF_ERROR))
    found: dict[TroubleKind, Standing] = {}
    for one in noted:
        known = found.get(one.kind)
        found[one.kind] = Standing(
            kind=one.kind,
            doors=(*(known.doors if known else ()), one.door),
            since=known.since if known else one.since,
            last_at=max(one.last_at, known.last_at if known and known.last_at else one.last_at),
        )
    for kind in sorted({KIND_OF_ERROR[error] for (error,) in waiting}):
        known = found.get(kind, Standing(kind=kind))
        found[kind] = replace(known, doors=(*known.doors, WORK))
    lack = room.lack() if room is not None else None
    if lack is not None:
        found.setdefault(trouble_of_lack(lack), Standing(kind=trouble_of_lack(lack)))
    return list(found.values())
