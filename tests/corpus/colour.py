"""Colour objects: ultrasound with burned-in text, cine, captures, photographs, endoscopy and whole slides."""

import numpy as np
from pydicom import uid

from tests.corpus.base import Study, start
from tests.corpus.encode import comment_inside, set_pixels
from tests.corpus.made import Made
from tests.corpus.pictures import burn, fan, page

GREEN, WHITE, BLACK, YELLOW = (90, 255, 120), (245, 245, 245), (10, 10, 10), (250, 230, 60)


def _ready(made: Made, frames: list[np.ndarray]) -> None:
    set_pixels(made, frames)
    for place in ("Rows", "Columns", "SamplesPerPixel"):
        made.check("kept", "acquisition", place)


def us(study: Study, *, syntax: str) -> Made:
    """One frame: name and number in the header line, depth and mechanical index that stay."""
    made = start(study, "us", uid.UltrasoundImageStorage, "US", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"], "acquisition")
    frame, case = fan(study.rng, 300, 400), study.case
    boxes = [
        burn(frame, f"{case.latin} {case.mrn}", (8, 6), 16, WHITE, face=study.turn),
        burn(frame, f"{case.birth.replace('-', '')}", (270, 6), 15, GREEN),
    ]
    marks = [burn(frame, "MI 1.2", (330, 260), 14, WHITE), burn(frame, "12 cm", (8, 270), 14, YELLOW)]
    _ready(made, [frame])
    region = "SequenceOfUltrasoundRegions[0]"
    for place, value in (
        ("RegionLocationMinX0", 40),
        ("RegionLocationMinY0", 36),
        ("RegionLocationMaxX1", 360),
        ("RegionLocationMaxY1", 240),
        ("PhysicalDeltaX", 0.05),
        ("PhysicalDeltaY", 0.05),
    ):
        made.keep(f"{region}/{place}", value, "acquisition")
    for place, value in (
        ("RegionSpatialFormat", 1),
        ("RegionDataType", 1),
        ("RegionFlags", 2),
        ("PhysicalUnitsXDirection", 3),
        ("PhysicalUnitsYDirection", 3),
    ):
        made.put(f"{region}/{place}", value)
    made.check("pixels_hidden", "burned_in_us", frames=[0], boxes=boxes)
    made.check("pixels_kept", "clinical_marks", frames=[0], boxes=marks)
    return made


def cine(study: Study, *, syntax: str, frames: int = 7) -> Made:
    """A clip whose text comes in the late frames only, flagged as free of text by the sender."""
    made = start(study, "cine", uid.UltrasoundMultiFrameImageStorage, "US", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "ECHO"], "acquisition")
    made.put("BurnedInAnnotation", "NO")
    pictures, boxes = [fan(study.rng, 240, 320) for _ in range(frames)], []
    for at in (4, 5, 6):
        boxes = [burn(pictures[at], f"{study.case.latin} {study.case.mrn}", (10, 8), 16, WHITE)]
    _ready(made, pictures)
    made.keep("FrameTime", "33.3", "acquisition")
    made.put("FrameIncrementPointer", 0x00181063)
    made.keep("NumberOfFrames", frames, "acquisition")
    made.check("pixels_hidden", "burned_in_late_frames", frames=[4, 5, 6], boxes=boxes)
    return made


def clean_us(study: Study, *, syntax: str) -> Made:
    made = start(study, "usclean", uid.UltrasoundImageStorage, "US", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"], "acquisition")
    _ready(made, [fan(study.rng, 200, 260)])
    made.check("pixels_same", "pixels_clean")
    return made


def capture(study: Study, *, syntax: str, kind: str = "screen") -> Made:
    """A white screenshot of a patient system, or a dark dose page, as secondary capture."""
    made = start(
        study, f"sc{kind}", uid.SecondaryCaptureImageStorage, "CT" if kind == "dose" else "OT", syntax=syntax
    )
    made.keep("ConversionType", "WSD", "acquisition")
    made.keep("ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"], "acquisition")
    case = study.case
    if kind == "dose":
        frame = np.zeros((300, 400, 3), np.uint8)
        boxes = [
            burn(frame, f"Patient: {case.latin}", (20, 24), 17, WHITE),
            burn(frame, f"ID {case.mrn}", (20, 54), 17, WHITE),
        ]
        marks = [
            burn(frame, "Total DLP 412 mGycm", (20, 200), 17, WHITE),
            burn(frame, "CTDIvol 8.3 mGy", (20, 230), 17, WHITE),
        ]
    else:
        frame = page(300, 420)
        boxes = [
            burn(frame, f"Name: {case.latin}", (24, 40), 18, BLACK),
            burn(frame, f"Born {case.birth}  Tel {case.phone}", (24, 80), 16, BLACK),
        ]
        marks = [burn(frame, "Normal liver", (24, 220), 18, BLACK)]
    _ready(made, [frame])
    made.check("pixels_hidden", f"burned_in_{kind}", frames=[0], boxes=boxes)
    made.check("pixels_kept", "clinical_marks", frames=[0], boxes=marks)
    return made


def capture_frames(study: Study, *, syntax: str) -> Made:
    made = start(study, "mfsc", uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "OT", syntax=syntax)
    made.keep("ConversionType", "WSD", "acquisition")
    frames = [page(200, 300) for _ in range(3)]
    box = burn(frames[2], f"{study.case.latin}, {study.case.mrn}", (20, 90), 18, BLACK)
    _ready(made, frames)
    made.put("BurnedInAnnotation", "NO")
    made.put("FrameIncrementPointer", 0x00182002)
    made.put("PageNumberVector", [1, 2, 3])
    made.check("pixels_hidden", "burned_in_late_frames", frames=[2], boxes=[box])
    return made


def visible(study: Study, *, kind: str, syntax: str) -> Made:
    """A photograph or endoscopy as one JPEG frame with the name in COM and EXIF; nothing is drawn in the picture."""
    sop = {
        "XC": uid.VLPhotographicImageStorage,
        "ES": uid.VLEndoscopicImageStorage,
        "GM": uid.VLMicroscopicImageStorage,
    }[kind]
    made = start(study, kind.lower(), sop, kind, syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY"], "acquisition")
    y, x = np.mgrid[0:160, 0:200]
    skin = np.stack(
        [190 + 30 * np.sin(x / 40), 140 + 30 * np.cos(y / 30), 120 + 20 * np.sin((x + y) / 50)], axis=-1
    ).astype(np.uint8)
    _ready(made, [skin])
    made.put("AcquisitionContextSequence", [])
    made.date("AcquisitionDateTime", f"{study.stamp()}101500", "datetimes")
    made.check("pixels_same", "pixels_clean")
    case = study.case
    if syntax in {uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, uid.JPEGLSLossless}:
        said = f"{case.latin} {case.mrn} {case.phone}"
        made.frame_after.append(lambda frame: comment_inside(frame, said))
        made.check("whole", "jpeg_segments", forms=[f"{case.latin} {case.mrn}"])
    return made


def slide(study: Study, *, syntax: str) -> Made:
    """Two tiles of a whole slide with the label's barcode text and the patient in the container's identifiers."""
    made = start(study, "wsi", uid.VLWholeSlideMicroscopyImageStorage, "SM", syntax=syntax)
    made.keep("ImageType", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "acquisition")
    y, x = np.mgrid[0:64, 0:64]
    tile = np.stack(
        [220 - 40 * (np.sin(x / 5) > 0.7), 180 - 60 * (np.cos(y / 6) > 0.6), 215 + 0 * x], axis=-1
    ).astype(np.uint8)
    _ready(made, [tile, tile[::-1].copy()])
    made.check("pixels_same", "pixels_clean")
    case = study.case
    made.date("AcquisitionDateTime", f"{study.stamp()}101500.000000", "datetimes")
    made.uid("FrameOfReferenceUID", study.frame, "frame_of_reference")
    made.gone("ContainerIdentifier", case.acc, "nested", [case.acc])
    made.gone("BarcodeValue", case.mrn, "nested", [case.mrn])
    made.text("LabelText", "{name} {numberdense}", "outside_the_table")
    specimen = "SpecimenDescriptionSequence[0]"
    made.gone(f"{specimen}/SpecimenIdentifier", f"{case.acc}-1", "nested", [case.acc])
    made.uid(f"{specimen}/SpecimenUID", f"1.2.752.99.7.{study.rng.randrange(10**18)}")
    made.text(f"{specimen}/SpecimenShortDescription", "<Liver biopsy> {family}", "nested_text")
    made.text(
        f"{specimen}/SpecimenDetailedDescription",
        "<segment IV, formalin fixed> {name} {number}",
        "nested_text",
    )
    made.present("ContainerIdentifier", f"{specimen}/SpecimenIdentifier", f"{specimen}/SpecimenUID")
    for place, value in (
        ("TotalPixelMatrixColumns", 128),
        ("TotalPixelMatrixRows", 64),
        ("ImagedVolumeWidth", 1.2),
        ("VolumetricProperties", "VOLUME"),
    ):
        made.keep(place, value, "acquisition")
    return made
