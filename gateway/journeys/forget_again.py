"""Forgetting again what a restored backup brought back, by the register of what was forgotten, before anything is served."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from gateway.domain.errors import InvalidError
from gateway.domain.forgetting import Forgetting, Tombstone
from gateway.domain.people import Actor
from gateway.journeys.certify_forgetting import read_certificate_line
from gateway.journeys.forget_case import NamedBy, erase_case, remove_objects
from gateway.journeys.keep_commitments import remove_commitments
from gateway.journeys.keep_register import read_register
from gateway.ports import Change, Records, View
from storage import SealedStore, StorageError

_AT_ONCE = 500
_AGAIN = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenAgain:
    """What a restored backup forgot again. ``held`` are the cases that were held since, and keep what is forgotten there."""

    holders: int
    cases: int
    studies: int
    keys: int
    objects: int
    held: tuple[str, ...] = ()


def forget_again(
    lines: Sequence[str],
    *,
    by: Actor,
    records: Records,
    store: SealedStore,
    progress: Callable[[int], None] = lambda _: None,
) -> ForgottenAgain:
    """Destroy keys, rows and objects of all that a register names, and keep its tombstones; for a restored backup, before it serves.

    Done twice it finds nothing more. A hold of before does not count: it had been ended when the case was forgotten. One that
    was placed since, on what a restore brought back, does (E9): that case stays whole and is told of in ``held``, and all
    else is forgotten; when the hold has ended, the same call forgets it too.
    ``progress`` is called with the number of holders done.

    Raises
    ------
    InvalidError
        A line is not this house's; nothing was done. Whoever restores decides, she may take the line out.
    """
    read = read_register(lines, records=records, store=store)
    if read.unread:
        raise InvalidError(
            f"{read.unread} lines of the register were not written by this house",
            next_step="Compare it with the copy on the other machine; a line that a crash cut short may be taken out.",
        )
    by_case: dict[str, list[Tombstone]] = {}
    for stone in read.stones:
        by_case.setdefault(stone.case_id, []).append(stone)
    done = {"cases": 0, "studies": 0, "keys": 0, "objects": 0}
    bare: list[Tombstone] = []
    held: dict[str, str] = {}
    for case_id, stones in by_case.items():
        with records.view() as view:
            is_there = _is_there(view, case_id, stones)
        if is_there:
            if holding := _erase(case_id, stones, done, by=by, records=records, store=store):
                held[case_id] = holding
            progress(len(stones))
        else:
            bare += stones
    for at in range(0, len(bare), _AT_ONCE):
        part = bare[at : at + _AT_ONCE]
        with records.change(by=by) as change:
            keys = sum(change.bury(stone.holder, case_id=stone.case_id) for stone in part)
            change.note("forgotten_again", holders=len(part), keys=keys)
        done["keys"] += keys
        progress(len(part))
    _bring_back(read.certificates, but=held, by=by, records=records, store=store)
    left = sum(len(by_case[case_id]) for case_id in held)
    return ForgottenAgain(holders=len(read.stones) - left, **done, held=tuple(sorted(set(held.values()))))


def _is_there(view: View, case_id: str, stones: Sequence[Tombstone]) -> bool:
    holders = [stone.holder for stone in stones]
    return bool(view.cases.count(id=case_id) or view.studies.count(holder=holders))


def _erase(
    case_id: str,
    stones: Sequence[Tombstone],
    done: dict[str, int],
    *,
    by: Actor,
    records: Records,
    store: SealedStore,
) -> str:
    """Forget one case as it was forgotten before, and the studies that lay elsewhere when the backup was made.

    Returns the reference of the case whose hold forbids it; then nothing was done. It is looked for in the turn that destroys.
    """
    with records.change(by=by) as change:
        if holding := _held_since(change, case_id, stones):
            change.note("forgotten_again", case_id=case_id, subject=holding, outcome="held")
            return holding
        objects: list[str] = []
        studies = 0
        for stone in stones:
            for study_id, elsewhere in change.studies.pick(("id", "case_id"), holder=stone.holder):
                if elsewhere != case_id:
                    objects += _erase_study(change, study_id, elsewhere)
                    studies += 1
        for (hold_id,) in change.holds.pick(("id",), holder=case_id, ended_at=None):
            change.holds.set(hold_id, ended_at=change.now, ended_by=str(by))
        ref = next((ref for (ref,) in change.cases.pick(("ref",), id=case_id)), "")
        commitments = remove_commitments(change, _commitments(change, case_id, store))
        kept = erase_case(change, case_id, ref=ref, by=by, ground=_AGAIN, commitments=commitments)
        keys = kept.keys + sum(change.bury(stone.holder, case_id=case_id) for stone in stones)
        change.forgettings.set(case_id, left=kept.left + objects, objects=kept.objects + len(objects))
        change.note(
            "forgotten_again", case_id=case_id, subject=ref, holders=len(stones), keys=keys, studies=studies
        )
    removed = remove_objects(case_id, records=records, store=store)
    done["cases"] += bool(ref)
    done["studies"] += studies
    done["keys"] += keys
    done["objects"] += removed.objects
    return ""


def _held_since(change: Change, case_id: str, stones: Sequence[Tombstone]) -> str:
    """Return the reference of the case under a hold that was placed after the forgetting, be it one where a study lies now."""
    forgotten_at = min(stone.at for stone in stones)
    found = change.studies.pick(("case_id",), holder=[stone.holder for stone in stones])
    cases = sorted({case_id, *(elsewhere for (elsewhere,) in found if elsewhere)})
    for holder, at in change.holds.pick(("holder", "at"), holder=cases, ended_at=None):
        if at >= forgotten_at:
            return next((str(ref) for (ref,) in change.cases.pick(("ref",), id=holder)), str(holder))
    return ""


def _erase_study(change: Change, study_id: str, case_id: str | None) -> list[str]:
    """Delete a study that lies in the inbox or with another case, whose approved releases are then not whole any more."""
    rows = change.instances.pick(("id", "object_id"), study_id=study_id)
    objects = [object_id for _, object_id in rows]
    ids = [id_ for id_, _ in rows]
    for at in range(0, len(ids), _AT_ONCE):
        part = ids[at : at + _AT_ONCE]
        objects += [id_ for (id_,) in change.copies.pick(("object_id",), subject_id=part)]
        change.copies.remove(subject_id=part)
        change.findings.remove(subject_id=part)
        change.case_rules.remove(subject_id=part)
    change.instances.remove(study_id=study_id)
    change.jobs.remove(subject_id=study_id)
    change.studies.remove(id=study_id)
    if case_id is not None:
        for (release_id,) in change.releases.pick(("id",), case_id=case_id, state="approved"):
            change.releases.set(release_id, state="withdrawn")
    return objects


def _commitments(change: Change, case_id: str, store: SealedStore) -> list[str]:
    try:
        return NamedBy().look(change, case_id, store=store)
    except StorageError:  # a tombstone stands already, and its UIDs cannot be read any more
        return []


def _bring_back(
    certificates: Sequence[str], *, but: Container[str], by: Actor, records: Records, store: SealedStore
) -> None:
    """Keep again the certificates that were given after the backup: they can be had for ever."""
    for line in certificates:
        kept = read_certificate_line(line, records=records, store=store)
        if kept is None or kept.id in but:
            continue
        with records.view() as view:
            found = view.forgettings.first(id=kept.id)
        if found is not None and found.certificate:
            continue
        with records.change(by=by) as change:
            if found is not None:
                _complete(change, found, kept)
            else:
                change.forgettings.add(kept)
            change.note("forgetting_certified", case_id=kept.id, subject=kept.ref, outcome="again")


def _complete(change: Change, found: Forgetting, kept: Forgetting) -> None:
    change.forgettings.set(
        found.id, ref=kept.ref, at=kept.at, by=kept.by, ground=kept.ground, certificate=kept.certificate
    )
