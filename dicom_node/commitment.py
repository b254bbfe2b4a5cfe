"""The data sets of storage commitment: the question read with bounds and without recursion, the result written; whether objects are safe is not known here.

PS3.4 Annex J (Push Model), PS3.3 C.14. Encodings are the two that are negotiated for it: implicit and explicit little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from dicom_node import status
from dicom_node.ae import is_uid
from dicom_node.contexts import encoding_of
from dicom_node.elements import ITEM, ITEM_END, SEQUENCE_END, SHORT_VR, UNDEFINED
from dicom_node.receiver import CommitmentResult, StoreOutcome

SOP_CLASS = "1.2.840.10008.1.20.1"  # Storage Commitment Push Model
SOP_INSTANCE = "1.2.840.10008.1.20.1.1"  # its one well-known instance (PS3.4 J.3.5)
REQUEST_COMMITMENT = 1  # Action Type ID (PS3.4 Table J.3-1)
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type ID (PS3.4 Table J.3-2)

MAX_REFERENCES = 100_000
MAX_BYTES = 20 << 20  # 100,000 references with UIDs of full length, in the wordiest encoding
_MAX_ELEMENTS = 1_000_000
_MAX_DEPTH = 16
_MAX_UID_BYTES = 66  # 64 and some padding

_TRANSACTION_UID, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_SOP_CLASS_UID, _SOP_INSTANCE_UID, _REASON = 0x00081150, 0x00081155, 0x00081197
_UIDS = frozenset({_TRANSACTION_UID, _SOP_CLASS_UID, _SOP_INSTANCE_UID})
_TAG_LENGTH = struct.Struct("<HHI")
_TAG_VR_LENGTH = struct.Struct("<HH2sH")
_U32 = struct.Struct("<I")
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Asked:
    """What an N-ACTION asks: every pair of SOP class and SOP instance UID once, in the sender's order."""

    transaction_uid: str
    references: tuple[tuple[str, str], ...]


class _Unfit(Exception):  # noqa: N818 - carried to the one place that turns it into a status
    def __init__(self, code: int, comment: str) -> None:
        super().__init__(comment)
        self.outcome = StoreOutcome(status=code, comment=status.comment(comment))


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Reader:
    """Bytes of the data set, taken as needed; holds one piece of it at a time."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._piece = b""
        self._next = 0
        self._elements = 0
        self.at = 0

    def _fill(self, size: int) -> bool:
        """Whether `size` more bytes are here."""
        while len(self._piece) - self._next < size:
            if self.at + size > MAX_BYTES:
                raise _Unfit(
                    status.RESOURCE_LIMITATION, f"Action Information is longer than {MAX_BYTES} bytes"
                )
            more = self._stream.read(max(_READ_BYTES, size))
            if not more:
                return False
            self._piece = self._piece[self._next :] + more
            self._next = 0
        return True

    @property
    def ended(self) -> bool:
        return not self._fill(1)

    def take(self, size: int) -> bytes:
        if not self._fill(size):
            raise _Unfit(status.INVALID_ARGUMENT, "Action Information ends inside an element")
        start = self._next
        self._next += size
        self.at += size
        return self._piece[start : self._next]

    def skip(self, size: int) -> None:
        while size > 0:
            step = min(size, _READ_BYTES)
            self.take(step)
            size -= step

    def header(self, *, explicit: bool) -> tuple[int, bytes, int]:
        """Tag, VR (empty when implicit) and length."""
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _Unfit(status.RESOURCE_LIMITATION, f"more than {_MAX_ELEMENTS} elements")
        encoded = self.take(8)
        group, element, length = _TAG_LENGTH.unpack(encoded)
        tag = group << 16 | element
        if not explicit or group == 0xFFFE:
            return tag, b"", length
        _, _, vr, length = _TAG_VR_LENGTH.unpack(encoded)
        if vr in SHORT_VR:
            return tag, vr, length
        if not (vr.isalpha() and vr.isupper()):
            raise _Unfit(status.INVALID_ARGUMENT, f"element {tag:08X} has no valid VR")
        return tag, vr, _U32.unpack(self.take(4))[0]


@dataclass(slots=True)
class _Level:
    """One open data set, sequence or item; `end` None means that a delimiter closes it."""

    is_sequence: bool
    is_ours: bool  # the referenced SOP sequence or an item of it
    explicit: bool
    end: int | None


def read_question(stream: _Readable, transfer_syntax_uid: str) -> Asked | StoreOutcome:
    """Read the Action Information of an N-ACTION-RQ; what is wrong with it comes back as the status to answer.

    What stands around the wanted attributes is passed over; the stream may be left unread behind what is wrong.
    """
    try:
        return _Question(stream, explicit=encoding_of(transfer_syntax_uid) == "explicit").read()
    except _Unfit as unfit:
        return unfit.outcome


class _Question:
    """Walks the data set with a stack of its own: how deep a sender nests costs us nothing."""

    def __init__(self, stream: _Readable, *, explicit: bool) -> None:
        self._reader = _Reader(stream)
        self._open = [_Level(is_sequence=False, is_ours=True, explicit=explicit, end=None)]
        self._transaction_uid = ""
        self._pair: dict[int, str] = {}
        self._references: dict[tuple[str, str], None] = {}

    def read(self) -> Asked:
        reader, levels = self._reader, self._open
        while not (len(levels) == 1 and reader.ended):
            level = levels[-1]
            if level.end is not None and reader.at >= level.end:
                if reader.at > level.end:
                    raise _Unfit(status.INVALID_ARGUMENT, "an element is longer than its item")
                self._close()
            else:
                self._element(level, *reader.header(explicit=level.explicit))
        if not self._transaction_uid:
            raise _Unfit(status.INVALID_ARGUMENT, "Transaction UID (0008,1195) is missing")
        if not self._references:
            raise _Unfit(status.INVALID_ARGUMENT, "Referenced SOP Sequence (0008,1199) is missing or empty")
        return Asked(self._transaction_uid, tuple(self._references))

    def _element(self, level: _Level, tag: int, vr: bytes, length: int) -> None:
        if tag in (ITEM_END, SEQUENCE_END):
            if len(self._open) == 1 or level.end is not None or level.is_sequence != (tag == SEQUENCE_END):
                raise _Unfit(status.INVALID_ARGUMENT, "a delimiter stands where nothing is open")
            self._close()
        elif level.is_sequence:
            if tag != ITEM:
                raise _Unfit(status.INVALID_ARGUMENT, "a sequence holds what is no item")
            if not level.is_ours and length != UNDEFINED:
                self._reader.skip(length)
            else:
                self._enter(level, length, is_sequence=False, is_ours=level.is_ours)
        elif tag == _REFERENCED and len(self._open) == 1:
            self._enter(level, length, is_sequence=True, is_ours=True, vr=vr)
        elif length == UNDEFINED:
            self._enter(level, length, is_sequence=True, is_ours=False, vr=vr)
        elif level.is_ours and tag in _UIDS:
            self._uid(tag, length)
        else:
            self._reader.skip(length)

    def _enter(
        self, level: _Level, length: int, *, is_sequence: bool, is_ours: bool, vr: bytes = b""
    ) -> None:
        if len(self._open) == _MAX_DEPTH:
            raise _Unfit(status.INVALID_ARGUMENT, f"sequences are nested deeper than {_MAX_DEPTH}")
        end = None if length == UNDEFINED else self._reader.at + length
        if end is not None and level.end is not None and end > level.end:
            raise _Unfit(status.INVALID_ARGUMENT, "an item is longer than its sequence")
        # UN holds implicit little endian, whatever stands around it (PS3.5 6.2.2 note 5).
        explicit = level.explicit and vr != b"UN"
        self._open.append(_Level(is_sequence=is_sequence, is_ours=is_ours, explicit=explicit, end=end))

    def _uid(self, tag: int, length: int) -> None:
        if length > _MAX_UID_BYTES:
            raise _Unfit(status.INVALID_ARGUMENT, f"element {tag:08X} is longer than a UID")
        uid = self._reader.take(length).decode("ascii", "replace").strip(" \0")
        if not is_uid(uid):
            raise _Unfit(status.INVALID_ARGUMENT, f"element {tag:08X} is not a valid UID")
        if len(self._open) > 1:
            self._pair[tag] = uid
        elif tag == _TRANSACTION_UID:
            self._transaction_uid = uid

    def _close(self) -> None:
        level = self._open.pop()
        if level.is_sequence or not level.is_ours:
            return
        try:
            pair = self._pair[_SOP_CLASS_UID], self._pair[_SOP_INSTANCE_UID]
        except KeyError:
            number = len(self._references) + 1
            raise _Unfit(
                status.INVALID_ARGUMENT, f"item {number} of (0008,1199) lacks SOP class or instance UID"
            ) from None
        self._pair = {}
        self._references[pair] = None
        if len(self._references) > MAX_REFERENCES:
            raise _Unfit(status.RESOURCE_LIMITATION, f"more than {MAX_REFERENCES} references, ask in parts")


def event_type(result: CommitmentResult) -> int:
    """Event Type ID of a result."""
    return FAILURES_EXIST if result.failed else ALL_COMMITTED


def encode_result(result: CommitmentResult, transfer_syntax_uid: str) -> bytes:
    """The Event Information (PS3.4 Table J.3-2); Retrieve AE Title is left out, for nothing is retrieved here."""
    explicit = encoding_of(transfer_syntax_uid) == "explicit"
    parts = [_element(_TRANSACTION_UID, b"UI", _uid_bytes(result.transaction_uid), explicit)]
    if result.failed:
        failed = (
            _pair(sop_class, uid, explicit) + _element(_REASON, b"US", reason.to_bytes(2, "little"), explicit)
            for sop_class, uid, reason in result.failed
        )
        parts.append(_sequence(_FAILED, failed, explicit))
    if result.committed:
        committed = (_pair(sop_class, uid, explicit) for sop_class, uid in result.committed)
        parts.append(_sequence(_REFERENCED, committed, explicit))
    return b"".join(parts)


def _uid_bytes(uid: str) -> bytes:
    raw = uid.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)


def _element(tag: int, vr: bytes, value: bytes, explicit: bool) -> bytes:
    if not explicit:
        return _TAG_LENGTH.pack(tag >> 16, tag & 0xFFFF, len(value)) + value
    if vr in SHORT_VR:
        return _TAG_VR_LENGTH.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    return _TAG_VR_LENGTH.pack(tag >> 16, tag & 0xFFFF, vr, 0) + _U32.pack(len(value)) + value


def _pair(sop_class_uid: str, sop_instance_uid: str, explicit: bool) -> bytes:
    first = _element(_SOP_CLASS_UID, b"UI", _uid_bytes(sop_class_uid), explicit)
    return first + _element(_SOP_INSTANCE_UID, b"UI", _uid_bytes(sop_instance_uid), explicit)


def _sequence(tag: int, items: Iterable[bytes], explicit: bool) -> bytes:
    content = b"".join(_TAG_LENGTH.pack(0xFFFE, 0xE000, len(item)) + item for item in items)
    return _element(tag, b"SQ", content, explicit)
