from __future__ import annotations

import pytest

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


def nested_types() -> dict[int, dict[int, str]]:
    table = load_table("iod_types.json")["nested"]
    return {
        int(parent, 16): {
            int(tag, 16): type_
            for type_, tags in types.items()
            for tag in tags.split()
            if type_ != "2C" and dictionary_vr(int(tag, 16)) != "UN"
        }
        for parent, types in table.items()
        if not parent.startswith("0004")
    }


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
def test_items_keep_what_their_sequence_demands(profile):
    base = made.encoded(made.ct())
    missing, empty = [], []
    for parent, required in nested_types().items():
        if parent in MADE_ANEW:
            continue
        item = DataSet()
        wanted = [tag for tag in required if tag not in PIXEL_TAGS | SKIPPED]
        for tag in wanted:
            item.put(filled(tag))
        source = read_part10(base).dataset
        source.put(Element(parent, "SQ", items=[item]))
        content = b"".join(write_part10(source, transfer_syntax="1.2.840.10008.1.2.1"))
        out = read_part10(made.deidentified(content, profile).content).dataset
        for kept in out.items(parent):
            if kept.ascii(0x00080102) == "99CONSILIUM":
                continue  # a coded person, replaced whole
            missing += [f"{parent:08X} {tag:08X}" for tag in wanted if tag not in kept]
            empty += [
                f"{parent:08X} {tag:08X}"
                for tag in wanted
                if required[tag] in {"1", "1C"} and tag in kept and not has_value(kept.elements[tag])
            ]
    assert missing == []
    assert empty == []


def has_value(element: Element) -> bool:
    return bool(element.items if element.items is not None else bytes(element.value).strip(b" "))
