"""The reviewed rules that hold for a case's copies at one moment: which masks go with a picture, and which rules a copy was made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anonymizer.known import Known
from gateway.domain.case import Case
from gateway.domain.release import Copy
from gateway.domain.rule import PICTURES, WORDS, CaseRule, DeviceRule, covers
from gateway.ports import Change, View

# Under these names a copy's sealed index keeps the layout of its original and the rules that it was made by.
LAYOUT, RULES = "layout", "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """All rules that hold for one case, as they stood in one reading."""

    words: tuple[CaseRule, ...] = ()
    pictures: tuple[CaseRule, ...] = ()
    layouts: tuple[CaseRule, ...] = ()
    devices: tuple[DeviceRule, ...] = ()

    def masks(self, subject_id: str) -> list[dict[str, Any]]:
        """Return what the workshop is given for a picture: its own rules first, then the case's, then those of devices."""
        return [rule.body for rule in self._of(subject_id)]

    def used(self, subject_id: str, layout: Mapping[str, Any]) -> list[str]:
        """Return the ids of the rules that a copy of this subject is made by."""
        masks = [rule.id for rule in self._of(subject_id) if covers(rule.body, layout)]
        return sorted([rule.id for rule in self.words] + masks)

    def stale(self, copy: Copy) -> bool:
        """Tell whether a copy was made by other rules than those that hold."""
        return list(copy.index.get(RULES, ())) != self.used(copy.subject_id, copy.index.get(LAYOUT) or {})

    def hides_more(self, copy: Copy) -> bool:
        """Tell whether a mask that came after a copy covers something in it."""
        before, layout = set(copy.index.get(RULES, ())), copy.index.get(LAYOUT) or {}
        return any(
            rule.kind == "mask" and rule.id not in before and covers(rule.body, layout)
            for rule in self._of(copy.subject_id)
        )

    def _of(self, subject_id: str) -> Sequence[CaseRule | DeviceRule]:
        own = [rule for rule in self.pictures if rule.subject_id == subject_id]
        return [*own, *self.layouts, *self.devices]


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
    )


def judged_words(view: View | Change, case: Case) -> Known:
    """Return what the words that humans judged add to what is known of a case."""
    words = view.case_rules.find(case_id=case.id, state="active", kind=WORDS, order="made_at")
    return Known(
        kept=tuple(str(rule.body["word"]) for rule in words if rule.kind == "kept_word"),
        other=tuple(str(rule.body["word"]) for rule in words if rule.kind == "removed_word"),
    )
