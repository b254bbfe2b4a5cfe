"""Reads a cleaned document again by other means than those that made it, and names where a known identifier is left.

It looks at the raw bytes, at every decoded stream, at the text a reader would extract, and at the structure itself: what
must not exist in a clean file is a leak whatever it says.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import pikepdf
import pypdfium2 as pdfium

from anonymizer.known import Known
from anonymizer.text import Scrubber

_FORBIDDEN_ROOT = ("/AcroForm", "/Names", "/OpenAction", "/AA", "/AF", "/Metadata", "/Outlines", "/Collection", "/OCProperties", "/PieceInfo", "/StructTreeRoot", "/Perms", "/DSS")  # fmt: skip
_FORBIDDEN_PAGE = ("/Annots", "/AA", "/AF", "/Metadata", "/PieceInfo", "/Thumb", "/B")
_JPEG_KEPT = frozenset({0xE0, 0xEE})  # JFIF and Adobe's colour mark
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Baseline tags, tile and strip layout, sample format, extra samples, inks, JPEG-in-TIFF tables; nothing that holds words.
_TIFF_KEPT = frozenset({254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 296, 297, 317, 318, 319, 320, 322, 323, 324, 325, 332, 338, 339, 340, 341})  # fmt: skip
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")


def verify_document(output: bytes, *, media_type: str, known: Known) -> tuple[str, ...]:
    """Places where something identifying is left; () means that none was found."""
    scrubber = Scrubber(known)
    needles = scrubber.byte_needles()
    places = list(_bytes(output, needles, "raw bytes"))
    if media_type == "application/pdf":
        places += _pdf(output, scrubber, needles)
    elif media_type == "image/jpeg":
        places += _jpeg(output)
    elif media_type == "image/png":
        places += _png(output)
    elif media_type == "image/tiff":
        places += _tiff(output)
    elif media_type == "text/plain":
        try:
            text = output.decode("utf-8")
        except UnicodeDecodeError:
            places.append("text: not UTF-8")
        else:
            places += ["text"] if scrubber.known_left(text) else []
    else:
        places.append("media type: not one that is released")
    return tuple(dict.fromkeys(places))


def _bytes(content: bytes, needles: tuple[bytes, ...], place: str) -> Iterator[str]:
    for needle in needles:
        at = content.find(needle)
        if at >= 0:
            yield f"{place} at {at}"


def _pdf(output: bytes, scrubber: Scrubber, needles: tuple[bytes, ...]) -> Iterator[str]:
    try:
        with pikepdf.open(io.BytesIO(output)) as pdf:
            yield from _structure(pdf)
            for number, thing in enumerate(pdf.objects):
                yield from _object(thing, number, scrubber, needles)
    except pikepdf.PdfError:
        yield "file: cannot be read back"
        return
    if output.count(b"startxref") != 1:
        yield "file: earlier revisions"
    try:
        document = pdfium.PdfDocument(output)
    except pdfium.PdfiumError:
        yield "file: cannot be read back"
        return
    try:
        for number in range(len(document)):
            page = document[number]
            reader = page.get_textpage()
            text = reader.get_text_range()
            reader.close()
            page.close()
            if scrubber.known_left(text):
                yield f"page {number + 1}: text"
    finally:
        document.close()


def _structure(pdf: pikepdf.Pdf) -> Iterator[str]:
    for key in _FORBIDDEN_ROOT:
        if key in pdf.Root:
            yield f"metadata: {key}"
    if "/Info" in pdf.trailer and len(pdf.docinfo):
        yield "metadata: /Info"
    for number, page in enumerate(pdf.pages, start=1):
        for key in _FORBIDDEN_PAGE:
            if key in page.obj:
                yield f"page {number}: {key}"


def _object(thing: Any, number: int, scrubber: Scrubber, needles: tuple[bytes, ...]) -> Iterator[str]:
    if isinstance(thing, pikepdf.Stream):
        picture = thing.get("/Subtype") == "/Image"
        try:
            data = (
                thing.read_raw_bytes()
                if picture and thing.get("/Filter") == "/DCTDecode"
                else thing.read_bytes()
            )
        except pikepdf.PdfError:
            yield f"object {number}: stream cannot be read"
            return
        yield from _bytes(data, needles, f"object {number}")
        if picture and data[:2] == b"\xff\xd8":
            yield from _jpeg(data)
        thing = thing.stream_dict
    if isinstance(thing, pikepdf.Dictionary | pikepdf.Array):
        for text in _strings(thing, depth=0):
            if scrubber.known_left(text):
                yield f"object {number}: string"


def _strings(thing: Any, *, depth: int) -> Iterator[str]:
    if depth > 8:
        return
    parts = list(thing.values()) if isinstance(thing, pikepdf.Dictionary) else list(thing)
    for part in parts:
        if isinstance(part, pikepdf.String):
            yield str(part)
        elif isinstance(part, pikepdf.Dictionary | pikepdf.Array) and not getattr(part, "is_indirect", False):
            yield from _strings(part, depth=depth + 1)


def _jpeg(output: bytes) -> Iterator[str]:
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
            while (
                0 <= end < len(output) - 2
            ):  # in coded data FF is followed by 00 or a restart mark, so this is the end
                yield "picture: bytes after the end"
                return
            return
        at += 2 + size


def _png(output: bytes) -> Iterator[str]:
    at = 8
    while at + 8 <= len(output):
        size, kind = struct.unpack(">I4s", output[at : at + 8])
        if kind not in _PNG_KEPT:
            yield f"metadata: chunk {kind.decode('latin-1')}"
        at += 12 + size
        if kind == b"IEND" and at != len(output):
            yield "picture: bytes after the end"
            return


def _tiff(output: bytes) -> Iterator[str]:
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
