"""Reads a Part 10 object into a tree under hard bounds; it never decodes text or pixels, and never guesses past damage.

References
----------
PS3.10 section 7 (file meta), PS3.5 section 7 and Annex A (transfer syntaxes), CP-246 (UN of undefined length).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from anonymizer.elements import (
    ALL_VRS,
    LONG_VRS,
    NUMBER_VRS,
    PIXEL_DATA,
    STREAM_VRS,
    STRING_VRS,
    WORD_SIZES,
    DataSet,
    Element,
    Raw,
    dictionary_vr,
)
from anonymizer.errors import Unfit

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
NATIVE = frozenset({IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE})

MAX_DEPTH = 40
MAX_ELEMENTS = 2_000_000
MAX_INFLATED_BYTES = 1 << 30
MAX_TAIL_BYTES = 1 << 16
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_UID = re.compile(r"(?=.{8,64}$)[0-2](?:\.(?:0|[1-9]\d*))+")
DAMAGED = "The object is damaged or cut short and cannot be read to its end. Ask the sender to send it again."
TOO_DEEP = "The object is built in a way no imaging device builds it (nested or repeated without end). Do not open it."
NOT_DICOM = "This is not a complete DICOM object. If it should be one, ask the sender to send it again."


@dataclass(slots=True, kw_only=True)
class Part10:
    """What was read: file meta and data set apart, and how many bytes followed the data set."""

    meta: DataSet
    dataset: DataSet
    transfer_syntax: str
    preamble_used: bool
    tail_bytes: int


def read_part10(content: bytes | memoryview) -> Part10:
    """Read the object; raises `Unfit` when it cannot be read to its end."""
    buffer = memoryview(content).cast("B") if not isinstance(content, bytes) else memoryview(content)
    meta, start, syntax = DataSet(), 0, ""
    preamble_used = False
    if len(buffer) >= 132 and bytes(buffer[128:132]) == b"DICM":
        preamble_used = any(buffer[:128])
        reader = _Reader(buffer, explicit=True, little=True)
        meta, start = reader.file_meta(132)
        syntax = meta.ascii(0x00020010)
    if not syntax:
        syntax = _guess(buffer[start:])
    body = buffer[start:]
    if syntax == DEFLATED_LE:
        body = _inflate(body)
    reader = _Reader(body, explicit=syntax != IMPLICIT_LE, little=syntax != EXPLICIT_BE)
    reader.check_explicit()
    dataset, end = reader.root()
    _identify(dataset, meta)
    return Part10(
        meta=meta,
        dataset=dataset,
        transfer_syntax=syntax,
        preamble_used=preamble_used,
        tail_bytes=len(body) - end,
    )


def _identify(dataset: DataSet, meta: DataSet) -> None:
    """Class and instance that only the file meta tells: they are the data set's own (PS3.10 table 7.1-1)."""
    for tag, told in ((0x00080016, 0x00020002), (0x00080018, 0x00020003)):
        if not dataset.ascii(tag) and _UID.fullmatch(uid := meta.ascii(told)):
            dataset.elements[tag] = Element(tag, "UI", uid.encode("ascii") + b"\0" * (len(uid) % 2))


def _guess(body: memoryview) -> str:
    """The transfer syntax of a data set without file meta, from its first element."""
    if len(body) < 8:
        raise Unfit("not_dicom", NOT_DICOM)
    group = int.from_bytes(body[:2], "little")
    vr = bytes(body[4:6])
    explicit = vr.isalpha() and vr.decode("ascii", "replace") in ALL_VRS
    if group > 0xFF and int.from_bytes(body[:2], "big") <= 0xFF:
        return EXPLICIT_BE if explicit else ""
    if group not in {2, 8}:
        raise Unfit("not_dicom", NOT_DICOM)
    return EXPLICIT_LE if explicit else IMPLICIT_LE


def _inflate(body: memoryview) -> memoryview:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error:
        raise Unfit("damaged", DAMAGED) from None
    if stream.unconsumed_tail:
        raise Unfit("too_large", TOO_DEEP)
    if not stream.eof:
        raise Unfit("damaged", DAMAGED)
    return memoryview(plain)


class _Reader:
    """One pass over one buffer; depth and count are bounded for the whole pass."""

    def __init__(self, buffer: memoryview, *, explicit: bool, little: bool) -> None:
        self.buffer = buffer
        self.explicit = explicit
        self.little = little
        self.left = MAX_ELEMENTS
        self.signed_pixels = False
        self.bits_allocated = 16
        order = "<" if little else ">"
        self.tag_struct = struct.Struct(order + "HH")
        self.short = struct.Struct(order + "H")
        self.long = struct.Struct(order + "L")

    def check_explicit(self) -> None:
        """Some senders declare an explicit syntax and write implicit: the first element tells."""
        if self.explicit and len(self.buffer) >= 8:
            vr = bytes(self.buffer[4:6])
            if not (65 <= vr[0] <= 90 and 65 <= vr[1] <= 90):
                self.explicit = False

    def file_meta(self, position: int) -> tuple[DataSet, int]:
        meta = DataSet()
        end = len(self.buffer)
        while position + 8 <= end:
            group, _ = self.tag_struct.unpack_from(self.buffer, position)
            if group != 2:
                break
            element, position = self._element(position, end, explicit=True, depth=0)
            meta.elements.setdefault(element.tag, element)
        return meta, position

    def root(self) -> tuple[DataSet, int]:
        """The data set, and where it ended: zeros, group 0 or unreadable bytes after it are its tail."""
        found = DataSet()
        end = len(self.buffer)
        position = 0
        while position + 8 <= end:
            group, number = self.tag_struct.unpack_from(self.buffer, position)
            tag = group << 16 | number
            if group in {0, 0xFFFE}:
                break
            try:
                element, following = self._element(position, end, explicit=self.explicit, depth=0)
            except Unfit as damage:
                if damage.code == "damaged" and self._is_tail(position, tag, found):
                    break
                raise
            if tag in found:
                found.out_of_place += 1
            else:
                found.elements[tag] = element
            position = following
        if end - position > MAX_TAIL_BYTES and any(self.buffer[position : position + MAX_TAIL_BYTES]):
            raise Unfit("damaged", DAMAGED)
        return found, position

    def _is_tail(self, position: int, tag: int, found: DataSet) -> bool:
        """Bytes that are no element, after a data set that is complete: not a cut, but an appendix."""
        if 0x00080018 not in found or len(self.buffer) - position > MAX_TAIL_BYTES:
            return False
        if self.explicit and bytes(self.buffer[position + 4 : position + 6]).decode("latin-1") in ALL_VRS:
            return False
        return not dictionary_vr(tag) or PIXEL_DATA in found

    def _element(self, position: int, end: int, *, explicit: bool, depth: int) -> tuple[Element, int]:
        buffer = self.buffer
        self.left -= 1
        if self.left < 0:
            raise Unfit("too_large", TOO_DEEP)
        if position + 8 > end:
            raise Unfit("damaged", DAMAGED)
        group, number = self.tag_struct.unpack_from(buffer, position)
        tag = group << 16 | number
        if explicit:
            vr = str(buffer[position + 4 : position + 6], "latin-1")
            if vr in LONG_VRS:
                if position + 12 > end:
                    raise Unfit("damaged", DAMAGED)
                (length,) = self.long.unpack_from(buffer, position + 8)
                start = position + 12
            else:
                (length,) = self.short.unpack_from(buffer, position + 6)
                start = position + 8
        else:
            vr = self._implicit_vr(tag)
            (length,) = self.long.unpack_from(buffer, position + 4)
            start = position + 8
        if length == UNDEFINED:
            return self._undefined(tag, vr, start, end, explicit=explicit, depth=depth)
        stop = start + length
        if stop > end:
            raise Unfit("damaged", DAMAGED)
        if vr == "SQ":
            items, _ = self._items(start, stop, explicit=explicit, depth=depth + 1, delimited=False)
            return Element(tag, "SQ", items=items), stop
        value: Raw = buffer[start:stop]
        if not self.little:
            words = self.bits_allocated // 8 if tag == PIXEL_DATA and vr == "OW" else 0
            value = swapped(value, vr, words)
        if tag == 0x00280103 and length:
            self.signed_pixels = value[0] == 1
        elif tag == 0x00280100 and length == 2:
            self.bits_allocated = int.from_bytes(value, "little")
        return self._retyped(Element(tag, vr, value), start, stop, depth), stop

    def _implicit_vr(self, tag: int) -> str:
        vr = dictionary_vr(tag)
        if " or " not in vr:
            return vr or ("LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN")
        if "OW" in vr:
            return "OW"
        return "SS" if self.signed_pixels else "US"

    def _retyped(self, element: Element, start: int, stop: int, depth: int) -> Element:
        """A standard attribute written as UN, or under another string VR, gets the dictionary's."""
        vr = dictionary_vr(element.tag)
        if not vr or vr == element.vr:
            return element
        if element.vr == "UN" and vr == "SQ":
            try:
                little, self.little = self.little, True
                items, _ = self._items(start, stop, explicit=False, depth=depth + 1, delimited=False)
            except Unfit as damage:
                if damage.code != "damaged":
                    raise
                return element
            finally:
                self.little = little
            return Element(element.tag, "SQ", items=items)
        if element.vr == "UN":
            element.vr = self._implicit_vr(element.tag)
        elif (element.vr in STRING_VRS and vr in STRING_VRS) or (
            element.vr not in ALL_VRS and vr in STRING_VRS
        ):
            element.vr = vr
        elif element.vr not in ALL_VRS and (vr in NUMBER_VRS or vr in STREAM_VRS or " or " in vr):
            element.vr = self._implicit_vr(element.tag)
        return element

    def _undefined(
        self, tag: int, vr: str, start: int, end: int, *, explicit: bool, depth: int
    ) -> tuple[Element, int]:
        if vr in {"OB", "OW", "OF", "OD", "OL", "OV"} and tag >> 16 == 0x7FE0:
            return self._fragments(tag, vr, start, end)
        if vr not in {"SQ", "UN"}:
            raise Unfit("damaged", DAMAGED)
        explicit = explicit and vr == "SQ"
        items, position = self._items(start, end, explicit=explicit, depth=depth + 1, delimited=True)
        return Element(tag, "SQ", items=items), position

    def _fragments(self, tag: int, vr: str, position: int, end: int) -> tuple[Element, int]:
        fragments: list[Raw] = []
        while position + 8 <= end:
            group, number = self.tag_struct.unpack_from(self.buffer, position)
            (length,) = self.long.unpack_from(self.buffer, position + 4)
            mark = group << 16 | number
            position += 8
            if mark == SEQUENCE_END:
                return Element(tag, vr, fragments=fragments), position
            self.left -= 1
            if mark != ITEM or length > end - position or self.left < 0:
                break
            fragments.append(self.buffer[position : position + length])
            position += length
        raise Unfit("damaged", DAMAGED)

    def _items(
        self, position: int, end: int, *, explicit: bool, depth: int, delimited: bool
    ) -> tuple[list[DataSet], int]:
        if depth > MAX_DEPTH:
            raise Unfit("too_deep", TOO_DEEP)
        items: list[DataSet] = []
        while position + 8 <= end:
            group, number = self.tag_struct.unpack_from(self.buffer, position)
            (length,) = self.long.unpack_from(self.buffer, position + 4)
            mark = group << 16 | number
            position += 8
            if mark == SEQUENCE_END:
                return items, position
            if mark != ITEM:
                raise Unfit("damaged", DAMAGED)
            stop = end if length == UNDEFINED else position + length
            if stop > end:
                raise Unfit("damaged", DAMAGED)
            item, position = self._item(
                position, stop, explicit=explicit, depth=depth, delimited=length == UNDEFINED
            )
            items.append(item)
        if delimited or position != end:
            raise Unfit("damaged", DAMAGED)
        return items, position

    def _item(
        self, position: int, end: int, *, explicit: bool, depth: int, delimited: bool
    ) -> tuple[DataSet, int]:
        item = DataSet()
        self.left -= 1
        while position + 8 <= end:
            group, number = self.tag_struct.unpack_from(self.buffer, position)
            if group == 0xFFFE:
                if number == 0xE00D and delimited:
                    return item, position + 8
                raise Unfit("damaged", DAMAGED)
            element, position = self._element(position, end, explicit=explicit, depth=depth)
            if element.tag in item:
                item.out_of_place += 1
            else:
                item.elements[element.tag] = element
        if delimited or position != end:
            raise Unfit("damaged", DAMAGED)
        return item, position


def swapped(value: Raw, vr: str, cell_bytes: int = 0) -> Raw:
    """Big-endian words (OW pixel cells of 32 and 64 bits: whole cells) as little-endian; odd rests stay as they are."""
    size = cell_bytes if cell_bytes in {4, 8} else WORD_SIZES.get(vr)
    if size is None or not value or len(value) % size:
        return value
    return np.frombuffer(value, dtype=f">u{size}").astype(f"<u{size}").tobytes()
