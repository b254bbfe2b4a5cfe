"""Reviewed rules for the pictures of one device and layout: where to blank, or that nothing there identifies.

A rule takes the place of the human look. It never switches off the search for known identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from anonymizer.elements import DataSet
from anonymizer.errors import AnonymizerError

Rectangle = tuple[int, int, int, int]
_MOST_RECTANGLES = 200
_TEXTS = {
    "manufacturer": 0x00080070,
    "model": 0x00081090,
    "software": 0x00181020,
    "sop_class": 0x00080016,
    "modality": 0x00080060,
}
_NUMBERS = {"rows": 0x00280010, "columns": 0x00280011}


class MaskRuleError(AnonymizerError):
    """The mask rule does not have the documented shape: mend the named key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """What a human decided for one layout.

    ``rectangles`` are (left, top, width, height) in pixels of a frame. Verdict "mask": blank them in every frame, the rest
    was looked at. "clean": this layout shows nothing that identifies. ``reach`` says what the human has seen: "picture":
    this very one; "layout": one of which manufacturer, model and all other parts are the same; "like": the same, but an
    empty text or a zero stands for "any".
    """

    manufacturer: str = ""
    model: str = ""
    software: str = ""
    sop_class: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    rectangles: tuple[Rectangle, ...] = ()
    verdict: Literal["mask", "clean"] = "mask"
    reach: Literal["picture", "layout", "like"] = "like"

    def __post_init__(self) -> None:
        if self.verdict not in {"mask", "clean"}:
            raise MaskRuleError("verdict: must be «mask» or «clean»")
        if self.reach not in {"picture", "layout", "like"}:
            raise MaskRuleError("reach: must be «picture», «layout» or «like»")
        if len(self.rectangles) > _MOST_RECTANGLES:
            raise MaskRuleError(f"rectangles: at most {_MOST_RECTANGLES}")
        for left, top, width, height in self.rectangles:
            if left < 0 or top < 0 or width < 1 or height < 1:
                raise MaskRuleError("rectangles: left and top from 0, width and height from 1")

    def matches(self, dataset: DataSet) -> bool:
        """Whether an object, as received, has this layout; a rule without any size, device or class matches nothing."""
        found = fingerprint(dataset)
        anything = self.reach == "like"
        asked = {name: getattr(self, name) for name in found if getattr(self, name) or not anything}
        return any(asked.values()) and all(found[name] == value for name, value in asked.items())

    def to_json(self) -> dict[str, Any]:
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"rectangles": [list(one) for one in self.rectangles]}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """Read what `to_json` wrote; raise `MaskRuleError` naming the key, never the value."""
        if not isinstance(obj, dict):
            raise MaskRuleError("a mask rule is an object with keys")
        if unknown := set(obj) - {field.name for field in fields(cls)}:
            raise MaskRuleError(f"{len(unknown)} keys are not known")
        values = dict(obj)
        for names, kind in ((("verdict", "reach", *_TEXTS), str), (tuple(_NUMBERS), int)):
            for name in names:
                if name in values and (not isinstance(values[name], kind) or isinstance(values[name], bool)):
                    raise MaskRuleError(f"{name}: must be {'text' if kind is str else 'a whole number'}")
        return cls(**values | {"rectangles": _rectangles(values.get("rectangles", ()))})


def _rectangles(listed: Any) -> tuple[Rectangle, ...]:
    if not isinstance(listed, list | tuple):
        raise MaskRuleError("rectangles: must be a list")
    found: list[Rectangle] = []
    for one in listed:
        if not isinstance(one, list | tuple) or len(one) != 4 or any(type(part) is not int for part in one):
            raise MaskRuleError("rectangles: each is four whole numbers")
        left, top, width, height = one
        found.append((left, top, width, height))
    return tuple(found)


def fingerprint(dataset: DataSet) -> dict[str, str | int]:
    """What a rule for this object's device and layout would be keyed on; from the object as received."""
    texts: dict[str, str | int] = {name: dataset.ascii(tag) for name, tag in _TEXTS.items()}
    return texts | {name: dataset.number(tag) for name, tag in _NUMBERS.items()}
