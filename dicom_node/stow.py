"""STOW-RS in values: which bodies are taken, what one part must be, and the answer in JSON or XML; no HTTP and no case.

PS3.18 10.5 (Store Transaction), Annex I (Store Instances Response Module), Annex F (DICOM JSON), PS3.19 A.1 (native model).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

from dicom_node import contexts, status
from dicom_node.ae import is_uid
from dicom_node.errors import HeadError, NotDicomError
from dicom_node.head import Head, read_head
from dicom_node.multipart import MediaType, MediaTypeError, media_type
from dicom_node.part10 import FileMeta, open_part10
from dicom_node.receiver import Admitted, ReadableStream
from dicom_node.streams import Replayed

DICOM, DICOM_JSON, DICOM_XML, JSON = (
    "application/dicom",
    "application/dicom+json",
    "application/dicom+xml",
    "application/json",
)
RELATED = "multipart/related"

# Failure reasons beside the DIMSE statuses (PS3.18 Table I.2-2; I.2.2 allows more of one's own in these ranges).
PROCESSING_FAILURE = 0x0110
OTHER_STUDY = 0xA901  # the instance is of another study than the one that the address names
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122

Cause = Literal["", "too_large", "full", "down"]
_STATUS_OF_CAUSE: Mapping[Cause, int] = {"too_large": 413, "full": 507, "down": 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one part was not kept. ``cause`` tells a lack of room or service from a fault of the object."""

    reason: int
    comment: str
    cause: Cause = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def is_named(self) -> bool:
        """Whether the object's own UIDs are known: if not, it can only be counted (Other Failures Sequence)."""
        return is_uid(self.sop_class_uid) and is_uid(self.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An instance that is kept; ``warning`` is 0 or one of PS3.18 Table I.2-1."""

    sop_class_uid: str
    sop_instance_uid: str
    warning: int = 0


@dataclass(slots=True)
class StoreAnswer:
    """What became of each part of one request, as it is gathered."""

    kept: list[Kept] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The HTTP status (PS3.18 Table 10.5.3-1, 8.5); 400 where there was nothing to store at all."""
        if self.kept:
            return 202 if self.failures or any(one.warning for one in self.kept) else 200
        causes = {failure.cause for failure in self.failures}
        if not causes:
            return 400
        return _STATUS_OF_CAUSE.get(causes.pop(), 409) if len(causes) == 1 else 409


# what is taken


def payload_of(content_type: str) -> MediaType | None:
    """Return the media type of a body of DICOM objects, one or many; None for any other kind (415).

    Raises
    ------
    MediaTypeError
        The header cannot be understood (400).
    """
    kind = media_type(content_type)
    if kind.name == RELATED:
        of = kind.parameters.get("type", DICOM)
        return kind if of.partition(";")[0].strip().lower() == DICOM else None
    return kind if kind.name == DICOM else None


def answer_type(accept: str) -> str | None:
    """Return the media type to answer with, by the sender's own weights (RFC 9110 12.5.1), or None (406)."""
    best, weight = None, 0.0
    for entry in accept.split(",") if accept.strip() else ["*/*"]:
        try:
            kind = media_type(entry)
        except MediaTypeError:
            continue
        offered = {"*/*": DICOM_JSON, "application/*": DICOM_JSON}.get(kind.name, kind.name)
        if offered == RELATED:  # as PS3.18 wrote it before 2019
            offered = kind.parameters.get("type", "")
        try:
            wanted = float(kind.parameters.get("q", "1"))
        except ValueError:
            continue
        if offered in {DICOM_JSON, DICOM_XML, JSON} and weight < wanted <= 1:
            best, weight = offered, wanted
    return best


def refused_part(headers: Mapping[str, str]) -> Failure | None:
    """Refuse a part by its headers: it must be one DICOM object, encoded neither for transfer nor for length."""
    try:
        kind = media_type(headers.get("content-type", DICOM)).name
    except MediaTypeError:
        kind = ""
    if kind != DICOM:
        return Failure(reason=status.CANNOT_UNDERSTAND, comment="The part is not of type application/dicom")
    if headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit"}:
        return Failure(reason=status.CANNOT_UNDERSTAND, comment="The part is encoded for transfer")
    if headers.get("content-encoding", "identity").lower() != "identity":
        return Failure(reason=status.CANNOT_UNDERSTAND, comment="The part is compressed")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedInstance:
    """An object whose head was read and found fit: its names, its head, and the data set from its first byte on."""

    meta: FileMeta
    head: Head
    data_set: ReadableStream


def open_instance(
    content: ReadableStream, *, peer: Admitted, study_uid: str = ""
) -> OpenedInstance | Failure:
    """Read as much of a Part 10 object as decides whether it may be kept; numbered as a reviewer ticks them off.

    Parameters
    ----------
    peer
        What the sender may send.
    study_uid
        The study that the address names; empty where it names none.
    """
    # (1) It is DICOM. Where the type of the part names another transfer syntax, the File Meta counts (PS3.18 8.7.9).
    try:
        meta, stream = open_part10(content)
    except NotDicomError as exc:
        return Failure(reason=status.CANNOT_UNDERSTAND, comment=status.comment(str(exc)))
    # (2) Its transfer syntax and its SOP class are taken from this sender.
    syntaxes = contexts.TRANSFER_SYNTAXES if peer.transfer_syntaxes is None else peer.transfer_syntaxes
    if meta.transfer_syntax_uid not in contexts.TRANSFER_SYNTAXES & syntaxes:
        return _unfit(meta, TRANSFER_SYNTAX_NOT_SUPPORTED, "The transfer syntax is not taken")
    if not _is_taken(meta.sop_class_uid, peer):
        return _unfit(meta, status.SOP_CLASS_NOT_SUPPORTED, "The SOP class is not taken")
    # (3) The data set can be read as far as needed, and is the object that the File Meta speaks of.
    try:
        head, taken = read_head(stream, meta.transfer_syntax_uid)
    except HeadError as exc:
        return _unfit(meta, status.CANNOT_UNDERSTAND, status.comment(f"Data set unreadable: {exc}"))
    wrong = _wrong_uid(meta, head, study_uid)
    if wrong is not None:
        return _unfit(meta, *wrong)
    return OpenedInstance(meta=meta, head=head, data_set=Replayed(taken, stream))


def _unfit(meta: FileMeta, reason: int, comment: str) -> Failure:
    return Failure(
        reason=reason,
        comment=comment,
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
    )


def _is_taken(sop_class_uid: str, peer: Admitted) -> bool:
    if peer.sop_classes is not None and sop_class_uid not in peer.sop_classes:
        return False
    if contexts.is_standard_storage(sop_class_uid):
        return True
    return peer.private_sop_classes and contexts.is_private(sop_class_uid)


def _wrong_uid(meta: FileMeta, head: Head, study_uid: str) -> tuple[int, str] | None:
    for name, uid in (
        ("SOP Class UID", head.sop_class_uid),
        ("SOP Instance UID", head.sop_instance_uid),
        ("Study Instance UID", head.study_instance_uid),
        ("Series Instance UID", head.series_instance_uid),
    ):
        if not uid:
            return status.CANNOT_UNDERSTAND, f"{name} is missing in the data set"
        if not is_uid(uid):
            return status.CANNOT_UNDERSTAND, f"{name} is not a valid UID"
    if head.sop_class_uid != meta.sop_class_uid:
        return status.DATA_SET_DOES_NOT_MATCH, "SOP Class UID in data set differs from File Meta"
    if head.sop_instance_uid != meta.sop_instance_uid:
        return status.DATA_SET_DOES_NOT_MATCH, "SOP Instance UID in data set differs from File Meta"
    if study_uid and head.study_instance_uid != study_uid:
        return OTHER_STUDY, "The instance belongs to another study than the address names"
    return None


# the answer

# Nothing can be retrieved here, so both Retrieve URLs (type 2) are there and empty (Table I.1-1).
_RETRIEVE_URL, _WARNING, _FAILURE = "00081190", "00081196", "00081197"
_FAILED, _REFERENCED, _OTHER = "00081198", "00081199", "0008119A"
_SOP_CLASS, _SOP_INSTANCE = "00081150", "00081155"
_KEYWORDS = {
    _RETRIEVE_URL: "RetrieveURL",
    _WARNING: "WarningReason",
    _FAILURE: "FailureReason",
    _FAILED: "FailedSOPSequence",
    _REFERENCED: "ReferencedSOPSequence",
    _OTHER: "OtherFailuresSequence",
    _SOP_CLASS: "ReferencedSOPClassUID",
    _SOP_INSTANCE: "ReferencedSOPInstanceUID",
}
_Element = dict[str, Any]


def response_module(answer: StoreAnswer) -> dict[str, _Element]:
    """Return the Store Instances Response Module in the DICOM JSON model (PS3.18 Table I.1-1, F.2)."""
    module: dict[str, _Element] = {_RETRIEVE_URL: {"vr": "UR"}}
    named = [one for one in answer.failures if one.is_named]
    others = [one for one in answer.failures if not one.is_named]
    if named:
        module[_FAILED] = _sequence({**_reference(one), _FAILURE: _number(one.reason)} for one in named)
    if answer.kept:
        module[_REFERENCED] = _sequence(_kept_item(one) for one in answer.kept)
    if others:
        module[_OTHER] = _sequence({_FAILURE: _number(one.reason)} for one in others)
    return module


def encoded(module: Mapping[str, _Element], media: str) -> bytes:
    """Write a module as the media type says: `DICOM_XML`, else JSON."""
    if media != DICOM_XML:
        return json.dumps(module, separators=(",", ":")).encode()
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xml:space="preserve"'
    body = "".join(_attributes(module))
    return (
        f'{head} xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">{body}</NativeDicomModel>'.encode()
    )


def _reference(one: Kept | Failure) -> dict[str, _Element]:
    return {
        _SOP_CLASS: {"vr": "UI", "Value": [one.sop_class_uid]},
        _SOP_INSTANCE: {"vr": "UI", "Value": [one.sop_instance_uid]},
    }


def _kept_item(one: Kept) -> dict[str, _Element]:
    item = {**_reference(one), _RETRIEVE_URL: {"vr": "UR"}}
    return {**item, _WARNING: _number(one.warning)} if one.warning else item


def _number(value: int) -> _Element:
    return {"vr": "US", "Value": [value]}


def _sequence(items: Iterable[dict[str, _Element]]) -> _Element:
    return {"vr": "SQ", "Value": [dict(sorted(item.items())) for item in items]}


def _attributes(module: Mapping[str, _Element]) -> Iterable[str]:
    """Yield elements of the native model (PS3.19 A.1.5): values are UIDs and numbers only, so none needs escaping."""
    for tag, element in sorted(module.items()):
        keyword, vr = quoteattr(_KEYWORDS[tag]), quoteattr(element["vr"])
        yield f'<DicomAttribute tag="{tag}" vr={vr} keyword={keyword}>'
        for number, value in enumerate(element.get("Value", ()), 1):
            if element["vr"] == "SQ":
                yield f'<Item number="{number}">{"".join(_attributes(value))}</Item>'
            else:
                yield f'<Value number="{number}">{value}</Value>'
        yield "</DicomAttribute>"
