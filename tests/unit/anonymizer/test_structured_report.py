from __future__ import annotations

from anonymizer.pseudonyms import Pseudonyms
from anonymizer.structured_report import concept_handling
from tests.unit.anonymizer import made

OUT = made.reread(made.deidentified(made.report()))
ITEMS = list(OUT.ContentSequence)


def named(value: str):
    return next(item for item in ITEMS if item.ConceptNameCodeSequence[0].CodeValue == value)


def test_tree_keeps_every_item_and_its_concepts():
    source = made.report()
    assert [item.ValueType for item in ITEMS] == [item.ValueType for item in source.ContentSequence]
    for old, new in zip(source.ContentSequence, ITEMS, strict=True):
        assert old.ConceptNameCodeSequence[0].CodeValue == new.ConceptNameCodeSequence[0].CodeValue


def test_findings_measurements_and_references_are_kept():
    texts = [item.TextValue for item in ITEMS if item.ValueType == "TEXT"]
    finding = next(text for text in texts if "Hodgkin" in text)
    assert "14 mm" in finding
    assert "Krasheninn" not in finding
    assert "2026-02-02" not in finding
    assert named("103339001").MeasuredValueSequence[0].NumericValue == 14.5
    assert list(named("111030").GraphicData) == [1.0, 2.0, 3.0, 4.0]
    image = named("260753009").ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == made.deidentified(made.ct()).sop_instance_uid
    coded = next(item for item in ITEMS if item.ValueType == "CODE")
    assert coded.ConceptCodeSequence[0].CodeMeaning == "Malignant lymphoma"


def test_persons_and_identifiers_get_stand_ins():
    pseudonyms = Pseudonyms(made.KEY)
    assert str(named("121029").PersonName) in {
        pseudonyms.patient_name(),
        pseudonyms.person("Krasheninnikova^Åsa"),
    }
    assert str(named("121008").PersonName) == pseudonyms.person("Wallenstråle^Birger")
    observer = OUT.VerifyingObserverSequence[0]
    assert str(observer.VerifyingObserverName).endswith(pseudonyms.person("Wallenstråle^Birger")[3:])
    assert observer.VerifyingObserverIdentificationCodeSequence == [] or (
        "SECRET" not in str(observer.VerifyingObserverIdentificationCodeSequence)
    )
    assert "SECRET" not in named("121030").TextValue
    assert "SECRET" not in named("X9").TextValue
    assert pseudonyms.uid(made.STUDY) == named("121018").UID
    assert named("121031").Date == "19000101"


def test_a_measured_age_over_89_is_capped():
    assert named("121033").MeasuredValueSequence[0].NumericValue == 90


def test_in_the_strict_profile_no_free_text_is_left():
    out = made.reread(made.deidentified(made.report(), "strict"))
    texts = [item.TextValue for item in out.ContentSequence if item.ValueType == "TEXT"]
    assert not any(word in text for text in texts for word in ("Hodgkin", "14 mm"))


def test_concepts_are_told_by_code_or_words():
    assert concept_handling("DCM", "121008", "anything") == "identifier"
    assert concept_handling("99X", "1", "Name of referring physician: name") == "identifier"
    assert concept_handling("99X", "1", "Patient's Date of Birth") == "birth"
    assert concept_handling("99X", "1", "Procedure name") == ""
    assert concept_handling("SCT", "1", "Lesion location") == ""
