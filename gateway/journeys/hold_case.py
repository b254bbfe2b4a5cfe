"""A legal hold: while it stands, nobody forgets the case, neither a person nor the clock (E9, GDPR 17(3))."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.domain.errors import ConflictError, InvalidError
from gateway.domain.forgetting import Hold
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.journeys.lookup import case_by_ref, case_row
from gateway.ports import Change, Records, View
from gateway.ports.records import UNOPENED

MOST_REASON = 500


def hold_case(*, ref: str, reason: str, by: Actor, records: Records) -> Hold:
    """Place a hold. The reason is sealed with the case's key, as it may name people. One hold stands at a time."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if standing_hold(change, case.id):
            raise ConflictError(
                "the case is under a legal hold already",
                next_step="`consilium case show` tells since when; end that one before you place another.",
            )
        hold = Hold(id=new_id(), holder=case.id, at=change.now, by=str(by), reason=_reason(reason))
        change.holds.add(hold)
        change.note("case_held", case_id=case.id, subject=case.ref, hold=hold.id)
    return hold


def unhold_case(*, ref: str, reason: str, by: Actor, records: Records) -> Hold:
    """End the hold that stands; it is kept beside the case, with both reasons.

    Where the case's key does not open no reason can be sealed: the hold ends without, or the case could never be forgotten.
    """
    with records.change(by=by) as change:
        case = case_row(change, ref)
        standing = change.holds.pick(("id", "at", "by"), holder=case.id, ended_at=None)
        if not standing:
            raise ConflictError(
                "the case is under no legal hold", next_step="There is nothing to end; check the reference."
            )
        (hold_id, at, placed_by), why = standing[0], _reason(reason)
        end: dict[str, Any] = {"ended_at": change.now, "ended_by": str(by)}
        try:
            ended = replace(change.holds.get(hold_id), **end, end_reason=why)
            change.holds.put(ended)
        except UNOPENED:
            ended = Hold(id=hold_id, holder=case.id, at=at, by=placed_by, reason="", **end)
            change.holds.set(hold_id, **end)
        change.note("case_unheld", case_id=case.id, subject=case.ref, hold=hold_id)
    return ended


def standing_hold(view: View | Change, case_id: str) -> Hold | None:
    """Return the hold that stands on a case."""
    return view.holds.first(holder=case_id, ended_at=None)


def _reason(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MOST_REASON:
        raise InvalidError(
            "a hold is placed and ended with a reason",
            next_step="Say why, in at most 500 signs: a file number or who asked for it.",
        )
    return text
