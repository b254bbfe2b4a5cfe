"""Generated patients and files for every test: the demo's material, and small DICOM instances made fast."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage

from gateway.cli.demo.material import Material, PatientFile, make_material
from gateway.cli.demo.material_imaging import part10, patient_and_study, uid
from gateway.cli.demo.people import People, make_people

__all__ = [
    "Material",
    "PatientFile",
    "People",
    "ct_instance",
    "ct_instances",
    "ct_study",
    "make_material",
    "make_people",
    "material",
    "patient",
    "planted_bytes",
    "read",
    "traced",
    "uid",
]


def patient(seed: int = 1) -> dict[str, Any]:
    """The patient file (KNOWN.json shape) of a seed."""
    return make_people(seed).as_json()


@lru_cache(maxsize=4)
def material(seed: int = 1, *, slices: int = 4) -> Material:
    """The whole demo material, kept between tests: do not change what it holds."""
    return make_material(None, seed=seed, slices=slices)


def ct_study(seed: int = 1, *, slices: int = 4) -> list[bytes]:
    """The demo's CT slices, 512 x 512, as Part 10 files."""
    return material(seed, slices=slices).ct_slices


def ct_instance(
    seed: int = 1,
    *,
    number: int = 1,
    series: int = 1,
    study: int = 1,
    size: int = 16,
    **attributes: Any,
) -> bytes:
    """One small, valid CT instance as a Part 10 file.

    ``study``, ``series`` and ``number`` choose the UIDs, ``size`` the rows and columns; keyword attributes
    (``PatientID="X"``) overwrite the data set's, and None removes one.
    """
    people = make_people(seed)
    ds = patient_and_study(people, study_uid=uid(seed, "small study", study))
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = uid(seed, "small instance", study, series, number)
    ds.SeriesInstanceUID = uid(seed, "small series", study, series)
    ds.FrameOfReferenceUID = uid(seed, "small frame of reference", study)
    ds.PositionReferenceIndicator = ""
    ds.Modality = "CT"
    ds.Manufacturer = "ACME Imaging"
    ds.StudyDate = ds.AcquisitionDate = ds.ContentDate = f"{people.study_date:%Y%m%d}"
    ds.StudyTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.StudyID, ds.AccessionNumber = str(study), people.accession
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = series, number, 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient = [0, 0, number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness, ds.KVP = [1, 1], 1, 120
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.PixelData = bytes(range(8)) * (size * size // 4)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return part10(ds)


def ct_instances(
    count: int, seed: int = 1, *, study: int = 1, per_series: int = 500, size: int = 16
) -> list[bytes]:
    """Many small instances for load tests, made by patching UIDs and numbers of equal length into one template."""
    first = ct_instance(seed, number=1, study=study, size=size)
    ds = read(first)
    template_instance = str(ds.SOPInstanceUID).encode()
    template_series = str(ds.SeriesInstanceUID).encode()

    def same_length(stem: bytes, number: int) -> bytes:
        return stem[:-9] + b"%09d" % (number + 100_000_000)

    def patched(index: int) -> bytes:
        series = same_length(template_series, index // per_series)
        return first.replace(template_instance, same_length(template_instance, index)).replace(
            template_series, series
        )

    return [patched(index) for index in range(count)]


def read(content: bytes) -> Dataset:
    """Parse a Part 10 file from memory."""
    return dcmread(BytesIO(content))


def planted_bytes(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """Every planted string as UTF-8, Latin-1 and UTF-16 (both orders): what a search of a disk looks for."""
    encodings = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
    return tuple(dict.fromkeys(word.encode(encoding) for word in words for encoding in encodings))


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Trace Python's memory; the function that is given tells the highest use in bytes, also afterwards."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak or tracemalloc.get_traced_memory()[1]
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
