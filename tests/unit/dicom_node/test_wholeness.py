"""A data set that ends inside an element is noticed wherever it is cut and however it is read; a whole one never is."""

import io
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from dicom_node.contexts import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_node.errors import DataSetCut, NotDicomError
from dicom_node.part10 import open_part10
from dicom_node.wholeness import WholeDataSet

SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)


def sample(undefined=True):
    inner = Dataset()
    inner.PatientID, inner.RetrieveAETitle = "P1", "PACS"
    ds = Dataset()
    ds.PatientName, ds.Rows, ds.Columns = "A^B", 4, 4
    ds.ReferencedStudySequence = Sequence([inner, inner])
    ds["ReferencedStudySequence"].is_undefined_length = undefined
    for item in ds.ReferencedStudySequence:
        item.is_undefined_length_sequence_item = undefined
    ds.PixelRepresentation, ds.BitsAllocated = 0, 8
    ds.add_new(0x7FE00010, "OB", bytes(range(64)))
    return ds


def encoded(syntax, undefined=True):
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax != EXPLICIT_BIG, syntax == IMPLICIT_LITTLE
    write_dataset(out, sample(undefined))
    return out.getvalue()


def ends(data, syntax):
    """Where an element of the top level begins: the only places where a data set may stop."""
    return {n for n in range(len(data) + 1) if passes(data[:n], syntax, 4096)}


def passes(data, syntax, step):
    stream = WholeDataSet(io.BytesIO(data), syntax)
    buffer = bytearray(step)
    try:
        while stream.readinto(buffer) == step:
            pass
    except DataSetCut:
        return False
    return True


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_cut_is_noticed_everywhere_but_between_elements(syntax, undefined):
    data = encoded(syntax, undefined)
    allowed = ends(data, syntax)
    assert len(data) in allowed
    # five elements of the group 0010 … 7FE0 and the empty data set
    assert len(allowed) == len(sample()) + 1


@settings(deadline=None)
@given(cut=st.integers(0, 300), step=st.integers(1, 64), syntax=st.sampled_from(SYNTAXES))
def test_the_size_of_the_reads_changes_nothing(cut, step, syntax):
    data = encoded(syntax)[:cut]
    assert passes(data, syntax, step) == passes(data, syntax, 4096)


@settings(deadline=None)
@given(noise=st.binary(max_size=200), at=st.integers(0, 250), syntax=st.sampled_from(SYNTAXES))
def test_damage_of_another_kind_raises_nothing_else(noise, at, syntax):
    data = encoded(syntax)
    passes(data[:at] + noise + data[at:], syntax, 17)


def test_real_files_of_every_encoding_are_whole_and_their_halves_are_not():
    seen = cut = 0
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        with path.open("rb") as file:
            try:
                meta, stream = open_part10(file)
            except NotDicomError:
                continue
            data = stream.read()
        seen += passes(data, meta.transfer_syntax_uid, 65536)
        cut += not passes(data[: len(data) - 3], meta.transfer_syntax_uid, 65536)
    assert seen > 60
    assert cut > 50


def test_encapsulated_pixels_without_their_delimiter_are_cut():
    ds = Dataset()
    ds.PatientID = "P"
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, ds)
    head = out.getvalue() + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0"
    frame = b"\xfe\xff\x00\xe0\x08\0\0\0abcdefgh"
    assert passes(head + frame + b"\xfe\xff\xdd\xe0\0\0\0\0", EXPLICIT_LITTLE, 5)
    assert not passes(head + frame, EXPLICIT_LITTLE, 5)
    assert not passes(head + frame[:-1], EXPLICIT_LITTLE, 5)


def test_what_is_read_is_what_was_sent():
    data = encoded(EXPLICIT_LITTLE)
    assert WholeDataSet(io.BytesIO(data), EXPLICIT_LITTLE).read() == data
