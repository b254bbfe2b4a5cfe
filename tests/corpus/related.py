"""Objects that point at others: RT structure set, plan and dose, segmentation, presentation state, registration, key objects."""

import numpy as np
from pydicom import uid

from tests.corpus.base import Study, start
from tests.corpus.images import grey, reference
from tests.corpus.made import Made


def structures(study: Study, cts: list[Made]) -> Made:
    made = start(study, "rtstruct", uid.RTStructureSetStorage, "RTSTRUCT")
    case = study.case
    made.text("StructureSetLabel", "{latin}", "outside_the_table", "SH")
    made.text("StructureSetName", "<Thorax VMAT> {name}", "descriptors")
    made.date("StructureSetDate", study.stamp())
    made.keep("StructureSetTime", "091500", "acquisition")
    made.present("StructureSetLabel")
    made.present("StructureSetDate", "StructureSetTime", empty=True)
    frame = "ReferencedFrameOfReferenceSequence[0]"
    made.uid(f"{frame}/FrameOfReferenceUID", study.frame, "frame_of_reference", resolves=True)
    made.stays(f"{frame}/RTReferencedStudySequence[0]/ReferencedSOPClassUID", "1.2.840.10008.3.1.2.3.1")
    made.uid(
        f"{frame}/RTReferencedStudySequence[0]/ReferencedSOPInstanceUID",
        study.uid,
        "references",
        resolves=True,
    )
    series = f"{frame}/RTReferencedStudySequence[0]/RTReferencedSeriesSequence[0]"
    made.uid(f"{series}/SeriesInstanceUID", str(cts[0].ds.SeriesInstanceUID), "references", resolves=True)
    for i, target in enumerate(cts):
        reference(made, f"{series}/ContourImageSequence[{i}]", target)
    names = ("GTV_primary", "PTV_6000", "Heart", "Lung_L", f"PTV {case.latin}")
    for i, name in enumerate(names):
        roi = f"StructureSetROISequence[{i}]"
        made.put(f"{roi}/ROINumber", i + 1)
        made.uid(f"{roi}/ReferencedFrameOfReferenceUID", study.frame, "frame_of_reference", resolves=True)
        if i < 4:
            made.keep(f"{roi}/ROIName", name, "roi_names_kept")
        else:
            made.gone(f"{roi}/ROIName", name, "roi_names", [case.latin])
            made.check("kept", "roi_names_kept", f"{roi}/ROIName", words=["PTV"])
        made.put(f"{roi}/ROIGenerationAlgorithm", "MANUAL")
        contour = f"ROIContourSequence[{i}]/ContourSequence[0]"
        made.put(f"ROIContourSequence[{i}]/ReferencedROINumber", i + 1)
        reference(made, f"{contour}/ContourImageSequence[0]", cts[i % len(cts)])
        made.put(f"{contour}/ContourGeometricType", "CLOSED_PLANAR")
        # Long, as drawn by a machine: many an outline is longer than the head of a file that a reader looks at first.
        outline = [number for at in range(2500) for number in (at / 8, at % 97, 5)]
        made.put(f"{contour}/NumberOfContourPoints", 2500)
        made.keep(f"{contour}/ContourData", outline, "acquisition")
        made.put(f"RTROIObservationsSequence[{i}]/ObservationNumber", i + 1)
        made.put(f"RTROIObservationsSequence[{i}]/ReferencedROINumber", i + 1)
        made.put(f"RTROIObservationsSequence[{i}]/RTROIInterpretedType", "PTV")
        made.put(f"RTROIObservationsSequence[{i}]/ROIInterpreter", "")
    made.text("StructureSetROISequence[0]/ROIDescription", "<boost volume> drawn by {reader}", "nested_text")
    made.gone(
        "RTROIObservationsSequence[1]/ROIInterpreter", case.pn("reader"), "nested", case.fields["reader"][1]
    )
    made.text("RTROIObservationsSequence[2]/ROIObservationLabel", "{latin}", "roi_names", "SH")
    return made


def plan(study: Study, struct: Made) -> Made:
    made = start(study, "rtplan", uid.RTPlanStorage, "RTPLAN")
    made.text("RTPlanLabel", "{latin}", "outside_the_table", "SH")
    made.text("RTPlanName", "<VMAT 2 arcs> {family}", "descriptors")
    made.text("RTPlanDescription", "<60 Gy in 30 fractions> for {name}, {number}", "descriptors")
    made.date("RTPlanDate", study.stamp(2))
    made.keep("RTPlanTime", "130000", "acquisition")
    made.keep("RTPlanGeometry", "PATIENT", "acquisition")
    made.keep("PlanIntent", "CURATIVE", "acquisition")
    made.text("PrescriptionDescription", "<daily IGRT>, phone {phone2}", "descriptors")
    reference(made, "ReferencedStructureSetSequence[0]", struct)
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    made.text("BeamSequence[0]/BeamDescription", "<arc 1> {name}", "nested_text")
    made.text("BeamSequence[0]/TreatmentMachineName", "{latin}", "nested", "SH")
    made.keep("BeamSequence[0]/BeamName", "Arc1", "acquisition")
    made.keep("BeamSequence[0]/BeamNumber", 1, "acquisition")
    made.put("ApprovalStatus", "APPROVED")
    made.date("ReviewDate", study.stamp(3))
    made.put("ReviewTime", "140000")
    made.gone("ReviewerName", study.case.pn("reader"), "standard", study.case.fields["reader"][1])
    made.present("RTPlanLabel", "RTPlanGeometry")
    return made


def dose(study: Study, of: Made) -> Made:
    made = start(study, "rtdose", uid.RTDoseStorage, "RTDOSE")
    grey(made, 32, 32, frames=2, stored=16)
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    for place, value in (
        ("DoseUnits", "GY"),
        ("DoseType", "PHYSICAL"),
        ("DoseSummationType", "PLAN"),
        ("DoseGridScaling", "0.0001"),
        ("GridFrameOffsetVector", [0.0, 5.0]),
    ):
        made.keep(place, value, "acquisition")
    made.put("FrameIncrementPointer", 0x3004000C)
    reference(made, "ReferencedRTPlanSequence[0]", of)
    made.text("DoseComment", "<normalised to D95> {name}", "descriptors")
    return made


def segmentation(study: Study, images: list[Made]) -> Made:
    made = start(study, "seg", uid.SegmentationStorage, "SEG")
    made.keep("ImageType", ["DERIVED", "PRIMARY"], "acquisition")
    made.keep("SegmentationType", "BINARY", "acquisition")
    made.put("Rows", 96)
    made.put("Columns", 96)
    for place, value in (
        ("SamplesPerPixel", 1),
        ("PhotometricInterpretation", "MONOCHROME2"),
        ("BitsAllocated", 1),
        ("BitsStored", 1),
        ("HighBit", 0),
        ("PixelRepresentation", 0),
        ("NumberOfFrames", 1),
        ("LossyImageCompression", "00"),
    ):
        made.put(place, value)
    bits = np.zeros((96, 96), np.uint8)
    bits[30:60, 30:60] = 1
    made.put("PixelData", np.packbits(bits, bitorder="little").tobytes(), "OB")
    made.check("pixels_same", "pixels_clean")
    made.put("ContentLabel", "LESION")
    made.text("ContentDescription", "<liver lesion> of {name}", "outside_the_table")
    made.gone("ContentCreatorName", study.case.pn("reader"), "standard", study.case.fields["reader"][1])
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    segment = "SegmentSequence[0]"
    made.put(f"{segment}/SegmentNumber", 1)
    made.text(f"{segment}/SegmentLabel", "<Tumour> {latin}", "segment_labels")
    made.text(f"{segment}/SegmentDescription", "<enhancing rim>, drawn for {name}", "segment_labels")
    made.keep(f"{segment}/SegmentAlgorithmType", "MANUAL", "acquisition")
    for kind, code, meaning in (
        ("Category", "49755003", "Morphologically Altered Structure"),
        ("Type", "4147007", "Mass"),
    ):
        item = f"{segment}/SegmentedProperty{kind}CodeSequence[0]"
        made.keep(f"{item}/CodeValue", code, "codes")
        made.keep(f"{item}/CodingSchemeDesignator", "SCT", "codes")
        made.keep(f"{item}/CodeMeaning", meaning, "codes")
    made.present(f"{segment}/SegmentLabel", "ContentLabel")
    made.uid(
        "ReferencedSeriesSequence[0]/SeriesInstanceUID",
        str(images[0].ds.SeriesInstanceUID),
        "references",
        resolves=True,
    )
    for i, target in enumerate(images):
        reference(made, f"ReferencedSeriesSequence[0]/ReferencedInstanceSequence[{i}]", target)
    source = "PerFrameFunctionalGroupsSequence[0]/DerivationImageSequence[0]/SourceImageSequence[0]"
    reference(made, source, images[0])
    return made


def presentation(study: Study, image: Made) -> Made:
    made = start(study, "pr", uid.GrayscaleSoftcopyPresentationStateStorage, "PR")
    case = study.case
    made.put("ContentLabel", "FINDINGS")
    made.text("ContentDescription", "<arrow at lesion> {name}", "outside_the_table")
    made.date("PresentationCreationDate", study.stamp(1))
    made.keep("PresentationCreationTime", "100000", "acquisition")
    made.gone("ContentCreatorName", case.pn("reader"), "standard", case.fields["reader"][1])
    made.uid(
        "ReferencedSeriesSequence[0]/SeriesInstanceUID",
        str(image.ds.SeriesInstanceUID),
        "references",
        resolves=True,
    )
    reference(made, "ReferencedSeriesSequence[0]/ReferencedImageSequence[0]", image)
    graphic = "GraphicAnnotationSequence[0]"
    reference(made, f"{graphic}/ReferencedImageSequence[0]", image)
    made.put(f"{graphic}/GraphicLayer", "LAYER1")
    for i, sentence in enumerate(("<Metastasis 14 mm> {name}", "{number} <segment VI>", "<compare prior>")):
        made.text(f"{graphic}/TextObjectSequence[{i}]/UnformattedTextValue", sentence, "gsps_text")
        made.put(f"{graphic}/TextObjectSequence[{i}]/AnchorPoint", [10.0, 20.0 + i])
        made.put(f"{graphic}/TextObjectSequence[{i}]/AnchorPointAnnotationUnits", "PIXEL")
        made.put(f"{graphic}/TextObjectSequence[{i}]/AnchorPointVisibility", "N")
    made.keep(f"{graphic}/GraphicObjectSequence[0]/GraphicData", [1.0, 2.0, 30.0, 40.0], "graphics")
    made.keep(f"{graphic}/GraphicObjectSequence[0]/GraphicType", "POLYLINE", "graphics")
    for place, value in (
        ("GraphicAnnotationUnits", "PIXEL"),
        ("GraphicDimensions", 2),
        ("NumberOfGraphicPoints", 2),
        ("GraphicFilled", "N"),
    ):
        made.put(f"{graphic}/GraphicObjectSequence[0]/{place}", value)
    made.put("GraphicLayerSequence[0]/GraphicLayer", "LAYER1")
    made.put("GraphicLayerSequence[0]/GraphicLayerOrder", 1)
    made.text("GraphicLayerSequence[0]/GraphicLayerDescription", "<measurements> {referrer}", "gsps_text")
    made.put("PresentationLUTShape", "IDENTITY")
    area = "DisplayedAreaSelectionSequence[0]"
    made.put(f"{area}/DisplayedAreaTopLeftHandCorner", [1, 1])
    made.put(f"{area}/DisplayedAreaBottomRightHandCorner", [96, 96])
    made.put(f"{area}/PresentationSizeMode", "SCALE TO FIT")
    made.put(f"{area}/PresentationPixelAspectRatio", [1, 1])
    made.keep("SoftcopyVOILUTSequence[0]/WindowCenter", "50", "acquisition")
    made.keep("SoftcopyVOILUTSequence[0]/WindowWidth", "350", "acquisition")
    made.present("ContentLabel", "PresentationCreationDate")
    return made


def registration(study: Study, first: Made, second_frame: str) -> Made:
    made = start(study, "reg", uid.SpatialRegistrationStorage, "REG")
    made.put("ContentLabel", "REGISTRATION")
    made.text("ContentDescription", "<CT to MR> {family}", "outside_the_table")
    made.gone("ContentCreatorName", study.case.pn("reader"), "standard", study.case.fields["reader"][1])
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    for i, frame in enumerate((study.frame, second_frame)):
        item = f"RegistrationSequence[{i}]"
        made.uid(f"{item}/FrameOfReferenceUID", frame, "frame_of_reference", resolves=i == 0)
        matrix = f"{item}/MatrixRegistrationSequence[0]/MatrixSequence[0]"
        made.keep(
            f"{matrix}/FrameOfReferenceTransformationMatrix",
            [1, 0, 0, 2.5 * i, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
            "acquisition",
        )
        made.put(f"{matrix}/FrameOfReferenceTransformationMatrixType", "RIGID")
        made.text(
            f"{item}/MatrixRegistrationSequence[0]/FrameOfReferenceTransformationComment",
            "<bone match> by {operator}",
            "nested_text",
        )
    reference(made, "RegistrationSequence[0]/ReferencedImageSequence[0]", first)
    return made


def parametric(study: Study, image: Made) -> Made:
    made = start(study, "pmap", uid.ParametricMapStorage, "MR")
    made.keep("ImageType", ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"], "acquisition")
    data = np.linspace(0, 2.5, 32 * 32, dtype=np.float32)
    for place, value in (
        ("Rows", 32),
        ("Columns", 32),
        ("SamplesPerPixel", 1),
        ("PhotometricInterpretation", "MONOCHROME2"),
        ("BitsAllocated", 32),
        ("NumberOfFrames", 1),
    ):
        made.put(place, value)
    made.put("FloatPixelData", data.tobytes(), "OF")
    made.check("kept", "acquisition", "FloatPixelData")
    made.put("ContentLabel", "ADC")
    made.text("ContentDescription", "<ADC map> {name}", "outside_the_table")
    made.date("AcquisitionDateTime", f"{study.stamp()}083000.000", "datetimes")
    group = "SharedFunctionalGroupsSequence[0]/RealWorldValueMappingSequence[0]"
    made.text(f"{group}/LUTExplanation", "<ADC> {latin}", "outside_the_table")
    made.keep(f"{group}/RealWorldValueSlope", 1.5, "acquisition")
    made.keep(f"{group}/MeasurementUnitsCodeSequence[0]/CodeValue", "um2/s", "codes")
    reference(
        made, "PerFrameFunctionalGroupsSequence[0]/DerivationImageSequence[0]/SourceImageSequence[0]", image
    )
    return made


def key_object_evidence(made: Made, images: list[Made]) -> None:
    """The evidence that reports and key objects must list (PS3.3 C.17.2.1)."""
    series = "CurrentRequestedProcedureEvidenceSequence[0]"
    made.uid(f"{series}/StudyInstanceUID", str(images[0].ds.StudyInstanceUID), "references", resolves=True)
    made.uid(
        f"{series}/ReferencedSeriesSequence[0]/SeriesInstanceUID",
        str(images[0].ds.SeriesInstanceUID),
        "references",
        resolves=True,
    )
    for i, target in enumerate(images):
        reference(made, f"{series}/ReferencedSeriesSequence[0]/ReferencedSOPSequence[{i}]", target)
