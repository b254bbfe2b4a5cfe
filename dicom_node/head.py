"""The first attributes of a data set, read with bounds and without recursion; the rest is never looked at.

Works on PS3.5 7.1 (data elements), 7.5 (sequences) and A.5 (deflated). What it consumed is handed back, so that
nothing of the object is lost. Damage behind the wanted attributes is not its business.
"""

from __future__ import annotations

import codecs
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

from pydicom import charset

from dicom_node.ae import is_uid
from dicom_node.contexts import encoding_of
from dicom_node.elements import ITEM_END, SEQUENCE_END, SHORT_VR, UNDEFINED
from dicom_node.errors import HeadError

# tag → field of Head. Ascending order is the rule (PS3.5 7.1): reading stops behind the last one.
_WANTED: dict[int, str] = {
    0x00080005: "specific_character_set",
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080020: "study_date",
    0x00080050: "accession_number",
    0x00080060: "modality",
    0x00081030: "study_description",
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100021: "issuer_of_patient_id",
    0x00100030: "patient_birth_date",
    0x00100040: "patient_sex",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200013: "instance_number",
}
_LAST_WANTED = max(_WANTED)
_TEXT = frozenset(
    {"patient_name", "patient_id", "issuer_of_patient_id", "accession_number", "study_description"}
)
_MAX_VALUE_BYTES = 4096  # the longest wanted value is a PN of five components in three scripts
# Behind these the first character set holds again (PS3.5 6.1.2.5.3); all wanted texts are single-line.
_DELIMITERS = {ord(c) for c in "^=\\\r\n\t\f"}
_MAX_DEPTH = 64
_CHUNK_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Attributes that intake needs, as claimed by the sender; empty where absent. This is personal data."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""
    study_date: str = ""
    modality: str = ""
    study_description: str = ""
    specific_character_set: str = ""
    instance_number: str = ""

    def __repr__(self) -> str:
        """UIDs only, and only where they are some, so that no log line and no traceback can carry a person."""
        told = [uid if is_uid(uid) else "malformed" for uid in (self.sop_class_uid, self.sop_instance_uid)]
        return f"Head(sop_class_uid={told[0]!r}, sop_instance_uid={told[1]!r})"


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Source:
    """Bytes of the data set in the clear, taken from the stream as needed, counted and remembered."""

    def __init__(self, stream: _Readable, cap_bytes: int, *, deflated: bool) -> None:
        self._stream = stream
        self._cap = cap_bytes
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else None
        self.consumed = bytearray()
        self.clear = bytearray() if deflated else self.consumed
        self._ended = False
        self.at = 0

    def has(self, size: int) -> bool:
        """Whether `size` more bytes lie ahead; takes them from the stream."""
        end = self.at + size
        while len(self.clear) < end:
            if end > self._cap or len(self.consumed) > self._cap:
                raise HeadError(f"the wanted attributes do not stand within the first {self._cap} bytes")
            if not self._more(end):
                return False
        return True

    def _more(self, end: int) -> bool:
        if self._inflate is None:
            short = end - len(self.clear)
            piece = b"" if self._ended else self._stream.read(max(_CHUNK_BYTES, short))
            self._ended = not piece
            self.consumed += piece
            return bool(piece)
        # Inflate at most what the cap allows (PS3.5 A.5 gives no bound: 400 KB can hold 400 MB).
        pending = self._inflate.unconsumed_tail
        if not pending and not self._ended:
            pending = self._stream.read(_CHUNK_BYTES)
            self._ended = not pending
            self.consumed += pending
        try:
            clear = self._inflate.decompress(pending, 4 * _CHUNK_BYTES)
        except zlib.error as exc:
            raise HeadError("the deflated data set is damaged") from exc
        self.clear += clear
        return bool(clear) or not (self._ended or self._inflate.eof)

    def take(self, size: int) -> bytes:
        if not self.has(size):
            raise HeadError("the data set ends inside an element")
        piece = bytes(self.clear[self.at : self.at + size])
        self.at += size
        return piece

    def peek(self, size: int) -> bytes:
        if not self.has(size):
            return bytes(self.clear[self.at :])
        return bytes(self.clear[self.at : self.at + size])

    def skip(self, size: int) -> None:
        if self.at + size > len(self.clear) and not self.has(size):
            raise HeadError("the data set ends inside an element")
        self.at += size


class _Elements:
    """Reads element headers in one encoding."""

    def __init__(self, source: _Source, *, explicit: bool, little: bool) -> None:
        order = "<" if little else ">"
        self._plain = struct.Struct(order + "HHI")
        self._typed = struct.Struct(order + "HH2sH")
        self._u32 = struct.Struct(order + "I")
        self.source = source
        self.explicit = explicit

    def header(self) -> tuple[int, bytes, int]:
        """Tag, VR (empty when implicit) and length; every header has eight bytes at least (PS3.5 7.1)."""
        source = self.source
        at, ahead = source.at, source.clear
        if at + 8 > len(ahead) and not source.has(8):
            raise HeadError("the data set ends inside an element")
        source.at = at + 8
        if self.explicit:
            group, element, vr, length = self._typed.unpack_from(ahead, at)
            if group != 0xFFFE:
                tag = group << 16 | element
                if vr in SHORT_VR:
                    return tag, vr, length
                if not (vr.isalpha() and vr.isupper()):
                    raise HeadError(f"element {tag:08X} has no valid VR")
                return tag, vr, self._u32.unpack(source.take(4))[0]
        group, element, length = self._plain.unpack_from(ahead, at)
        return group << 16 | element, b"", length

    def skip_undefined(self, *, vr: bytes) -> None:
        """Pass over a sequence or a row of fragments of undefined length, however deep, without recursion."""
        levels = [self._inside(vr)]  # one reader per open sequence or item
        while levels:
            tag, inner_vr, length = levels[-1].header()
            if tag in (ITEM_END, SEQUENCE_END):
                levels.pop()
            elif length != UNDEFINED:
                self.source.skip(length)
            elif len(levels) == _MAX_DEPTH:
                raise HeadError(f"sequences are nested deeper than {_MAX_DEPTH}")
            else:
                levels.append(levels[-1]._inside(inner_vr))  # noqa: SLF001 - the same class

    def _inside(self, vr: bytes) -> _Elements:
        # UN of undefined length holds implicit little endian, whatever stands around it (PS3.5 6.2.2 note 5).
        return _Elements(self.source, explicit=False, little=True) if vr == b"UN" else self


def read_head(stream: _Readable, transfer_syntax_uid: str, *, cap_bytes: int = 1 << 20) -> tuple[Head, bytes]:
    """Read the attributes that intake needs from the start of a data set.

    Parameters
    ----------
    stream
        Yields the data set as encoded in `transfer_syntax_uid`, without File Meta.
    cap_bytes
        How far to read and to inflate; Pixel Data never stands before the wanted attributes.

    Returns
    -------
    The attributes and every byte taken from `stream`, which the caller must put in front of the rest.

    Raises
    ------
    HeadError
        Damaged, or the attributes lie behind `cap_bytes`.
    """
    encoding = encoding_of(transfer_syntax_uid)
    source = _Source(stream, cap_bytes, deflated=encoding == "deflated")
    explicit = encoding != "implicit"
    if encoding in ("implicit", "explicit", "deflated"):
        explicit = looks_explicit(source.peek(8), expected=explicit)
    elements = _Elements(source, explicit=explicit, little=encoding != "big")
    values: dict[str, bytes] = {}
    while source.at + 8 <= len(source.clear) or source.has(8):
        tag, vr, length = elements.header()
        if tag > _LAST_WANTED:
            break
        name = _WANTED.get(tag)
        if length == UNDEFINED:
            elements.skip_undefined(vr=vr)
        elif name is None:
            source.skip(length)
        elif length > _MAX_VALUE_BYTES:
            raise HeadError(f"element {tag:08X} is {length} bytes long")
        else:
            values[name] = source.take(length)
    return _decoded(values), bytes(source.consumed)


def looks_explicit(first: bytes, *, expected: bool) -> bool:
    """Some senders declare one VR encoding and write the other: believe the first element, when it is clear."""
    if len(first) < 8:
        return expected
    vr = first[4:6]
    if vr.isalpha() and vr.isupper():
        # As an implicit length these two letters would mean at least 16 KiB for the first element.
        return True
    return False if int.from_bytes(first[4:8], "little") <= _MAX_VALUE_BYTES else expected


def _decoded(values: dict[str, bytes]) -> Head:
    declared = values.get("specific_character_set", b"").decode("ascii", "replace").strip(" \0")
    encodings = _python_encodings(declared)
    texts = {
        name: decode_text(value, encodings) if name in _TEXT else value.decode("ascii", "replace")
        for name, value in values.items()
    }
    return Head(**{name: text.strip(" \0") for name, text in texts.items()})


def _python_encodings(declared: str) -> list[str]:
    """Python codecs for (0008,0005), repairing the spellings seen in the field; unknown terms fall away."""
    found: list[str] = []
    for position, term in enumerate(declared.split("\\")):
        repaired = term.strip().upper().replace("-", " ").replace("_", " ")
        for candidate in (term.strip(), repaired.replace("ISO IR", "ISO_IR"), repaired):
            if candidate in charset.python_encoding:
                found.append(charset.python_encoding[candidate])
                break
        else:
            if position == 0:
                found.append("iso8859")
    return found


def decode_text(value: bytes, encodings: list[str]) -> str:
    """`value` as text in the declared character sets (PS3.5 6.1.2.5), losing as little as can be when they lie."""
    if value.isascii() and 0x1B not in value:
        return value.decode("ascii")
    if 0x1B in value and encodings:
        try:
            return str(charset.decode_bytes(value, encodings, _DELIMITERS))
        except (UnicodeError, LookupError, Warning):
            pass  # an escape sequence that nobody declared; show the bytes rather than nothing
    for codec in (*encodings[:1], "utf-8", "iso8859"):
        try:
            return codecs.decode(value, codec)
        except (UnicodeError, LookupError):
            continue
    return value.decode("latin-1")
