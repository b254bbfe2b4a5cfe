"""The Part 10 file form: File Meta written so that equal objects give equal bytes, and read from a stream.

PS3.10 7.1. The data set behind the File Meta is handed on untouched. What is written names neither a sender nor a
version: a release copy must not tell where it came from (PS3.15 E.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dicom_node.ae import IMPLEMENTATION_CLASS_UID
from dicom_node.contexts import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_node.errors import HeadError, NotDicomError
from dicom_node.head import read_head
from dicom_node.streams import Replayed, Source

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_META_CAP_BYTES = 64 << 10
_LONG_VR = frozenset(
    {b"OB", b"OW", b"UN", b"SQ", b"UT", b"OF", b"OD", b"OL", b"OV", b"UC", b"UR", b"SV", b"UV"}
)
_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()) | _LONG_VR


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """What a file says about its object; SOP UIDs are taken from the data set where the meta lacks them."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    had_preamble_content: bool


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG_VR:
        return struct.pack("<HH2sxxI", 2, element, vr, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _ui(uid: str) -> bytes:
    raw = uid.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)


def file_meta_bytes(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble of zeros, "DICM" and group 0002: the same bytes for the same three UIDs, today and in ten years."""
    group = (
        _element(0x0001, b"OB", b"\0\1")
        + _element(0x0002, b"UI", _ui(sop_class_uid))
        + _element(0x0003, b"UI", _ui(sop_instance_uid))
        + _element(0x0010, b"UI", _ui(transfer_syntax_uid))
        + _element(0x0012, b"UI", _ui(IMPLEMENTATION_CLASS_UID))
    )
    length = _element(0x0000, b"UL", struct.pack("<I", len(group)))
    return b"\0" * _PREAMBLE_BYTES + _MAGIC + length + group


def looks_like_dicom(first_bytes: bytes) -> bool:
    """Whether a file that starts so may be DICOM: by its magic, else by a first element that makes sense.

    132 bytes suffice. A TIFF or an executable with a DICOM body behind it counts as DICOM (dual-personality
    preamble, PS3.10 7.5): the magic decides.
    """
    if first_bytes[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _MAGIC or first_bytes[:4] == _MAGIC:
        return True
    return _guess_encoding(first_bytes) is not None


def _guess_encoding(first: bytes) -> str | None:
    """The transfer syntax of a bare data set (or File Meta) judged by its first element, None if implausible."""
    if len(first) < 8:
        return None
    group, element, vr, length = struct.unpack_from("<HH2sH", first)
    if group in (0x0002, 0x0008) and element <= 0x0070:
        if vr in _VR:
            sane = length <= 256 if vr not in _LONG_VR else length == 0
            return EXPLICIT_LITTLE if sane else None
        whole = int.from_bytes(first[4:8], "little")
        return IMPLICIT_LITTLE if whole <= 256 and whole % 2 == 0 else None
    group, element, vr, length = struct.unpack_from(">HH2sH", first)
    if group == 0x0008 and element <= 0x0070 and vr in _VR and length <= 256:
        return EXPLICIT_BIG
    return None


class _MetaReader:
    """Reads group 0002 element by element and stops before the first element of another group."""

    def __init__(self, front: bytes, rest: Source) -> None:
        self._stream = Replayed(front, rest)
        self._taken = 0
        self.pushed_back = b""

    def _take(self, size: int) -> bytes:
        self._taken += size
        if self._taken > _META_CAP_BYTES:
            raise NotDicomError("the File Meta is longer than 64 KiB")
        return self._stream.read(size)

    def elements(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        while True:
            header = self._take(8)
            if len(header) < 8 or header[:2] != b"\x02\x00":
                self.pushed_back = header
                return found
            element, vr, length = struct.unpack("<2xH2sH", header)
            if vr in _LONG_VR:
                length = int.from_bytes(self._take(4), "little")
            elif vr not in _VR:  # File Meta written implicit: wrong, and seen
                length = int.from_bytes(header[4:8], "little")
            value = self._take(length)
            if len(value) < length:
                raise NotDicomError("the file ends inside its File Meta")
            found[element] = value

    def data_set(self) -> Replayed:
        return Replayed(self.pushed_back, self._stream)


def open_part10(stream: Source) -> tuple[FileMeta, Replayed]:
    """Read the File Meta and hand back the data set behind it as a stream.

    Tolerates files without preamble, without File Meta, or with File Meta that lacks its transfer syntax: then the
    encoding is judged by the first element.

    Raises
    ------
    NotDicomError
        Nothing in it looks like DICOM.
    """
    first = Replayed(b"", stream).read(_PREAMBLE_BYTES + 4)
    preamble = b""
    if first[_PREAMBLE_BYTES:] == _MAGIC:
        preamble, first = first[:_PREAMBLE_BYTES], b""
    elif first[:4] == _MAGIC:
        first = first[4:]
    elif _guess_encoding(first) is None:
        raise NotDicomError
    reader = _MetaReader(first, stream)
    meta = {
        element: value.decode("ascii", "replace").strip(" \0") for element, value in reader.elements().items()
    }
    data_set = reader.data_set()
    syntax = meta.get(0x0010, "")
    if not syntax:
        front = data_set.read(8)
        syntax = _guess_encoding(front) or ""
        if not syntax:
            raise NotDicomError("the file names no transfer syntax, and its first element does not show one")
        data_set = Replayed(front, data_set)
    sop_class_uid, sop_instance_uid = meta.get(0x0002, ""), meta.get(0x0003, "")
    if not (sop_class_uid and sop_instance_uid):
        try:
            head, taken = read_head(data_set, syntax)
        except HeadError as exc:
            raise NotDicomError(str(exc)) from exc
        sop_class_uid = sop_class_uid or head.sop_class_uid
        sop_instance_uid = sop_instance_uid or head.sop_instance_uid
        data_set = Replayed(taken, data_set)
    found = FileMeta(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=syntax,
        had_preamble_content=any(preamble),
    )
    return found, data_set
