from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.datadict import DicomDictionary

from anonymizer import profile as profiles
from anonymizer.attribute_types import load_table
from anonymizer.elements import DataSet, Element
from anonymizer.errors import ProfileError
from anonymizer.profile import ACTION_WORDS, describe, load_profile
from anonymizer.writer import write_part10
from tests.unit.anonymizer import made

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "ps3"
PLANTED = {
    "LO": b"SECRET", "SH": b"SECRET", "ST": b"SECRET", "LT": b"SECRET", "UT": b"SECRET", "UC": b"SECRET",
    "PN": b"SECRET^A", "AE": b"SECRET", "UR": b"http://SECRET/", "OB": b"SECRET", "UN": b"SECRET", "OW": b"SECRET",
    "CS": b"SECRET", "UI": b"1.2.777.88.99.1",
    "DA": b"19830217", "DT": b"19830217101112", "AS": b"093Y",
}  # fmt: skip


def test_every_attribute_of_the_dictionary_is_decided():
    for name in profiles.PROFILES:
        rows = list(describe(load_profile(name)))
        public = [tag for tag in DicomDictionary if not tag >> 16 & 1]
        assert {row.tag for row in rows} >= {f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in public}
        assert all(row.action in ACTION_WORDS and row.words and row.source for row in rows)
        assert {"PRIVATE", "(50XX,XXXX)", "(60XX,3000)", "(60XX,4000)"} <= {row.tag for row in rows}


def test_the_table_names_its_edition_and_carries_every_option():
    table = load_table("annex_e.json")
    assert "2024b" in table["edition"]
    assert "2025b" in table["edition"]
    assert len(table["rows"]) == 655
    assert len(table["columns"]) == 10
    dates = [row for row in table["rows"] if row["vr"] in {"DA", "DT"} and row["basic"] != "X"]
    assert all("retain_modified_dates" in row["options"] for row in dates if row["tag"] != "00100030")


def test_an_option_turns_its_column_on():
    default, strict = load_profile("mdt-default"), load_profile("strict")
    assert default.rule(0x00081030, "LO").action == "C"
    assert strict.rule(0x00081030, "LO").action == "X"
    assert default.rule(0x00101010, "AS").action == "K"
    assert strict.rule(0x00080020, "DA").action == "Z"
    assert default.rule(0x00080018, "UI").action == "U"
    assert default.rule(0x00880200, "SQ").forced


def test_digest_names_the_rules(monkeypatch):
    first = load_profile("mdt-default").digest
    assert first != load_profile("strict").digest
    load_profile.cache_clear()
    table = json.loads(json.dumps(load_table("annex_e.json")))
    table["rows"] = table["rows"][1:]
    monkeypatch.setattr(
        profiles, "load_table", lambda name: table if name == "annex_e.json" else load_table(name)
    )
    assert load_profile("mdt-default").digest != first
    load_profile.cache_clear()


def test_unknown_profile_is_refused():
    with pytest.raises(ProfileError, match="mdt-default"):
        load_profile("lenient")


def planted(tags: list[tuple[int, str]], depth: int = 0) -> bytes:
    """A CT that carries a secret in each attribute, at the top or inside sequences that nobody removes."""
    ds = DataSet()
    for tag, vr in tags:
        ds.put(Element(tag, vr, PLANTED[vr]))
    for _ in range(depth):
        outer = DataSet()
        outer.put(Element(0x00089215, "SQ", items=[ds]))  # Derivation Code Sequence
        ds = outer
    for tag, value in (
        (0x00080016, b"1.2.840.10008.5.1.4.1.1.2"),
        (0x00080018, b"1.2.777.1"),
        (0x0020000D, b"1.2.777.2"),
        (0x0020000E, b"1.2.777.3"),
    ):
        ds.put(Element(tag, "UI", value))
    return b"".join(write_part10(ds, transfer_syntax="1.2.840.10008.1.2.1"))


def rows_that_must_go(name: str) -> list[tuple[int, str]]:
    profile = load_profile(name)
    found = []
    for row in load_table("annex_e.json")["rows"]:
        if row["tag"] == "PRIVATE" or "X" in row["tag"] or row["vr"] not in PLANTED:
            continue
        tag, vr = int(row["tag"], 16), row["vr"]
        rule = profile.rule(tag, vr)
        if tag < 0x00080000 or tag not in DicomDictionary:
            continue  # no data set holds them, or they go as unknown
        if DicomDictionary[tag][0] == vr and rule.action not in {"K", "C"}:
            found.append((tag, vr))
    return found


@pytest.mark.parametrize("name", ["mdt-default", "strict"])
@pytest.mark.parametrize("depth", [0, 1, 7])
def test_the_value_of_an_attribute_that_must_go_is_in_no_output(name, depth):
    tags = rows_that_must_go(name)
    assert len(tags) > 200
    content = planted(tags, depth)
    assert content.count(b"SECRET") > 150
    out = made.deidentified(content, name).content
    for value in (b"SECRET", b"1.2.777.88", b"1.2.777.1", *((b"19830217",) if name == "strict" else ())):
        assert value not in out


def test_dropping_any_one_removing_row_is_noticed(monkeypatch):
    """The mutation check: without its row, each of these attributes would leak, and the test above would fail.

    Patient ID is left out: it is set anew whatever its row says.
    """
    full = load_profile("mdt-default")
    for tag, vr in rows_that_must_go("mdt-default"):
        if vr not in {"LO", "SH", "ST", "LT", "UT", "UC"} or tag == 0x00100020:
            continue
        monkeypatch.delitem(full.rules, tag)
        assert b"SECRET" in made.deidentified(planted([(tag, vr)])).content, f"{tag:08X}"
        monkeypatch.undo()
        assert b"SECRET" not in made.deidentified(planted([(tag, vr)])).content, f"{tag:08X}"


@pytest.mark.skipif(not SHARED.exists(), reason="the published extracts are not on this machine")
def test_the_tables_follow_from_the_published_extract():
    source = json.loads((SHARED / "confidentiality_profile_attributes.json").read_text(encoding="utf-8"))
    rows = {row["tag"]: row for row in load_table("annex_e.json")["rows"]}
    compared = 0
    for entry in source:
        row = rows.get(entry["id"].upper())
        if row is not None:
            assert row["basic"] == entry["basicProfile"]
            compared += 1
    assert compared > 600


def test_make_tables_is_runnable_and_explains_itself():
    shown = subprocess.run(
        [sys.executable, "-m", "anonymizer.tables.make_tables", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--annex-e" in shown.stdout


def test_every_table_reads_as_json_with_an_edition():
    for name in profiles.TABLES:
        assert load_table(name)["edition"]
    assert io.BytesIO(json.dumps(load_table("safe_private.json")).encode()).read(1) == b"{"
