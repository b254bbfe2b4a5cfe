"""What each kind of opinion needs, item by item, and what is still missing."""

from __future__ import annotations

from collections.abc import Mapping

CATEGORIES = (
    "referral_letter",
    "doctors_notes",
    "imaging",
    "radiology_report",
    "pathology",
    "labs",
    "prescriptions",
    "discharge_summary",
    "other",
)
REQUIRED = {
    "written": ("doctors_notes", "labs"),
    "mdt": ("doctors_notes", "labs", "imaging", "radiology_report"),
}
# An item is asked for, has arrived, or the patient has said that it does not exist.
ITEM_STATES = ("wanted", "received", "not_available")


def fresh(opinion: str) -> dict[str, str]:
    """Return the checklist of a new case."""
    return dict.fromkeys(REQUIRED[opinion], "wanted")


def ticked(checklist: Mapping[str, str], category: str, state: str = "received") -> dict[str, str]:
    """Return the checklist with one item's state set; a category that was not asked for is added."""
    return {**checklist, category: state}


def missing(checklist: Mapping[str, str]) -> tuple[str, ...]:
    """Return the items still wanted."""
    return tuple(item for item, state in checklist.items() if state == "wanted")
