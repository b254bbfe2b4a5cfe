"""Writes a tree as Part 10 in Explicit VR Little Endian, as pieces; large values are passed on, never copied.

References
----------
PS3.10 section 7.1 (file meta), PS3.5 section 7.1.2, A.2 and A.4 (encapsulation).
"""

from __future__ import annotations

import struct

from anonymizer.elements import LONG_VRS, DataSet, Element, Raw, padded
from anonymizer.errors import Unfit

SHORT = struct.Struct("<HH2sH")
LONG = struct.Struct("<HH2sHL")
MARK = struct.Struct("<HHL")
ITEM_END = MARK.pack(0xFFFE, 0xE00D, 0)
SEQUENCE_END = MARK.pack(0xFFFE, 0xE0DD, 0)
UNDEFINED = 0xFFFFFFFF
BIG = 1 << 16
IMPLEMENTATION_UID = "2.25.211905421869743105623401758902387601"
IMPLEMENTATION_VERSION = "CONSILIUM_1"


def write_part10(
    dataset: DataSet, *, transfer_syntax: str, sop_class: str = "", sop_instance: str = ""
) -> list[Raw]:
    """The pieces of a whole file: clean preamble, new file meta, data set."""
    sop_class = sop_class or dataset.ascii(0x00080016)
    sop_instance = sop_instance or dataset.ascii(0x00080018)
    meta = DataSet()
    meta.put(Element(0x00020001, "OB", b"\0\1"))
    for tag, uid in (
        (0x00020002, sop_class),
        (0x00020003, sop_instance),
        (0x00020010, transfer_syntax),
        (0x00020012, IMPLEMENTATION_UID),
    ):
        meta.put(Element(tag, "UI", uid.encode("ascii")))
    meta.put(Element(0x00020013, "SH", IMPLEMENTATION_VERSION.encode("ascii")))
    head = bytearray()
    _elements(meta, head, [])
    length = SHORT.pack(2, 0, b"UL", 4) + struct.pack("<L", len(head))
    pieces: list[Raw] = [bytes(128) + b"DICM" + length + bytes(head)]
    pieces.extend(write_dataset(dataset))
    return pieces


def write_dataset(dataset: DataSet) -> list[Raw]:
    pieces: list[Raw] = []
    open_piece = bytearray()
    open_piece = _elements(dataset, open_piece, pieces)
    pieces.append(bytes(open_piece))
    return pieces


def encoded_length(dataset: DataSet) -> int:
    return sum(len(piece) for piece in write_dataset(dataset))


def _elements(dataset: DataSet, out: bytearray, pieces: list[Raw]) -> bytearray:
    """Append every element in tag order; returns the piece that is still open."""
    elements = dataset.elements
    for tag in sorted(elements):
        element = elements[tag]
        if element.items is not None:
            out += LONG.pack(tag >> 16, tag & 0xFFFF, b"SQ", 0, UNDEFINED)
            for item in element.items:
                out += MARK.pack(0xFFFE, 0xE000, UNDEFINED)
                out = _elements(item, out, pieces)
                out += ITEM_END
            out += SEQUENCE_END
        elif element.fragments is not None:
            out = _fragments(element, out, pieces)
        else:
            out = _value(element, out, pieces)
    return out


def _value(element: Element, out: bytearray, pieces: list[Raw]) -> bytearray:
    tag, vr, value = element.tag, element.vr, element.value
    size = len(value)
    if size >= BIG and vr not in LONG_VRS:
        raise Unfit(
            "oversized_value",
            "An attribute is longer than its kind can hold. Ask the sender to send it again.",
        )
    odd = size & 1
    if vr in LONG_VRS:
        out += LONG.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, size + odd)
    else:
        if size + odd >= BIG:
            value, size, odd = value[: BIG - 2], BIG - 2, 0
        out += SHORT.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), size + odd)
    if size < BIG:
        out += padded(bytes(value), vr) if odd else value
        return out
    pieces.append(bytes(out))
    pieces.append(value)
    return bytearray(b"\0" if odd else b"")


def _fragments(element: Element, out: bytearray, pieces: list[Raw]) -> bytearray:
    out += LONG.pack(element.tag >> 16, element.tag & 0xFFFF, element.vr.encode("ascii"), 0, UNDEFINED)
    for fragment in element.fragments or ():
        odd = len(fragment) & 1
        out += MARK.pack(0xFFFE, 0xE000, len(fragment) + odd)
        if len(fragment) < BIG:
            out += fragment
        else:
            pieces.append(bytes(out))
            pieces.append(fragment)
            out = bytearray()
        if odd:
            out += b"\0"
    out += SEQUENCE_END
    return out
