from __future__ import annotations

import pickle

import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from anonymizer.engine import Deidentified, deidentify_instance
from anonymizer.known import Known
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from tests.unit.anonymizer import made


@pytest.mark.parametrize("profile", ["mdt-default", "strict"])
@pytest.mark.parametrize(
    "make",
    [
        made.planted_ct,
        made.mr,
        made.pet,
        made.report,
        made.structure_set,
        made.us,
        made.presentation,
        made.scanned,
    ],
)
def test_no_planted_identifier_is_left_anywhere_in_the_bytes(make, profile):
    assert made.secrets_in(made.encoded(make()))
    assert made.secrets_in(made.deidentified(make(), profile).content) == []


def test_clinical_words_stay_where_the_name_goes():
    out = made.reread(made.deidentified(made.planted_ct()))
    assert "Hodgkin" in out.StudyDescription
    assert "Parkinson" in out.AdditionalPatientHistory
    assert "2019" in out.AdditionalPatientHistory
    assert out.ReceiveCoilName.startswith("HEAD")
    assert out.SeriesDescription == "Thorax 1.0 Br40"
    assert out.Manufacturer == "SIEMENS"
    assert out.SoftwareVersions == "syngo CT VB10A"


def test_what_a_reviewer_needs_is_kept():
    source, out = made.ct(), made.reread(made.deidentified(made.ct()))
    for name in (
        "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "Modality", "ImageType", "KVP", "PixelSpacing",
        "ImagePositionPatient", "RescaleIntercept", "StudyTime", "SeriesNumber", "InstanceNumber", "BodyPartExamined",
    ):  # fmt: skip
        assert out[name].value == source[name].value, name
    assert out.PixelData == source.PixelData


def test_patient_gets_one_pseudonym_and_no_birth_date():
    for make in (made.ct, made.report, made.structure_set):
        out = made.reread(made.deidentified(make()))
        assert out.PatientID == Pseudonyms(made.KEY).patient_id()
        assert str(out.PatientName) == Pseudonyms(made.KEY).patient_name()
        assert out.PatientBirthDate == ""


def test_safe_private_is_kept_and_what_it_hides_is_not():
    out = made.reread(made.deidentified(made.planted_ct()))
    assert out[0x0019, 0x1023].value == 39.375
    assert out[0x0019, 0x0010].value == "GEMS_ACQU_01"
    assert "efgre3d" in out[0x0019, 0x109E].value
    assert (0x0043, 0x106F) not in out
    assert (0x0043, 0x0010) not in out
    assert (0x0009, 0x1001) not in out
    assert (0x0009, 0x0010) not in out
    diffusion = made.reread(made.deidentified(made.mr()))
    assert diffusion[0x0019, 0x100C].value == 1000
    assert list(diffusion[0x0019, 0x100E].value) == [0.1, 0.2, 0.3]
    assert not [e for e in made.reread(made.deidentified(made.mr(), "strict")) if e.tag.is_private]


def test_a_safe_element_under_another_creator_is_removed():
    ds = made.mr()
    ds[0x0019, 0x0010].value = "SIEMENS MR HEADER COPY"
    assert (0x0019, 0x100C) not in made.reread(made.deidentified(ds))


def test_overlays_curves_icons_and_originals_are_gone_at_every_depth():
    ds = made.planted_ct()
    inner = Dataset()
    inner.OriginalAttributesSequence = ds.OriginalAttributesSequence
    inner.IconImageSequence = ds.IconImageSequence
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = ds.SOPClassUID, "1.2.3.4.5.6"
    ds.SourceImageSequence = [inner]
    out = made.reread(made.deidentified(ds))
    for found in (out, out.SourceImageSequence[0]):
        assert "OriginalAttributesSequence" not in found
        assert "IconImageSequence" not in found
    assert not [e for e in out if 0x5000 <= e.tag.group <= 0x60FF]


def test_times_stay_and_dates_shift_together_so_that_uptake_and_midnight_stay_right():
    source, out = made.pet(), made.reread(made.deidentified(made.pet()))
    days = Pseudonyms(made.KEY).shift_days
    assert days < -300
    assert days % 7 == 0
    dose = out.RadiopharmaceuticalInformationSequence[0]
    before = source.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    from pydicom.valuerep import DT

    gap = DT(source.AcquisitionDateTime) - DT(before)
    assert DT(out.AcquisitionDateTime) - DT(dose.RadiopharmaceuticalStartDateTime) == gap
    assert (DT(out.AcquisitionDateTime) - DT(source.AcquisitionDateTime)).days == days
    assert out.AcquisitionDateTime.endswith(".250+0100")
    assert out.StudyTime == source.StudyTime
    assert dose.RadiopharmaceuticalStartTime == "225500"
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


def test_references_between_objects_of_a_case_hold():
    image = made.deidentified(made.ct())
    contours = made.reread(made.deidentified(made.structure_set()))
    report = made.reread(made.deidentified(made.report()))
    frame = made.reread(image).FrameOfReferenceUID
    first = contours.ReferencedFrameOfReferenceSequence[0]
    assert (
        first.FrameOfReferenceUID
        == frame
        == contours.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    )
    study = first.RTReferencedStudySequence[0]
    assert study.ReferencedSOPInstanceUID == image.study_instance_uid
    assert study.RTReferencedSeriesSequence[0].SeriesInstanceUID == image.series_instance_uid
    drawn = contours.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    assert drawn.ReferencedSOPInstanceUID == image.sop_instance_uid
    assert drawn.ReferencedSOPClassUID == image.sop_class_uid
    assert contours.StructureSetROISequence[0].ROIName == "GTV hilus sin"
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == image.study_instance_uid
    listed = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert listed.ReferencedSOPInstanceUID == image.sop_instance_uid


def test_a_presentation_state_keeps_its_marks_and_references_and_loses_the_name():
    out = made.reread(made.deidentified(made.presentation()))
    mark = out.GraphicAnnotationSequence[0]
    assert "14 mm" in mark.TextObjectSequence[0].UnformattedTextValue
    assert list(mark.GraphicObjectSequence[0].GraphicData) == [1.0, 1.0, 5.0, 5.0]
    shown = out.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert shown.ReferencedSOPInstanceUID == made.deidentified(made.ct()).sop_instance_uid


def test_a_known_identifier_is_found_in_every_attribute_of_the_dictionary_that_can_hold_it():
    """Unlisted is not safe: each string attribute carries the patient once, at the top and one level down."""
    content = made.encoded(everything())
    assert made.secrets_in(content)
    assert made.secrets_in(made.deidentified(content).content) == []
    outer = made.ct()
    inner = everything()
    del inner.PixelData
    outer.DerivationCodeSequence = [inner]
    assert made.secrets_in(made.deidentified(outer).content) == []


PLANTS = {
    "LO": "Krasheninnikova", "SH": "Krasheninnikova", "ST": "for Krasheninnikova, Mölnlycke", "LT": "QX7734410",
    "UT": "Birger Wallenstråle", "UC": "asa.k@example.org", "PN": "Krasheninnikova^Åsa", "CS": "QX7734410",
    "DS": "196503122380", "IS": "6503122380", "AE": "QX7734410", "UR": "http://h/QX7734410", "DA": "19650312",
    "DT": "19650312101112", "UI": "1.2.752.19650312.7",
}  # fmt: skip


def everything() -> Dataset:
    import warnings

    ds = made.ct()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag, entry in DicomDictionary.items():
            if (
                entry[0] in PLANTS
                and tag >> 16 >= 8
                and tag not in {0x00080005, 0x00080016, 0x00080018}
                and tag not in ds
            ):
                ds.add_new(tag, entry[0], PLANTS[entry[0]])
    return ds


def test_a_uid_inside_prose_follows_the_mapping():
    ds = made.ct()
    ds.ImageComments = f"compare with {made.ROOT}.9.7, series of 2026"
    out = made.reread(made.deidentified(ds))
    assert Pseudonyms(made.KEY).uid(f"{made.ROOT}.9.7") in out.ImageComments
    assert made.ROOT not in out.ImageComments


def test_well_known_class_and_coding_uids_stay():
    ds = made.ct()
    ds.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"
    out = made.reread(made.deidentified(ds))
    assert out.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert out.SOPClassUID == ds.SOPClassUID


def test_age_over_89_is_shown_as_90():
    for given, shown in (("089Y", "089Y"), ("090Y", "090Y"), ("093Y", "090Y"), ("011M", "011M")):
        ds = made.ct()
        ds.PatientAge = given
        assert made.reread(made.deidentified(ds)).PatientAge == shown


def test_file_meta_preamble_and_tail_are_new():
    ds = made.ct()
    ds.preamble = b"SECRET".ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "SECRETAE"
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3"
    ds.file_meta.PrivateInformation = b"SECRET"
    content = made.encoded(ds) + b"SECRET after the end"
    result = made.deidentified(content)
    assert b"SECRET" not in result.content
    assert result.content[:132] == bytes(128) + b"DICM"
    assert {e.place for e in result.report.entries} >= {"preamble", "after the data set"}
    zeros = made.deidentified(made.encoded(made.ct()) + bytes(512))
    assert zeros.content == made.deidentified(made.ct()).content


def test_method_says_what_was_done():
    out = made.reread(made.deidentified(made.ct()))
    assert out.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in out.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113103", "113104", "113105", "113107", "113108", "113111"]
    assert out.DeidentificationMethod[0] == "Consilium mdt-default"
    strict = made.reread(made.deidentified(made.ct(), "strict"))
    assert [item.CodeValue for item in strict.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert strict.LongitudinalTemporalInformationModified == "REMOVED"
    assert "StudyDescription" not in strict
    assert "PatientAge" not in strict


def test_identified_profile_passes_bytes_unchanged():
    content = made.encoded(made.planted_ct())
    assert made.deidentified(content, "identified").content == content


def test_second_pass_changes_nothing():
    for make in (made.planted_ct, made.pet, made.report, made.structure_set, made.mr):
        once = made.deidentified(make())
        assert made.deidentified(once.content).content == once.content


def test_a_sealed_object_with_something_planted_later_is_cleaned_again():
    ds = made.reread(made.deidentified(made.ct()))
    ds.PatientName, ds.ImageComments = "Krasheninnikova^Åsa", "Krasheninnikova"
    ds.ReferringPhysicianName = "Wallenstråle^Birger"
    assert made.secrets_in(made.deidentified(made.encoded(ds)).content) == []


def test_report_counts_and_holds_no_value():
    result = made.deidentified(made.planted_ct())
    shown = str(result.report.to_json())
    assert made.secrets_in(shown.encode()) == []
    assert result.report.counts["X"] > 10
    assert result.report.counts["U"] >= 4
    assert result.report.counts["S"] >= 4
    assert result.report.counts["K"] > 25
    places = {entry.place for entry in result.report.entries}
    assert "(0018,A001)[0](0008,0080)" in places
    assert len(result.report.profile_digest) == 64


def test_index_shows_only_safe_values():
    index = made.deidentified(made.planted_ct()).index
    assert made.secrets_in(str(index).encode()) == []
    assert index["Modality"] == "CT"
    assert index["Rows"] == "16"
    assert index["PatientID"].startswith("MDT-")
    assert made.deidentified(made.report()).index["ConceptName"].startswith("18748-4\\LN\\")


def test_result_can_be_sent_to_another_process():
    result = made.deidentified(made.us())
    again = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own value
    assert isinstance(again, Deidentified)
    assert again.content == result.content
    assert again.look == result.look
    assert again.index == result.index


def test_large_pixel_data_is_passed_on_not_copied():
    ds = made.ct()
    made.pixels(ds, 512)
    ds.PixelData = bytes(2 * 512 * 512)
    content = made.encoded(ds)
    result = made.deidentified(content)
    large = [piece for piece in result.pieces if len(piece) > 500_000]
    assert [type(piece) for piece in large] == [memoryview]
    assert large[0].obj is content


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.113619.4.26"), "unknown_sop_class"),
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1"), "encapsulated_document"),
        (
            lambda ds: (ds.__delitem__("SOPClassUID"), ds.file_meta.__delitem__("MediaStorageSOPClassUID")),
            "not_dicom",
        ),
    ],
)
def test_what_no_rule_can_judge_is_held_with_a_reason(change, code):
    ds = made.ct()
    change(ds)
    content = __import__("io").BytesIO()
    ds.save_as(content)
    verdict = made.refused(content.getvalue())
    assert verdict.code == code
    assert verdict.reason.endswith(".")
    assert made.secrets_in(verdict.reason.encode()) == []


def test_an_object_without_a_study_gets_a_place_of_its_own():
    ds = made.ct()
    del ds.StudyInstanceUID, ds.SeriesInstanceUID
    result = made.deidentified(ds)
    assert result.study_instance_uid.startswith("2.25.")
    assert result.series_instance_uid != result.study_instance_uid
    assert {"(0020,000D)", "(0020,000E)"} <= {entry.place for entry in result.report.entries}
    assert made.deidentified(result.content).content == result.content


def test_nothing_known_still_cleans_by_table_and_kind():
    result = deidentify_instance(
        made.encoded(made.ct()),
        profile=load_profile("mdt-default"),
        pseudonyms=Pseudonyms(made.KEY),
        known=Known(),
    )
    out = made.reread(result)
    assert "InstitutionName" not in out
    assert "Wallen" not in str(out.ReferringPhysicianName)


def test_an_attribute_under_a_foreign_representation_is_not_believed():
    ds = made.ct()
    content = made.encoded(ds)
    wrong = content.replace(b"\x10\x00\x40\x10LO", b"\x10\x00\x40\x10US")
    assert made.secrets_in(made.deidentified(wrong).content) == []
    named = made.encoded(ds).replace(b"\x08\x00\x90\x00PN", b"\x08\x00\x90\x00US")
    assert made.secrets_in(made.deidentified(named).content) == []
