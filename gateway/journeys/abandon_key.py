"""Giving up a wrapped key that is damaged for good, so that the epoch which waits for it can end; its row stays (E8, D15)."""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.epoch import ABANDONED, epoch_id
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError
from gateway.domain.people import Actor
from gateway.ports import Change, Records, View
from storage import KekRef, MasterKeys, WrappedKey

_NOTHING = KekRef(kek_id="", kek_version=0)
_FIRST = ("", "")
_PAGE = 500


def list_unopened(*, records: Records, masters: MasterKeys) -> list[WrappedKey]:
    """Try every wrapped key, those under the current version too, and return what does not open; what was given up is left out."""
    kek, after = masters.current(), _FIRST
    found: list[WrappedKey] = []
    while True:
        with records.view() as view:
            keys = view.older_keys(_NOTHING, after=after, limit=_PAGE)
        if not keys:
            return found
        after = keys[-1].holder, keys[-1].purpose
        keys = [key for key in keys if not key.kek_id.startswith(ABANDONED)]
        fresh = masters.rewrap(keys, new=kek)
        found += [old for old, new in zip(keys, fresh, strict=True) if new is None]


def abandon_key(
    holder: str, purpose: str, *, confirm: str, by: Actor, records: Records, masters: MasterKeys
) -> WrappedKey:
    """Take a key that does not open out of its epoch, and return it as it was: what it sealed stays unreadable.

    The bytes stay in their row, under a master key that there is not, until the case's keys are destroyed.

    Raises
    ------
    ConflictError
        It opens; its master key is not here, so it may be sound; its case is under a legal hold; or it is no case's.
    InvalidError
        The holder was not given once more.
    KeyServiceError
        The keys cannot be reached just now, which says nothing of this one.
    """
    if confirm != holder:
        raise InvalidError(
            "to give a key up, confirm with its holder once more", next_step=f"Add --confirm {holder}."
        )
    with records.view() as view:
        key = _row(view, holder, purpose)
        _refuse(view, key)
    if KekRef(kek_id=key.kek_id, kek_version=key.kek_version) not in masters.versions():
        raise ConflictError(
            f"version {key.kek_version} of the master key is not here, so nobody can tell whether this key is damaged",
            next_step="Bring the right key file back: `consilium key restore`.",
        )
    if masters.rewrap([key], new=masters.current()) != [None]:
        raise ConflictError("this key opens", next_step="`consilium key unopened` names those that do not.")
    with records.change(by=by) as change:
        case_id = _refuse(change, key)
        if not change.replace_keys([(key, replace(key, kek_id=ABANDONED + key.kek_id))]):
            raise ConflictError("the key was changed at this moment", next_step="Look again.")
        change.note(
            "key_abandoned",
            case_id=case_id,
            subject=holder,
            purpose=purpose,
            epoch=epoch_id(key.kek_id, key.kek_version),
        )
    return key


def _row(view: View, holder: str, purpose: str) -> WrappedKey:
    """Return what stands in the row now; ``View.key`` may remember what stood there."""
    for key in view.older_keys(_NOTHING, after=(holder, ""), limit=_PAGE):
        if (key.holder, key.purpose) == (holder, purpose):
            return key
    raise NotFoundError(
        f"there is no key of {holder} for {purpose}",
        next_step="`consilium key unopened` names those that do not open.",
    )


def _refuse(view: View | Change, key: WrappedKey) -> str:
    """Refuse what is no case's or study's, what is held, and what was given up already; return the case's id, if it has any."""
    if key.kek_id.startswith(ABANDONED):
        raise ConflictError("this key was given up already", next_step="Nothing is to be done.")
    # Ids alone are read: sealed columns of this case may be just what does not open.
    cases = {case_id for (case_id,) in view.cases.pick(("id",), id=key.holder)}
    studies = [case_id for (case_id,) in view.studies.pick(("case_id",), holder=key.holder)]
    if not cases and not studies:
        raise ConflictError(
            "this is not the key of a case or a study: the house cannot do without it",
            next_step="Bring its row back from a backup.",
        )
    cases |= {case_id for case_id in studies if case_id}
    if any(view.holds.pick(("id",), holder=case_id, ended_at=None) for case_id in cases):
        raise ConflictError(
            "the case is under a legal hold, and nothing of it is given up",
            next_step="Ask who placed the hold; `consilium case unhold REF --reason …` ends it.",
        )
    return min(cases, default="")
