"""The CT and MR studies of the demo: phantoms in real geometry, with identifiers planted where senders leave them."""

from __future__ import annotations

import hashlib
from datetime import date
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from gateway.cli.demo.people import People

SIZE = 512
SPACING_MM = 0.78125
SLICE_MM = 2.5
AIR_HU = -1024
NODULE_MM = (88.0, -18.0, 0.0)  # x, y, z from the middle of the volume, to the patient's left
NODULE_RADIUS_MM = 11.5
_IMPLEMENTATION = "2.25.302817265536440177209377403715391052961"


def uid(seed: int, *parts: object) -> str:
    """A UUID-derived UID (PS3.5 B.2) that the seed and the parts fix."""
    digest = hashlib.sha256(repr(("consilium demo", seed, *parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence (PS3.3 8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def part10(dataset: Dataset, *, source_ae: str = "CT01SEND", preamble: bytes = bytes(128)) -> bytes:
    """Encode a data set as a Part 10 file (PS3.10 7.1), Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "DEMO_1"
    meta.SourceApplicationEntityTitle = source_ae
    dataset.file_meta = meta
    dataset.preamble = preamble
    target = BytesIO()
    dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def patient_and_study(people: People, *, study_uid: str, charset: str = "ISO_IR 100") -> Dataset:
    """Return the Patient, General Study and Patient Study modules, identifiers and all."""
    ds = Dataset()
    ds.SpecificCharacterSet = charset
    ds.PatientName = people.patient.dicom
    ds.PatientID = people.mrn.value
    ds.IssuerOfPatientID = people.hospital
    ds.PatientBirthDate = f"{people.birth_date:%Y%m%d}"
    ds.PatientSex = people.sex
    ds.PatientAge = f"{(people.study_date - people.birth_date).days // 365:03d}Y"
    ds.PatientSize = "1.74"
    ds.PatientWeight = "72"
    other = Dataset()
    other.PatientID = people.personnummer.value
    other.IssuerOfPatientID = people.personnummer.issuer
    other.TypeOfPatientID = "TEXT"
    ds.OtherPatientIDsSequence = [other]
    ds.PatientAddress = people.address
    ds.PatientTelephoneNumbers = people.phone
    ds.StudyInstanceUID = study_uid
    ds.ReferringPhysicianName = people.referring.dicom
    ds.PhysiciansOfRecord = people.radiologist.dicom
    return ds


def equipment(ds: Dataset, people: People, *, modality: str, model: str) -> None:
    """Add the General Equipment module and who stood beside the machine."""
    ds.Modality = modality
    ds.Manufacturer = "ACME Imaging"
    ds.ManufacturerModelName = model
    ds.SoftwareVersions = "7.2.1"
    ds.DeviceSerialNumber = "SN-004711"
    ds.StationName = "ROOM4"
    ds.InstitutionName = people.hospital
    ds.InstitutionAddress = f"{people.hospital}, {people.city}"
    ds.InstitutionalDepartmentName = "Bild- och funktionsmedicin"
    ds.OperatorsName = people.operator.dicom
    ds.PerformingPhysicianName = people.radiologist.dicom


def body_axes_mm(height: float) -> tuple[float, float]:
    """Half axes of the trunk at a height between 0 (lowest slice) and 1."""
    return 165.0 - 14.0 * height, 112.0 - 10.0 * height


def lung_axes_mm(height: float) -> tuple[float, float]:
    """Half axes of one lung at a height between 0 and 1."""
    swell = float(np.sin(np.pi * (0.12 + 0.8 * height)))
    return 54.0 * swell, 80.0 * swell


LUNG_CENTRE_MM = (72.0, -8.0)
CANAL_MM = (0.0, 72.0, 9.0)  # x, y, radius


def slice_z_mm(index: int, slices: int) -> float:
    """Position of a slice along the patient's axis (PS3.3 C.7.6.2), the volume's middle at 0."""
    return (index - (slices - 1) / 2) * SLICE_MM


def _thorax(index: int, slices: int, noise: NDArray[np.float32]) -> NDArray[np.int16]:
    axis = (np.arange(SIZE, dtype=np.float32) - SIZE / 2) * SPACING_MM
    x, y = axis[None, :], axis[:, None]
    height = index / max(slices - 1, 1)
    z = slice_z_mm(index, slices)

    def ellipse(cx: float, cy: float, ax: float, ay: float) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 <= 1
        return inside

    wide, deep = body_axes_mm(height)
    image = np.full((SIZE, SIZE), -1000, dtype=np.float32)
    image[(np.abs(y - (deep + 14)) < 5) & (np.abs(x) < 190)] = -160  # the table
    image[ellipse(0, 0, wide, deep)] = -95  # fat
    image[ellipse(0, 0, wide - 16, deep - 14)] = 48  # muscle
    lung_wide, lung_deep = lung_axes_mm(height)
    for side in (-1, 1):
        image[ellipse(side * LUNG_CENTRE_MM[0], LUNG_CENTRE_MM[1], lung_wide, lung_deep)] = -860
    for rib in range(10):
        angle = 2 * np.pi * (rib / 10 + 0.05 * height)
        image[ellipse((wide - 15) * np.cos(angle), (deep - 13) * np.sin(angle), 9, 5)] = 420
    image[ellipse(18, -30, 46 * np.sin(np.pi * (0.2 + 0.5 * height)), 38)] = 40  # heart
    image[ellipse(0, 46, 22, 18)] = 310  # vertebra
    image[ellipse(CANAL_MM[0], CANAL_MM[1], CANAL_MM[2], CANAL_MM[2])] = 28
    reach = NODULE_RADIUS_MM**2 - (z - NODULE_MM[2]) ** 2
    if reach > 0:
        image[ellipse(NODULE_MM[0], NODULE_MM[1], reach**0.5, reach**0.5)] = 62
    image += np.roll(noise, (index * 37, index * 91), axis=(0, 1))
    return np.clip(image - AIR_HU, 0, 4095).astype(np.int16)


def _pixels(ds: Dataset, image: NDArray[np.int16], *, spacing_mm: float) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = image.shape
    ds.PixelSpacing = [spacing_mm, spacing_mm]
    ds.BitsAllocated = 16
    ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.PixelData = image.astype("<i2").tobytes()


def _request(people: People) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID = "RP1"
    item.ScheduledProcedureStepID = "SPS1"
    item.RequestedProcedureDescription = f"CT thorax, {people.patient.plain}"
    item.ScheduledProcedureStepDescription = f"Thorax för {people.patient.family}"
    item.ReasonForTheRequestedProcedure = f"Pulmonary nodule, asked by Dr {people.referring.plain}"
    item.ScheduledProtocolCodeSequence = [code("CTTHX", "99EKB", f"CT thorax ({people.hospital})"[:64])]
    return item


def _contributing(people: People) -> Dataset:
    item = Dataset()
    item.Manufacturer = "ACME Imaging"
    item.ManufacturerModelName = "Relay 3"
    item.InstitutionName = people.hospital
    item.InstitutionAddress = people.address
    item.OperatorsName = people.operator.dicom
    item.StationName = "RELAY1"
    item.ContributionDescription = f"Coerced for {people.patient.plain}"
    item.PurposeOfReferenceCodeSequence = [code("109103", "DCM", "Modifying Equipment")]
    return item


def study_uid(seed: int) -> str:
    """The CT study's UID."""
    return uid(seed, "ct study")


def ct_instance_uid(seed: int, index: int) -> str:
    """SOP Instance UID of one slice."""
    return uid(seed, "ct instance", index)


def make_ct(people: People, *, seed: int, slices: int) -> list[bytes]:
    """Return the slices of a chest CT, feet first in the list, one series, one frame of reference."""
    noise = np.random.default_rng(seed).normal(0, 9, (SIZE, SIZE)).astype(np.float32)
    files = []
    for index in range(slices):
        ds = patient_and_study(people, study_uid=study_uid(seed))
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = ct_instance_uid(seed, index)
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{people.study_date:%Y%m%d}"
        ds.StudyTime, ds.SeriesTime = "101503", "101742"
        ds.AcquisitionTime = ds.ContentTime = f"1018{index % 60:02d}.{index:06d}"
        ds.AcquisitionDateTime = f"{people.study_date:%Y%m%d}1018{index % 60:02d}.{index:06d}"
        ds.StudyID = "4711"
        ds.AccessionNumber = people.accession
        ds.StudyDescription = f"CT thorax {people.patient.family} kontroll"[:64]
        ds.AdditionalPatientHistory = (
            f"{people.patient.plain}, smoker for 20 years, 23 mm nodule in the left lung, "
            f"{people.relation} {people.relative.plain} can be reached on {people.relative_phone}."
        )
        ds.PatientComments = f"Tel {people.phone}, e-post {people.email}, pass {people.passport.value}"
        equipment(ds, people, modality="CT", model="Helix 64")
        ds.SeriesInstanceUID = uid(seed, "ct series")
        ds.SeriesNumber = 2
        ds.SeriesDescription = "Thorax 2.5 mm mjukdel"
        ds.ProtocolName = "THORAX KONTRAST"
        ds.BodyPartExamined = "CHEST"
        ds.PatientPosition = "HFS"
        ds.RequestAttributesSequence = [_request(people)]
        ds.ContributingEquipmentSequence = [_contributing(people)]
        ds.FrameOfReferenceUID = uid(seed, "frame of reference")
        ds.PositionReferenceIndicator = "XY"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.AcquisitionNumber = 1
        ds.InstanceNumber = index + 1
        ds.ImagePositionPatient = [-SIZE / 2 * SPACING_MM] * 2 + [slice_z_mm(index, slices)]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.SliceThickness = ds.SpacingBetweenSlices = SLICE_MM
        ds.SliceLocation = slice_z_mm(index, slices)
        ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = 120, 210, 500
        ds.ConvolutionKernel = "STANDARD"
        ds.ContrastBolusAgent = "Iohexol 350"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = AIR_HU, 1, "HU"
        ds.WindowCenter, ds.WindowWidth = [40, -600], [400, 1500]
        ds.WindowCenterWidthExplanation = ["MEDIASTINUM", "LUNG"]
        ds.ImageComments = f"Granskad av {people.radiologist.plain}" if index == 0 else "Utan anmärkning"
        acquisition = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
        acquisition.add_new(0x23, "DS", "39.375")  # Table Speed, safe by PS3.15 Table E.3.10-1
        acquisition.add_new(0x27, "DS", "0.5")  # Rotation Speed, safe likewise
        acquisition.add_new(0xA0, "LO", people.personnummer.value)  # in no safe list
        local = ds.private_block(0x0029, "EKB LOCAL 1.0", create=True)
        local.add_new(0x10, "PN", people.patient.dicom)
        local.add_new(0x11, "UN", f"{people.patient.plain} {people.phone}".encode("latin-1"))
        _pixels(ds, _thorax(index, slices, noise), spacing_mm=SPACING_MM)
        files.append(part10(ds, preamble=_preamble(people) if index == min(1, slices - 1) else bytes(128)))
    return files


def _preamble(people: People) -> bytes:
    """128 bytes that a TIFF reader would take, with a name in them (PS3.10 7.5)."""
    return (b"II*\0\x08\0\0\0\0\0" + people.patient.plain.encode("latin-1"))[:128].ljust(128, b"\0")


def _head(index: int, slices: int, size: int) -> NDArray[np.int16]:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    swell = float(np.sin(np.pi * (0.2 + 0.6 * index / max(slices - 1, 1))))
    radius = np.sqrt((x / (0.72 * swell)) ** 2 + (y / (0.88 * swell)) ** 2)
    image = np.zeros((size, size), dtype=np.float32)
    image[radius <= 1] = 620  # scalp
    image[radius <= 0.93] = 60  # bone
    image[radius <= 0.86] = 410  # brain
    image += np.where(radius <= 0.8, 70 * np.cos(14 * x) * np.cos(11 * y), 0)
    image[(np.abs(x) < 0.1) & (np.abs(y) < 0.22)] = 130  # ventricles
    return np.clip(image, 0, 4095).astype(np.int16)


def mr_date(people: People) -> date:
    """Return the prior's date: the year before the CT."""
    return people.study_date.replace(year=people.study_date.year - 1, day=min(people.study_date.day, 28))


def make_mr(people: People, *, seed: int, slices: int = 12, size: int = 256) -> list[bytes]:
    """Return the prior head MR that the patient has on a disc, made at another hospital under another number."""
    files = []
    for index in range(slices):
        ds = patient_and_study(people, study_uid=uid(seed, "mr study"))
        ds.PatientID = people.second_mrn.value
        ds.IssuerOfPatientID = people.clinic
        ds.SOPClassUID = MRImageStorage
        ds.SOPInstanceUID = uid(seed, "mr instance", index)
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{mr_date(people):%Y%m%d}"
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "141507"
        ds.StudyID = "12"
        ds.AccessionNumber = people.second_accession
        ds.StudyDescription = "MR hjärna"
        equipment(ds, people, modality="MR", model="Field 1.5")
        ds.InstitutionName = people.clinic
        ds.SeriesInstanceUID = uid(seed, "mr series")
        ds.SeriesNumber = 3
        ds.SeriesDescription = f"T2 TSE AX {people.patient.given}"[:64]
        ds.BodyPartExamined = "HEAD"
        ds.PatientPosition = "HFS"
        ds.FrameOfReferenceUID = uid(seed, "mr frame of reference")
        ds.PositionReferenceIndicator = ""
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        ds.InstanceNumber = index + 1
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "SK", ""
        ds.MRAcquisitionType = "2D"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 4200, 96, 11
        ds.MagneticFieldStrength = 1.5
        ds.SliceThickness = ds.SpacingBetweenSlices = 5
        ds.ImagePositionPatient = [-115, -115, index * 5 - 30]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.WindowCenter, ds.WindowWidth = 350, 700
        _pixels(ds, _head(index, slices, size), spacing_mm=0.8984375)
        files.append(part10(ds, source_ae="MRDISC"))
    return files
