"""Tells audit events in plain words: who, what, when; a run of equal events is one line with a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.audit import EVENT_KINDS, AuditEvent
from gateway.doors.desk import event_words, words

# Details that say more than the kind alone; others are ids.
_SHOWN = (
    "number",
    "move",
    "item",
    "state",
    "verdict",
    "version",
    "role",
    "how",
    "job",
    "code",
    "why",
    "span",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailLine:
    """One line: ``seqs`` are the first and last number that it stands for."""

    seqs: tuple[int, int]
    at: datetime
    what: str
    verb: str
    role: str
    who: str
    address: str
    outcome: str
    more: str
    count: int
    case: str


def told(
    events: Sequence[AuditEvent], people: Mapping[str, str], refs: Mapping[str, str] | None = None
) -> list[TrailLine]:
    """Return lines for events, in their order; neighbours that say the same are folded. ``refs``: case id to reference."""
    lines: list[TrailLine] = []
    key: tuple[str, ...] = ()
    for event in events:
        line = _line(event, people, refs or {})
        mine = (event.kind, event.actor, event.outcome, event.address, line.more, event.case_id)
        if lines and mine == key:
            last = lines[-1]
            seqs = (min(last.seqs[0], event.seq), max(last.seqs[1], event.seq))
            lines[-1] = replace(last, seqs=seqs, count=last.count + 1)
        else:
            lines.append(line)
        key = mine
    return lines


def _line(event: AuditEvent, people: Mapping[str, str], refs: Mapping[str, str]) -> TrailLine:
    kind, _, who = event.actor.partition(":")
    name = people.get(who, who[:8]) if kind == "staff" else who if kind == "peer" else ""
    more = ", ".join(f"{name} {event.details[name]}" for name in _SHOWN if name in event.details)
    return TrailLine(
        seqs=(event.seq, event.seq),
        at=event.at,
        what=event_words.EVENTS[event.kind],
        verb=words.VERBS[EVENT_KINDS[event.kind][1]],
        role=words.ACTORS[kind],
        who=name,
        address=event.address,
        outcome=event.outcome,
        more=more,
        count=1,
        case=refs.get(event.case_id, ""),
    )
