"""Which private elements are safe to keep, by creator, group and element; it cleans nothing itself.

References
----------
PS3.15 E.3.10 and Table E.3.10-1; PS3.5 7.8.1 (private creators and blocks).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from anonymizer.attribute_types import load_table
from anonymizer.charset import Charset
from anonymizer.elements import DataSet, is_private


@dataclass(frozen=True, slots=True)
class SafeElement:
    """A safe row: the VR its value must have, and which list says so."""

    vr: str
    source: str


class Creators:
    """The private creators of one data set or item (a block belongs to its own level only)."""

    def __init__(self, dataset: DataSet, charset: Charset) -> None:
        self._names: dict[int, str] = {}
        for tag in dataset.elements:
            if is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF:
                element = dataset.elements[tag]
                if element.items is None:
                    text, _ = charset.decode(bytes(element.value), "LO")
                    self._names[tag] = text.strip(" \0")

    def safe(self, tag: int) -> SafeElement | None:
        """The safe row of a private element, or None."""
        creator = self._names.get(creator_tag(tag))
        if creator is None:
            return None
        return safe_list().get((creator, tag >> 16, tag & 0xFF))


def is_creator(tag: int) -> bool:
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def creator_tag(tag: int) -> int:
    return (tag & 0xFFFF0000) | ((tag >> 8) & 0xFF)


@lru_cache(maxsize=1)
def safe_list() -> dict[tuple[str, int, int], SafeElement]:
    """The vendors' rows, then the standard's, which win."""
    rows: dict[tuple[str, int, int], SafeElement] = {}
    for name in ("safe_private_vendor.json", "safe_private.json"):
        table = load_table(name)
        for row in table["rows"]:
            key = (row["creator"], int(row["group"], 16), int(row["element"], 16))
            rows[key] = SafeElement(row["vr"], table["edition"])
    return rows
