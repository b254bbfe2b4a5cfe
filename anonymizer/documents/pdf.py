"""Cleans a PDF by drawing each page, painting over what identifies, and building a new PDF from the pixels.

Nothing of the old file's structure is carried over: no metadata, attachment, script, form, annotation, layer or earlier
revision. pdfium is not safe to share between threads: one document at a time in a process.
"""

from __future__ import annotations

import ctypes
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pikepdf
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageDraw, ImageFont

from anonymizer.documents.page_text import Box, PageText
from anonymizer.documents.pdf_writer import Page, PdfWriter, Placed
from anonymizer.documents.values import UNSURE, DeidentifiedDocument, DocumentReport, NotCleanable
from anonymizer.text import Scrubber, Span

DPI = 200
MAX_PAGE_PIXELS = 16_000_000
MAX_PAGES = 500
MIN_SIDE_POINTS = 3.0
_PICTURE = pdfium_c.FPDF_PAGEOBJ_IMAGE
_PATH = pdfium_c.FPDF_PAGEOBJ_PATH
#: A picture smaller than this part of the page, or a page with fewer strokes than this, holds no words worth a look.
SMALL_PICTURE = 0.002
MANY_STROKES = 400
LEAST_CONTRAST = 24
_PAPER, _INK = (236, 236, 236), (60, 60, 60)

LOOKS = {
    "scan": "{pages}: no text that a machine can read (a scan or a drawing). Look for names, numbers and dates.",
    "picture": "{pages}: a picture, whose words were not read by machine. Look for names, numbers and faces.",
    "strokes": "{pages}: many drawn strokes, which may be handwriting or a signature. Look for names.",
    "unmapped": "{pages}: letters that the file does not name, so that they were not read by machine. Look for names.",
    "unsure": UNSURE.replace("{place}", "{pages}"),
    "form": "{pages}: a filled-in form or a note on the page was drawn as it looks. Look for names and numbers.",
}


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """A document that pdfium can read; every way to be broken is one verdict."""
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        raise NotCleanable("encrypted" if "password" in str(error).lower() else "unreadable") from error
    try:
        yield document
    except (pdfium.PdfiumError, ctypes.ArgumentError, MemoryError) as error:
        raise NotCleanable("unreadable") from error
    finally:
        document.close()


def refuse_unfit(content: bytes) -> None:
    """Raise for what cannot be drawn whole: locked files, XFA forms, portfolios (deidentification.md section 6)."""
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            if pdf.is_encrypted:
                raise NotCleanable("encrypted")
            root = pdf.Root
            form = root.get("/AcroForm")
            if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
                raise NotCleanable("xfa")
            if "/Collection" in root:
                raise NotCleanable("portfolio")
            count = len(pdf.pages)
    except pikepdf.PasswordError as error:
        raise NotCleanable("encrypted") from error
    except (
        pikepdf.PdfError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        RecursionError,
        AttributeError,
    ) as error:
        raise NotCleanable("unreadable") from error
    if not count:
        raise NotCleanable("empty")
    if count > MAX_PAGES:
        raise NotCleanable("too_long")


@dataclass(slots=True)
class _Findings:
    """What was met on the way through the pages."""

    counts: dict[str, int] = field(default_factory=dict)
    looks: dict[str, list[int]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def look(self, why: str, page: int) -> None:
        pages = self.looks.setdefault(why, [])
        if page not in pages:
            pages.append(page)


def clean_pdf(content: bytes, scrubber: Scrubber) -> DeidentifiedDocument:
    """A new PDF of painted pages with an invisible layer of the cleaned text."""
    refuse_unfit(content)
    writer = PdfWriter()
    findings = _Findings()
    with opened(content) as document:
        for number in range(len(document)):
            writer.add(_clean_page(document, number, scrubber, findings))
    text = "\f".join(findings.texts)
    return DeidentifiedDocument(
        content=writer.save(),
        media_type="application/pdf",
        extension=".pdf",
        text=text,
        pages=len(findings.texts),
        report=DocumentReport(
            methods=(
                "pages drawn anew",
                "identifying text painted over",
                "text layer of the cleaned text",
                "structure not copied",
            ),
            counts=findings.counts,
        ),
        look=tuple(LOOKS[why].format(pages=_pages(numbers)) for why, numbers in findings.looks.items()),
    )


def _clean_page(document: Any, number: int, scrubber: Scrubber, findings: _Findings) -> Page:
    page = document[number]
    if _has_drawn_notes(page):
        findings.look("form", number)
        if pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY) == pdfium_c.FLATTEN_SUCCESS:
            page.close()
            page = document[number]
    width, height = page.get_size()
    if min(width, height) < MIN_SIDE_POINTS or max(width, height) > 40_000:
        raise NotCleanable("unreadable")
    scale = min(DPI / 72, (MAX_PAGE_PIXELS / (width * height)) ** 0.5)
    picture = (
        page.render(
            scale=scale, draw_annots=False, may_draw_forms=False, rev_byteorder=True, prefer_bgrx=False
        )
        .to_pil()
        .convert("RGB")
    )
    reader = PageText(page, picture.size)
    try:
        spans = scrubber.spans(reader.text)
        pictures = _judge(page, reader, number, findings)
        placed, text = _paint(picture, reader, spans)
    finally:
        reader.close()
        page.close()
    if scrubber.known_left(text):
        raise NotCleanable("unlocated")
    if scrubber.unsure(text):
        findings.look("unsure", number)
    for span in spans:
        findings.counts[span.kind] = findings.counts.get(span.kind, 0) + 1
    findings.texts.append(text)
    return Page(picture=picture, width=width, height=height, photographic=pictures, words=placed)


def _has_drawn_notes(page: Any) -> bool:
    """Whether form fields or notes are drawn on the page, besides links and hidden ones."""
    for index in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        note = pdfium_c.FPDFPage_GetAnnot(page, index)
        if not note:
            continue
        kind = pdfium_c.FPDFAnnot_GetSubtype(note)
        pdfium_c.FPDFPage_CloseAnnot(note)
        if kind not in (pdfium_c.FPDF_ANNOT_LINK, pdfium_c.FPDF_ANNOT_POPUP):
            return True
    return False


def _judge(page: Any, reader: PageText, number: int, findings: _Findings) -> bool:
    """Say what a human must look at on this page; true if it holds pictures."""
    strokes = pictures = 0
    area = page.get_width() * page.get_height()
    for thing in page.get_objects(max_depth=6):
        if thing.type == _PATH:
            strokes += 1
        elif thing.type == _PICTURE:
            left, bottom, right, top = _bounds(thing)
            if abs((right - left) * (top - bottom)) >= area * SMALL_PICTURE:
                pictures += 1
    readable = sum(sign.isalnum() for sign in reader.text)
    if not readable:
        if pictures or strokes:
            findings.look("scan", number)
    elif pictures:
        findings.look("picture", number)
    if strokes > MANY_STROKES and readable:
        findings.look("strokes", number)
    if reader.unmapped > max(2, readable // 100):
        findings.look("unmapped", number)
    return bool(pictures)


def _bounds(thing: Any) -> tuple[float, float, float, float]:
    try:
        left, bottom, right, top = thing.get_bounds()
    except pdfium.PdfiumError:
        return 0.0, 0.0, 1e9, 1e9  # what cannot be measured is looked at
    return left, bottom, right, top


_PIECES = re.compile(r"\s+|\S+")


def _paint(picture: Image.Image, reader: PageText, spans: list[Span]) -> tuple[list[Placed], str]:
    """Cover every span in the picture and write there what replaces it; give the words that can still be seen."""
    places = [reader.boxes(span.start, span.end) for span in spans]
    placed: list[Placed] = []
    text: list[str] = []
    at = 0
    # (1) Words are looked at before anything is painted, since what cannot be seen must not go into the text layer.
    for span, boxes in zip(spans, places, strict=True):
        _keep(picture, reader, (at, span.start), placed, text)
        if boxes:
            placed.append(Placed(text=span.replacement, box=_padded(boxes[0], picture.size)))
        elif any(sign.isalnum() for sign in reader.text[span.start : span.end]):
            raise NotCleanable("unlocated")
        text.append(span.replacement)
        at = span.end
    _keep(picture, reader, (at, len(reader.text)), placed, text)
    # (2) Then every box of every span is covered.
    draw = ImageDraw.Draw(picture)
    for span, boxes in zip(spans, places, strict=True):
        for index, box in enumerate(boxes):
            padded = _padded(box, picture.size)
            draw.rectangle(padded, fill=_PAPER)
            if index == 0:
                _write(draw, padded, span.replacement)
    return placed, "".join(text)


def _keep(
    picture: Image.Image, reader: PageText, stretch: tuple[int, int], placed: list[Placed], text: list[str]
) -> None:
    """Place the words of a stretch that can be seen in the picture, and note them."""
    for piece in _PIECES.finditer(reader.text, *stretch):
        word = piece.group().replace("\u00ad", "")
        if not word or word.isspace():
            text.append(word)
            continue
        boxes = _soft_boxes(reader, piece.start(), piece.end())
        if any(_seen(picture, box) for box in boxes):
            placed.append(Placed(text=word, box=boxes[0]))
            text.append(word)


def _seen(picture: Image.Image, box: Box) -> bool:
    """Whether anything is drawn in a box: text under a black bar, white on white or off the page is not."""
    left, top, right, bottom = (
        max(0, box[0]),
        max(0, box[1]),
        min(picture.width, box[2]),
        min(picture.height, box[3]),
    )
    if right <= left or bottom <= top:
        return False
    bands = picture.crop((left, top, right, bottom)).getextrema()
    return any(high - low > LEAST_CONTRAST for low, high in bands)  # type: ignore[misc]  # RGB: a pair a band


def _soft_boxes(reader: PageText, start: int, end: int) -> list[Box]:
    try:
        return reader.boxes(start, end)
    except NotCleanable:  # a word that stays needs no exact place
        return []


def _padded(box: Box, size: tuple[int, int]) -> Box:
    left, top, right, bottom = (
        max(0, box[0] - 1),
        max(0, box[1] - 1),
        min(size[0] - 1, box[2]),
        min(size[1] - 1, box[3]),
    )
    return left, top, max(left, right), max(top, bottom)


def _write(draw: ImageDraw.ImageDraw, box: Box, text: str) -> None:
    """Write a replacement into its box, as large as fits."""
    width, height = box[2] - box[0], box[3] - box[1]
    size = max(6, int(height * 0.7))
    font = ImageFont.load_default(size)
    length = draw.textlength(text, font=font)
    if length > width:
        font = ImageFont.load_default(max(6, int(size * width / max(length, 1))))
    draw.text((box[0] + 1, (box[1] + box[3]) // 2), text, fill=_INK, font=font, anchor="lm")


def _pages(numbers: list[int]) -> str:
    """Page numbers as they are said, counted from one, such as Pages 1-4, 7."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] = number + 1
        else:
            ranges.append([number + 1, number + 1])
    shown = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)
    return f"Page {shown}" if len(numbers) == 1 else f"Pages {shown}"


def pdf_preview(content: bytes, page: int, max_side: int) -> bytes:
    """A PNG of one page, no side longer than ``max_side``."""
    with opened(content) as document:
        if not 0 <= page < len(document):
            raise NotCleanable("empty")
        shown = document[page]
        width, height = shown.get_size()
        bitmap = shown.render(scale=max_side / max(width, height, 1), rev_byteorder=True)
        out = io.BytesIO()
        bitmap.to_pil().convert("RGB").save(out, "PNG")
        return out.getvalue()
