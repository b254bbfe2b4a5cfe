from __future__ import annotations

import dataclasses
import io
import json

import pytest
from pydicom.datadict import DicomDictionary, tag_for_keyword

from anonymizer import profile as profiles
from anonymizer.annex import describe, effect_of
from anonymizer.annex_words import KINDS
from anonymizer.attribute_types import load_table
from anonymizer.elements import ALL_VRS, TEXT_VRS, DataSet, Element, newer_attributes, spell
from anonymizer.errors import ProfileError
from anonymizer.profile import ACTION_WORDS, load_profile
from anonymizer.writer import write_part10
from tests.unit.anonymizer import made

PLANTED = {
    "LO": b"SECRET", "SH": b"SECRET", "ST": b"SECRET", "LT": b"SECRET", "UT": b"SECRET", "UC": b"SECRET",
    "PN": b"SECRET^A", "AE": b"SECRET", "UR": b"http://SECRET/", "OB": b"SECRET", "UN": b"SECRET", "OW": b"SECRET",
    "CS": b"SECRET", "UI": b"1.2.777.88.99.1",
    "DA": b"19830217", "DT": b"19830217101112", "AS": b"093Y",
}  # fmt: skip


PUBLIC = {tag: entry[0].split(" or ")[0] for tag, entry in DicomDictionary.items() if not tag >> 16 & 1} | {
    tag: vr for tag, (vr, _, _) in newer_attributes().items()
}


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_every_attribute_of_the_dictionary_is_decided(name):
    rows = {row.tag: row for row in describe(load_profile(name))}
    assert len(PUBLIC) > 5200
    assert set(rows) == {spell(tag) for tag in PUBLIC} | {"PRIVATE", "50XXXXXX", "60XX3000", "60XX4000"}
    assert all(row.action in ACTION_WORDS and row.kind in KINDS.values() for row in rows.values())
    assert all(row.words and row.source for row in rows.values())


@pytest.mark.parametrize("name", ["mdt-default", "strict"])
@pytest.mark.parametrize("vr", sorted(ALL_VRS))
def test_every_representation_is_decided_and_no_text_date_or_name_is_kept_as_it_is(name, vr):
    profile = load_profile(name)
    action = profile.by_vr(vr).action
    assert action in ACTION_WORDS
    effect = effect_of(action, vr)
    if vr in TEXT_VRS | {"PN", "DA", "DT", "UI", "AE", "UR", "UN", "OB"}:
        assert KINDS[effect] not in {"kept", "in turn"}
    if name == "strict" and vr in TEXT_VRS | {"DA", "DT", "TM"}:
        assert effect == "X/Z/D"


def test_newer_attributes_are_those_that_pydicom_lacks():
    """When pydicom learns them, its word counts and the row goes."""
    rows = load_table("newer_attributes.json")["rows"]
    assert [row["tag"] for row in rows] == sorted(row["tag"] for row in rows)
    assert len(rows) == 175
    for row in rows:
        assert int(row["tag"], 16) not in DicomDictionary
        assert row["vr"] in ALL_VRS
    named = {row["tag"] for row in load_table("annex_e.json")["rows"] if "X" not in row["tag"]} - {"PRIVATE"}
    assert {tag for tag in named if int(tag, 16) not in DicomDictionary} <= {row["tag"] for row in rows}


def test_house_rules_name_attributes_outside_the_table_but_for_what_holds_the_original():
    rows = load_table("extra_attributes.json")["rows"]
    table = {row["tag"] for row in load_table("annex_e.json")["rows"]}
    assert [row["tag"] for row in rows] == sorted({row["tag"] for row in rows})
    for row in rows:
        assert DicomDictionary[int(row["tag"], 16)][4] == row["keyword"]
        assert row["handling"] == "drop" or row["tag"] not in table, row["keyword"]


def test_the_table_names_its_edition_and_carries_every_option():
    table = load_table("annex_e.json")
    assert table["edition"] == "PS3.15 2026c Table E.1-1 (656 rows)"
    assert len(table["rows"]) == 656
    assert len(table["columns"]) == 10
    assert {name for row in table["rows"] for name in row["options"]} == set(table["columns"])
    dates = [row for row in table["rows"] if row["vr"] in {"DA", "DT"} and row["tag"] != "00100030"]
    assert [row["name"] for row in dates if "retain_modified_dates" not in row["options"]] == [
        "GPS Time Stamp"
    ]


@pytest.mark.parametrize(
    ("tag", "basic", "options"),
    [
        ("00100010", "Z", {}),
        ("00100020", "Z/D", {}),
        ("00100030", "Z", {}),
        ("00080080", "X/Z/D", {"retain_institution": "K"}),
        ("00081030", "X", {"clean_descriptors": "C"}),
        ("00102110", "X", {"retain_patient_characteristics": "C", "clean_descriptors": "C"}),
        ("00181000", "X/Z/D", {"retain_device": "K"}),
        ("00181002", "U", {"retain_uids": "K", "retain_device": "K"}),
        ("00181078", "X", {"retain_full_dates": "K", "retain_modified_dates": "C"}),
        ("00082112", "X/Z/U*", {"retain_uids": "K"}),
        ("00700001", "D", {"clean_graphics": "C"}),
        ("0040A730", "D", {"clean_structured_content": "C"}),
        # What newer editions added or changed.
        ("00100012", "X", {}),
        ("00100042", "X", {"retain_patient_characteristics": "C", "clean_descriptors": "C"}),
        ("00102161", "X", {"retain_patient_characteristics": "K"}),
        ("00321033", "X", {"clean_descriptors": "C"}),
        ("0040B020", "X/D", {"clean_structured_content": "C"}),
        ("0040B034", "X", {"retain_full_dates": "K", "retain_modified_dates": "C"}),
        ("0040E012", "X", {}),
        ("00700006", "D", {"clean_descriptors": "C"}),
        ("300A0054", "U", {"retain_uids": "K"}),
    ],
)
def test_golden_rows_of_table_e_1_1(tag, basic, options):
    row = next(row for row in load_table("annex_e.json")["rows"] if row["tag"] == tag)
    assert (row["basic"], row["options"]) == (basic, options)


def test_an_option_turns_its_column_on():
    default, strict = load_profile("mdt-default"), load_profile("strict")
    assert default.rule(0x00081030, "LO").action == "C"
    assert strict.rule(0x00081030, "LO").action == "X"
    assert default.rule(0x00101010, "AS").action == "K"
    assert strict.rule(0x00080020, "DA").action == "Z"
    assert default.rule(0x00080018, "UI").action == "U"
    assert default.rule(0x00880200, "SQ").forced


@pytest.mark.parametrize(
    "keyword",
    [
        "StudyDescription", "SeriesDescription", "ProtocolName", "AcquisitionProtocolDescription", "ImageComments",
        "DerivationDescription", "AcquisitionComments", "AdditionalPatientHistory", "Allergies", "MedicalAlerts",
        "ContrastBolusAgent", "RequestedProcedureDescription", "ReasonForStudy", "ReasonForTheRequestedProcedure",
        "PatientComments", "PerformedProcedureStepDescription", "ROIName", "RTPlanLabel", "SegmentLabel", "CodeMeaning",
        "RequestingService", "Occupation", "WindowCenterWidthExplanation", "LUTExplanation", "ReceiveCoilName",
        "SequenceName", "ImageID", "FilterMaterial", "DocumentTitle", "ContentDescription", "TextValue",
        "UnformattedTextValue", "ChannelLabel",
    ],
)  # fmt: skip
def test_words_that_a_reviewer_needs_are_cleaned_and_not_removed(keyword):
    tag = tag_for_keyword(keyword)
    rule = load_profile("mdt-default").rule(tag, PUBLIC[tag])
    assert (rule.action, rule.forced) == ("C", False)


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("PatientAge", "K"), ("PatientSex", "K"), ("PatientSize", "K"), ("PatientWeight", "K"),
        ("SmokingStatus", "K"), ("PregnancyStatus", "K"), ("RadiopharmaceuticalStartDateTime", "C"),
        ("RadiopharmaceuticalStartTime", "C"), ("PerformedProcedureStepStartDate", "C"),
        ("ScheduledProcedureStepStartDateTime", "C"), ("TimezoneOffsetFromUTC", "C"), ("LastMenstrualDate", "C"),
        ("Manufacturer", "T"), ("ManufacturerModelName", "T"), ("SoftwareVersions", "T"),
        ("DeviceSerialNumber", "X/Z/D"), ("StationName", "X/Z/D"), ("DeviceUID", "U"), ("DetectorID", "X/D"),
        ("InstitutionName", "X/Z/D"), ("OperatorsName", "X/Z/D"), ("PatientBirthDate", "Z"),
        ("PatientBirthDateInAlternativeCalendar", "X"), ("UniformResourceLocatorTrial", "X"),
        ("SOPClassUID", "T"), ("CodingSchemeUID", "T"), ("CreatorVersionUID", "U"),
    ],
)  # fmt: skip
def test_what_the_default_profile_does_to_patient_times_and_device(keyword, action):
    tag = tag_for_keyword(keyword)
    assert load_profile("mdt-default").rule(tag, PUBLIC[tag]).action == action


def test_strict_keeps_no_free_text_and_no_date():
    strict = load_profile("strict")
    for tag, vr in PUBLIC.items():
        rule = strict.rule(tag, vr)
        if vr in TEXT_VRS | {"DA", "DT", "TM"} and tag != 0x00080104:
            assert (
                KINDS[effect_of(rule.action, vr)] in {"removed", "emptied", "replaced"} or rule.action == "T"
            ), spell(tag)


def test_digest_names_the_rules_and_the_words(monkeypatch):
    first = load_profile("mdt-default").digest
    assert first != load_profile("strict").digest
    files = profiles.table_digests()
    assert {f"tables/{name}" for name in profiles.TABLES} < set(files)
    assert "words/clinical.txt" in files
    for name in files:
        changed = files | {name: "0" * 64}
        monkeypatch.setattr(profiles, "table_digests", lambda changed=changed: changed)
        assert dataclasses.replace(load_profile("mdt-default")).digest != first, name
    monkeypatch.undo()
    assert dataclasses.replace(load_profile("mdt-default")).digest == first


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


def test_every_table_reads_as_json_with_an_edition():
    for name in profiles.TABLES:
        assert load_table(name)["edition"]
    assert io.BytesIO(json.dumps(load_table("safe_private.json")).encode()).read(1) == b"{"
