"""Gathers what a document names of its case, so that the case's other objects and documents are cleaned of it, too.

Every kind's text is read, a scan's by OCR; what announces itself by a label is taken (`harvest_text`). It is bounded in
time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2 as pdfium

from anonymizer.documents.kinds import kind_of
from anonymizer.documents.pdf import opened
from anonymizer.documents.pdf_limits import refuse_unfit
from anonymizer.documents.picture import PICTURES, frames_of
from anonymizer.documents.picture_words import visible
from anonymizer.documents.plain import decoded
from anonymizer.documents.read import READERS, script_of
from anonymizer.documents.reading import Budget, Reading, can_read, read_page
from anonymizer.documents.values import NotCleanable
from anonymizer.harvest_text import harvest_text
from anonymizer.known import Known
from anonymizer.ocr import OcrTimeError

READING_S = 40.0
MAX_LETTERS = 2_000_000
MAX_PAGES = 200
_SCAN_LETTERS = 40
_MOST_LETTERS = 100_000
_DPI = 200
_MOST_PIXELS = 12_000_000
_LEAST_CONFIDENCE = 65.0


def harvest_document(content: bytes) -> Known:
    """The labelled names, numbers, addresses, phones and dates of birth in a document of any kind; nothing of one that cannot be read."""
    budget = Budget(READING_S)
    known = Known()
    letters = 0
    try:
        for text in _texts(content, kind_of(content), budget):
            letters += len(text)
            known = known.merged(harvest_text(text))
            if letters > MAX_LETTERS:
                break
    except (NotCleanable, OcrTimeError):
        return known
    return known


def _texts(content: bytes, kind: str, budget: Budget) -> Iterator[str]:
    if kind == "application/pdf":
        yield from _pdf_texts(content, budget)
    elif kind in PICTURES:
        if can_read():
            for picture in frames_of(content, kind):
                yield _said(read_page(visible(picture), budget))
    elif kind == "text/plain":
        read = decoded(content)
        yield read.text if read else ""
    elif kind in READERS:
        yield script_of(content, kind).text


def _pdf_texts(content: bytes, budget: Budget) -> Iterator[str]:
    refuse_unfit(content)
    with opened(content) as document:
        for number in range(min(len(document), MAX_PAGES)):
            page = document[number]
            reader = page.get_textpage()
            text = reader.get_text_range(count=min(reader.count_chars(), _MOST_LETTERS))
            reader.close()
            yield text
            if sum(sign.isalnum() for sign in text) < _SCAN_LETTERS and can_read() and _drawn(page):
                width, height = page.get_size()
                scale = min(_DPI / 72, (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
                picture = page.render(scale=scale).to_pil().convert("L")
                yield _said(read_page(picture, budget))
            page.close()


def _drawn(page: pdfium.PdfPage) -> bool:
    return next(iter(page.get_objects(max_depth=2)), None) is not None


def _said(reading: Reading) -> str:
    """The words that were read surely, line by line: a misread label must not make a clinical word a name."""
    lines: dict[int, list[str]] = {}
    for word in reading.words:
        if word.confidence >= _LEAST_CONFIDENCE:
            lines.setdefault(word.line, []).append(word.text)
    return "\n".join(" ".join(line) for line in lines.values())
