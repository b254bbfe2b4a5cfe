"""The patient's disc of the demo, zipped: DICOMDIR, images without extensions, a viewer that nobody should start."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from gateway.cli.demo.material_imaging import uid
from gateway.cli.demo.people import People

_DISC_TIME = (2024, 5, 14, 9, 30, 0)
_IN_USE = 0xFFFF
_ITEM_HEADER_BYTES = 8


def _encoded_length(record: Dataset) -> int:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, record)
    return len(buffer.getvalue())


def _record(kind: str, charset: str, **attributes: Any) -> Dataset:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = _IN_USE
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    record.SpecificCharacterSet = charset
    for keyword, value in attributes.items():
        setattr(record, keyword, value)
    return record


def make_dicomdir(images: Sequence[tuple[str, bytes]], *, seed: int) -> bytes:
    """Return a DICOMDIR (PS3.10 8, PS3.3 F) for files of one series; each name is its File ID with ``/`` between."""
    first = dcmread(BytesIO(images[0][1]), stop_before_pixels=True)
    charset = first.SpecificCharacterSet
    upper = [
        _record("PATIENT", charset, PatientName=first.PatientName, PatientID=first.PatientID),
        _record(
            "STUDY",
            charset,
            StudyDate=first.StudyDate,
            StudyTime=first.StudyTime,
            AccessionNumber=first.AccessionNumber,
            StudyDescription=first.StudyDescription,
            StudyInstanceUID=first.StudyInstanceUID,
            StudyID=first.StudyID,
        ),
        _record(
            "SERIES",
            charset,
            Modality=first.Modality,
            SeriesInstanceUID=first.SeriesInstanceUID,
            SeriesNumber=first.SeriesNumber,
            InstitutionName=first.InstitutionName,
        ),
    ]
    leaves = []
    for name, content in images:
        image = dcmread(BytesIO(content), stop_before_pixels=True)
        leaves.append(
            _record(
                "IMAGE",
                charset,
                ReferencedFileID=name.split("/"),
                ReferencedSOPClassUIDInFile=image.SOPClassUID,
                ReferencedSOPInstanceUIDInFile=image.SOPInstanceUID,
                ReferencedTransferSyntaxUIDInFile=image.file_meta.TransferSyntaxUID,
                InstanceNumber=image.InstanceNumber,
            )
        )
    records = [*upper, *leaves]

    directory = Dataset()
    directory.FileSetID = "PATIENTDISC"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.FileSetConsistencyFlag = 0
    directory.DirectoryRecordSequence = []
    offsets, position = [], len(_directory_file(directory, seed))
    for record in records:
        offsets.append(position)
        position += _ITEM_HEADER_BYTES + _encoded_length(record)
    for index, record in enumerate(upper):
        record.OffsetOfReferencedLowerLevelDirectoryEntity = offsets[index + 1]
    for leaf, following in zip(leaves, offsets[len(upper) + 1 :], strict=False):
        leaf.OffsetOfTheNextDirectoryRecord = following
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = offsets[0]
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = offsets[0]
    directory.DirectoryRecordSequence = records
    return _directory_file(directory, seed)


def _directory_file(directory: Dataset, seed: int) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = uid(seed, "dicomdir")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid(0, "disc writer")
    directory.file_meta = meta
    directory.preamble = bytes(128)
    target = BytesIO()
    dcmwrite(target, directory, enforce_file_format=True)
    return target.getvalue()


def _readme(people: People) -> bytes:
    lines = (
        f"Bildskiva från {people.clinic}",
        f"Patient: {people.patient.plain}  {people.personnummer.value}",
        f"Undersökning: MR hjärna, {people.second_accession}",
        "",
        "Starta VIEWER.EXE för att se bilderna.",
        f"Frågor: {people.phone}",
    )
    return "\r\n".join(lines).encode("latin-1")


def make_disc(people: People, mr_files: Sequence[bytes], *, seed: int) -> bytes:
    """Return the zipped disc with the prior MR study, as a desktop's «compress folder» makes it."""
    images = [(f"DICOM/ST000001/SE000001/IM{i:06d}", data) for i, data in enumerate(mr_files, start=1)]
    viewer = (
        b"MZ\x90\x00"
        + bytes(56)
        + b"\x80\x00\x00\x00"
        + b"This program cannot be run in DOS mode.\r\n"
        + bytes(480)
    )
    members: list[tuple[str, bytes]] = [
        ("DICOMDIR", make_dicomdir(images, seed=seed)),
        ("README.TXT", _readme(people)),
        ("AUTORUN.INF", b"[autorun]\r\nopen=VIEWER.EXE\r\nicon=VIEWER.EXE,0\r\n"),
        ("VIEWER.EXE", viewer),
        *images,
    ]
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as disc:
        for folder in ("DICOM/", "DICOM/ST000001/", "DICOM/ST000001/SE000001/"):
            disc.writestr(zipfile.ZipInfo(folder, _DISC_TIME), b"")
        for name, data in members:
            info = zipfile.ZipInfo(name, _DISC_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            disc.writestr(info, data)
    return target.getvalue()
