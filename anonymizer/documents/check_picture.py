"""Reads a cleaned picture file's structure byte by byte: what is not pixels must not be there.

References
----------
ITU-T T.81 annex B (JPEG), ISO/IEC 15948 (PNG), TIFF 6.0 section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_JPEG_KEPT = frozenset({0xE0, 0xEE})  # JFIF and Adobe's colour mark
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Baseline tags, tile and strip layout, sample format, extra samples, inks, JPEG-in-TIFF tables; nothing that holds words.
_TIFF_KEPT = frozenset({254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 296, 297, 317, 318, 319, 320, 322, 323, 324, 325, 332, 338, 339, 340, 341})  # fmt: skip


def jpeg_places(output: bytes) -> Iterator[str]:
    """Walk the segments (ITU-T T.81 annex B): applications' data and comments must not be there, nor bytes after the end."""
    at = 2
    while at + 4 <= len(output):
        if output[at] != 0xFF:
            yield f"picture: no marker at {at}"
            return
        mark = output[at + 1]
        size = int.from_bytes(output[at + 2 : at + 4], "big")
        if mark == 0xFE or (0xE0 <= mark <= 0xEF and mark not in _JPEG_KEPT):
            yield f"metadata: segment {mark:02X}"
        if mark == 0xE0 and (size != 16 or output[at + 4 : at + 9] != b"JFIF\0"):
            yield "metadata: JFIF thumbnail"
        if mark == 0xDA:
            end = output.find(b"\xff\xd9", at)
            # In coded data FF is followed by 00 or a restart mark, so this is the end.
            if 0 <= end < len(output) - 2:
                yield "picture: bytes after the end"
            return
        at += 2 + size


def png_places(output: bytes) -> Iterator[str]:
    at = 8
    while at + 8 <= len(output):
        size, kind = struct.unpack(">I4s", output[at : at + 8])
        if kind not in _PNG_KEPT:
            yield f"metadata: chunk {kind.decode('latin-1')}"
        at += 12 + size
        if kind == b"IEND" and at != len(output):
            yield "picture: bytes after the end"
            return


def tiff_places(output: bytes) -> Iterator[str]:
    order = "little" if output[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(output[at : at + size], order)  # type: ignore[arg-type]  # both literals are byte orders

    at, seen = number(4, 4), set[int]()
    while at and at not in seen and at + 2 <= len(output):
        seen.add(at)
        count = number(at, 2)
        for entry in range(count):
            tag = number(at + 2 + 12 * entry, 2)
            if tag not in _TIFF_KEPT:
                yield f"metadata: tag {tag}"
        at = number(at + 2 + 12 * count, 4)
