"""What was made from the CT in the demo: a radiotherapy structure set and a structured report that refer to its slices."""

from __future__ import annotations

from math import cos, pi, sin

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, RTStructureSetStorage

from gateway.cli.demo.material_imaging import (
    CANAL_MM,
    LUNG_CENTRE_MM,
    NODULE_MM,
    NODULE_RADIUS_MM,
    body_axes_mm,
    code,
    ct_instance_uid,
    equipment,
    lung_axes_mm,
    part10,
    patient_and_study,
    slice_z_mm,
    study_uid,
    uid,
)
from gateway.cli.demo.people import People

_STUDY_COMPONENT = (
    "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired, still what planning systems write
)
ROI_NAMES = ("BODY", "Lung_L", "Lung_R", "SpinalCanal", "GTV_nodule")
_ROI_COLOURS = ((0, 255, 0), (0, 160, 255), (255, 160, 0), (255, 255, 0), (255, 0, 0))
_ROI_TYPES = ("EXTERNAL", "ORGAN", "ORGAN", "ORGAN", "GTV")
_POINTS = 24
Ellipse = tuple[float, float, float, float]  # centre x, centre y, half axis x, half axis y, all in mm


def _shape(name: str, index: int, slices: int) -> Ellipse | None:
    height = index / max(slices - 1, 1)
    lung = lung_axes_mm(height)
    if name == "BODY":
        return (0, 0, *body_axes_mm(height))
    if name in {"Lung_L", "Lung_R"}:
        side = 1 if name == "Lung_L" else -1
        return (side * LUNG_CENTRE_MM[0], LUNG_CENTRE_MM[1], *lung)
    if name == "SpinalCanal":
        return (CANAL_MM[0], CANAL_MM[1], CANAL_MM[2], CANAL_MM[2])
    reach = NODULE_RADIUS_MM**2 - (slice_z_mm(index, slices) - NODULE_MM[2]) ** 2
    return (NODULE_MM[0], NODULE_MM[1], reach**0.5, reach**0.5) if reach > 0 else None


def _reference(seed: int, index: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CTImageStorage
    item.ReferencedSOPInstanceUID = ct_instance_uid(seed, index)
    return item


def _contour(seed: int, index: int, slices: int, ellipse: Ellipse) -> Dataset:
    x, y, wide, deep = ellipse
    z = slice_z_mm(index, slices)
    points: list[str] = []
    for step in range(_POINTS):
        turn = 2 * pi * step / _POINTS
        points += [f"{x + wide * cos(turn):.2f}", f"{y + deep * sin(turn):.2f}", f"{z:.2f}"]
    contour = Dataset()
    contour.ContourImageSequence = [_reference(seed, index)]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = _POINTS
    contour.ContourData = points
    return contour


def make_rtstruct(people: People, *, seed: int, slices: int) -> bytes:
    """Return an RT Structure Set (PS3.3 A.19) drawn on the CT; its ROI names are clinical and must stay."""
    ds = patient_and_study(people, study_uid=study_uid(seed))
    equipment(ds, people, modality="RTSTRUCT", model="Planner 5")
    ds.SOPClassUID = RTStructureSetStorage
    ds.SOPInstanceUID = uid(seed, "rtstruct")
    ds.SeriesInstanceUID = uid(seed, "rtstruct series")
    ds.SeriesNumber = 101
    ds.SeriesDescription = "Structures"
    ds.StudyDate = ds.StructureSetDate = ds.InstanceCreationDate = f"{people.study_date:%Y%m%d}"
    ds.StudyTime, ds.StructureSetTime = "101503", "133000"
    ds.StudyID = "4711"
    ds.AccessionNumber = people.accession
    ds.StructureSetLabel = "PLAN1"
    ds.StructureSetName = people.patient.family[:64]
    ds.StructureSetDescription = f"Drawn by {people.operator.plain} for {people.patient.plain}"
    ds.ApprovalStatus = "APPROVED"
    ds.ReviewDate, ds.ReviewTime = ds.StudyDate, "140000"
    ds.ReviewerName = people.radiologist.dicom

    series = Dataset()
    series.SeriesInstanceUID = uid(seed, "ct series")
    series.ContourImageSequence = [_reference(seed, index) for index in range(slices)]
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_COMPONENT
    study.ReferencedSOPInstanceUID = study_uid(seed)
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = uid(seed, "frame of reference")
    frame.RTReferencedStudySequence = [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.FrameOfReferenceUID = frame.FrameOfReferenceUID
    ds.PositionReferenceIndicator = ""

    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for number, name in enumerate(ROI_NAMES, start=1):
        roi = Dataset()
        roi.ROINumber = number
        roi.ReferencedFrameOfReferenceUID = frame.FrameOfReferenceUID
        roi.ROIName = name
        roi.ROIGenerationAlgorithm = "SEMIAUTOMATIC"
        ds.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ROIDisplayColor = list(_ROI_COLOURS[number - 1])
        drawn.ReferencedROINumber = number
        shapes = ((index, _shape(name, index, slices)) for index in range(slices))
        drawn.ContourSequence = [_contour(seed, index, slices, shape) for index, shape in shapes if shape]
        ds.ROIContourSequence.append(drawn)
        seen = Dataset()
        seen.ObservationNumber = seen.ReferencedROINumber = number
        seen.RTROIInterpretedType = _ROI_TYPES[number - 1]
        seen.ROIInterpreter = people.operator.dicom
        ds.RTROIObservationsSequence.append(seen)
    return part10(ds, source_ae="PLANNER")


def _item(relation: str, kind: str, name: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType = relation
    item.ValueType = kind
    item.ConceptNameCodeSequence = [name]
    return item


def _container(relation: str, name: Dataset, content: list[Dataset]) -> Dataset:
    item = _item(relation, "CONTAINER", name)
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = content
    return item


def _valued(relation: str, name: Dataset, kind: str, keyword: str, value: object) -> Dataset:
    item = _item(relation, kind, name)
    setattr(item, keyword, value)
    return item


def _number(name: Dataset, value: str, unit: Dataset, sources: list[Dataset]) -> Dataset:
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = [unit]
    measured.NumericValue = value
    item = _item("CONTAINS", "NUM", name)
    item.MeasuredValueSequence = [measured]
    item.ContentSequence = sources
    return item


def _image(relation: str, seed: int, index: int) -> Dataset:
    item = Dataset()
    item.RelationshipType = relation
    item.ValueType = "IMAGE"
    item.ReferencedSOPSequence = [_reference(seed, index)]
    return item


def _line(seed: int, index: int) -> Dataset:
    item = _item("INFERRED FROM", "SCOORD", code("121055", "DCM", "Path"))
    item.GraphicType = "POLYLINE"
    item.GraphicData = [353.5, 233.0, 383.5, 233.0]
    item.ContentSequence = [_image("SELECTED FROM", seed, index)]
    return item


def _content(people: People, *, seed: int, slices: int) -> list[Dataset]:
    middle = slices // 2
    finding, conclusion = code("121071", "DCM", "Finding"), code("121077", "DCM", "Conclusion")
    named_finding = (
        f"{people.patient.plain} has a spiculated 23 mm nodule in the left upper lobe, no effusion. "
        f"Discussed with {people.relation} {people.relative.plain}."
    )
    text = (
        (finding, named_finding),
        (finding, "No enlarged mediastinal lymph nodes. Liver and adrenals normal."),
        (
            conclusion,
            f"Suspected primary lung cancer, cT1c. Dr {people.referring.plain} informed by telephone.",
        ),
    )
    millimetre = code("mm", "UCUM", "millimeter")
    group = _container(
        "CONTAINS",
        code("125007", "DCM", "Measurement Group"),
        [
            _valued(
                "HAS OBS CONTEXT",
                code("112039", "DCM", "Tracking Identifier"),
                "TEXT",
                "TextValue",
                "Nodule 1",
            ),
            _valued(
                "HAS OBS CONTEXT",
                code("112040", "DCM", "Tracking Unique Identifier"),
                "UIDREF",
                "UID",
                uid(seed, "nodule"),
            ),
            _number(code("410668003", "SCT", "Length"), "23.4", millimetre, [_line(seed, middle)]),
            _number(
                code("112031", "DCM", "Attenuation Coefficient"),
                "62",
                code("[hnsf'U]", "UCUM", "Hounsfield unit"),
                [_image("INFERRED FROM", seed, middle)],
            ),
        ],
    )
    return [
        _valued(
            "HAS CONCEPT MOD",
            code("121049", "DCM", "Language of Content Item and Descendants"),
            "CODE",
            "ConceptCodeSequence",
            [code("en", "RFC5646", "English")],
        ),
        _valued(
            "HAS OBS CONTEXT",
            code("121008", "DCM", "Person Observer Name"),
            "PNAME",
            "PersonName",
            people.radiologist.dicom,
        ),
        _valued(
            "HAS OBS CONTEXT",
            code("121009", "DCM", "Person Observer's Organization Name"),
            "TEXT",
            "TextValue",
            people.hospital,
        ),
        _valued(
            "HAS OBS CONTEXT",
            code("121029", "DCM", "Subject Name"),
            "PNAME",
            "PersonName",
            people.patient.dicom,
        ),
        _valued(
            "HAS OBS CONTEXT",
            code("121018", "DCM", "Procedure Study Instance UID"),
            "UIDREF",
            "UID",
            study_uid(seed),
        ),
        _valued(
            "CONTAINS",
            code("121069", "DCM", "Previous Finding"),
            "TEXT",
            "TextValue",
            f"Pat {people.personnummer.value}: inget tidigare CT. MR hjärna {people.clinic} utan metastaser.",
        ),
        group,
        *(_valued("CONTAINS", concept, "TEXT", "TextValue", words) for concept, words in text),
        _image("CONTAINS", seed, middle),
    ]


def make_sr(people: People, *, seed: int, slices: int) -> bytes:
    """Return a Comprehensive SR after TID 1500 (PS3.16): names and findings in the same sentences."""
    ds = patient_and_study(people, study_uid=study_uid(seed), charset="ISO_IR 192")
    equipment(ds, people, modality="SR", model="Reporter 2")
    ds.SOPClassUID = ComprehensiveSRStorage
    ds.SOPInstanceUID = uid(seed, "sr")
    ds.SeriesInstanceUID = uid(seed, "sr series")
    ds.SeriesNumber, ds.InstanceNumber = 201, 1
    ds.SeriesDescription = f"Report {people.patient.family}"[:64]
    ds.StudyDate = ds.ContentDate = f"{people.study_date:%Y%m%d}"
    ds.StudyTime, ds.ContentTime = "101503", "151210"
    ds.StudyID = "4711"
    ds.AccessionNumber = people.accession
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    verifier = Dataset()
    verifier.VerifyingOrganization = people.hospital
    verifier.VerificationDateTime = f"{people.study_date:%Y%m%d}151500"
    verifier.VerifyingObserverName = people.radiologist.dicom
    verifier.VerifyingObserverIdentificationCodeSequence = []
    ds.VerifyingObserverSequence = [verifier]
    evidence_series = Dataset()
    evidence_series.SeriesInstanceUID = uid(seed, "ct series")
    evidence_series.ReferencedSOPSequence = [_reference(seed, slices // 2)]
    evidence = Dataset()
    evidence.StudyInstanceUID = study_uid(seed)
    evidence.ReferencedSeriesSequence = [evidence_series]
    ds.CurrentRequestedProcedureEvidenceSequence = [evidence]
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    ds.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
    ds.ContentTemplateSequence = [template]
    ds.ContentSequence = _content(people, seed=seed, slices=slices)
    return part10(ds, source_ae="REPORTER")
