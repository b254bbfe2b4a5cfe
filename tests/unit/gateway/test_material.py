"""The demo's material is real enough to be trusted as a test of everything else."""

from __future__ import annotations

import re
import struct
import time
import zipfile
from io import BytesIO

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import ExifTags, Image
from pydicom import dcmread
from pydicom.uid import UID

from gateway.cli.demo.material import make_material
from gateway.cli.demo.people import check_digit, make_people
from gateway.domain.checklist import CATEGORIES, REQUIRED
from tests.factories import ct_instance, ct_instances, ct_study, material, patient, planted_bytes, read


def walk(dataset):
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from walk(item)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_patient():
    first, second = (make_material(None, seed=3, slices=2) for _ in range(2))
    assert first == second
    assert make_people(4).patient != make_people(3).patient or make_people(4).mrn != make_people(3).mrn


def test_a_study_of_64_slices_is_made_within_six_seconds():
    start = time.perf_counter()
    made = make_material(None, seed=9, slices=64)
    assert time.perf_counter() - start < 6
    assert len(made.ct_slices) == 64


@pytest.mark.parametrize("seed", range(50))
def test_people_have_test_numbers_fictional_phones_and_names_that_fit_dicom(seed):
    people = make_people(seed)
    number = people.personnummer.value
    assert re.fullmatch(r"\d{8}-9[89]\d\d", number)
    assert check_digit(number.replace("-", "")[2:-1]) == int(number[-1])
    assert int(number[-2]) % 2 == (people.sex == "M")
    assert 5 <= int(people.phone[-2:]) <= 99
    assert people.phone.startswith("+46 70 174 06 ")
    assert people.email.endswith("@example.org")
    assert people.email.isascii()
    names = [people.patient, people.relative, people.referring, people.radiologist, people.operator]
    assert len({name.plain for name in names}) == len(names)
    assert len(people.patient.dicom) <= 64
    assert min(len(word) for word in people.planted()) >= 5


def test_the_check_digit_is_that_of_the_published_test_numbers():
    assert [check_digit("900101980"), check_digit("900102981")] == [2, 9]


def test_the_patient_file_has_the_documented_shape():
    value = patient(5)
    assert set(value) == {
        "names", "identifiers", "birth_date", "sex", "addresses", "phones", "emails", "relatives", "physicians",
        "institutions",
    }  # fmt: skip
    assert {i["type"] for i in value["identifiers"]} == {"personnummer", "passport", "mrn"}
    assert all(set(i) == {"type", "issuer", "value"} for i in value["identifiers"])
    assert set(value["addresses"][0]) == {"street", "postal_code", "city", "country"}


def test_the_ct_is_one_volume_with_even_spacing_and_one_frame_of_reference():
    slices = [read(content) for content in ct_study(slices=6)]
    assert len({ds.SOPInstanceUID for ds in slices}) == 6
    for keyword in (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "PatientID",
        "PixelSpacing",
    ):
        assert len({str(ds[keyword].value) for ds in slices}) == 1
    heights = [float(ds.ImagePositionPatient[2]) for ds in slices]
    assert np.allclose(np.diff(heights), 2.5)
    assert slices[0].pixel_array.dtype == np.int16
    assert slices[0].pixel_array.shape == (512, 512)
    hounsfield = slices[3].pixel_array.astype(int) - 1024
    assert (hounsfield < -700).any()
    assert (hounsfield > 300).any()
    assert all(UID(ds.SOPInstanceUID).is_valid for ds in slices)


def test_identifiers_are_planted_at_every_depth_of_the_ct():
    made = material()
    ds = read(made.ct_slices[0])
    people = made.people
    text = {
        element.keyword or str(element.tag): str(element.value) for element in walk(ds) if element.VR != "SQ"
    }
    assert people.patient.family in text["StudyDescription"]
    assert text["PatientName"] == people.patient.dicom
    assert ds.OtherPatientIDsSequence[0].PatientID == people.personnummer.value
    assert people.patient.plain in ds.RequestAttributesSequence[0].RequestedProcedureDescription
    assert people.patient.plain in ds.ContributingEquipmentSequence[0].ContributionDescription
    assert people.phone in ds.PatientComments
    safe = ds.private_block(0x0019, "GEMS_ACQU_01")
    assert safe[0x27].value == 0.5
    assert safe[0xA0].value == people.personnummer.value
    preambles = [content[:128] for content in made.ct_slices]
    assert sum(any(preamble) for preamble in preambles) == 1
    assert people.patient.plain.encode("latin-1") in preambles[1]


def test_every_reference_of_the_structure_set_and_the_report_resolves():
    made = material()
    images = {str(read(content).SOPInstanceUID) for content in made.ct_slices}
    known = set(made.original_uids)
    assert images <= known
    for content in (made.rtstruct, made.sr):
        ds = read(content)
        uids = {str(e.value) for e in walk(ds) if e.VR == "UI" and str(e.value).startswith("2.25.")}
        assert uids <= known
        assert uids & images
        assert str(ds.StudyInstanceUID) == str(read(made.ct_slices[0]).StudyInstanceUID)
    structures = read(made.rtstruct)
    assert [roi.ROIName for roi in structures.StructureSetROISequence] == [
        "BODY", "Lung_L", "Lung_R", "SpinalCanal", "GTV_nodule",
    ]  # fmt: skip
    assert all(drawn.ContourSequence for drawn in structures.ROIContourSequence)
    kinds = {element.value for element in walk(read(made.sr)) if element.keyword == "ValueType"}
    assert kinds >= {"CONTAINER", "PNAME", "TEXT", "NUM", "UIDREF", "IMAGE", "SCOORD", "CODE"}


def test_the_disc_holds_a_dicomdir_whose_records_lead_to_every_image():
    made = material()
    with zipfile.ZipFile(BytesIO(made.disc_zip)) as disc:
        assert disc.testzip() is None
        names = set(disc.namelist())
        directory = dcmread(BytesIO(disc.read("DICOMDIR")))
        assert disc.read("VIEWER.EXE")[:2] == b"MZ"
        assert made.people.patient.plain in disc.read("README.TXT").decode("latin-1")
        leaves = [r for r in directory.DirectoryRecordSequence if r.DirectoryRecordType == "IMAGE"]
        assert len(leaves) == 12
        for leaf in leaves:
            image = dcmread(BytesIO(disc.read("/".join(leaf.ReferencedFileID))))
            assert image.SOPInstanceUID == leaf.ReferencedSOPInstanceUIDInFile
            assert image.pixel_array.shape == (256, 256)
    assert {"README.TXT", "AUTORUN.INF"} <= names
    # Follow the offsets as a reader of the medium does: child of the patient, of the study, of the series, then next.
    by_offset = {record.seq_item_tell: record for record in directory.DirectoryRecordSequence}
    record = by_offset[directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity]
    kinds = [record.DirectoryRecordType]
    for _ in range(3):
        record = by_offset[record.OffsetOfReferencedLowerLevelDirectoryEntity]
        kinds.append(record.DirectoryRecordType)
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    count = 1
    while record.OffsetOfTheNextDirectoryRecord:
        record = by_offset[record.OffsetOfTheNextDirectoryRecord]
        count += 1
    assert count == 12


def test_the_report_is_a_sound_pdf_of_two_pages_with_swedish_text_and_telling_metadata():
    made = material()
    people = made.people
    with pikepdf.open(BytesIO(made.report_pdf)) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert people.patient.plain in str(pdf.docinfo["/Title"])
        assert str(pdf.docinfo["/Author"]) == people.radiologist.plain
        assert people.patient.plain.encode() in pdf.Root.Metadata.read_bytes()
    with pypdfium2.PdfDocument(made.report_pdf) as document:
        pages = [page.get_textpage().get_text_range() for page in document]
    assert len(pages) == 2
    for page in pages:
        assert people.patient.plain in page
        assert people.personnummer.value in page
        assert people.phone in page
    assert "vänster lunga" in pages[0]
    assert "adenocarcinoma" in pages[1]


def test_the_photograph_lies_on_its_side_and_tells_who_where_and_when():
    made = material()
    picture = Image.open(BytesIO(made.photo_jpeg))
    exif = picture.getexif()
    assert picture.size == (1600, 1200)
    assert exif[ExifTags.Base.Orientation] == 6
    assert exif[ExifTags.Base.Make] == "Phonemaker"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2][0] == 58
    thumbnail = exif.get_ifd(ExifTags.IFD.IFD1)
    raw = picture.info["exif"][6:]
    assert Image.open(BytesIO(raw[thumbnail[513] : thumbnail[513] + thumbnail[514]])).size == (160, 120)
    assert struct.unpack("<H", raw[2:4]) == (42,)
    assert made.people.patient.plain.encode() in made.photo_jpeg
    upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_270).convert("L"))
    assert (upright[300:1300, 300:900] < 90).mean() > 0.005, "there is ink on the paper"


def test_every_planted_string_but_kin_forms_is_somewhere_in_the_material():
    made = material()
    pages = []
    with pypdfium2.PdfDocument(made.report_pdf) as document:
        pages = [page.get_textpage().get_text_range().encode() for page in document]
    with zipfile.ZipFile(BytesIO(made.disc_zip)) as disc:
        members = [disc.read(name) for name in disc.namelist()]
    haystack = b"\0".join(
        [*made.ct_slices, made.rtstruct, made.sr, *members, *pages, made.photo_jpeg, made.letter_txt]
    )
    people = made.people
    for word in (people.patient.plain, people.patient.dicom, people.personnummer.value, people.passport.value,
                 people.mrn.value, people.second_mrn.value, people.accession, people.second_accession, people.phone,
                 people.relative_phone, people.email, people.street, people.city, people.hospital, people.clinic,
                 people.relative.plain, people.referring.plain, people.radiologist.dicom, people.operator.dicom,
                 people.birth_date.isoformat(), people.birth_date.strftime("%d.%m.%Y")):  # fmt: skip
        assert word in made.planted
        assert any(form in haystack for form in planted_bytes((word,))), word
    assert not any(form in haystack for form in planted_bytes(make_people(77).planted()[:2]))


def test_the_documents_answer_what_a_team_opinion_asks_for(tmp_path):
    made = material()
    assert {document.category for document in made.documents} == set(REQUIRED["mdt"])
    assert all(document.category in CATEGORIES for document in made.documents)
    written = make_material(tmp_path, seed=1, slices=4)
    assert written == made
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(found) == 1 + 4 + 2 + 4
    assert {"patient.json", "ct/IM0001.dcm", "rtstruct.dcm", "sr.dcm"} <= found


def test_small_instances_are_valid_and_many_are_made_fast():
    one = read(ct_instance(2, number=3, PatientID="X1", StudyID=None))
    assert one.PatientID == "X1"
    assert "StudyID" not in one
    assert one.pixel_array.shape == (16, 16)
    start = time.perf_counter()
    many = ct_instances(2000, per_series=100)
    assert time.perf_counter() - start < 2
    parsed = [read(content) for content in many[::97]]
    assert len({ds.SOPInstanceUID for ds in parsed}) == len(parsed)
    assert len(set(many)) == 2000
    assert all(ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID for ds in parsed)
    assert all(UID(ds.SOPInstanceUID).is_valid and UID(ds.SeriesInstanceUID).is_valid for ds in parsed)
