from __future__ import annotations

import pytest
from pydicom.uid import UID_dictionary

from anonymizer.actions import resolve
from anonymizer.attribute_types import iod_of, load_table, types_for
from anonymizer.elements import PIXEL_TAGS, DataSet, Element, dictionary_vr
from anonymizer.reader import read_part10
from anonymizer.writer import write_part10
from tests.unit.anonymizer import made

VALUES = {
    "LO": b"value", "SH": b"value", "ST": b"value", "LT": b"value", "UT": b"value", "UC": b"value", "PN": b"Ek^Anna",
    "CS": b"TERM", "AE": b"AE1", "UR": b"http://h/x", "AS": b"040Y", "DA": b"20260302", "DT": b"20260302101112",
    "TM": b"101112", "DS": b"1.5", "IS": b"2", "UI": b"1.2.777.5", "OB": b"ab", "OW": b"ab", "OF": b"abcd",
    "OD": b"abcdefgh", "OL": b"abcd", "OV": b"abcdefgh", "US": b"\1\0", "SS": b"\1\0", "UL": b"\1\0\0\0",
    "SL": b"\1\0\0\0", "FL": b"\0\0\0\0", "FD": b"\0\0\0\0\0\0\0\0", "AT": b"\x08\0\x10\0", "UV": b"\1\0\0\0\0\0\0\0",
    "SV": b"\1\0\0\0\0\0\0\0",
}  # fmt: skip
SOP_CLASSES = {iod_of(uid): uid for uid in load_table("iod_types.json")["sop_classes"]}


def filled(tag: int) -> Element:
    vr = dictionary_vr(tag).split(" or ")[0]
    if vr == "SQ":
        item = DataSet()
        for key, value in (
            (0x00080100, b"1"),
            (0x00080102, b"99L"),
            (0x00080104, b"meaning"),
            (0x00081155, b"1.2.9.8"),
        ):
            item.put(Element(key, dictionary_vr(key), value))
        return Element(tag, vr, items=[item])
    return Element(tag, vr, VALUES[vr])


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
@pytest.mark.parametrize(
    "iod", sorted(name for name in SOP_CLASSES if not name.startswith(("encapsulated-", "basic-directory")))
)
def test_type_1_is_never_emptied_and_type_2_never_missing(iod, profile):
    types = types_for(SOP_CLASSES[iod])
    ds = DataSet()
    required = {
        tag: types.type_of(tag) for tag in types.tags() if tag not in PIXEL_TAGS and tag >= 0x00080008
    }
    for tag in required:
        ds.put(filled(tag))
    ds.put(Element(0x00080016, "UI", SOP_CLASSES[iod].encode()))
    ds.put(Element(0x00080018, "UI", b"1.2.777.1"))
    content = b"".join(write_part10(ds, transfer_syntax="1.2.840.10008.1.2.1"))
    out = read_part10(made.deidentified(content, profile).content).dataset
    dropped = {row["tag"] for row in load_table("extra_attributes.json")["rows"] if row["handling"] == "drop"}
    for tag, type_ in required.items():
        if f"{tag:08X}" in dropped:
            continue  # what holds the original goes whatever its Type
        assert tag in out, f"{tag:08X} is missing"
        if type_ in {"1", "1C"}:
            assert has_value(out.elements[tag]), f"{tag:08X} is empty"


SKIPPED = {0x00080005}  # its value is written once, at the top
MADE_ANEW = {0x00120064}
DROPPED = {
    int(row["tag"], 16) for row in load_table("extra_attributes.json")["rows"] if row["handling"] == "drop"
}  # what holds the original goes whatever its Type


def filled_item(required: dict[int, str]) -> DataSet:
    item = DataSet()
    for tag in required:
        if tag not in PIXEL_TAGS | SKIPPED:
            item.put(filled(tag))
    return item


def required_in(level: dict[int, str]) -> dict[int, str]:
    """What an item must hold; a 2C of another kind of item (a DICOMDIR's, a private one) is not for these objects."""
    return {
        tag: type_ for tag, type_ in level.items() if type_ != "2C" and dictionary_vr(tag) not in {"UN", ""}
    }


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
@pytest.mark.parametrize(
    "iod", sorted(name for name in SOP_CLASSES if not name.startswith(("encapsulated-", "basic-directory")))
)
def test_items_keep_what_their_sequence_demands_in_every_iod(iod, profile):
    types = types_for(SOP_CLASSES[iod])
    sequences = sorted(types.sequences() - MADE_ANEW - {0x00041220})
    missing, empty, seen = [], [], 0
    ds = DataSet()
    for parent in sequences:
        ds.put(Element(parent, "SQ", items=[filled_item(required_in(types.items_of(parent)))]))
    ds.put(Element(0x00080016, "UI", SOP_CLASSES[iod].encode()))
    ds.put(Element(0x00080018, "UI", b"1.2.777.1"))
    content = b"".join(write_part10(ds, transfer_syntax="1.2.840.10008.1.2.1"))
    out = read_part10(made.deidentified(content, profile).content).dataset
    for parent in sequences:
        required = required_in(types.items_of(parent))
        for kept in out.items(parent):
            if kept.ascii(0x00080102) == "99CONSILIUM":
                continue  # a coded person, replaced whole
            seen += 1
            for tag in set(required) - PIXEL_TAGS - SKIPPED - DROPPED:
                if tag not in kept:
                    missing.append(f"{parent:08X} {tag:08X} {required[tag]}")
                elif required[tag] in {"1", "1C"} and not has_value(kept.elements[tag]):
                    empty.append(f"{parent:08X} {tag:08X}")
    assert seen or not sequences
    assert missing == []
    assert empty == []


def test_a_sequence_is_judged_by_the_iod_that_has_it_and_only_else_by_all():
    stranger = types_for("1.2.999.7")  # no IOD: what any IOD asks
    assert stranger.type_of(0x00100010) == "3"
    assert stranger.type_of(0x00081155, 0x00081140) == "1"
    looser = 0
    for uid in SOP_CLASSES.values():
        types = types_for(uid)
        for parent in types.sequences():
            own, all_ = types.items_of(parent), stranger.items_of(parent)
            assert set(own) <= set(all_)
            looser += sum(own.get(tag) != type_ for tag, type_ in all_.items())
    assert looser > 500


def test_functional_groups_are_typed_by_their_iod():
    enhanced = types_for("1.2.840.10008.5.1.4.1.1.4.1")
    assert enhanced.type_of(0x00189074, 0x00209111) in {"1", "1C"}  # Frame Acquisition DateTime
    assert enhanced.type_of(0x00209111, 0x52009230) in {"1", "1C"}  # Frame Content in the per-frame groups
    segmentation = types_for("1.2.840.10008.5.1.4.1.1.66.4")
    assert segmentation.type_of(0x0062000B, 0x0062000A) == "1"


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.66.8",  # Height Map Segmentation
        "1.2.840.10008.5.1.4.1.1.9.100.1",  # Waveform Presentation State
        "1.2.840.10008.5.1.4.1.1.2.3",  # CT For Processing
        "1.2.840.10008.5.1.4.1.1.88.77",  # Waveform Annotation SR
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image, retired
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane, retired
    ],
)
def test_the_newest_classes_and_the_retired_ones_have_types(uid):
    assert types_for(uid).type_of(0x0020000D) == "1"
    assert types_for(uid).type_of(0x00100010) == "2"


def test_every_medical_storage_class_of_the_dictionary_has_an_iod():
    """What is missing is named here: overlays and curves alone, printing, and material testing and security."""
    missing = {
        uid
        for uid, entry in UID_dictionary.items()
        if entry[1] == "SOP Class" and "Storage" in entry[0] and "Commitment" not in entry[0]
    } - set(load_table("iod_types.json")["sop_classes"])
    others = ("1.2.840.10008.5.1.4.1.1.501.", "1.2.840.10008.5.1.4.1.1.601.")
    assert {uid for uid in missing if not uid.startswith(others)} == {
        "1.2.840.10008.5.1.1.27", "1.2.840.10008.5.1.4.1.1.8", "1.2.840.10008.5.1.4.1.1.9",
        "1.2.840.10008.5.1.4.1.1.10", "1.2.840.10008.5.1.4.1.1.11", "1.2.840.10008.5.1.4.1.1.129",
        "1.2.840.10008.5.1.4.34.1",
    }  # fmt: skip


@pytest.mark.parametrize("type_", ["1", "1C", "2", "2C", "3"])
def test_every_code_of_the_table_is_settled_by_the_type(type_):
    codes = {row["basic"] for row in load_table("annex_e.json")["rows"]}
    assert codes == {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}
    for code in codes:
        simple = resolve(code, type_)
        assert "/" not in simple
        if type_ in {"1", "1C"}:
            assert simple in {"D", "U"}
        if type_ in {"2", "2C"}:
            assert simple != "X"


def has_value(element: Element) -> bool:
    return bool(element.items if element.items is not None else bytes(element.value).strip(b" "))
