"""Writes into the object that, and how, it was de-identified; it changes nothing else.

References
----------
PS3.15 E.1.1 (6) and (7); PS3.3 C.7.1.1 (0012,0062)-(0012,0064), C.12.1.1.7 (0028,0303); PS3.16 CID 7050.
"""

from __future__ import annotations

from anonymizer.elements import DataSet, Element
from anonymizer.profile import METHOD_CODES, Profile
from anonymizer.pseudonyms import Pseudonyms

IDENTITY_REMOVED, METHOD, METHOD_CODE_SEQUENCE, TEMPORAL_MODIFIED = (
    0x00120062,
    0x00120063,
    0x00120064,
    0x00280303,
)
SEAL = "seal "


def describe_method(dataset: DataSet, profile: Profile, pseudonyms: Pseudonyms) -> None:
    """Mark the object; the seal lets the same key recognise its own work."""
    seal = pseudonyms.seal(dataset.ascii(0x00080018))
    lines = [
        f"Consilium {profile.name}",
        profile.edition.split(" Table")[0],
        f"rules {profile.digest[:32]}",
        SEAL + seal,
    ]
    _put(dataset, IDENTITY_REMOVED, "CS", "YES")
    _put(dataset, METHOD, "LO", "\\".join(lines))
    options = ["basic", *sorted(profile.options, key=lambda name: METHOD_CODES[name][0])]
    dataset.put(
        Element(METHOD_CODE_SEQUENCE, "SQ", items=[code_item(*METHOD_CODES[name]) for name in options])
    )
    modified = "UNMODIFIED" if "retain_full_dates" in profile.options else "REMOVED"
    if "retain_modified_dates" in profile.options:
        modified = "MODIFIED"
    _put(dataset, TEMPORAL_MODIFIED, "CS", modified)


def carries_seal(dataset: DataSet, pseudonyms: Pseudonyms) -> bool:
    """Whether this key already de-identified exactly this instance."""
    element = dataset.get(METHOD)
    if element is None or element.items is not None:
        return False
    expected = SEAL + pseudonyms.seal(dataset.ascii(0x00080018))
    return expected.encode("ascii") in bytes(element.value).rstrip().split(b"\\")


def code_item(value: str, meaning: str, scheme: str = "DCM") -> DataSet:
    item = DataSet()
    _put(item, 0x00080100, "SH", value)
    _put(item, 0x00080102, "SH", scheme)
    _put(item, 0x00080104, "LO", meaning)
    return item


def _put(dataset: DataSet, tag: int, vr: str, value: str) -> None:
    dataset.put(Element(tag, vr, value.encode("utf-8")))
