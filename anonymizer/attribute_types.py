"""Answers which Type (1, 1C, 2, 2C, 3) an attribute has in an object's IOD; it knows nothing of profiles.

References
----------
PS3.5 section 7.4; PS3.3 Annex A. The strictest type of all modules an IOD may contain counts.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from anonymizer.errors import TableError

ROOT = 0


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
    """The types of one SOP class."""

    def __init__(self, root: dict[int, str], nested: dict[int, dict[int, str]]) -> None:
        self._root = root
        self._nested = nested

    def tags(self) -> frozenset[int]:
        """The attributes of the data set itself that are of type 1 or 2."""
        return frozenset(self._root)

    def type_of(self, tag: int, parent: int = ROOT) -> str:
        """The type of ``tag`` inside the sequence ``parent`` (ROOT: the data set itself); "3" when nothing is said."""
        if parent == ROOT:
            return self._root.get(tag, "3")
        return self._nested.get(parent, {}).get(tag, "3")


def known_sop_class(uid: str) -> bool:
    return uid in load_table("iod_types.json")["sop_classes"]


def iod_of(uid: str) -> str:
    return str(load_table("iod_types.json")["sop_classes"].get(uid, ""))


@lru_cache(maxsize=64)
def types_for(sop_class_uid: str) -> AttributeTypes:
    table = load_table("iod_types.json")
    root: dict[int, str] = {}
    for module in table["iods"].get(iod_of(sop_class_uid), ()):
        for tag, type_ in _untwined(table["modules"][module]).items():
            if _rank(type_) > _rank(root.get(tag, "3")):
                root[tag] = type_
    return AttributeTypes(root, _nested())


@lru_cache(maxsize=1)
def _nested() -> dict[int, dict[int, str]]:
    table = load_table("iod_types.json")["nested"]
    return {int(parent, 16): _untwined(types) for parent, types in table.items()}


def _untwined(gathered: dict[str, str]) -> dict[int, str]:
    return {int(tag, 16): type_ for type_, tags in gathered.items() for tag in tags.split()}


def _rank(type_: str) -> int:
    return {"1": 4, "1C": 3, "2": 2, "2C": 1}.get(type_, 0)
