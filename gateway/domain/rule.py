"""A reviewed rule: what a human judged once, to be used again: places in pictures, and words, of a case or of a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.domain.errors import InvalidError

# mask: blank these places · clean: nothing in this picture identifies · kept_word: does not identify · removed_word: does
RuleKind = Literal["mask", "clean", "kept_word", "removed_word"]
PICTURES: tuple[RuleKind, ...] = ("mask", "clean")
WORDS: tuple[RuleKind, ...] = ("kept_word", "removed_word")
Rectangle = tuple[int, int, int, int]
MOST_RECTANGLES = 40
MOST_WORD, LEAST_WORD = 100, 2
# What a layout is: the same device and program at the same size. The workshop tells it of each picture as it came.
LAYOUT = ("manufacturer", "model", "software", "sop_class", "modality", "rows", "columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRule:
    """A rule of one case, sealed under the case's key. ``scope``: this picture, every picture of its layout, or all texts.

    ``body`` holds what is to be done: a mask as the anonymizer reads it, or ``{"word": …}``.
    """

    id: str
    case_id: str
    holder: str
    kind: RuleKind
    scope: Literal["picture", "layout", "case"]
    subject_id: str = ""
    state: Literal["active", "revoked"] = "active"
    made_by: str
    made_at: datetime
    ended_by: str = ""
    ended_at: datetime | None = None
    body: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    """A rule for the pictures of one device in all cases: proposed by who looked, in force once somebody else confirms it.

    It holds no word of a picture and names no case; what a device says of itself is sealed all the same.
    """

    id: str
    holder: str = "house"
    kind: RuleKind
    state: Literal["proposed", "active", "declined", "revoked"] = "proposed"
    made_by: str
    made_at: datetime
    confirmed_by: str = ""
    confirmed_at: datetime | None = None
    ended_by: str = ""
    ended_at: datetime | None = None
    body: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def covers(body: Mapping[str, Any], layout: Mapping[str, Any]) -> bool:
    """Tell whether a mask is for pictures of this layout: all parts are the same, an empty one only where none is told.

    The workshop asks the same of the object itself (``MaskRule.matches``); this is asked of what it told.
    """
    return any(layout.values()) and all((layout.get(name) or "") == (body.get(name) or "") for name in LAYOUT)


def mask_body(
    layout: Mapping[str, Any], rectangles: Iterable[Rectangle], *, kind: RuleKind
) -> dict[str, Any]:
    """Return the body of a rule for pictures: the layout and the rectangles, cut to the picture's edges.

    Raises
    ------
    InvalidError
        No layout, too many rectangles, none for a mask, or one that lies beside the picture.
    """
    columns, rows = int(layout.get("columns") or 0), int(layout.get("rows") or 0)
    if not columns or not rows:
        raise InvalidError(
            "this copy does not say of what device and size its picture is",
            next_step="Have it made anew with «Try again», then look at that one.",
        )
    cut = []
    for left, top, width, height in rectangles:
        right, bottom = min(left + width, columns), min(top + height, rows)
        first, upper = max(left, 0), max(top, 0)
        if right <= first or bottom <= upper:
            raise InvalidError(
                "one of the places lies beside the picture",
                next_step="Draw it again, or take it away.",
            )
        cut.append([first, upper, right - first, bottom - upper])
    if len(cut) > MOST_RECTANGLES:
        raise InvalidError(
            f"more than {MOST_RECTANGLES} places are drawn", next_step="Draw fewer, larger ones."
        )
    if bool(cut) != (kind == "mask"):
        raise InvalidError(
            "there is no place to mask" if kind == "mask" else "places are drawn, and yet nothing identifies",
            next_step="Draw what is to be masked, or decide that nothing identifies.",
        )
    return {
        **{name: layout.get(name) or ("" if name not in {"rows", "columns"} else 0) for name in LAYOUT},
        "rectangles": cut,
        "verdict": kind,
    }


def judged_word(text: str) -> str:
    """Return the words that a human judged, on one line.

    Raises
    ------
    InvalidError
        Shorter than a word or longer than a name could be: the rule would take away, or keep, too much.
    """
    word = " ".join(text.split())
    if not LEAST_WORD <= len(word) <= MOST_WORD or not any(sign.isalnum() for sign in word):
        raise InvalidError(
            f"a word has from {LEAST_WORD} to {MOST_WORD} letters or digits",
            next_step="Write the word, name or number as it stands.",
        )
    return word
