from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from anonymizer import reader
from anonymizer.engine import Deidentified, Quarantined, deidentify_instance
from anonymizer.errors import Unfit
from anonymizer.harvest import harvest_instance, harvest_uids
from anonymizer.known import Known
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.reader import read_part10
from tests.unit.anonymizer import made

MARK = struct.Struct("<HHL")


def rewritten(ds, syntax, **how) -> bytes:
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True, **how)
    return out.getvalue()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("make", [made.planted_ct, made.report, made.structure_set])
def test_every_native_encoding_gives_the_same_copy(make, syntax):
    plain = made.deidentified(make()).content
    ds = make()
    if syntax == ImplicitVRLittleEndian and "OverlayData" in ds:
        ds["OverlayData"].VR = "OW"
    assert made.deidentified(rewritten(ds, syntax)).content == plain


@pytest.mark.parametrize(
    ("big", "little"),
    [
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
    ],
)
def test_big_endian_pixels_are_turned_round_whole(big, little):
    results = []
    for name in (big, little):
        with open(get_testdata_file(name), "rb") as stream:  # noqa: PTH123 - a test file
            results.append(made.deidentified(stream.read(), known=Known()))
    assert results[0].transfer_syntax == "1.2.840.10008.1.2.1"
    first, second = (made.reread(result) for result in results)
    assert first.PixelData.rstrip(b"\0") == second.PixelData.rstrip(b"\0")
    assert (first.pixel_array == second.pixel_array).all()


def test_a_data_set_without_file_meta_is_read():
    out = io.BytesIO()
    ds = made.planted_ct()
    ds.save_as(out, enforce_file_format=False)
    bare = made.encoded(made.planted_ct())
    start = bare.index(b"\x08\x00\x05\x00CS")
    assert made.deidentified(bare[start:]).content == made.deidentified(bare).content


def test_sequences_hidden_as_unknown_are_opened():
    """CP-246: a sequence sent as UN holds implicit items; what it names must be found."""
    inner = MARK.pack(0x0010, 0x0010, 12) + b"SECRET^Maria"
    item = MARK.pack(0xFFFE, 0xE000, len(inner)) + inner
    content = made.encoded(made.ct())
    start = content.index(b"\x20\x00\x0d\x00UI")
    hidden = struct.pack("<HH2sHL", 0x0018, 0xA001, b"UN", 0, len(item)) + item
    delimited = (
        struct.pack("<HH2sHL", 0x0018, 0xA001, b"UN", 0, 0xFFFFFFFF) + item + MARK.pack(0xFFFE, 0xE0DD, 0)
    )
    for element in (hidden, delimited):
        result = made.deidentified(content[:start] + element + content[start:])
        assert b"SECRET" not in result.content
        assert str(made.reread(result)[0x0018, 0xA001].value[0].PatientName).startswith("MDT-")
        names = harvest_instance(content[:start] + element + content[start:]).names
        assert "SECRET" in {name.family for name in names}


def test_unknown_attributes_and_unknown_bytes_are_removed():
    content = made.encoded(made.ct())
    start = content.index(b"\x20\x00\x0d\x00UI")
    extra = struct.pack("<HH2sHL", 0x0018, 0x0E0E, b"UN", 0, 6) + b"SECRET"
    strange = struct.pack("<HH2sH", 0x0018, 0x0E10, b"ZZ", 6) + b"SECRET"
    result = made.deidentified(content[:start] + extra + strange + content[start:])
    assert b"SECRET" not in result.content


def test_a_second_copy_of_an_attribute_does_not_leave():
    content = made.encoded(made.ct())
    start = content.index(b"\x20\x00\x0d\x00UI")
    again = struct.pack("<HH2sH", 0x0008, 0x103E, b"LO", 6) + b"SECRET"
    result = made.deidentified(content[:start] + again + content[start:])
    assert b"SECRET" not in result.content


def nested(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        item = MARK.pack(0xFFFE, 0xE000, len(body)) + body
        body = struct.pack("<HH2sHL", 0x0008, 0x9215, b"SQ", 0, len(item)) + item
    return body


def test_bombs_are_held_not_followed(monkeypatch):
    content = made.encoded(made.ct())
    start = content.index(b"\x20\x00\x0d\x00UI")
    assert made.refused(content[:start] + nested(400) + content[start:]).code == "too_deep"
    monkeypatch.setattr(reader, "MAX_ELEMENTS", 50)
    assert made.refused(content).code == "too_large"
    monkeypatch.undo()
    monkeypatch.setattr(reader, "MAX_INFLATED_BYTES", 1 << 16)
    big = made.ct()
    made.pixels(big, 256)
    assert made.refused(rewritten(big, DeflatedExplicitVRLittleEndian)).code == "too_large"


def test_cut_objects_are_held():
    content = made.encoded(made.planted_ct())
    for length in (0, 4, 131, 132, 200, len(content) - 1):
        assert made.refused(content[:length]).code in {"not_dicom", "damaged"}
    held = 0
    for length in range(300, len(content), 37):  # a cut between two elements cannot be told from a whole
        result = deidentify_instance(
            content[:length],
            profile=load_profile("mdt-default"),
            pseudonyms=Pseudonyms(made.KEY),
            known=made.KNOWN,
        )
        held += isinstance(result, Quarantined)
        assert isinstance(result, Quarantined) or made.secrets_in(result.content) == []
    assert held > 50
    assert made.refused(content[: len(content) - 10]).code == "damaged"


def test_unreadable_input_raises_only_unfit_and_harvests_nothing():
    with pytest.raises(Unfit):
        read_part10(b"%PDF-1.7 and more than eight bytes")
    assert harvest_instance(b"%PDF-1.7 and more than eight bytes") == Known()
    assert harvest_uids(b"") == frozenset()


SEEDS = [
    made.encoded(make()) for make in (made.planted_ct, made.report, made.structure_set, made.us, made.scanned)
]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_objects_never_raise_and_never_leak_what_must_go(data):
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.integers(0, 3))
        if kind == 0:
            content[at] = data.draw(st.integers(0, 255))
        elif kind == 1:
            del content[at : at + data.draw(st.integers(1, 40))]
        elif kind == 2:
            content[at:at] = data.draw(st.binary(min_size=1, max_size=24))
        else:
            content[at:at] = content[at : at + data.draw(st.integers(1, 64))]
        if not content:
            break
    result = deidentify_instance(
        bytes(content), profile=load_profile("mdt-default"), pseudonyms=Pseudonyms(made.KEY), known=made.KNOWN
    )
    assert isinstance(result, Deidentified | Quarantined)
    harvest_instance(bytes(content))
    if isinstance(result, Deidentified):
        dcmread(io.BytesIO(result.content))
        again = deidentify_instance(
            result.content,
            profile=load_profile("mdt-default"),
            pseudonyms=Pseudonyms(made.KEY),
            known=made.KNOWN,
        )
        assert isinstance(again, Deidentified)
        assert again.content == result.content


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_never_raise(content):
    for made_up in (content, bytes(128) + b"DICM" + content):
        result = deidentify_instance(
            made_up, profile=load_profile("strict"), pseudonyms=Pseudonyms(made.KEY), known=Known()
        )
        assert isinstance(result, Quarantined)


def public(name: str) -> bytes:
    path = get_testdata_file(name) or get_charset_files(name)[0]
    return Path(path).read_bytes()


#: Public files whose data set names no class or instance, while their file meta does, or whose UN holds a sequence.
TOLD_BY_META = {
    "UN_sequence.dcm": "1.2.840.10008.5.1.4.1.1.2",
    "no_meta_group_length.dcm": "1.2.840.10008.5.1.4.1.1.481.1",
    "priv_SQ.dcm": "1.2.840.10008.5.1.4.1.1.4",
    "chrSQEncoding.dcm": "1.2.840.10008.5.1.4.1.1.4",
    "chrSQEncoding1.dcm": "1.2.840.10008.5.1.4.1.1.4",
}


@pytest.mark.parametrize("name", TOLD_BY_META)
def test_a_class_that_only_the_file_meta_tells_is_the_objects(name):
    copy = made.reread(made.deidentified(public(name), known=Known()))
    assert copy.SOPClassUID == TOLD_BY_META[name]
    assert copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID
    old = dcmread(io.BytesIO(public(name))).file_meta.MediaStorageSOPInstanceUID
    assert str(old).encode() not in made.deidentified(public(name), known=Known()).content


@pytest.mark.parametrize(
    "name", ["meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm", "empty_charset_LEI.dcm", "no_meta.dcm"]
)
def test_a_fragment_that_names_no_class_anywhere_is_held(name):
    assert made.refused(public(name)).code == "not_dicom"


def test_file_meta_names_no_class_by_noise_and_never_another_than_the_data_set():
    ds = made.ct()
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    out = io.BytesIO()
    ds.save_as(out)
    assert read_part10(out.getvalue()).dataset.ascii(0x00080016) == made.ct().SOPClassUID
    broken = public("UN_sequence.dcm").replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.1OO08.5.1.4.1.1.2\0")
    assert made.refused(broken).code == "not_dicom"


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(TOLD_BY_META)), st.data())
def test_mutated_fragments_never_raise(name, data):
    content = bytearray(public(name))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for mutated in (bytes(content), bytes(content[:cut])):
        result = deidentify_instance(
            mutated, profile=load_profile("mdt-default"), pseudonyms=Pseudonyms(made.KEY), known=Known()
        )
        assert isinstance(result, Deidentified | Quarantined)
