"""The bounded reader of the first attributes."""

import io
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data.data_manager import DATA_ROOT
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.contexts import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_node.errors import HeadError
from dicom_node.head import read_head
from tests.unit.dicom_node.peers import data_set, explicit

ENCODINGS = {
    IMPLICIT_LITTLE: (True, True),
    EXPLICIT_LITTLE: (False, True),
    EXPLICIT_BIG: (False, False),
    DEFLATED_LITTLE: (False, True),
    "1.2.840.10008.1.2.4.90": (False, True),
}


def patient(charset="ISO_IR 192", name="Åkesson^Örjan", **more):
    ds = Dataset()
    if charset is not None:
        ds.SpecificCharacterSet = charset
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6"
    ds.StudyDate, ds.AccessionNumber, ds.Modality = "20260102", "A1", "CT"
    ds.StudyDescription = "Buk"
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = name, "19121212-1212", "SE"
    ds.PatientBirthDate, ds.PatientSex = "19121212", "F"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = "1.2.3", "1.2.3.4", 7
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.PixelData = b"\0\1" * 5000
    ds["PixelData"].VR = "OW"
    return ds


def written(ds, syntax):
    implicit, little = ENCODINGS[syntax]
    buffer = io.BytesIO()
    target = pydicom.filebase.DicomIO(buffer)
    target.is_implicit_VR, target.is_little_endian = implicit, little
    pydicom.filewriter.write_dataset(target, ds)
    data = buffer.getvalue()
    if syntax == DEFLATED_LITTLE:
        squeeze = zlib.compressobj(wbits=-15)
        data = squeeze.compress(data) + squeeze.flush()
    return data


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_every_attribute_is_read_in_every_encoding(syntax):
    data = written(patient(), syntax)
    stream = io.BytesIO(data)
    head, taken = read_head(stream, syntax)
    assert taken + stream.read() == data
    assert (head.sop_class_uid, head.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6")
    assert (head.study_instance_uid, head.series_instance_uid) == ("1.2.3", "1.2.3.4")
    assert (head.patient_name, head.patient_id, head.issuer_of_patient_id) == (
        "Åkesson^Örjan",
        "19121212-1212",
        "SE",
    )
    assert (head.patient_birth_date, head.patient_sex) == ("19121212", "F")
    assert (head.study_date, head.accession_number, head.modality) == ("20260102", "A1", "CT")
    assert (head.study_description, head.instance_number) == ("Buk", "7")


@pytest.mark.parametrize("syntax", ENCODINGS)
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_in_front_are_passed_over(syntax, undefined):
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.9.9"
    outer = Dataset()
    outer.PatientID = "somebody else"
    outer.ReferencedSOPSequence = Sequence([inner, inner])
    ds = patient(ReferencedStudySequence=Sequence([outer] * 3))
    for one in (ds["ReferencedStudySequence"], outer["ReferencedSOPSequence"]):
        one.is_undefined_length = undefined
    for one in (inner, outer):
        one.is_undefined_length_sequence_item = undefined
    head, _ = read_head(io.BytesIO(written(ds, syntax)), syntax)
    assert head.patient_id == "19121212-1212"
    assert head.series_instance_uid == "1.2.3.4"


CHARSETS = [
    (None, "Svensson^Sven"),
    ("ISO_IR 100", "Åkesson^Örjan"),
    ("ISO_IR 101", "Wałęsa^Łucja"),
    ("ISO_IR 144", "Иванов^Пётр"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 166", "ทดสอบ"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    (["ISO 2022 IR 6", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 6", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
]


@pytest.mark.parametrize(("charset", "name"), CHARSETS)
def test_names_are_read_in_their_character_set(charset, name):
    head, _ = read_head(io.BytesIO(written(patient(charset, name), EXPLICIT_LITTLE)), EXPLICIT_LITTLE)
    assert head.patient_name == name


@pytest.mark.parametrize("declared", ["ISO-IR 100", "ISO IR 100", "iso_ir 100", "ISO_IR_100", "LATIN1?", ""])
def test_a_misspelt_character_set_keeps_swedish_readable(declared):
    data = explicit(0x00080005, "CS", declared) + explicit(
        0x00100010, "PN", "Åkesson^Örjan".encode("latin-1")
    )
    assert read_head(io.BytesIO(data), EXPLICIT_LITTLE)[0].patient_name == "Åkesson^Örjan"


@pytest.mark.parametrize("declared", ["", "ISO_IR 6", "ISO_IR 192"])
def test_utf8_is_recognised_where_it_was_not_declared(declared):
    data = explicit(0x00080005, "CS", declared) + explicit(0x00100010, "PN", "Åkesson^Örjan".encode())
    head = read_head(io.BytesIO(data), EXPLICIT_LITTLE)[0]
    assert head.patient_name in ("Åkesson^Örjan", "Åkesson^Örjan".encode().decode("latin-1"))


def test_a_head_never_shows_a_person():
    head, _ = read_head(io.BytesIO(data_set()), EXPLICIT_LITTLE)
    assert head.patient_name == "Åkesson^Örjan"
    for secret in ("Åkesson", "19121212"):
        assert secret not in repr(head) + str(head) + f"{head}"


def test_pixel_data_is_not_looked_for():
    data = data_set(pixels=b"\0" * (8 << 20))
    stream = io.BytesIO(data)
    _, taken = read_head(stream, EXPLICIT_LITTLE)
    assert len(taken) < 16384
    assert taken + stream.read() == data


@pytest.mark.parametrize("declared", [IMPLICIT_LITTLE, EXPLICIT_LITTLE])
@pytest.mark.parametrize("actual", [IMPLICIT_LITTLE, EXPLICIT_LITTLE])
def test_a_sender_that_mixes_up_its_encoding_is_understood(declared, actual):
    head, _ = read_head(io.BytesIO(written(patient(), actual)), declared)
    assert head.patient_id == "19121212-1212"


BOMBS = {
    "a length of 4 GiB": explicit(0x00080005, "CS", "") + b"\x09\0\x01\0UN\0\0\xfe\xff\xff\xff",
    "a wanted value of 60,000 bytes": explicit(0x00080018, "UI", b"1" * 60000),
    "a thousand levels": (b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 1000,
    "no VR": b"\x08\0\x05\0CS\2\0AB\x08\0\x16\0\1\2\3\4",
    "an end inside": data_set()[:30],
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name):
    with pytest.raises(HeadError):
        read_head(io.BytesIO(BOMBS[name]), EXPLICIT_LITTLE)


def test_a_million_empty_items_end_at_the_cap():
    bomb = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * 1_000_000
    with pytest.raises(HeadError, match="first"):
        read_head(io.BytesIO(bomb), EXPLICIT_LITTLE)


def test_a_deflate_bomb_ends_at_the_cap():
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = squeeze.compress(explicit(0x00091001, "UN", b"")[:8] + struct.pack("<I", 400 << 20))
    bomb += b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(100)) + squeeze.flush()
    assert len(bomb) < 200_000
    with pytest.raises(HeadError):
        read_head(io.BytesIO(bomb), DEFLATED_LITTLE)


def test_the_deflated_bytes_taken_are_the_raw_ones():
    data = written(patient(), DEFLATED_LITTLE) + b"padding"
    stream = io.BytesIO(data)
    _, taken = read_head(stream, DEFLATED_LITTLE)
    assert taken + stream.read() == data


def test_the_test_files_of_pydicom_are_read_as_pydicom_reads_them():
    seen = 0
    for path in (Path(DATA_ROOT) / "test_files").glob("*.dcm"):
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        reference = pydicom.dcmread(path, stop_before_pixels=True)
        if (
            not reference.file_meta.get("FileMetaInformationGroupLength")
            or "TransferSyntaxUID" not in reference.file_meta
        ):
            continue
        start = 132 + 12 + reference.file_meta.FileMetaInformationGroupLength
        syntax = str(reference.file_meta.TransferSyntaxUID)
        head, _ = read_head(io.BytesIO(raw[start:]), syntax)
        assert head.sop_instance_uid == str(reference.get("SOPInstanceUID", "") or "")
        assert head.series_instance_uid == str(reference.get("SeriesInstanceUID", "") or "")
        assert head.patient_id == str(reference.get("PatientID", "") or "").strip()
        seen += 1
    assert seen > 40


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(list(ENCODINGS)))
def test_damage_anywhere_is_read_or_refused(noise, at, syntax):
    data = written(patient(), syntax)[:600]
    stream = io.BytesIO(data[:at] + noise + data[at:])
    whole = stream.getvalue()
    try:
        _, taken = read_head(stream, syntax)
    except HeadError:
        return
    assert taken + stream.read() == whole
