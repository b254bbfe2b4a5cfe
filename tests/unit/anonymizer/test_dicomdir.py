from __future__ import annotations

import io
import shutil
import subprocess

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from anonymizer.dicomdir import DirectoryEntry, build_dicomdir, record_type
from anonymizer.errors import DirectoryEntryError
from tests.unit.anonymizer import made


def entries(tmp_path=None):
    made_ones = []
    makers = [lambda n=n: made.ct(n) for n in range(1, 6)]
    makers += [made.report, made.structure_set, made.mr, made.us]
    for number, make in enumerate(makers):
        result = made.deidentified(make())
        path = ("DICOM", f"IM{number:06d}")
        if tmp_path is not None:
            (tmp_path / "DICOM").mkdir(exist_ok=True)
            (tmp_path / "DICOM" / path[1]).write_bytes(result.content)
        made_ones.append(
            DirectoryEntry(path=path, transfer_syntax=result.transfer_syntax, index=result.index)
        )
    return made_ones


def test_directory_reads_back_as_a_file_set(tmp_path):
    listed = entries(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(build_dicomdir(listed))
    found = FileSet(tmp_path / "DICOMDIR")
    assert len(found) == len(listed)
    assert len(found.find_values("PatientID")) == 1
    assert {instance.SOPInstanceUID for instance in found} == {
        entry.index["SOPInstanceUID"] for entry in listed
    }
    loaded = next(iter(found)).load()
    assert loaded.PatientID == listed[0].index["PatientID"]


def test_offsets_point_at_their_records():
    content = build_dicomdir(entries())
    ds = dcmread(io.BytesIO(content))
    places = {item.seq_item_tell for item in ds.DirectoryRecordSequence}
    for item in ds.DirectoryRecordSequence:
        for offset in (item.OffsetOfTheNextDirectoryRecord, item.OffsetOfReferencedLowerLevelDirectoryEntity):
            assert offset == 0 or offset in places
    assert ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity in places
    assert ds.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity in places
    assert made.secrets_in(content) == []


def test_same_entries_same_bytes():
    assert build_dicomdir(entries()) == build_dicomdir(entries())


def test_an_empty_release_has_an_empty_directory():
    ds = dcmread(io.BytesIO(build_dicomdir([])))
    assert len(ds.DirectoryRecordSequence) == 0


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")
def test_dcmtk_and_dciodvfy_read_it(tmp_path):
    path = tmp_path / "DICOMDIR"
    path.write_bytes(build_dicomdir(entries()))
    dumped = subprocess.run(["dcmdump", str(path)], capture_output=True, text=True, check=True)
    assert dumped.stdout.count("DirectoryRecordType") == 1 + 1 + 1 + 9
    if shutil.which("dciodvfy"):
        judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in judged.stderr


def test_bad_entries_are_refused_by_number():
    good = entries()[0]
    with pytest.raises(DirectoryEntryError, match="entry 1: file name"):
        build_dicomdir([DirectoryEntry(path=("dicom", "x"), transfer_syntax="1.2", index=good.index)])
    with pytest.raises(DirectoryEntryError, match="StudyInstanceUID"):
        build_dicomdir([DirectoryEntry(path=("A",), transfer_syntax="1.2", index={})])


def test_record_types():
    assert record_type("1.2.840.10008.5.1.4.1.1.2") == "IMAGE"
    assert record_type("1.2.840.10008.5.1.4.1.1.88.33") == "SR DOCUMENT"
    assert record_type("1.2.840.10008.5.1.4.1.1.88.59") == "KEY OBJECT DOC"
    assert record_type("1.2.840.10008.5.1.4.1.1.66.4") == "IMAGE"
    assert record_type("1.2.840.10008.5.1.4.1.1.481.3") == "RT STRUCTURE SET"
