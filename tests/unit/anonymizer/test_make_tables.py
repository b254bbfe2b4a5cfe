from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from anonymizer.attribute_types import load_table
from anonymizer.tables import make_tables

TABLES = Path(make_tables.__file__).parent
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "ps3"
#: PS3.15 itself is not among the data we may keep; whoever has it shows with this that the tables follow from it.
PART15 = Path(os.environ.get("CONSILIUM_PS3_15", SHARED / "part15.xml"))
HAS_PART15 = pytest.mark.skipif(not PART15.exists(), reason="PS3.15 as DocBook is not on this machine")
HAS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the published extracts are not on this machine")
HEADS = (
    "Attribute Name",
    "Tag",
    "Retd. (from )",
    "In Std. Comp. IOD (from )",
    "Basic Prof.",
    *make_tables.OPTIONS,
)
# The only rows of the January 2025 extract that newer editions say otherwise (decision 0056).
CHANGED = {
    "00102160": "left the standard's IODs",
    "00321033": "gained the Clean Descriptors option, and an IOD",
}
# The rows of 2025b that a second-hand list had coarsely, and what the edition says.
MENDED = {"00100042", "0040B020"}
EXTRACT = {
    "rtnSafePrivOpt": "retain_safe_private", "rtnUIDsOpt": "retain_uids", "rtnDevIdOpt": "retain_device",
    "rtnInstIdOpt": "retain_institution", "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_full_dates", "rtnLongModifDatesOpt": "retain_modified_dates",
    "cleanDescOpt": "clean_descriptors", "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}  # fmt: skip


def test_the_types_follow_byte_for_byte_from_the_package_they_name(tmp_path):
    pytest.importorskip("highdicom")
    make_tables.main(["--types", "--into", str(tmp_path)])
    assert (tmp_path / "iod_types.json").read_bytes() == (TABLES / "iod_types.json").read_bytes()


@HAS_SHARED
def test_the_vendors_rows_follow_byte_for_byte_from_the_knowledge_base(tmp_path):
    make_tables.main(["--vendor-private", str(SHARED / "tcia_private_tags.csv"), "--into", str(tmp_path)])
    made = (tmp_path / "safe_private_vendor.json").read_bytes()
    assert made == (TABLES / "safe_private_vendor.json").read_bytes()


@HAS_PART15
def test_the_tables_of_part_15_follow_byte_for_byte_from_it(tmp_path):
    make_tables.main(["--part15", str(PART15), "--into", str(tmp_path)])
    for name in ("annex_e.json", "sr_content.json", "safe_private.json"):
        assert (tmp_path / name).read_bytes() == (TABLES / name).read_bytes(), name


@HAS_SHARED
def test_every_row_of_the_january_2025_extract_is_here_with_all_its_columns():
    source = json.loads((SHARED / "confidentiality_profile_attributes.json").read_text(encoding="utf-8"))
    rows = {row["tag"]: row for row in load_table("annex_e.json")["rows"]}
    assert len(source) == 621
    differs = set()
    for entry in source:
        tag = entry["id"].upper() if "where" not in entry["id"].lower() else "PRIVATE"
        row = rows[tag]
        options = {name: entry[key] for key, name in EXTRACT.items() if entry.get(key)}
        if (row["basic"], row["options"], row["standard_iod"]) != (
            entry["basicProfile"], options, entry["stdCompIOD"] == "Y",
        ):  # fmt: skip
            differs.add(tag)
    assert differs == set(CHANGED)


@HAS_SHARED
def test_the_coarse_rows_of_2025b_are_settled():
    source = json.loads((SHARED / "annexE_merged.json").read_text(encoding="utf-8"))
    coarse = {tag: entry for tag, entry in source.items() if "2025b" in entry["src"]}
    rows = {row["tag"]: row for row in load_table("annex_e.json")["rows"]}
    assert len(coarse) == 34
    mended = set()
    for tag, entry in coarse.items():
        options = {EXTRACT[key]: code for key, code in entry["opts"].items()}
        kept = {name: code for name, code in rows[tag]["options"].items() if name in options}
        if (rows[tag]["basic"], kept) != (entry["basic"], options):
            mended.add(tag)
    assert mended == MENDED


@HAS_SHARED
def test_the_safe_rows_of_the_older_extract_are_all_here():
    source = json.loads((SHARED / "safe_private_E3101.json").read_text(encoding="utf-8"))
    rows = {
        (row["creator"], row["group"], row["element"]): row for row in load_table("safe_private.json")["rows"]
    }
    assert len(source) == 87
    other = []
    for entry in source:
        row = rows[entry["creator"], entry["group"].upper(), entry["elem"][-2:].upper()]
        if row["vr"] != entry["vr"]:
            other.append((row["meaning"], entry["vr"], row["vr"]))
    assert other == [("Graphic Line Color", "CS", "UL")]  # as 2025e and later print it


@pytest.mark.parametrize(
    ("creator", "group", "element", "vr"),
    [
        ("GEMS_PARM_01", "0043", "39", "IS"),  # b-value
        ("SIEMENS MR HEADER", "0019", "0C", "IS"),  # b-value
        ("SIEMENS MR HEADER", "0019", "0E", "FD"),  # gradient direction
        ("SIEMENS MR HEADER", "0019", "27", "FD"),  # b-matrix
        ("Philips Imaging DD 001", "2001", "03", "FL"),  # b-factor
        ("Philips MR Imaging DD 001", "2005", "B0", "FL"),  # direction, right to left
        ("Philips PET Private Group", "7053", "00", "DS"),  # SUV factor
        ("Philips PET Private Group", "7053", "09", "DS"),  # activity concentration
        ("GEMS_PETD_01", "0009", "38", "FL"),  # tracer activity
        ("GEMS_PETD_01", "0009", "3B", "DT"),  # when it was given: shifted
        ("SIEMENS MED PT", "0071", "22", "DT"),  # decay correction: shifted
        ("GEMS_ACQU_01", "0019", "CC", "SS"),  # velocity encoding
        ("Philips Imaging DD 001", "2001", "1A", "FL"),  # velocity
        ("ELSCINT1", "00E1", "21", "DS"),  # dose length product
    ],
)
def test_values_that_a_reviewer_computes_with_are_on_a_safe_list(creator, group, element, vr):
    rows = [*load_table("safe_private_vendor.json")["rows"], *load_table("safe_private.json")["rows"]]
    found = [
        row for row in rows if (row["creator"], row["group"], row["element"]) == (creator, group, element)
    ]
    assert found
    assert found[-1]["vr"] == vr


def test_no_safe_row_is_a_csa_header_or_names_somebody():
    rows = load_table("safe_private_vendor.json")["rows"]
    assert len(rows) > 1400
    for row in rows:
        assert row["vr"] in make_tables.VENDOR_VRS
        assert "CSA" not in row["creator"]
        assert not {"name", "patient", "id", "serial"} & set(
            row["meaning"].casefold().replace("_", " ").split()
        )
    standard = load_table("safe_private.json")["rows"]
    assert not [row for row in standard if "CSA" in row["creator"]]


def docbook(rows: list[tuple[str, ...]], heads: tuple[str, ...] = HEADS) -> str:
    cells = "".join(
        "<tr>" + "".join(f"<td><para>{cell}</para></td>" for cell in line) + "</tr>"
        for line in [heads, *rows]
    )
    return (
        '<book xmlns="http://docbook.org/ns/docbook"><subtitle>DICOM PS3.15 2099z - Security</subtitle>'
        f'<table label="E.1-1"><thead/><tbody>{cells}</tbody></table></book>'
    )


def row_of(tag: str, basic: str = "X", **options: str) -> tuple[str, ...]:
    named = {name: head for head, name in make_tables.OPTIONS.items()}
    cells = {named[name]: code for name, code in options.items()}
    return ("Name\u200b", tag, "N", "Y", basic, *(cells.get(head, "") for head in make_tables.OPTIONS))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(make_tables.FEWEST, "E.1-1", 1)


def read(path: Path, text: str) -> make_tables.Part15:
    (path / "part15.xml").write_text(text, encoding="utf-8")
    return make_tables.Part15(path / "part15.xml")


def test_a_row_is_read_by_the_heads_of_its_columns(tmp_path, few):
    moved = (*HEADS[:5], *reversed(HEADS[5:]))
    line = row_of("(0010,4000)", clean_descriptors="C")
    part = read(tmp_path, docbook([(*line[:5], *reversed(line[5:]))], moved))
    table = make_tables.annex_e(part, {})
    assert table["edition"].startswith("PS3.15 2099z Table E.1-1")
    assert table["rows"] == [{
        "tag": "00104000", "name": "Name", "vr": "LT", "retired": False, "standard_iod": True, "basic": "X",
        "options": {"clean_descriptors": "C"},
    }]  # fmt: skip


def test_masks_and_the_private_row_keep_their_form(tmp_path, few):
    part = read(tmp_path, docbook([row_of("(60xx,3000)"), row_of("(gggg,eeee) where gggg is odd")]))
    assert [row["tag"] for row in make_tables.annex_e(part, {})["rows"]] == ["60XX3000", "PRIVATE"]


@pytest.mark.parametrize("code", ["Q", "X/Y", ""])
def test_a_code_that_table_e_1_1a_does_not_have_is_refused(tmp_path, few, code):
    with pytest.raises(ValueError, match="no action"):
        make_tables.annex_e(read(tmp_path, docbook([row_of("(0010,4000)", code)])), {})


def test_a_table_that_lost_rows_or_cells_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not shaped"):
        make_tables.annex_e(read(tmp_path, docbook([row_of("(0010,4000)")])), {})


def test_a_broken_line_is_refused(tmp_path, few):
    with pytest.raises(ValueError, match="not shaped"):
        make_tables.annex_e(read(tmp_path, docbook([row_of("(0010,4000)")[:-1]])), {})


def test_concepts_that_name_somebody_are_those_of_table_e_3_4_1():
    handled = {
        (row["scheme"], row["code"]): row["handling"] for row in load_table("sr_concepts.json")["rows"]
    }
    for row in load_table("sr_content.json")["rows"]:
        key = (row["scheme"], row["code"])
        if row["type"] in {"TEXT", "PNAME"} and "clean_descriptors" not in row["options"]:
            assert handled[key] == "identifier", row["meaning"]
        elif row["type"] == "TEXT":
            assert key not in handled, f"{row['meaning']} is cleaned, not replaced"
