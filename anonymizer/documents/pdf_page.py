"""Cleans one page of a PDF: draws it, covers what its text layer and what OCR say identifies, and keeps the other words.

The text layer alone is not believed: a page may draw a name as a picture or an outline, or call its letters by other
names. So what is drawn is read, too, and both decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image
from rapidfuzz.distance import OSA

from anonymizer.documents.judged import judge_words
from anonymizer.documents.judges import Judges
from anonymizer.documents.page_ink import unread
from anonymizer.documents.page_text import PageText
from anonymizer.documents.paint import cover_words
from anonymizer.documents.pdf_limits import bounded_objects
from anonymizer.documents.pdf_writer import Page, Placed
from anonymizer.documents.reading import (
    SURE,
    Box,
    Budget,
    Reading,
    box_of,
    can_read,
    overlap,
    read_page,
    read_upright,
)
from anonymizer.documents.text_layer import painted_by_text
from anonymizer.documents.values import NotCleanable
from anonymizer.folding import fold
from anonymizer.ocr import OcrTimeError, Word

DPI = 200
MAX_PAGE_PIXELS = 16_000_000
MIN_SIDE_POINTS = 3.0
_PICTURE = pdfium_c.FPDF_PAGEOBJ_IMAGE
_PATH = pdfium_c.FPDF_PAGEOBJ_PATH
#: A picture smaller than this part of the page, or a page with fewer strokes than this, is not searched with full care.
_UNPAINTED = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP)
SMALL_PICTURE = 0.0005
MANY_STROKES = 400
#: A page with fewer letters than this in its text layer, and a picture, is a scan.
FEW_LETTERS = 25
_AGREE = 0.6


@dataclass(slots=True)
class Findings:
    """What was met on the way through the pages."""

    counts: dict[str, int] = field(default_factory=dict)
    looks: dict[str, list[int]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    read: int = 0

    def look(self, why: str, page: int) -> None:
        pages = self.looks.setdefault(why, [])
        if page not in pages:
            pages.append(page)

    def count(self, kinds: dict[str, int]) -> None:
        for kind, number in kinds.items():
            self.counts[kind] = self.counts.get(kind, 0) + number


@dataclass(slots=True)
class _Drawn:
    """A page as it was drawn and what its text layer gave."""

    picture: Image.Image
    letters: int
    unmapped: bool
    placed: list[Placed]
    text: str
    pictures: bool = False
    strokes: bool = False


def clean_page(document: Any, number: int, judges: Judges, findings: Findings, budget: Budget) -> Page:
    """The page's picture and words without what identifies. Raises `NotCleanable`."""
    page = _flat(document, number, findings)
    width, height = page.get_size()
    if min(width, height) < MIN_SIDE_POINTS or max(width, height) > 40_000:
        raise NotCleanable("unreadable")
    things = bounded_objects(page)
    scale = min(DPI / 72, (MAX_PAGE_PIXELS / (width * height)) ** 0.5)
    picture = (
        page.render(
            scale=scale, draw_annots=False, may_draw_forms=False, rev_byteorder=True, prefer_bgrx=False
        )
        .to_pil()
        .convert("RGB")
    )
    untouched = picture.copy()
    pictures, strokes = _objects(page, things)
    _drop_invisible(page, things)
    reader = PageText(page, picture.size)
    counted = dict(findings.counts)
    try:
        drawn = _by_text_layer(reader, picture, judges, findings)
    finally:
        reader.close()
        page.close()
    drawn.pictures, drawn.strokes = pictures, strokes
    if drawn.unmapped:
        findings.look("unmapped", number)
    if not can_read():
        _unread_by_machine(drawn, number, findings)
    else:
        try:
            scan = drawn.letters < FEW_LETTERS and (drawn.pictures or drawn.strokes)
            drawn, agreed = _by_reading(drawn, number, judges, findings, budget, scan=scan)
            if agreed < _AGREE:
                findings.look("disagree", number)
                blank = replace(drawn, picture=untouched, letters=0, placed=[], text="")
                alone = Findings(counts=counted)
                read, _ = _by_reading(blank, number, judges, alone, budget, scan=True)
                if "poor" not in alone.looks:  # what is drawn can be read: the text layer is not needed
                    drawn, findings.counts = read, alone.counts
                    for why in alone.looks:
                        findings.look(why, number)
        except OcrTimeError:
            findings.look("unread", number)
    if judges.plain.known_left(drawn.text):
        raise NotCleanable("unlocated")
    if judges.plain.unsure(drawn.text):
        findings.look("unsure", number)
    findings.texts.append(drawn.text)
    if drawn.picture.size != picture.size:  # turned upright: the page's points follow its pixels
        width, height = drawn.picture.width / scale, drawn.picture.height / scale
    return Page(
        picture=drawn.picture,
        width=width,
        height=height,
        photographic=drawn.pictures,
        words=drawn.placed,
    )


def _drop_invisible(page: Any, things: list[Any]) -> None:
    """Take out text that is not painted (ISO 32000-2 9.3.6, modes 3 and 7): a scanner's guess, or what somebody hid."""
    for thing in things:
        if thing.type != pdfium_c.FPDF_PAGEOBJ_TEXT:
            continue
        if pdfium_c.FPDFTextObj_GetTextRenderMode(thing.raw) not in _UNPAINTED:
            continue
        if thing.container is None:
            page.remove_obj(thing)
        else:
            pdfium_c.FPDFFormObj_RemoveObject(thing.container.raw, thing.raw)


def _flat(document: Any, number: int, findings: Findings) -> Any:
    """The page with its notes and form fields drawn into it."""
    page = document[number]
    if _has_drawn_notes(page):
        findings.look("form", number)
        if pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY) == pdfium_c.FLATTEN_SUCCESS:
            page.close()
            page = document[number]
    return page


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


def _by_text_layer(reader: PageText, picture: Image.Image, judges: Judges, findings: Findings) -> _Drawn:
    spans = judges.scrubber.spans(reader.text)
    readable = sum(sign.isalnum() for sign in reader.text)
    placed, text = painted_by_text(picture, reader, spans)
    for span in spans:
        findings.count({span.kind: 1})
    return _Drawn(
        picture=picture,
        letters=sum(sign.isalnum() for word in placed for sign in word.text),
        unmapped=reader.unmapped > max(2, readable // 100),
        placed=placed,
        text=text,
    )


def _objects(page: Any, things: list[Any]) -> tuple[bool, bool]:
    """Whether the page holds pictures, and many drawn strokes."""
    strokes = pictures = 0
    area = page.get_width() * page.get_height()
    for thing in things:
        if thing.type == _PATH:
            strokes += 1
        elif thing.type == _PICTURE:
            left, bottom, right, top = _bounds(thing)
            pictures += abs((right - left) * (top - bottom)) >= area * SMALL_PICTURE
    return bool(pictures), strokes > MANY_STROKES


def _bounds(thing: Any) -> tuple[float, float, float, float]:
    try:
        left, bottom, right, top = thing.get_bounds()
    except pdfium.PdfiumError:
        return 0.0, 0.0, 1e9, 1e9  # what cannot be measured is looked at
    return left, bottom, right, top


def _unread_by_machine(drawn: _Drawn, number: int, findings: Findings) -> None:
    """Without OCR a human looks at all that is not text."""
    if drawn.pictures or drawn.strokes or _ink_left(drawn.picture, [word.box for word in drawn.placed]):
        findings.look("scan" if not drawn.letters else "picture" if drawn.pictures else "strokes", number)


def _by_reading(
    drawn: _Drawn, number: int, judges: Judges, findings: Findings, budget: Budget, *, scan: bool
) -> tuple[_Drawn, float]:
    """Cover what OCR sees and the text layer did not tell, and add the words that only OCR sees.

    Also tells how much of the text layer was found drawn, from 0 to 1.
    """
    careful = scan or drawn.pictures or drawn.strokes or drawn.unmapped
    if scan and not drawn.placed:
        reading = read_page(drawn.picture, budget)
    else:
        reading = read_upright(drawn.picture, budget, text=drawn.text, quick=not careful)
    findings.read += 1
    picture = reading.picture
    settled, agreed = _settled(reading.words, drawn.placed, judges)
    judged = judge_words(reading.words, judges.scrubber, judges.plain, judges.misread, settled=settled)
    if not judged.sure:
        raise NotCleanable("unlocated")
    boxes = cover_words(picture, reading.words, judged.covers)
    findings.count(judged.counts)
    kept = [word for word in drawn.placed if not any(overlap(word.box, box) > 0.3 for box in boxes.values())]
    more = [
        Placed(text=judged.covers.get(index, word.text), box=boxes.get(index, box_of(word)))
        for index, word in enumerate(reading.words)
        if index not in settled
        and judged.covers.get(index, word.text)
        and (index in judged.covers or (word.confidence > SURE and not _touches(word, kept)))
    ]
    text = drawn.text if len(kept) == len(drawn.placed) else " ".join(word.text for word in kept)
    if more:
        text = "\n".join(part for part in (text.strip(), _as_read(reading, judged.covers, settled)) if part)
    if judges.plain.known_left(text):  # the layers together say more than each: only what OCR judged stays
        text, kept = judged.text, []
    _doubts(drawn, reading, number, findings, scan=scan, covered=list(boxes.values()))
    telling = drawn.letters >= FEW_LETTERS and not _foreign(drawn.text)
    return replace(drawn, picture=picture, placed=kept + more, text=text), agreed if telling else 1.0


def _touches(word: Word, placed: list[Placed]) -> bool:
    return any(overlap(box_of(word), held.box) > 0.5 for held in placed)


def _as_read(reading: Reading, covers: dict[int, str], settled: frozenset[int]) -> str:
    lines: dict[int, list[str]] = {}
    for index, word in enumerate(reading.words):
        text = covers.get(index, word.text)
        if index not in settled and text and (index in covers or word.confidence > SURE):
            lines.setdefault(word.line, []).append(text)
    return "\n".join(" ".join(line) for line in lines.values())


def _settled(words: tuple[Word, ...], placed: list[Placed], judges: Judges) -> tuple[frozenset[int], float]:
    """Which read words the text layer told too, and how much of the text layer was found drawn (0 to 1)."""
    rows: dict[int, list[tuple[int, Placed]]] = {}
    for number, held in enumerate(placed):
        for row in range(held.box[1] // 32, held.box[3] // 32 + 1):
            rows.setdefault(row, []).append((number, held))
    settled: set[int] = set()
    seen: set[int] = set()
    for index, word in enumerate(words):
        box = box_of(word)
        near = {
            number: held
            for row in range(box[1] // 32, box[3] // 32 + 1)
            for number, held in rows.get(row, ())
            if overlap(box, held.box) > 0.5
        }
        if not near:
            continue
        told = "".join(held.text for held in near.values())
        replaced = any(held.replaced for held in near.values())
        if replaced or (_alike(word.text, told) and not judges.misread.spans(word.text)):
            settled.add(index)
            seen.update(near)
    telling = [number for number, held in enumerate(placed) if len(held.text) > 3 and not held.replaced]
    agreed = sum(number in seen for number in telling) / len(telling) if len(telling) > 7 else 1.0
    return frozenset(settled), agreed


def _alike(read: str, told: str) -> bool:
    one, other = ("".join(sign for sign in fold(text) if sign.isalnum()) for text in (read, told))
    if one == other or (one and one in other):
        return True
    allowed = max(1, min(len(one), len(other)) // 4)
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def _doubts(
    drawn: _Drawn,
    reading: Reading,
    number: int,
    findings: Findings,
    *,
    scan: bool,
    covered: list[Box],
) -> None:
    """Say what a human must look at: what was read poorly, and ink that nobody read."""
    if reading.unfinished or (scan and reading.poor):
        findings.look("poor", number)
    read = [box_of(word) for word in reading.words if word.confidence > SURE] + covered
    read += [word.box for word in drawn.placed]
    patches = unread(np.asarray(reading.picture.convert("L")), read)
    if any(patch.picture for patch in patches):
        findings.look("picture", number)
    if any(not patch.picture for patch in patches):
        findings.look("ink", number)


def _ink_left(picture: Image.Image, read: list[Box]) -> bool:
    return bool(unread(np.asarray(picture.convert("L")), read))


def _foreign(text: str) -> bool:
    """Whether most letters are of a script that OCR was not asked for, so that it cannot agree."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(sign > "\u024f" for sign in letters) * 2 > len(letters)
