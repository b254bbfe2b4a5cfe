"""Answers which Type (1, 1C, 2, 2C, 3) an attribute has in an object's IOD; it knows nothing of profiles.

References
----------
PS3.5 section 7.4; PS3.3 Annex A. The strictest type of all modules and macros an IOD may contain counts (decision 0057).
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from anonymizer.errors import TableError

ROOT = 0
NOT_SAID = "3"
_RANK = {"1": 4, "1C": 3, "2": 2, "2C": 1}
Level = dict[int, str]


@lru_cache(maxsize=16)
def load_table(name: str) -> dict[str, Any]:
    """A table of `anonymizer/tables` by file name."""
    try:
        text = resources.files("anonymizer.tables").joinpath(name).read_text(encoding="utf-8")
        table: dict[str, Any] = json.loads(text)
    except (OSError, ValueError) as damage:
        raise TableError(f"{name}: {TableError.__doc__}") from damage
    return table


class AttributeTypes:
    """The types of one SOP class: of the data set itself, and of the items of each sequence that its IOD knows.

    A sequence that the IOD does not know (a Standard Extended SOP Class, PS3.2) is judged by the strictest that any
    IOD asks of its items.
    """

    def __init__(self, levels: dict[int, Level]) -> None:
        self._root = levels.get(ROOT, {})
        self._levels = levels

    def tags(self) -> frozenset[int]:
        """The attributes of the data set itself that are of type 1 or 2."""
        return frozenset(self._root)

    def sequences(self) -> frozenset[int]:
        """The sequences whose items this IOD types."""
        return frozenset(self._levels) - {ROOT}

    def items_of(self, parent: int) -> Level:
        """The typed attributes of the items of ``parent``."""
        level = self._levels.get(parent)
        return _everywhere().get(parent, {}) if level is None else level

    def type_of(self, tag: int, parent: int = ROOT) -> str:
        """The type of ``tag`` inside the sequence ``parent`` (ROOT: the data set itself); "3" when nothing is said."""
        if parent == ROOT:
            return self._root.get(tag, NOT_SAID)
        return self.items_of(parent).get(tag, NOT_SAID)


def known_sop_class(uid: str) -> bool:
    return uid in load_table("iod_types.json")["sop_classes"]


def iod_of(uid: str) -> str:
    return str(load_table("iod_types.json")["sop_classes"].get(uid, ""))


@lru_cache(maxsize=64)
def types_for(sop_class_uid: str) -> AttributeTypes:
    """The types of a SOP class; of an unknown one everything is type 3, and sequences are judged as everywhere."""
    return AttributeTypes(_merged(load_table("iod_types.json")["iods"].get(iod_of(sop_class_uid), ())))


@lru_cache(maxsize=1)
def _everywhere() -> dict[int, Level]:
    """What any IOD asks of the items of a sequence."""
    merged = _merged(load_table("iod_types.json")["modules"])
    merged.pop(ROOT)
    return merged


def _merged(modules: Any) -> dict[int, Level]:
    table = load_table("iod_types.json")
    levels: dict[int, Level] = {}
    for module in modules:
        for parent, shape in table["modules"][module].items():
            level = levels.setdefault(int(parent, 16) if parent else ROOT, {})
            for tag, type_ in _shape(shape).items():
                if _RANK[type_] > _RANK.get(level.get(tag, NOT_SAID), 0):
                    level[tag] = type_
    return levels


@lru_cache(maxsize=1024)
def _shape(number: int) -> Level:
    """One set of types, spelled ``1 00080018 00080020,2 00100010``."""
    found: Level = {}
    for group in load_table("iod_types.json")["shapes"][number].split(","):
        type_, *tags = group.split()
        found.update((int(tag, 16), type_) for tag in tags)
    return found
