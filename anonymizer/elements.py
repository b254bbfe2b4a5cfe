"""The tree of data elements that reader, engine and writer share; it holds encoded values and decides nothing.

References
----------
PS3.5 section 6.2 (value representations), 7.1 (data elements), 7.5 (nesting).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from pydicom.datadict import DicomDictionary

from anonymizer.attribute_types import load_table

Raw = bytes | memoryview

TEXT_VRS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
STRING_VRS = TEXT_VRS | frozenset({"PN", "CS", "AE", "AS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
SINGLE_TEXT_VRS = frozenset({"ST", "LT", "UT", "UR"})
NUMBER_VRS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
STREAM_VRS = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
LONG_VRS = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UN", "UR", "UT", "SV", "UV"})
ALL_VRS = STRING_VRS | NUMBER_VRS | STREAM_VRS | {"SQ", "UN"}
WORD_SIZES = {
    "US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4,
    "FD": 8, "OD": 8, "UV": 8, "SV": 8, "OV": 8,
}  # fmt: skip
MAX_CHARS = {
    "AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "LT": 10240, "SH": 16, "ST": 1024,
    "TM": 14, "UI": 64,
}  # fmt: skip

PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = frozenset({PIXEL_DATA, 0x7FE00008, 0x7FE00009})


class Element:
    """One data element: encoded value (little-endian), or items, or fragments of encapsulated pixel data."""

    __slots__ = ("fragments", "items", "tag", "value", "vr")

    def __init__(
        self,
        tag: int,
        vr: str,
        value: Raw = b"",
        *,
        items: list[DataSet] | None = None,
        fragments: list[Raw] | None = None,
    ) -> None:
        self.tag = tag
        self.vr = vr
        self.value = value
        self.items = items
        self.fragments = fragments


class DataSet:
    """Elements by tag; ``out_of_place`` counts duplicates that were not taken."""

    __slots__ = ("elements", "out_of_place")

    def __init__(self, elements: dict[int, Element] | None = None) -> None:
        self.elements: dict[int, Element] = {} if elements is None else elements
        self.out_of_place = 0

    def __iter__(self) -> Iterator[Element]:
        return iter(self.elements.values())

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def get(self, tag: int) -> Element | None:
        return self.elements.get(tag)

    def put(self, element: Element) -> None:
        self.elements[element.tag] = element

    def drop(self, tag: int) -> None:
        self.elements.pop(tag, None)

    def ascii(self, tag: int) -> str:
        """The value of an attribute that is ASCII by definition (UI, CS, IS, DS, DA); empty if absent."""
        element = self.elements.get(tag)
        if element is None or element.items is not None:
            return ""
        return bytes(element.value).decode("ascii", "replace").strip(" \x00")

    def number(self, tag: int, default: int = 0) -> int:
        """First value of a US, SS, UL or IS attribute."""
        element = self.elements.get(tag)
        if element is None or element.items is not None or not element.value:
            return default
        raw = bytes(element.value)
        if element.vr in {"IS", "DS"}:
            try:
                return int(float(raw.split(b"\\")[0].strip(b" \x00") or b"0"))
            except (ValueError, OverflowError):
                return default
        return int.from_bytes(
            raw[: WORD_SIZES.get(element.vr, 2)], "little", signed=element.vr in {"SS", "SL"}
        )

    def items(self, tag: int) -> list[DataSet]:
        element = self.elements.get(tag)
        return [] if element is None or element.items is None else element.items


def is_private(tag: int) -> bool:
    return bool((tag >> 16) & 1)


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str:
    """The dictionary's VR ("US or SS" and the like as they stand), or "" for a tag that it does not hold."""
    entry = DicomDictionary.get(tag)
    return str(entry[0]) if entry else newer_attributes().get(tag, ("", "", ""))[0]


@lru_cache(maxsize=8192)
def keyword(tag: int) -> str:
    entry = DicomDictionary.get(tag)
    return str(entry[4]) if entry else newer_attributes().get(tag, ("", "", ""))[1]


@lru_cache(maxsize=1024)
def least_values(tag: int) -> int:
    """How many values an attribute has at least (PS3.6 value multiplicity: "2", "2-2n", "1-n")."""
    entry = DicomDictionary.get(tag)
    least = str(entry[1]).partition("-")[0] if entry else "1"
    return int(least) if least.isdigit() else 1


@lru_cache(maxsize=1)
def newer_attributes() -> dict[int, tuple[str, str, str]]:
    """VR, keyword and name of the attributes of PS3.6 that pydicom's dictionary does not hold yet."""
    rows = load_table("newer_attributes.json")["rows"]
    return {int(row["tag"], 16): (row["vr"], row["keyword"], row["name"]) for row in rows}


@lru_cache(maxsize=16384)
def spell(tag: int) -> str:
    """(gggg,eeee), as the standard prints a tag."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def padded(value: bytes, vr: str) -> bytes:
    """The value at even length (PS3.5 6.2: NUL for UI and bytes, space for text)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in {"UI", "OB", "UN"} else b" ")
