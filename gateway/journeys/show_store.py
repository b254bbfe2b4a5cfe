"""The store at a glance: how much there is, what is not as it should be, when it was last swept and read whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.store_finding import LOSSES, StoreFinding, StoreRound
from gateway.journeys.scrub_store import WATCH, WHOLE
from gateway.journeys.sweep_store import SWEEP
from gateway.ports import Records

LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLine:
    """One open finding, with the reference of its case where it has one."""

    finding: StoreFinding
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What an operator and a coordinator see. ``objects`` and ``size_bytes`` are those that rows name, before sealing."""

    objects: int
    size_bytes: int
    lost: int
    orphans: int
    lines: tuple[FoundLine, ...]
    sweep: StoreRound | None
    scrub: StoreRound | None
    under_way: StoreRound | None

    @property
    def swept_at(self) -> datetime | None:
        """Return when the last sweep ended."""
        return self.sweep.ended_at if self.sweep else None

    @property
    def scrubbed_at(self) -> datetime | None:
        """Return when everything had last been read whole."""
        return self.scrub.ended_at if self.scrub else None

    @property
    def young(self) -> int:
        """Return how many objects the last sweep left to wait for their row, or for their end."""
        return self.sweep.report.get("young", 0) if self.sweep else 0


def show_store(*, records: Records) -> StoreState:
    """Return the state of the store as it was last seen; nothing is read from it now."""
    with records.view() as view:
        objects, size_bytes = view.kept.amount()
        orphans = view.store_findings.count(state="open", kind="orphan")
        lost = view.store_findings.count(state="open") - orphans
        found = view.store_findings.find(state="open", kind=LOSSES, order="first_seen_at", limit=LISTED)
        found += view.store_findings.find(
            state="open", kind="orphan", order="first_seen_at", limit=LISTED - len(found)
        )
        cases = {finding.case_id for finding in found if finding.case_id}
        refs = dict(view.cases.pick(("id", "ref"), id=sorted(cases))) if cases else {}
        rounds = {one.id: one for one in view.store_rounds.find(id=(SWEEP, WHOLE, WATCH))}
    scrubs = [rounds[name] for name in (WHOLE, WATCH) if name in rounds]
    ended = [one for one in scrubs if one.ended_at]
    going = [one for one in scrubs if one.is_under_way]
    return StoreState(
        objects=objects,
        size_bytes=size_bytes,
        lost=lost,
        orphans=orphans,
        lines=tuple(FoundLine(finding=one, ref=refs.get(one.case_id or "", "")) for one in found),
        sweep=rounds.get(SWEEP),
        scrub=max(ended, key=lambda one: one.ended_at or one.begun_at, default=None),
        under_way=max(going, key=lambda one: one.moved_at, default=None),
    )
