"""The table of contents of a disc: a DICOMDIR with the case's records (PS3.3 F.3), names and numbers in each."""

import io
from collections.abc import Iterator
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

from tests.corpus.base import Study
from tests.corpus.made import Made, spread_uid
from tests.corpus.people import Case


def dicomdir(study: Study, made: list[Made]) -> Made:
    """A DICOMDIR with patient, study, series and image records of the case (PS3.3 F.3)."""
    case = study.case
    listing = Made(case, "DICOMDIR", study.rng)
    ds = Dataset()
    ds.FileSetID = "CORPUS"
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.FileSetConsistencyFlag = 0
    records = []
    for kind, fill in _records(case, study, made):
        record = Dataset()
        (
            record.OffsetOfTheNextDirectoryRecord,
            record.RecordInUseFlag,
            record.OffsetOfReferencedLowerLevelDirectoryEntity,
        ) = 0, 0xFFFF, 0
        record.DirectoryRecordType = kind
        record.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in fill.items():
            setattr(record, keyword, value)
        records.append(record)
    ds.DirectoryRecordSequence = records
    meta = _directory_meta(study)
    held = io.BytesIO()
    FileDataset("", ds, file_meta=meta, preamble=b"\0" * 128).save_as(held, enforce_file_format=True)
    listing.content = held.getvalue()
    listing.may_be_held = True
    listing.check("listing", "dicomdir", forms=[*case.fields["name"][1], case.number, case.mrn, case.latin])
    return listing


def _directory_meta(study: Study) -> Any:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = spread_uid(study.rng)
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return meta


def _records(case: Case, study: Study, made: list[Made]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "PATIENT", {"PatientName": case.patient, "PatientID": case.mrn}
    yield (
        "STUDY",
        {
            "StudyDate": study.stamp(),
            "StudyTime": "081530",
            "StudyDescription": f"CT {case.latin}",
            "StudyInstanceUID": study.uid,
            "StudyID": "1",
            "AccessionNumber": case.acc,
        },
    )
    for i, one in enumerate(made):
        yield (
            "SERIES",
            {
                "Modality": one.ds.Modality,
                "SeriesInstanceUID": one.ds.SeriesInstanceUID,
                "SeriesNumber": str(i),
                "InstitutionName": case.hospital,
            },
        )
        yield (
            "IMAGE",
            {
                "ReferencedFileID": ["IMG", f"IM{i:06d}"],
                "ReferencedSOPClassUIDInFile": one.ds.SOPClassUID,
                "ReferencedSOPInstanceUIDInFile": one.ds.SOPInstanceUID,
                "ReferencedTransferSyntaxUIDInFile": one.syntax,
                "InstanceNumber": "1",
            },
        )
