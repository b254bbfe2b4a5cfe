"""The reviewed rules that hold for a case's copies at one moment: which masks go with a picture, and which rules a copy was made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anonymizer.known import Known
from gateway.domain.case import Case
from gateway.domain.release import Copy
from gateway.domain.rule import PICTURES, WORDS, CaseRule, DeviceRule, covers
from gateway.ports import Change, View

# Under these names a copy's sealed index keeps the layout of its original and the rules that it was made by.
LAYOUT, RULES = "layout", "rules"
_TOLD_OF_COPY = {"sop_class": "SOPClassUID", "modality": "Modality", "rows": "Rows", "columns": "Columns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """All rules that hold for one case, as they stood in one reading."""

    words: tuple[CaseRule, ...] = ()
    pictures: tuple[CaseRule, ...] = ()
    layouts: tuple[CaseRule, ...] = ()
    devices: tuple[DeviceRule, ...] = ()
    ended: tuple[CaseRule | DeviceRule, ...] = ()

    def masks(self, subject_id: str) -> list[dict[str, Any]]:
        """Return what the workshop is given for a picture: its own rules first, then the case's, then those of devices."""
        return [
            {**rule.body, "reach": "picture" if rule in self.pictures else "layout"}
            for rule in self._of(subject_id)
        ]

    def used(self, subject_id: str, layout: Mapping[str, Any]) -> list[str]:
        """Return the ids of the rules that a copy of this subject is made by."""
        masks = [rule.id for rule in self._of(subject_id) if covers(rule.body, layout)]
        return sorted([rule.id for rule in self.words] + masks)

    def stale(self, copy: Copy) -> bool:
        """Tell whether a copy was made by other rules than those that hold; one that tells no layout cannot have been asked."""
        if _layout_untold(copy) and (self.layouts or self.devices):
            return True
        return list(copy.index.get(RULES, ())) != self.used(copy.subject_id, copy.index.get(LAYOUT) or {})

    def hides_more(self, copy: Copy) -> bool:
        """Tell whether a mask that came after a copy covers something in it."""
        before, layout = set(copy.index.get(RULES, ())), copy.index.get(LAYOUT) or {}
        came = [rule for rule in self._of(copy.subject_id) if rule.kind == "mask" and rule.id not in before]
        if _layout_untold(copy):
            return any(_may_cover(rule.body, copy.index) for rule in came)
        return any(covers(rule.body, layout) for rule in came)

    def uncovered(self, subject_id: str, layout: Mapping[str, Any], *, received_at: datetime) -> bool:
        """Tell whether a mask that was revoked had covered a picture, and no rule that holds covers as much or is for that very picture.

        Only pictures count that were there when it was revoked: those of later days were never masked by it.
        """
        held = [rule for rule in self._of(subject_id) if covers(rule.body, layout)]
        places = [place for rule in held for place in rule.body["rectangles"]]
        return any(
            rule.ended_at is not None
            and received_at <= rule.ended_at
            and covers(rule.body, layout)
            and (not isinstance(rule, CaseRule) or rule.subject_id in {"", subject_id})
            and not any(one in self.pictures and one.made_at >= rule.ended_at for one in held)
            and not all(any(_lies_in(old, new) for new in places) for old in rule.body["rectangles"])
            for rule in self.ended
        )

    def _of(self, subject_id: str) -> Sequence[CaseRule | DeviceRule]:
        own = [rule for rule in self.pictures if rule.subject_id == subject_id]
        return [*own, *self.layouts, *self.devices]


def _layout_untold(copy: Copy) -> bool:
    """Tell whether a copy of an object was made before layouts were kept."""
    return copy.subject_kind == "instance" and LAYOUT not in copy.index


def _may_cover(body: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    """Tell whether a mask may be for a copy that keeps only its own attributes: nothing that both tell differs."""
    told = {name: str(index[keyword]) for name, keyword in _TOLD_OF_COPY.items() if index.get(keyword)}
    return all(value == str(body.get(name)) for name, value in told.items())


def _lies_in(old: Sequence[int], new: Sequence[int]) -> bool:
    left, top, right, bottom = new[0], new[1], new[0] + new[2], new[1] + new[3]
    return left <= old[0] and top <= old[1] and old[0] + old[2] <= right and old[1] + old[3] <= bottom


NONE = InForce()


def rules_in_force(view: View | Change, case_id: str) -> InForce:
    """Return what holds for a case now."""
    own = view.case_rules.find(case_id=case_id, state="active", order="made_at")
    pictures = [rule for rule in own if rule.kind in PICTURES]
    return InForce(
        words=tuple(rule for rule in own if rule.kind in WORDS),
        pictures=tuple(rule for rule in pictures if rule.scope == "picture"),
        layouts=tuple(rule for rule in pictures if rule.scope == "layout"),
        devices=tuple(view.device_rules.find(state="active", order="made_at")),
        ended=(
            *view.case_rules.find(case_id=case_id, state="revoked", kind="mask"),
            *view.device_rules.find(state="revoked", kind="mask"),
        ),
    )


def judged_words(view: View | Change, case: Case) -> Known:
    """Return what the words that humans judged add to what is known of a case."""
    words = view.case_rules.find(case_id=case.id, state="active", kind=WORDS, order="made_at")
    return Known(
        kept=tuple(str(rule.body["word"]) for rule in words if rule.kind == "kept_word"),
        other=tuple(str(rule.body["word"]) for rule in words if rule.kind == "removed_word"),
    )
