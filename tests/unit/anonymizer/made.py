"""Makes DICOM objects with planted identifiers for the anonymizer's tests; every person in them is invented."""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
)

from anonymizer.engine import Deidentified, Quarantined, deidentify_instance
from anonymizer.known import Known
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms

KEY = bytes(range(32))
KNOWN = Known.from_json({
    "names": ["Krasheninnikova^Åsa Märta"],
    "identifiers": [{"type": "personnummer", "value": "19650312-2380"}, {"type": "mrn", "value": "QX7734410"}],
    "birth_date": "1965-03-12",
    "phones": ["+46 70 174 06 05"],
    "emails": ["asa.k@example.org"],
    "addresses": [{"street": "Blåklintsvägen 17", "postal_code": "413 22", "city": "Mölnlycke"}],
    "relatives": [{"names": ["Krasheninnikov^Oleg"], "relation": "husband"}],
    "physicians": [{"names": ["Wallenstråle^Birger"], "institution": "Fjärdhälls lasarett"}],
})  # fmt: skip
#: Needles that may be in no output, in any encoding.
SECRETS = (
    "Krasheninn", "KRASHENINN", "krasheninn", "Märta", "Wallenstråle", "Wallenstrale", "WALLENSTR", "Oleg",
    "19650312", "6503122380", "650312-2380", "QX7734410", "174 06 05", "1740605", "Blåklint", "Mölnlycke",
    "Fjärdhäll", "asa.k@", "SECRET",
)  # fmt: skip
ROOT = "1.2.826.0.1.3680043.8.498.77"
STUDY, SERIES, FRAME = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"


def deidentified(
    content: bytes | Dataset, profile: str = "mdt-default", known: Known = KNOWN
) -> Deidentified:
    made = content if isinstance(content, bytes) else encoded(content)
    result = deidentify_instance(made, profile=load_profile(profile), pseudonyms=Pseudonyms(KEY), known=known)
    assert isinstance(result, Deidentified), result
    return result


def refused(content: bytes | Dataset, profile: str = "mdt-default") -> Quarantined:
    made = content if isinstance(content, bytes) else encoded(content)
    result = deidentify_instance(made, profile=load_profile(profile), pseudonyms=Pseudonyms(KEY), known=KNOWN)
    assert isinstance(result, Quarantined)
    return result


def reread(result: Deidentified) -> Dataset:
    from pydicom import dcmread

    return dcmread(io.BytesIO(result.content))


def secrets_in(content: bytes) -> list[str]:
    codecs = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
    return [f"{secret} {codec}" for secret in SECRETS for codec in codecs if secret.encode(codec) in content]


def encoded(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def base(sop_class: str, modality: str, number: int = 1, syntax: str = ExplicitVRLittleEndian) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.9.{number}"
    meta.TransferSyntaxUID = syntax
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{ROOT}.9.{number}"
    ds.Modality = modality
    ds.PatientName, ds.PatientID = "Krasheninnikova^Åsa Märta", "19650312-2380"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19650312", "F", "061Y"
    ds.PatientSize, ds.PatientWeight = "1.71", "68"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260302"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "235501"
    ds.AccessionNumber, ds.StudyID = "SECRET4711", "SECRETST"
    ds.ReferringPhysicianName = "Wallenstråle^Birger"
    ds.InstitutionName = "Fjärdhälls lasarett"
    ds.StudyDescription = "CT thorax, Hodgkin, pat Krasheninnikova"
    ds.SeriesDescription = "Thorax 1.0 Br40"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = (
        "SIEMENS",
        "SOMATOM Force",
        "syngo CT VB10A",
    )
    ds.DeviceSerialNumber, ds.StationName = "SECRET991", "SECRETCT1"
    ds.SeriesNumber, ds.InstanceNumber = 4, number
    return ds


def pixels(ds: Dataset, side: int = 16) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = side
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.arange(side * side, dtype="<u2").tobytes()


def ct(number: int = 1) -> FileDataset:
    ds = base(CTImageStorage, "CT", number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.FrameOfReferenceUID = FRAME
    ds.PositionReferenceIndicator = ""
    ds.KVP, ds.AcquisitionNumber = "120", 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 1
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.BodyPartExamined = "CHEST"
    pixels(ds)
    return ds


def planted_ct() -> FileDataset:
    """Identifiers in every kind of place that a data set has."""
    ds = ct()
    ds.PatientAddress, ds.PatientTelephoneNumbers = "Blåklintsvägen 17, Mölnlycke", "+46 70 174 06 05"
    ds.OtherPatientIDs = "QX7734410"
    ds.AdditionalPatientHistory = "Parkinson sedan 2019. Maken Oleg ringer 070-174 06 05. Född 1965-03-12."
    ds.LUTExplanation = "for QX7734410"
    ds.WindowCenterWidthExplanation = "Krasheninnikova lung"
    ds.ReceiveCoilName = "HEAD Krasheninn"
    ds.SequenceName, ds.ProtocolName = "fl3d Krasheninn", "Thorax 650312-2380"
    ds.FilterMaterial = "TIN"
    ds.OperatorsName = "SECRET^Operator"
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = "QX7734410", "TEXT"
    ds.OtherPatientIDsSequence = Sequence([other])
    old = Dataset()
    modified = Dataset()
    modified.PatientName = "SECRET^Maiden"
    old.ModifiedAttributesSequence = Sequence([modified])
    old.ModifyingSystem, old.ReasonForTheAttributeModification = "SECRETSYS", "CORRECT"
    ds.OriginalAttributesSequence = Sequence([old])
    equipment = Dataset()
    equipment.Manufacturer, equipment.InstitutionName = "ACME", "Fjärdhälls lasarett"
    equipment.ContributionDescription = "sent by Birger Wallenstråle"
    equipment.PurposeOfReferenceCodeSequence = Sequence([code("109101", "DCM", "Acquisition Equipment")])
    ds.ContributingEquipmentSequence = Sequence([equipment])
    context = Dataset()
    context.ValueType = "TEXT"
    context.ConceptNameCodeSequence = Sequence([code("X1", "99LOCAL", "Remark for Krasheninnikova")])
    context.TextValue = "asked by Dr Wallenstråle, asa.k@example.org"
    protocol = code("P1", "99LOCAL", "Thorax Krasheninnikova")
    protocol.ProtocolContextSequence = Sequence([context])
    ds.PerformedProtocolCodeSequence = Sequence([protocol])
    icon = Dataset()
    pixels(icon, 4)
    ds.IconImageSequence = Sequence([icon])
    ds.add_new(0x00091001, "LO", "SECRET private")
    ds.add_new(0x00090010, "LO", "HOSPITAL SYSTEM")
    ds.add_new(0x00190010, "LO", "GEMS_ACQU_01")
    ds.add_new(0x00191023, "DS", "39.375")
    ds.add_new(0x0019109E, "LO", "efgre3d Krasheninnikova")
    ds.add_new(0x00430010, "LO", "GEMS_PARM_01")
    ds.add_new(0x0043106F, "DS", ["1.5", "196503122380"])
    ds.add_new(0x60000010, "US", 16)
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60003000, "OW", b"SECRET" * 5 + b"\0\0")
    ds.add_new(0x60004000, "LT", "SECRET overlay")
    ds.add_new(0x50003000, "OW", b"SECRET")
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def mr(number: int = 1) -> FileDataset:
    ds = base(MRImageStorage, "MR", number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    ds.BodyPartExamined = "BRAIN"
    ds.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    ds.add_new(0x0019100C, "IS", "1000")
    ds.add_new(0x0019100E, "FD", [0.1, 0.2, 0.3])
    pixels(ds)
    return ds


def pet(number: int = 1) -> FileDataset:
    ds = base(PositronEmissionTomographyImageStorage, "PT", number)
    dose = Dataset()
    dose.RadiopharmaceuticalStartDateTime = "20260302225500.000000+0100"
    dose.RadiopharmaceuticalStartTime = "225500"
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "350000000", "6586.2"
    ds.RadiopharmaceuticalInformationSequence = Sequence([dose])
    ds.AcquisitionDateTime = "20260303000502.250+0100"
    pixels(ds)
    return ds


def photo(jpeg: bytes) -> FileDataset:
    from pydicom.encaps import encapsulate

    ds = base(VLPhotographicImageStorage, "XC", syntax="1.2.840.10008.1.2.4.50")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = encapsulate([jpeg])
    ds["PixelData"].is_undefined_length = True
    return ds


def scanned() -> FileDataset:
    """A photograph whose frame carries comments, in three fragments' worth of JPEG."""
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((16, 16), 60).convert("RGB").save(out, format="JPEG", comment=b"SECRET comment")
    return photo(out.getvalue())


def presentation() -> FileDataset:
    ds = base(GrayscaleSoftcopyPresentationStateStorage, "PR", 70)
    ds.ContentLabel, ds.ContentDescription = "MARKS", "drawn for Krasheninnikova"
    ds.ContentCreatorName = "Wallenstråle^Birger"
    ds.PresentationCreationDate, ds.PresentationCreationTime = "20260303", "090000"
    image, series = reference(CTImageStorage, f"{ROOT}.9.1"), Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = SERIES, Sequence([image])
    ds.ReferencedSeriesSequence = Sequence([series])
    text, line, mark = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue = "node 14 mm, K. Åsa Krasheninnikova"
    line.GraphicAnnotationUnits, line.GraphicDimensions, line.NumberOfGraphicPoints = "PIXEL", 2, 2
    line.GraphicData, line.GraphicType = [1.0, 1.0, 5.0, 5.0], "POLYLINE"
    mark.GraphicLayer, mark.TextObjectSequence, mark.GraphicObjectSequence = (
        "A",
        Sequence([text]),
        Sequence([line]),
    )
    ds.GraphicAnnotationSequence = Sequence([mark])
    return ds


def us() -> FileDataset:
    ds = base(UltrasoundImageStorage, "US")
    pixels(ds)
    return ds


def item(relationship: str, value_type: str, concept: Dataset, **values: object) -> Dataset:
    content = Dataset()
    content.RelationshipType, content.ValueType = relationship, value_type
    content.ConceptNameCodeSequence = Sequence([concept])
    for name, value in values.items():
        setattr(content, name, value)
    return content


def reference(sop_class: str, uid: str) -> Dataset:
    ref = Dataset()
    ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID = sop_class, uid
    return ref


def report() -> FileDataset:
    ds = base(ComprehensiveSRStorage, "SR", 50)
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = Sequence([code("18748-4", "LN", "Diagnostic imaging report")])
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = (
        "Wallenstråle^Birger",
        "Fjärdhälls lasarett",
    )
    observer.VerificationDateTime = "20260303101500"
    observer.VerifyingObserverIdentificationCodeSequence = Sequence(
        [code("SECRETBW", "99HOSP", "Birger Wallenstråle")]
    )
    ds.VerifyingObserverSequence = Sequence([observer])
    evidence, series = Dataset(), Dataset()
    series.ReferencedSOPSequence, series.SeriesInstanceUID = (
        Sequence([reference(CTImageStorage, f"{ROOT}.9.1")]),
        SERIES,
    )
    evidence.ReferencedSeriesSequence, evidence.StudyInstanceUID = Sequence([series]), STUDY
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([evidence])
    measured = Dataset()
    measured.NumericValue = "14.5"
    measured.MeasurementUnitsCodeSequence = Sequence([code("mm", "UCUM", "millimeter")])
    age = Dataset()
    age.NumericValue = "93"
    age.MeasurementUnitsCodeSequence = Sequence([code("a", "UCUM", "year")])
    finding = item("CONTAINS", "CODE", code("121071", "DCM", "Finding"))
    finding.ConceptCodeSequence = Sequence([code("118600007", "SCT", "Malignant lymphoma")])
    ds.ContentSequence = Sequence([
        item("HAS OBS CONTEXT", "PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Wallenstråle^Birger"),
        item("HAS OBS CONTEXT", "PNAME", code("121029", "DCM", "Subject Name"), PersonName="Krasheninnikova^Åsa"),
        item("HAS OBS CONTEXT", "TEXT", code("121030", "DCM", "Subject ID"), TextValue="SECRET-ID-1"),
        item("HAS OBS CONTEXT", "DATE", code("121031", "DCM", "Subject Birth Date"), Date="19650312"),
        item("HAS OBS CONTEXT", "NUM", code("121033", "DCM", "Subject Age"), MeasuredValueSequence=Sequence([age])),
        item("HAS OBS CONTEXT", "TEXT", code("X9", "99LOCAL", "Patient phone number"), TextValue="SECRET 12"),
        item("HAS OBS CONTEXT", "UIDREF", code("121018", "DCM", "Procedure Study Instance UID"), UID=STUDY),
        item("CONTAINS", "TEXT", code("121071", "DCM", "Finding"),
             TextValue="Åsa Krasheninnikova: Hodgkin lymphoma, node 14 mm. Compared with 2026-02-02."),
        item("CONTAINS", "NUM", code("103339001", "SCT", "Long axis"), MeasuredValueSequence=Sequence([measured])),
        item("CONTAINS", "IMAGE", code("260753009", "SCT", "Source"),
             ReferencedSOPSequence=Sequence([reference(CTImageStorage, f"{ROOT}.9.1")])),
        item("CONTAINS", "SCOORD", code("111030", "DCM", "Image Region"), GraphicData=[1.0, 2.0, 3.0, 4.0],
             GraphicType="POLYLINE"),
        finding,
    ])  # fmt: skip
    return ds


def structure_set() -> FileDataset:
    ds = base(RTStructureSetStorage, "RTSTRUCT", 60)
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "Plan Krasheninn", "20260302", "120000"
    image = reference(CTImageStorage, f"{ROOT}.9.1")
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = SERIES, Sequence([image])
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", STUDY
    study.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = FRAME, Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    roi, contours, contour = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ReferencedFrameOfReferenceUID, roi.ROIName = 1, FRAME, "GTV hilus sin"
    roi.ROIGenerationAlgorithm = "MANUAL"
    ds.StructureSetROISequence = Sequence([roi])
    contour.ContourImageSequence, contour.ContourGeometricType = Sequence([image]), "POINT"
    contour.NumberOfContourPoints, contour.ContourData = 1, [1, 2, 3]
    contours.ReferencedROINumber, contours.ContourSequence = 1, Sequence([contour])
    ds.ROIContourSequence = Sequence([contours])
    observation = Dataset()
    observation.ObservationNumber, observation.ReferencedROINumber = 1, 1
    observation.RTROIInterpretedType, observation.ROIInterpreter = "GTV", "Wallenstråle^Birger"
    ds.RTROIObservationsSequence = Sequence([observation])
    return ds
