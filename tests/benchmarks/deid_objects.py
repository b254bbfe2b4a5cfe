"""The objects of ``make bench-deid``: slices of a CT as scanners make them, and one multi-frame object of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

ROOT = "1.2.826.0.1.3680043.10.997"
SIDE = 512


def ct_slices(folder: Path, count: int) -> None:
    """Write CT slices of 512 x 512 x 16 bits: one study, one series, noise with anatomy-like rings."""
    folder.mkdir()
    noise = np.random.default_rng(5)
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    rings = 1000 + 900 * np.cos(12 * np.hypot(rows, columns))
    for number in range(1, count + 1):
        data = _common(f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3.{number}")
        data.SOPClassUID, data.Modality = CTImageStorage, "CT"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.StudyDescription, data.SeriesDescription = "CT thorax och buk", "Venfas 5 mm Alma Provsdotter"
        data.ProtocolName, data.BodyPartExamined, data.KVP = "Thorax rutin", "CHEST", 120
        data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = "Maker", "Model 1", "v1.2"
        data.InstanceNumber, data.SliceThickness, data.SliceLocation = number, 5, 5.0 * number
        data.ImagePositionPatient, data.ImageOrientationPatient = (
            [-250, -250, 5.0 * number],
            [1, 0, 0, 0, 1, 0],
        )
        data.FrameOfReferenceUID, data.PositionReferenceIndicator = f"{ROOT}.9", ""
        data.PixelSpacing, data.RescaleIntercept, data.RescaleSlope = [0.9, 0.9], -1024, 1
        data.WindowCenter, data.WindowWidth, data.AcquisitionNumber = 40, 400, 1
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, f"{ROOT}.3.1"
        data.ReferencedImageSequence = [reference]
        pixels = rings + noise.normal(0, 30, (SIDE, SIDE))
        data.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
        data.save_as(folder / f"{number:04d}", enforce_file_format=True)


def big_multiframe(folder: Path, size_bytes: int) -> None:
    """Write one multi-frame object of about this size; its pixels are a hole in the file and read as zeros."""
    folder.mkdir()
    frames = size_bytes // (2 * SIDE * SIDE) - 1
    data = _common(f"{ROOT}.1", f"{ROOT}.4", f"{ROOT}.5")
    data.SOPClassUID, data.Modality = MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "CT"
    data.ImageType, data.ConversionType = ["ORIGINAL", "PRIMARY"], "WSD"
    data.NumberOfFrames, data.InstanceNumber = frames, 1
    data.PixelData = b"\0\0"
    path = folder / "big"
    data.save_as(path, enforce_file_format=True)
    length = frames * 2 * SIDE * SIDE
    with path.open("r+b") as stream:
        stream.seek(-6, 2)  # the length of a value of two bytes, in front of it
        stream.write(length.to_bytes(4, "little"))
        stream.truncate(stream.tell() + length)


def _common(study: str, series: str, instance: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = study, series, instance
    data.PatientName, data.PatientID, data.PatientBirthDate = "Provsdotter^Alma", "PX-100200", "19500203"
    data.PatientSex, data.PatientAge = "F", "074Y"
    data.StudyDate, data.StudyTime, data.ContentDate, data.ContentTime = (
        "20240312",
        "101500",
        "20240312",
        "101501",
    )
    data.AccessionNumber, data.StudyID, data.SeriesNumber = "ACC7001002", "1", 1
    data.ReferringPhysicianName, data.InstitutionName = "Remittent^Rut", "Provsjukhuset"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = SIDE
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    return data
