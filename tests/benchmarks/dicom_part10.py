"""Part 10 files and command sets for the light sender, by hand and without pydicom; only our own generated files are read.

References
----------
PS3.10 7.1 (preamble, File Meta), PS3.7 6.3 and E.1 (command sets, implicit little endian).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"

_META_START = 132
_META_ELEMENTS = _META_START + 12  # behind the group length
_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\x00\x00"
_MOST = 0xFFFFFFFE  # the longest value of a defined, even length


def split_part10(content: bytes) -> tuple[str, memoryview]:
    """Return SOP instance UID and data set."""
    (length,) = struct.unpack_from("<I", content, _META_ELEMENTS - 4)
    at, end = _META_ELEMENTS, _META_ELEMENTS + length
    uid = ""
    while at < end:
        group, element, vr, size = struct.unpack_from("<HH2sH", content, at)
        at += 8
        if vr == b"OB":
            (size,) = struct.unpack_from("<I", content, at)
            at += 4
        if (group, element) == (0x0002, 0x0003):
            uid = content[at : at + size].rstrip(b"\0").decode("ascii")
        at += size
    return uid, memoryview(content)[end:]


def huge_head(data_set: memoryview, pixel_bytes: int) -> bytes:
    """Return a data set up to its pixel data, whose length is announced anew; the pixels themselves follow."""
    whole = bytes(data_set)
    at = whole.rindex(_PIXEL_DATA) + len(_PIXEL_DATA)
    return whole[:at] + struct.pack("<I", min(pixel_bytes, _MOST))


def command(elements: Mapping[int, int | str]) -> bytes:
    """Write a command set: numbers as US, texts as UI."""
    body = b""
    for element, value in sorted(elements.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value.encode("ascii")
        raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHI", 0, element, len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body
