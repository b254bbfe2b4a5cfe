"""De-identifies one DICOM object in memory, or says why it may not pass; it stores nothing and never raises on content.

References
----------
PS3.15 Annex E (E.1.1 de-identifier), PS3.10 section 7.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from anonymizer import encapsulated, method, pixels
from anonymizer.actions import actor_for
from anonymizer.attribute_types import ROOT, known_sop_class, types_for
from anonymizer.charset import charset_for
from anonymizer.cleaner import Cleaner, cleaner_for
from anonymizer.elements import PIXEL_DATA, DataSet, Element, Raw, spell
from anonymizer.errors import Unfit
from anonymizer.frames import strip_frames, trim_native
from anonymizer.known import Known
from anonymizer.pixels import Look, MaskRule
from anonymizer.profile import Profile
from anonymizer.pseudonyms import Pseudonyms, SettledPseudonyms
from anonymizer.reader import EXPLICIT_LE, NATIVE, NOT_DICOM, Part10, read_part10
from anonymizer.report import Notebook, Report
from anonymizer.walk import Walk
from anonymizer.writer import write_part10

STRICT = "strict"
META_CLASS, META_INSTANCE = 0x00020002, 0x00020003
SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, MODALITY = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080060
PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
ROWS, COLUMNS = 0x00280010, 0x00280011
EXTENDED_OFFSETS, EXTENDED_LENGTHS, FRAMES, FACE = 0x7FE00001, 0x7FE00002, 0x00280008, 0x00280302
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
# JPIP and RTP objects have their picture elsewhere (PS3.5 A.6, A.10).
ELSEWHERE = (
    "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.204",
    "1.2.840.10008.1.2.7.",
)
#: What a DICOMDIR and a listing may show, by PS3.6 keyword.
INDEX = {
    "PatientID": PATIENT_ID, "PatientName": PATIENT_NAME, "PatientSex": 0x00100040, "PatientAge": 0x00101010,
    "StudyDate": 0x00080020, "StudyTime": 0x00080030, "StudyDescription": 0x00081030, "StudyID": 0x00200010,
    "AccessionNumber": 0x00080050, "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "Modality": MODALITY,
    "SeriesNumber": 0x00200011, "SeriesDescription": 0x0008103E, "SeriesDate": 0x00080021, "SeriesTime": 0x00080031,
    "BodyPartExamined": 0x00180015, "InstanceNumber": 0x00200013, "ContentDate": 0x00080023,
    "ContentTime": 0x00080033, "CompletionFlag": 0x0040A491, "VerificationFlag": 0x0040A493,
    "ContentLabel": 0x00700080, "ContentDescription": 0x00700081, "PresentationCreationDate": 0x00700082,
    "PresentationCreationTime": 0x00700083, "StructureSetLabel": 0x30060002, "StructureSetDate": 0x30060008,
    "StructureSetTime": 0x30060009, "RTPlanLabel": 0x300A0002, "RTPlanDate": 0x300A0006, "RTPlanTime": 0x300A0007,
    "DoseSummationType": 0x3004000A, "Rows": 0x00280010, "Columns": 0x00280011, "NumberOfFrames": FRAMES,
    "ImageType": 0x00080008, "SOPClassUID": SOP_CLASS, "SOPInstanceUID": SOP_INSTANCE,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """A copy that may leave once it is verified and, if ``look`` says so, looked at."""

    pieces: tuple[Raw, ...]
    report: Report
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax: str
    modality: str
    index: dict[str, str]
    look: tuple[Look, ...] = ()
    boxes: tuple[
        dict[str, Any], ...
    ] = ()  # stretches of frames that were masked, kept or are doubtful; no text
    layout: dict[str, str | int] = field(
        default_factory=dict
    )  # what a `MaskRule` for this device would be keyed on
    masked: int = 0  # stretches that were blanked, all frames together; ``boxes`` is bounded

    @property
    def content(self) -> bytes:
        """The whole file (Part 10); ``pieces`` give it without a copy of the pixel data."""
        return b"".join(self.pieces)

    def __reduce__(self) -> tuple[object, ...]:
        whole = (self.content,)
        rest = (self.report, self.sop_class_uid, self.sop_instance_uid, self.study_instance_uid)
        return _rebuilt, (
            whole, *rest, self.series_instance_uid, self.transfer_syntax, self.modality, self.index, self.look,
            self.boxes, self.layout, self.masked,
        )  # fmt: skip


def _rebuilt(pieces: tuple[Raw, ...], report: Report, *rest: object) -> Deidentified:
    names = ("sop_class_uid", "sop_instance_uid", "study_instance_uid", "series_instance_uid", "transfer_syntax",
             "modality", "index", "look", "boxes", "layout", "masked")  # fmt: skip
    return Deidentified(pieces=pieces, report=report, **dict(zip(names, rest, strict=True)))  # type: ignore[arg-type]  # pickle


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Why this object may not pass, in words for the coordinator, without a value of the object."""

    code: str
    reason: str
    place: str = ""


def deidentify_instance(
    content: bytes | memoryview,
    *,
    profile: Profile,
    pseudonyms: Pseudonyms,
    known: Known,
    masks: tuple[MaskRule, ...] = (),
) -> Deidentified | Quarantined:
    """De-identify one object; whatever cannot be judged is quarantined.

    Parameters
    ----------
    content
        A Part 10 file, or a bare data set that begins with group 0008.
    profile, pseudonyms, known
        The rules; the case's keyed mapping; what is known of the case, its own objects' harvest included.
    masks
        Reviewed rules for pictures of the case's devices.
    """
    try:
        return _deidentify(content, profile, pseudonyms, known, masks)
    except Unfit as unfit:
        return Quarantined(code=unfit.code, reason=unfit.reason, place=unfit.place)
    except Exception as fault:  # noqa: BLE001 - fail closed: content must never get past a defect of ours
        return Quarantined(code="not_understood", reason=NOT_UNDERSTOOD, place=type(fault).__name__)


NOT_UNDERSTOOD = (
    "The object could not be understood well enough to be cleaned. Have it checked by the imaging engineer."
)


def _deidentify(
    content: bytes | memoryview,
    profile: Profile,
    pseudonyms: Pseudonyms,
    known: Known,
    masks: tuple[MaskRule, ...],
) -> Deidentified | Quarantined:
    read = read_part10(content)
    dataset = read.dataset
    notes = Notebook()
    if not profile.identified:
        _identify(read, content, notes)
    sop_class = dataset.ascii(SOP_CLASS)
    _refuse(read, sop_class)
    if profile.identified:
        notes.counts["K"] = len(dataset.elements)
        return _result((content,), dataset, read.transfer_syntax, profile, notes, ())
    if method.carries_seal(dataset, pseudonyms):
        pseudonyms = SettledPseudonyms(pseudonyms)
    _clean_frames(dataset, read.transfer_syntax, notes)  # (1) comments inside encoded frames
    shown = pixels.clean_pixels(  # (2) bits no picture uses, text in the picture; before its own words are cleaned
        dataset, read.transfer_syntax, known=known, strict=profile.name == STRICT, masks=masks, notes=notes
    )
    look = shown.look  # (3) what only a human can judge
    cleaner = cleaner_for(known, pseudonyms.shift_days)
    packed = _unpack(dataset, profile, pseudonyms, cleaner, known, notes)  # (4) a document inside
    walk = Walk(profile, actor_for(pseudonyms, cleaner), types_for(dataset.ascii(SOP_CLASS)), notes)
    result = walk.dataset(dataset, ROOT, charset_for(""), "")  # (5) every element, at every depth
    if packed is not None:
        packed.put_into(result, dataset, pseudonyms)
        look += packed.look
    _finish(result, dataset, read, profile, pseudonyms, notes)  # (6) identity, character set, method
    syntax = EXPLICIT_LE if shown.syntax in NATIVE else shown.syntax
    pieces = tuple(write_part10(result, transfer_syntax=syntax))  # (7) preamble and file meta are new
    made = _result(pieces, result, syntax, profile, notes, look)
    return replace(made, boxes=shown.boxes, layout=shown.layout, masked=shown.masked)


def _refuse(read: Part10, sop_class: str) -> None:
    """What no rule of ours can judge goes to the coordinator."""
    if DIRECTORY_CLASS in {sop_class, read.meta.ascii(META_CLASS)} or 0x00041220 in read.dataset:
        raise Unfit(
            "dicomdir",
            "This is the table of contents of a disc. A new one is made with the release; drop it.",
        )
    if not sop_class or not read.dataset.ascii(SOP_INSTANCE):
        raise Unfit("not_dicom", NOT_DICOM)
    if not known_sop_class(sop_class):
        raise Unfit(
            "unknown_sop_class",
            "This kind of object is unknown or private to a vendor, so nothing says which of its parts name the patient.",
        )
    syntax = read.transfer_syntax
    if not syntax.startswith("1.2.840.10008.1.2") or syntax.startswith(ELSEWHERE):
        raise Unfit(
            "transfer_syntax",
            "The picture lies elsewhere, or is encoded in a vendor's own way. Ask the sender for a standard encoding.",
        )


def _identify(read: Part10, content: bytes | memoryview, notes: Notebook) -> None:
    """An instance without a name gets one from its bytes (what the file meta alone tells, the reader has taken)."""
    dataset, meta = read.dataset, read.meta
    if STUDY not in dataset and SERIES not in dataset:
        return  # a fragment of an object, not one without its name
    if dataset.ascii(SOP_CLASS) and not dataset.ascii(SOP_INSTANCE):
        named = meta.ascii(META_INSTANCE) or hashlib.sha256(content).hexdigest()
        dataset.put(Element(SOP_INSTANCE, "UI", named.encode("ascii", "replace")))
        notes.note(spell(SOP_INSTANCE), "D", "the sender left it out; a keyed UID names the object")


def _unpack(
    dataset: DataSet,
    profile: Profile,
    pseudonyms: Pseudonyms,
    cleaner: Cleaner,
    known: Known,
    notes: Notebook,
) -> encapsulated.Packed | None:
    if not encapsulated.is_packed(dataset.ascii(SOP_CLASS)):
        return None
    if "clean_descriptors" not in profile.options:
        raise Unfit(encapsulated.CODE, encapsulated.TAKE_OUT)
    return encapsulated.unpack(
        dataset, known=known, shift_days=pseudonyms.shift_days, cleaner=cleaner, notes=notes
    )


def _clean_frames(dataset: DataSet, syntax: str, notes: Notebook) -> None:
    element = dataset.get(PIXEL_DATA)
    if element is None:
        return
    if (element.fragments is None) != (syntax in NATIVE):
        raise Unfit(
            "damaged", "The picture is not packed as its encoding demands. Ask the sender to send it again."
        )
    if element.fragments is None:
        if trim_native(dataset):
            notes.note("(7FE0,0010)", "C", "bytes behind the last pixel were removed")
        return
    frames = max(dataset.number(FRAMES, 1), 1)
    cells = dataset.number(ROWS) * dataset.number(COLUMNS)
    cleaned = strip_frames(
        element.fragments, syntax, frames, indexed=EXTENDED_OFFSETS in dataset, cells=cells
    )
    if cleaned is not None:
        dataset.drop(EXTENDED_OFFSETS)
        dataset.drop(EXTENDED_LENGTHS)
        dataset.put(Element(PIXEL_DATA, "OB", fragments=cleaned.fragments))
        notes.note("(7FE0,0010)", "C", "comments and application data inside encoded frames were removed")


def _finish(
    result: DataSet, source: DataSet, read: Part10, profile: Profile, pseudonyms: Pseudonyms, notes: Notebook
) -> None:
    result.put(Element(0x00080005, "CS", b"ISO_IR 192"))
    if types_for(source.ascii(SOP_CLASS)).type_of(PATIENT_NAME) != "3":
        result.put(Element(PATIENT_NAME, "PN", pseudonyms.patient_name().encode("ascii")))
        result.put(Element(PATIENT_ID, "LO", pseudonyms.patient_id().encode("ascii")))
    for tag in (STUDY, SERIES):
        if types_for(source.ascii(SOP_CLASS)).type_of(tag) == "1" and not result.ascii(tag):
            origin = source.ascii(SERIES) or source.ascii(SOP_INSTANCE)
            result.put(Element(tag, "UI", pseudonyms.uid(f"{tag:08X} of {origin}").encode("ascii")))
            notes.note(spell(tag), "D", "the sender left it out; a keyed UID gives the object a place")
    if pixels.shows_face(source) and not result.ascii(FACE):
        result.put(Element(FACE, "CS", b"YES"))
    method.describe_method(result, profile, pseudonyms)
    notes.note("(0002,eeee)", "X", "file meta made anew (PS3.15 E.1.1)")
    if read.preamble_used:
        notes.note("preamble", "X", "preamble made anew (PS3.15 E.1.1)")
    if read.tail_bytes:
        notes.note("after the data set", "X", "trailing bytes")


def _result(
    pieces: tuple[Raw, ...],
    dataset: DataSet,
    syntax: str,
    profile: Profile,
    notes: Notebook,
    look: tuple[Look, ...],
) -> Deidentified:
    report = Report(
        profile=profile.name,
        edition=profile.edition,
        profile_digest=profile.digest,
        counts=dict(notes.counts),
        entries=tuple(notes.entries),
    )
    return Deidentified(
        pieces=pieces,
        report=report,
        sop_class_uid=dataset.ascii(SOP_CLASS),
        sop_instance_uid=dataset.ascii(SOP_INSTANCE),
        study_instance_uid=dataset.ascii(STUDY),
        series_instance_uid=dataset.ascii(SERIES),
        transfer_syntax=syntax,
        modality=dataset.ascii(MODALITY),
        index=_index(dataset),
        look=look,
    )


def _index(dataset: DataSet) -> dict[str, str]:
    found = {}
    for name, tag in INDEX.items():
        element = dataset.get(tag)
        if element is None or element.items is not None or not element.value:
            continue
        if element.vr in {"US", "UL"}:
            found[name] = str(dataset.number(tag))
        else:
            found[name] = bytes(element.value).decode("utf-8", "replace").strip(" \0")
    for concept in dataset.items(0x0040A043)[:1]:
        values = [concept.get(tag) for tag in (0x00080100, 0x00080102, 0x00080104)]
        parts = [
            bytes(value.value).decode("utf-8", "replace").strip() for value in values if value is not None
        ]
        if len(parts) == len(values) and all(parts):
            found["ConceptName"] = "\\".join(parts)
    for observer in dataset.items(0x0040A073)[-1:]:
        if verified := observer.ascii(0x0040A030):
            found["VerificationDateTime"] = verified
    return found
