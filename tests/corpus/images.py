"""Grey images of the corpus: CT, MR, PET, NM, CR, DX, MG, XA, RF and the enhanced multi-frame ones."""

from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset

from tests.corpus.base import Study, start
from tests.corpus.encode import set_pixels
from tests.corpus.made import Made, spread_uid
from tests.corpus.pictures import burn, tissue


def _plane(made: Made, study: Study, slice_at: float) -> None:
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    made.put("PositionReferenceIndicator", "")
    made.keep("ImagePositionPatient", [-125.0, -125.0, slice_at], "acquisition")
    made.keep("ImageOrientationPatient", [1, 0, 0, 0, 1, 0], "acquisition")
    made.keep("PixelSpacing", [0.9766, 0.9766], "acquisition")
    made.keep("SliceThickness", "5", "acquisition")


def grey(
    made: Made, rows: int = 96, columns: int = 96, *, frames: int = 1, stored: int = 12, clean: bool = True
) -> list[Any]:
    pictures = [tissue(made.rng, rows, columns, stored) for _ in range(frames)]
    if stored == 8:
        pictures = [p.astype(np.uint8) for p in pictures]
    set_pixels(made, pictures, stored=stored)
    for place in ("Rows", "Columns", "BitsStored", "PhotometricInterpretation"):
        made.check("kept", "acquisition", place)
    if clean:
        made.check("pixels_same", "pixels_clean")
    return pictures


def acquisition(made: Made, days: int = 0) -> None:
    made.date("AcquisitionDate", made.ds.SeriesDate)
    made.put("AcquisitionTime", "082130.5")
    made.check("kept", "acquisition", "AcquisitionTime")
    made.check("interval", "intervals", "AcquisitionDate", other="StudyDate")


def ct(study: Study, *, series: str, slice_at: float = 0.0, syntax: str = uid.ExplicitVRLittleEndian) -> Made:
    made = start(study, "ct", uid.CTImageStorage, "CT", series=series, syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"], "acquisition")
    acquisition(made)
    _plane(made, study, slice_at)
    for place, value in (
        ("KVP", "120"),
        ("XRayTubeCurrent", "240"),
        ("ExposureTime", "500"),
        ("CTDIvol", 8.31),
        ("RescaleIntercept", "-1024"),
        ("RescaleSlope", "1"),
        ("ReconstructionDiameter", "250"),
        ("GantryDetectorTilt", "0"),
        ("ConvolutionKernel", "B30f"),
        ("SpiralPitchFactor", 0.9),
        ("WindowCenter", "40"),
        ("WindowWidth", "400"),
        ("RescaleType", "HU"),
    ):
        made.keep(place, value, "acquisition")
    made.put("AcquisitionNumber", 3)
    made.date("DateOfLastCalibration", study.stamp(-9))
    made.keep("0043{GEMS_PARM_01}39", ["1000", "0", "0", "0"], "safe_private", "IS")
    grey(made)
    made.ds.SmallestImagePixelValue = 0
    return made


def mr(study: Study, *, series: str, slice_at: float = 0.0, syntax: str = uid.ExplicitVRLittleEndian) -> Made:
    made = start(study, "mr", uid.MRImageStorage, "MR", series=series, syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"], "acquisition")
    acquisition(made)
    _plane(made, study, slice_at)
    for place, value in (
        ("ScanningSequence", "SE"),
        ("SequenceVariant", "SK"),
        ("ScanOptions", "FS"),
        ("MRAcquisitionType", "2D"),
        ("RepetitionTime", "4500"),
        ("EchoTime", "92"),
        ("EchoTrainLength", "16"),
        ("MagneticFieldStrength", "3"),
        ("FlipAngle", "90"),
        ("ImagingFrequency", "123.2"),
    ):
        made.keep(place, value, "acquisition")
    made.keep("0019{SIEMENS MR HEADER}0c", "800", "safe_private", "IS")
    made.keep("0019{SIEMENS MR HEADER}0e", [0.1, 0.9, 0.42], "safe_private", "FD")
    made.keep("2001{Philips Imaging DD 001}03", 800.0, "safe_private", "FL")
    # GE's b-value and a listed text element into which somebody typed.
    made.keep("0043{GEMS_PARM_01}39", ["800", "8", "0", "0"], "safe_private", "IS")
    made.gone(
        "0019{GEMS_ACQU_01}9e", f"ep2d {study.case.latin}", "inside_safe_private", [study.case.latin], "LO"
    )
    digits = "".join(c for c in study.case.number if c.isdigit())
    made.gone("0043{GEMS_PARM_01}6f", [digits[:16], "0", "0"], "inside_safe_private", [digits], "DS")
    grey(made, stored=12)
    return made


def enhanced(study: Study, kind: str, *, series: str, syntax: str) -> Made:
    is_mr = kind == "MR"
    sop = uid.EnhancedMRImageStorage if is_mr else uid.EnhancedCTImageStorage
    made = start(study, f"enh{kind.lower()}", sop, kind, series=series, syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "acquisition")
    made.date("AcquisitionDateTime", f"{study.stamp()}082130.250000+0100", "datetimes")
    made.present(
        "AcquisitionDateTime",
        "ContentDate",
        "ContentTime",
        "DeviceSerialNumber",
        "Manufacturer",
        "SoftwareVersions",
    )
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    grey(made, 48, 48, frames=3, stored=12)
    made.put("DimensionOrganizationSequence[0]/DimensionOrganizationUID", spread_uid(study.rng))
    dimension = made.value("DimensionOrganizationSequence[0]/DimensionOrganizationUID")
    made.check(
        "mapped",
        "uids",
        "DimensionOrganizationSequence[0]/DimensionOrganizationUID",
        value=dimension,
        resolves=False,
    )
    made.uid("DimensionIndexSequence[0]/DimensionOrganizationUID", dimension, "references_inside")
    made.ds.DimensionIndexSequence[0].DimensionIndexPointer = 0x00200032
    for i in range(3):
        place = f"PerFrameFunctionalGroupsSequence[{i}]"
        made.keep(f"{place}/PlanePositionSequence[0]/ImagePositionPatient", [0, 0, 5.0 * i], "acquisition")
        made.date(
            f"{place}/FrameContentSequence[0]/FrameReferenceDateTime",
            f"{study.stamp()}0821{30 + i}.000",
            "datetimes",
        )
        made.date(
            f"{place}/FrameContentSequence[0]/FrameAcquisitionDateTime",
            f"{study.stamp()}0821{30 + i}.500000",
            "datetimes",
        )
        made.put(f"{place}/FrameContentSequence[0]/DimensionIndexValues", i + 1)
        made.put(f"{place}/FrameContentSequence[0]/FrameAcquisitionDuration", 12.5)
        if is_mr:
            made.keep(f"{place}/MRDiffusionSequence[0]/DiffusionBValue", 400.0 * i, "acquisition")
    made.text(
        "PerFrameFunctionalGroupsSequence[1]/FrameContentSequence[0]/FrameComments",
        "<breathing artefact> {name} {phone}",
        "nested_text",
    )
    shared = "SharedFunctionalGroupsSequence[0]"
    made.keep(f"{shared}/PixelMeasuresSequence[0]/PixelSpacing", [1.5, 1.5], "acquisition")
    made.keep(
        f"{shared}/PlaneOrientationSequence[0]/ImageOrientationPatient", [1, 0, 0, 0, 1, 0], "acquisition"
    )
    return made


def pet(study: Study, *, series: str, late: bool = False, syntax: str = uid.ExplicitVRLittleEndian) -> Made:
    """A PET slice whose tracer was given at 23:10 and which may be acquired after midnight (SUV needs the interval)."""
    made = start(
        study,
        "pt",
        uid.PositronEmissionTomographyImageStorage,
        "PT",
        series=series,
        syntax=syntax,
        days=int(late),
    )
    made.keep("ImageType", ["ORIGINAL", "PRIMARY"], "acquisition")
    made.date("AcquisitionDate", study.stamp(int(late)))
    made.keep("AcquisitionTime", "001430.250" if late else "235830.250", "acquisition")
    _plane(made, study, 0.0)
    for place, value in (
        ("Units", "BQML"),
        ("DecayCorrection", "START"),
        ("CountsSource", "EMISSION"),
        ("SeriesType", ["WHOLE BODY", "IMAGE"]),
        ("CorrectedImage", ["DECY", "ATTN"]),
        ("DecayFactor", "1.02"),
        ("FrameReferenceTime", "12000"),
        ("ActualFrameDuration", "120000"),
        ("RescaleSlope", "2.31"),
        ("RescaleIntercept", "0"),
    ):
        made.keep(place, value, "acquisition")
    drug = "RadiopharmaceuticalInformationSequence[0]"
    made.date(f"{drug}/RadiopharmaceuticalStartDateTime", f"{study.stamp()}231005.000000", "suv")
    made.keep(f"{drug}/RadiopharmaceuticalStartTime", "231005", "suv")
    made.keep(f"{drug}/RadionuclideTotalDose", "312000000", "suv")
    made.keep(f"{drug}/RadionuclideHalfLife", "6586.2", "suv")
    made.keep(f"{drug}/RadionuclideCodeSequence[0]/CodeMeaning", "^18^Fluorine", "codes")
    made.keep(f"{drug}/RadionuclideCodeSequence[0]/CodeValue", "C-111A1", "codes")
    made.text(f"{drug}/Radiopharmaceutical", "<Fluorodeoxyglucose> {family}", "nested_text")
    made.check("interval", "suv", f"{drug}/RadiopharmaceuticalStartDateTime", other="AcquisitionDate")
    made.check("interval", "suv", "SeriesDate", other="AcquisitionDate")
    made.keep("7053{Philips PET Private Group}00", "0.000381", "safe_private", "DS")
    made.keep("7053{Philips PET Private Group}09", "0.000119", "safe_private", "DS")
    grey(made, 64, 64, stored=16)
    return made


def nm(study: Study, *, syntax: str) -> Made:
    made = start(study, "nm", uid.NuclearMedicineImageStorage, "NM", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"], "acquisition")
    acquisition(made)
    grey(made, 64, 64, frames=2, stored=16)
    made.put("FrameIncrementPointer", 0x00540010)
    made.text("EnergyWindowInformationSequence[0]/EnergyWindowName", "<Tc99m> {latin}", "outside_the_table")
    made.text("DetectorInformationSequence[0]/CollimatorGridName", "<LEHR> {latin}", "outside_the_table")
    made.keep("DetectorInformationSequence[0]/CollimatorType", "PARA", "acquisition")
    made.keep("NumberOfEnergyWindows", 1, "acquisition")
    return made


PROJECTION = {
    "CR": (uid.ComputedRadiographyImageStorage, "CR"),
    "DX": (uid.DigitalXRayImageStorageForPresentation, "DX"),
    "MG": (uid.DigitalMammographyXRayImageStorageForPresentation, "MG"),
    "XA": (uid.XRayAngiographicImageStorage, "XA"),
    "RF": (uid.XRayRadiofluoroscopicImageStorage, "RF"),
    "IO": (uid.DigitalIntraOralXRayImageStorageForPresentation, "IO"),
}


def projection(study: Study, kind: str, *, syntax: str, burned: bool = False) -> Made:
    """A radiograph with a laterality mark that stays and, where asked, a name in the corner that goes."""
    sop, modality = PROJECTION[kind]
    made = start(study, kind.lower(), sop, modality, syntax=syntax)
    made.keep(
        "ImageType",
        ["ORIGINAL", "PRIMARY", "SINGLE PLANE"] if kind in {"XA", "RF"} else ["ORIGINAL", "PRIMARY"],
        "acquisition",
    )
    acquisition(made)
    made.keep("ImageLaterality" if kind in {"DX", "MG", "IO"} else "Laterality", "R", "laterality")
    made.keep("PatientOrientation", ["L", "F"], "acquisition")
    made.keep("ViewPosition", "AP" if kind != "MG" else "MLO", "acquisition")
    for place, value in (("KVP", "70"), ("ExposureInuAs", "2100"), ("DistanceSourceToDetector", "1100")):
        made.keep(place, value, "acquisition")
    if kind == "MG":
        made.keep("ViewCodeSequence[0]/CodeValue", "R-10226", "codes")
        made.keep("ViewCodeSequence[0]/CodingSchemeDesignator", "SRT", "codes")
        made.keep("ViewCodeSequence[0]/CodeMeaning", "medio-lateral oblique", "codes")
        made.keep("PresentationIntentType", "FOR PRESENTATION", "acquisition")
    frames = grey(made, 320, 384, frames=2 if kind in {"XA", "RF"} else 1, clean=False)
    mark = burn(frames[0], "R", (340, 20), 30, 4000)
    if burned:
        text = f"{study.case.latin.upper()}  {study.case.mrn}"
        box = burn(frames[0], text, (10, 290), 16, 4000, face=study.turn)
        set_pixels(made, frames)
        made.put("BurnedInAnnotation", "YES" if study.turn % 2 else "NO")
        made.check("pixels_hidden", "burned_in_corner", frames=[0], boxes=[box])
        made.check("pixels_kept", "clinical_marks", frames=[0], boxes=[mark])
    else:
        set_pixels(made, frames)
        made.check("pixels_same", "pixels_clean")
    return made


def reference(made: Made, place: str, target: Made, *, category: str = "references") -> None:
    """A reference to another object of the case that must name its new UID."""
    made.stays(f"{place}/ReferencedSOPClassUID", str(target.ds.SOPClassUID))
    made.uid(f"{place}/ReferencedSOPInstanceUID", str(target.ds.SOPInstanceUID), category, resolves=True)


def item_of(made: Made, place: str) -> Dataset:
    return made.value(place.rsplit("[", 1)[0])[int(place.rsplit("[", 1)[1][:-1])]
