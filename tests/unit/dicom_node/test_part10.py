"""The file form: written the same every time, read from whatever comes."""

import contextlib
import io
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data.data_manager import DATA_ROOT

from dicom_node.contexts import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_node.errors import NotDicomError
from dicom_node.part10 import file_meta_bytes, looks_like_dicom, open_part10
from tests.unit.dicom_node.peers import CT, data_set

FILES = sorted((Path(DATA_ROOT) / "test_files").glob("*.dcm"))
# One begins with a stray space, the other with an undefined-length element of group 0001: refused, rightly.
FILES = [path for path in FILES if path.name not in ("no_meta.dcm", "meta_missing_tsyntax.dcm")]
META = file_meta_bytes(sop_class_uid=CT, sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=EXPLICIT_LITTLE)


class Dripping(io.BytesIO):
    """A stream that gives less than it is asked for, as sockets do."""

    def read(self, size=-1):
        return super().read(min(size, 7) if size > 0 else size)


def test_equal_objects_have_equal_file_meta_without_sender_or_version():
    assert META == file_meta_bytes(  # noqa: SIM300 - what was made before is the expectation
        sop_class_uid=CT, sop_instance_uid="1.2.3.4.5", transfer_syntax_uid=EXPLICIT_LITTLE
    )
    found = pydicom.dcmread(io.BytesIO(META + data_set())).file_meta
    assert sorted(e.keyword for e in found) == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "ImplementationClassUID",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
    ]
    assert found.FileMetaInformationGroupLength == len(META) - 132 - 12


@pytest.mark.parametrize("kind", [io.BytesIO, Dripping])
def test_what_was_written_is_read_and_the_data_set_is_untouched(kind):
    meta, stream = open_part10(kind(META + data_set()))
    assert (meta.sop_class_uid, meta.sop_instance_uid) == (CT, "1.2.3.4.5")
    assert meta.transfer_syntax_uid == EXPLICIT_LITTLE
    assert not meta.had_preamble_content
    assert stream.read() == data_set()


def test_content_in_the_preamble_is_told():
    meta, _ = open_part10(io.BytesIO(b"MZ\x90" + META[3:] + data_set()))
    assert meta.had_preamble_content


@pytest.mark.parametrize(
    ("front", "expected"),
    [(b"", EXPLICIT_LITTLE), (META[128:], EXPLICIT_LITTLE), (META[132:], EXPLICIT_LITTLE)],
)
def test_files_without_preamble_or_meta_are_read(front, expected):
    meta, stream = open_part10(io.BytesIO(front + data_set()))
    assert (meta.sop_class_uid, meta.sop_instance_uid) == (CT, "1.2.3.4.5")
    assert meta.transfer_syntax_uid == expected
    assert stream.read() == data_set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_of_pydicom_are_read(path):
    raw = path.read_bytes()
    assert looks_like_dicom(raw[:132])
    meta, stream = open_part10(io.BytesIO(raw))
    reference = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    syntax = reference.file_meta.get("TransferSyntaxUID") if hasattr(reference, "file_meta") else None
    if syntax is None:
        syntax = {"ExplVR_BigEndNoMeta.dcm": EXPLICIT_BIG, "ExplVR_LitEndNoMeta.dcm": EXPLICIT_LITTLE}.get(
            path.name,
            meta.transfer_syntax_uid if path.name == "meta_missing_tsyntax.dcm" else IMPLICIT_LITTLE,
        )
    assert meta.transfer_syntax_uid == syntax
    rest = stream.read()
    assert raw.endswith(rest)
    length = (
        reference.file_meta.get("FileMetaInformationGroupLength") if hasattr(reference, "file_meta") else None
    )
    if length is not None:
        assert len(raw) - len(rest) == 132 + 12 + length


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7\n" + b" " * 200,
        b"PK\3\4" + bytes(200),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"II*\0" + bytes(200),
        b"MZ" + bytes(200),
        b"hello, this is text " * 20,
        bytes(500),
        b"\xff" * 500,
    ],
    ids=lambda data: repr(data[:6]),
)
def test_other_files_are_not_dicom(data):
    assert not looks_like_dicom(data[:132])
    with pytest.raises(NotDicomError):
        open_part10(io.BytesIO(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(noise):
    for data in (noise, META[:140] + noise, META + noise):
        with contextlib.suppress(NotDicomError):
            open_part10(io.BytesIO(data))[1].read()


def test_endless_file_meta_is_refused():
    with pytest.raises(NotDicomError):
        open_part10(io.BytesIO(META[:132] + b"\2\0\x02\1OB\0\0\0\0\2\0" + bytes(200000)))
