"""Makes the DICOMDIR of a release from the entries' own safe attributes; it reads no object and no old directory.

Every record lies in one pass at a computed offset, so that the size and order of the input do not matter.

References
----------
PS3.10 section 8, PS3.3 Annex F (basic directory IOD), PS3.11 (general purpose profile).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anonymizer.elements import DataSet, Element, Raw
from anonymizer.errors import DirectoryEntryError
from anonymizer.method import code_item
from anonymizer.writer import encoded_length, write_part10

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
NEXT, LOWER = 0x00041400, 0x00041420
FIRST, LAST, SEQUENCE = 0x00041200, 0x00041202, 0x00041220
PART = re.compile(r"[A-Z0-9_]{1,8}")
# PS3.3 F.5: record type by SOP class; the longest prefix wins, IMAGE is the default for pictures.
RECORD_TYPES = {
    "1.2.840.10008.5.1.4.1.1.88.": "SR DOCUMENT",
    "1.2.840.10008.5.1.4.1.1.88.59": "KEY OBJECT DOC",
    "1.2.840.10008.5.1.4.1.1.11.": "PRESENTATION",
    "1.2.840.10008.5.1.4.1.1.9.": "WAVEFORM",
    "1.2.840.10008.5.1.4.1.1.481.2": "RT DOSE",
    "1.2.840.10008.5.1.4.1.1.481.3": "RT STRUCTURE SET",
    "1.2.840.10008.5.1.4.1.1.481.5": "RT PLAN",
    "1.2.840.10008.5.1.4.1.1.481.8": "RT PLAN",
    "1.2.840.10008.5.1.4.1.1.481.4": "RT TREAT RECORD",
    "1.2.840.10008.5.1.4.1.1.481.6": "RT TREAT RECORD",
    "1.2.840.10008.5.1.4.1.1.481.7": "RT TREAT RECORD",
    "1.2.840.10008.5.1.4.1.1.481.9": "RT TREAT RECORD",
    "1.2.840.10008.5.1.4.1.1.4.2": "SPECTROSCOPY",
    "1.2.840.10008.5.1.4.1.1.66": "RAW DATA",
    "1.2.840.10008.5.1.4.1.1.66.1": "REGISTRATION",
    "1.2.840.10008.5.1.4.1.1.66.2": "FIDUCIAL",
    "1.2.840.10008.5.1.4.1.1.66.3": "REGISTRATION",
    "1.2.840.10008.5.1.4.1.1.66.4": "IMAGE",
    "1.2.840.10008.5.1.4.1.1.66.5": "SURFACE",
    "1.2.840.10008.5.1.4.1.1.66.6": "TRACT",
    "1.2.840.10008.5.1.4.1.1.67": "VALUE MAP",
    "1.2.840.10008.5.1.4.1.1.77.1.5.3": "STEREOMETRIC",
    "1.2.840.10008.5.1.4.1.1.68.1": "SURFACE SCAN",
    "1.2.840.10008.5.1.4.1.1.68.2": "SURFACE SCAN",
    "1.2.840.10008.5.1.4.1.1.91.1": "ANNOTATION",
}
# PS3.3 F.5, key by key: (tag, VR, index key, type 1). Type 1 without a value gets a neutral one, type 2 stays empty.
PATIENT_KEYS = ((0x00100010, "PN", "PatientName", False), (0x00100020, "LO", "PatientID", True))
STUDY_KEYS = (
    (0x00080020, "DA", "StudyDate", True), (0x00080030, "TM", "StudyTime", True),
    (0x00080050, "SH", "AccessionNumber", False), (0x00081030, "LO", "StudyDescription", False),
    (0x0020000D, "UI", "StudyInstanceUID", True), (0x00200010, "SH", "StudyID", True),
)  # fmt: skip
SERIES_KEYS = (
    (0x00080060, "CS", "Modality", True), (0x0020000E, "UI", "SeriesInstanceUID", True),
    (0x00200011, "IS", "SeriesNumber", True),
)  # fmt: skip
NUMBERED = ((0x00200013, "IS", "InstanceNumber", True),)
CONTENT = ((0x00080023, "DA", "ContentDate", True), (0x00080033, "TM", "ContentTime", True))
LABELLED = ((0x00700080, "CS", "ContentLabel", True), (0x00700081, "LO", "ContentDescription", False))
INSTANCE_KEYS = {
    "IMAGE": NUMBERED,
    "SR DOCUMENT": (*CONTENT, *NUMBERED, (0x0040A491, "CS", "CompletionFlag", True),
                    (0x0040A493, "CS", "VerificationFlag", True)),
    "KEY OBJECT DOC": (*CONTENT, *NUMBERED),
    "PRESENTATION": (*NUMBERED, *LABELLED, (0x00700082, "DA", "PresentationCreationDate", True),
                     (0x00700083, "TM", "PresentationCreationTime", True)),
    "WAVEFORM": (*CONTENT, *NUMBERED),
    "RT DOSE": (*NUMBERED, (0x3004000A, "CS", "DoseSummationType", True)),
    "RT STRUCTURE SET": (*NUMBERED, (0x30060002, "SH", "StructureSetLabel", True),
                         (0x30060008, "DA", "StructureSetDate", False), (0x30060009, "TM", "StructureSetTime", False)),
    "RT PLAN": (*NUMBERED, (0x300A0002, "SH", "RTPlanLabel", True), (0x300A0006, "DA", "RTPlanDate", False),
                (0x300A0007, "TM", "RTPlanTime", False)),
    "RT TREAT RECORD": NUMBERED,
    "SPECTROSCOPY": (*CONTENT, *NUMBERED),
    "RAW DATA": (*CONTENT, *NUMBERED),
    "REGISTRATION": (*CONTENT, *NUMBERED, *LABELLED),
    "FIDUCIAL": (*CONTENT, *NUMBERED, *LABELLED),
    "VALUE MAP": (*CONTENT, *NUMBERED, *LABELLED),
    "SURFACE": (*CONTENT, *NUMBERED, *LABELLED),
    "TRACT": (*CONTENT, *NUMBERED, *LABELLED),
    "ANNOTATION": (*CONTENT, *NUMBERED, *LABELLED),
}  # fmt: skip
NEUTRAL = {"DA": "19000101", "TM": "000000", "IS": "0", "CS": "NONE", "SH": "0", "LO": "0"}
DEFAULTS = {
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
    "Modality": "OT",
    "DoseSummationType": "PLAN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """One file of the release: its path in parts of at most 8 characters, and the index of its `Deidentified`."""

    path: tuple[str, ...]
    transfer_syntax: str
    index: Mapping[str, str]


@dataclass(slots=True)
class _Record:
    dataset: DataSet
    children: list[_Record] = field(default_factory=list)
    offset: int = 0


def record_type(sop_class_uid: str) -> str:
    best = max((prefix for prefix in RECORD_TYPES if _covers(prefix, sop_class_uid)), key=len, default="")
    return RECORD_TYPES.get(best, "IMAGE")


def _covers(prefix: str, uid: str) -> bool:
    return uid.startswith(prefix) if prefix.endswith(".") else uid == prefix


def build_dicomdir(entries: Sequence[DirectoryEntry], *, file_set_id: str = "CONSILIUM") -> bytes:
    """The directory file: patient, study, series and instance records, in the order of the entries."""
    root = _tree(entries)
    ordered: list[_Record] = []
    _flatten(root, ordered)
    directory = _directory(file_set_id)
    named = "\\".join(entry.index["SOPInstanceUID"] for entry in entries)
    uid = f"2.25.{int.from_bytes(hashlib.sha256(named.encode()).digest()[:16], 'big')}"
    sequence = [record.dataset for record in ordered]
    head = sum(len(piece) for piece in _written(directory, uid, with_records=False))
    offset = head
    for record in ordered:
        record.offset = offset
        offset += 16 + encoded_length(record.dataset)
    _link(root)
    directory.put(_offset(FIRST, root[0].offset if root else 0))
    directory.put(_offset(LAST, root[-1].offset if root else 0))
    directory.put(Element(SEQUENCE, "SQ", items=sequence))
    return b"".join(_written(directory, uid, with_records=True))


def _written(directory: DataSet, sop_instance: str, *, with_records: bool) -> list[Raw]:
    """The file; without records it ends where the first item begins."""
    pieces = write_part10(
        directory, transfer_syntax=EXPLICIT_LE, sop_class=DIRECTORY_CLASS, sop_instance=sop_instance
    )
    if with_records:
        return pieces
    whole = b"".join(pieces)
    return [whole[: len(whole) - 8]]  # the empty sequence's own delimiter


def _directory(file_set_id: str) -> DataSet:
    directory = DataSet()
    directory.put(Element(0x00041130, "CS", file_set_id.encode("ascii")))
    directory.put(_offset(FIRST, 0))
    directory.put(_offset(LAST, 0))
    directory.put(Element(0x00041212, "US", b"\0\0"))
    directory.put(Element(SEQUENCE, "SQ", items=[]))
    return directory


def _tree(entries: Sequence[DirectoryEntry]) -> list[_Record]:
    patients: dict[str, _Record] = {}
    studies: dict[tuple[str, str], _Record] = {}
    series: dict[tuple[str, str, str], _Record] = {}
    for number, entry in enumerate(entries, start=1):
        _check(number, entry)
        index = entry.index
        patient, study, one = (
            index.get(key, "") for key in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        )
        if patient not in patients:
            patients[patient] = _Record(_record("PATIENT", PATIENT_KEYS, index))
        if (patient, study) not in studies:
            studies[patient, study] = _Record(_record("STUDY", STUDY_KEYS, index))
            patients[patient].children.append(studies[patient, study])
        if (patient, study, one) not in series:
            series[patient, study, one] = _Record(_record("SERIES", SERIES_KEYS, index))
            studies[patient, study].children.append(series[patient, study, one])
        series[patient, study, one].children.append(_Record(_instance(entry)))
    return list(patients.values())


def _check(number: int, entry: DirectoryEntry) -> None:
    wanted = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    missing = [key for key in wanted if not entry.index.get(key)]
    if missing:
        raise DirectoryEntryError(
            f"entry {number}: {', '.join(missing)} missing. {DirectoryEntryError.__doc__}"
        )
    if not 1 <= len(entry.path) <= 8 or not all(PART.fullmatch(part) for part in entry.path):
        raise DirectoryEntryError(f"entry {number}: file name. {DirectoryEntryError.__doc__}")


def _instance(entry: DirectoryEntry) -> DataSet:
    kind = record_type(entry.index["SOPClassUID"])
    record = _record(kind, INSTANCE_KEYS.get(kind, NUMBERED), entry.index)
    record.put(Element(0x00041500, "CS", "\\".join(entry.path).encode("ascii")))
    for tag, value in (
        (0x00041510, entry.index["SOPClassUID"]),
        (0x00041511, entry.index["SOPInstanceUID"]),
        (0x00041512, entry.transfer_syntax),
    ):
        record.put(Element(tag, "UI", value.encode("ascii")))
    return record


def _record(kind: str, keys: Sequence[tuple[int, str, str, bool]], index: Mapping[str, str]) -> DataSet:
    record = DataSet()
    record.put(_offset(NEXT, 0))
    record.put(Element(0x00041410, "US", b"\xff\xff"))
    record.put(_offset(LOWER, 0))
    record.put(Element(0x00041430, "CS", kind.encode("ascii")))
    values = {tag: (vr, index.get(name) or (DEFAULTS.get(name, NEUTRAL.get(vr, "")) if needed else ""))
              for tag, vr, name, needed in keys}  # fmt: skip
    if not all(value.isascii() for _, value in values.values()):
        record.put(Element(0x00080005, "CS", b"ISO_IR 192"))
    for tag, (vr, value) in values.items():
        if vr in {"DA", "TM"}:
            value = value.replace(":", "").replace("-", "")  # noqa: PLW2901 - the old spelling of PS3.5 6.2
        record.put(Element(tag, vr, value.encode("utf-8")))
    if kind in {"SR DOCUMENT", "KEY OBJECT DOC"}:
        parts = (index.get("ConceptName") or "121000\\DCM\\Report").split("\\")
        record.put(Element(0x0040A043, "SQ", items=[code_item(parts[0], parts[-1], parts[1])]))
    if index.get("VerificationDateTime") and kind == "SR DOCUMENT":
        record.put(Element(0x0040A030, "DT", index["VerificationDateTime"].encode("ascii")))
    return record


def _flatten(records: list[_Record], ordered: list[_Record]) -> None:
    for record in records:
        ordered.append(record)
        _flatten(record.children, ordered)


def _link(siblings: list[_Record]) -> None:
    for here, following in zip(siblings, [*siblings[1:], None], strict=False):
        here.dataset.put(_offset(NEXT, following.offset if following else 0))
        here.dataset.put(_offset(LOWER, here.children[0].offset if here.children else 0))
        _link(here.children)


def _offset(tag: int, value: int) -> Element:
    return Element(tag, "UL", struct.pack("<L", value))
