"""Storage commitments afterwards: looking at what one names, and keeping it no longer than it is of use."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.commitment import KEPT_FOR, AskedInstances
from gateway.domain.people import HOUSE, Actor
from gateway.ports import Change, Clock, Records

_REMOVED_AT_ONCE = 500


def read_commitment(commitment_id: str, *, by: Actor, records: Records) -> AskedInstances:
    """Return what it names. A UID may carry a personal number: who looked is noted before it is shown."""
    with records.change(by=by) as change:
        named = change.asked_instances.get(commitment_id)
        change.note("commitment_read", subject=commitment_id, references=len(named.references))
    return named


def forget_commitments(*, records: Records, clock: Clock) -> int:
    """Remove what was told, or given up, long ago, and return how many: a question is kept no longer than it is of use."""
    until = clock.now() - KEPT_FOR
    with records.view() as view:
        rows = view.commitments.pick(("id", "reported_at", "give_up_at"), state=("reported", "given_up"))
    old = [id_ for id_, told_at, given_up_at in rows if (told_at or given_up_at or until) <= until]
    for at in range(0, len(old), _REMOVED_AT_ONCE):
        with records.change(by=HOUSE) as change:
            part = old[at : at + _REMOVED_AT_ONCE]
            # Not one that is asked again this moment.
            still = change.commitments.pick(("id",), id=part, state=("reported", "given_up"))
            count = remove_commitments(change, [id_ for (id_,) in still])
            change.note("commitment_forgotten", commitments=count)
    return len(old)


def remove_commitments(change: Change, commitment_ids: Sequence[str]) -> int:
    """Remove these with all that they name; a job that has one in hand finds nothing, and the sender may ask again."""
    count = 0
    for at in range(0, len(commitment_ids), _REMOVED_AT_ONCE):
        part = list(commitment_ids[at : at + _REMOVED_AT_ONCE])
        change.asked_instances.remove(id=part)
        count += change.commitments.remove(id=part)
    return count
