"""Scrubbing: every object that a row names is read whole, findings are written down, and what was stopped goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from gateway.domain.people import HOUSE, Actor
from gateway.domain.store_finding import StoreFinding, StoreRound
from gateway.journeys.keep_store_findings import close_findings, keep_losses, open_losses, rows_of
from gateway.journeys.verify_store import Pace, Step, look_at, verify_store
from gateway.ports import Clock, Records
from storage import SealedStore

WHOLE, WATCH = "scrub", "watch"  # the rounds: one that somebody asked for, one that goes on by itself
KEPT_EVERY_S = 5.0
MOST_LOOKED_AT_AGAIN = 500
DAY = timedelta(days=1)
# The scheduler's part is read at four times the pace that the days allow, and never slower than this.
LEAST_BYTES_A_SECOND = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """How far a scrub is: what was read of what there is, in objects and bytes of plaintext, and what was found on the way."""

    objects: int
    of_objects: int
    size_bytes: int
    of_bytes: int
    found: int
    healed: int
    went_on: bool
    is_ended: bool


def scrub_store(
    *,
    records: Records,
    store: SealedStore,
    clock: Clock,
    by: Actor,
    case_id: str | None = None,
    bytes_a_second: float = 0,
    afresh: bool = False,
    threads: int = 0,
) -> Iterator[Scrubbed]:
    """Read every object whole and yield how far it is, first and last too; a round that was stopped goes on.

    The cursor is written down every few seconds, and when the iterator is closed: a kill costs the last seconds' reading.
    A finding whose object is read whole again, or whose row is gone, closes itself.

    Raises
    ------
    UnavailableError
        The store, the keys or the records do not answer; what was read so far counts.
    """
    name = f"{WHOLE}:{case_id}" if case_id else WHOLE
    round_, went_on = _round(name, records=records, clock=clock, afresh=afresh)
    with records.view() as view:
        of_objects, of_bytes = view.kept.amount(case_id=case_id)
    scrub = _Scrub(round_, by=by, records=records, store=store, clock=clock)
    healed = scrub.look_again()

    def told(*, is_ended: bool) -> Scrubbed:
        return Scrubbed(
            objects=scrub.round.objects,
            of_objects=max(of_objects, scrub.round.objects),
            size_bytes=scrub.round.size_bytes,
            of_bytes=max(of_bytes, scrub.round.size_bytes),
            found=scrub.round.found,
            healed=healed + scrub.healed,
            went_on=went_on,
            is_ended=is_ended,
        )

    yield told(is_ended=False)
    try:
        for step in verify_store(
            records=records,
            store=store,
            case_id=case_id,
            after=scrub.round.cursor,
            pace=Pace(bytes_a_second),
            threads=threads,
        ):
            scrub.take(step)
            yield told(is_ended=False)
    finally:
        scrub.keep()
    scrub.end(case_id=case_id or "")
    yield told(is_ended=True)


def scrub_part(*, records: Records, store: SealedStore, clock: Clock, every_s: float, days: int) -> int:
    """Read the next part of the store, so much that everything is read once in ``days``; return how many objects it was.

    Called every ``every_s`` seconds. It reads slowly and in one thread: it is nobody's hurry. A round that ended early waits
    for its days to pass before the next one begins.
    """
    share = every_s / (days * DAY.total_seconds())
    with records.view() as view:
        objects, size_bytes = view.kept.amount()
        known = view.store_rounds.first(id=WATCH)
    most_objects, most_bytes = objects * share + 1, size_bytes * share
    if known and not known.is_under_way and clock.now() < known.begun_at + days * DAY:
        return 0
    round_, _ = _round(WATCH, records=records, clock=clock, afresh=False)
    scrub = _Scrub(round_, by=HOUSE, records=records, store=store, clock=clock)
    scrub.look_again()
    pace = Pace(max(LEAST_BYTES_A_SECOND, 4 * most_bytes / every_s))
    began_at, bytes_before = scrub.round.objects, scrub.round.size_bytes
    steps = verify_store(records=records, store=store, after=scrub.round.cursor, pace=pace, threads=1)
    try:
        for step in steps:
            scrub.take(step)
            read, read_bytes = scrub.round.objects - began_at, scrub.round.size_bytes - bytes_before
            if read >= most_objects and read_bytes >= most_bytes:
                scrub.keep()
                return read
    finally:
        steps.close()  # type: ignore[attr-defined]  # a generator
    read = scrub.round.objects - began_at
    scrub.end(case_id="")
    return read


def _round(name: str, *, records: Records, clock: Clock, afresh: bool) -> tuple[StoreRound, bool]:
    """Return the round of this name and whether it goes on from where it stopped."""
    now = clock.now()
    with records.view() as view:
        known = view.store_rounds.first(id=name)
    if known is not None and known.is_under_way and not afresh:
        return known, True
    fresh = StoreRound(id=name, begun_at=now, moved_at=now)
    if known is not None:
        fresh = replace(fresh, ended_at=known.ended_at, report=known.report)
    return fresh, False


class _Scrub:
    """One round while it is under way."""

    def __init__(
        self, round_: StoreRound, *, by: Actor, records: Records, store: SealedStore, clock: Clock
    ) -> None:
        self.round, self.healed = round_, 0
        self._by, self._records, self._store, self._clock = by, records, store, clock
        self._kept_at = time.monotonic()
        self._open: dict[str, StoreFinding] = {}

    def look_again(self) -> int:
        """Look first at what was found before: what is whole again, or has no row any more, is closed now. Returns how many."""
        with self._records.view() as view:
            findings = open_losses(view)
        healed = close_healed(
            findings[:MOST_LOOKED_AT_AGAIN], by=self._by, records=self._records, store=self._store, clock=self._clock
        )  # fmt: skip
        self._open = {finding.object_id: finding for finding in findings if finding.id not in healed}
        return len(healed)

    def take(self, step: Step) -> None:
        """Count a step and write down what it found."""
        now = self._clock.now()
        whole = [self._open.pop(one) for one in step.whole if one in self._open]
        if step.losses or whole:
            with self._records.change(by=self._by) as change:
                if step.losses:
                    new = keep_losses(change, step.losses, now=now)
                    if not new and not whole:
                        change.note("store_scrubbed", outcome="failed", still_lost=len(step.losses))
                close_findings(change, whole, state="whole", now=now)
            self.healed += len(whole)
        self.round = replace(
            self.round,
            moved_at=now,
            cursor=step.cursor,
            objects=self.round.objects + step.objects,
            size_bytes=self.round.size_bytes + step.size_bytes,
            found=self.round.found + len(step.losses),
        )
        if step.losses or time.monotonic() - self._kept_at > KEPT_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Write down how far it is."""
        self._kept_at = time.monotonic()
        if self.round.is_under_way:
            self._records.keep_round(self.round)

    def end(self, *, case_id: str) -> None:
        """Everything was read: say so in the trail, and let the next round begin at the first row."""
        now, done = self._clock.now(), self.round
        report = {"objects": done.objects, "bytes": done.size_bytes, "found": done.found}
        self._records.keep_round(
            replace(done, cursor="", objects=0, size_bytes=0, found=0, moved_at=now, ended_at=now, report=report)
        )  # fmt: skip
        with self._records.change(by=self._by) as change:
            outcome = "failed" if done.found else "ok"
            change.note(
                "store_scrubbed",
                case_id=case_id,
                outcome=outcome,
                objects=done.objects,
                bytes=done.size_bytes,
                found=done.found,
            )


def close_healed(
    findings: list[StoreFinding], *, by: Actor, records: Records, store: SealedStore, clock: Clock
) -> dict[str, str]:
    """Look at findings anew and close those that have healed; return how, by finding."""
    if not findings:
        return {}
    rows = rows_of(findings, records=records)
    lost = {loss.kept.object_id for loss in look_at(list(rows.values()), records=records, store=store)}
    healed = {
        finding.id: "whole" if finding.id in rows else "unnamed"
        for finding in findings
        if finding.id not in rows or finding.object_id not in lost
    }
    if healed:
        with records.change(by=by) as change:
            for state in ("whole", "unnamed"):
                ended = [one for one in findings if healed.get(one.id) == state]
                close_findings(change, ended, state=state, now=clock.now())
    return healed
