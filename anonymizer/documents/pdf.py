"""Cleans a PDF by drawing each page, painting over what identifies, and building a new PDF from the pixels.

Nothing of the old file's structure is carried over: no metadata, attachment, script, form, annotation, layer or earlier
revision. pdfium is not safe to share between threads: one document at a time in a process.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pypdfium2 as pdfium

from anonymizer.documents.judges import Judges
from anonymizer.documents.pdf_limits import refuse_unfit
from anonymizer.documents.pdf_page import Findings, clean_page
from anonymizer.documents.pdf_writer import PdfWriter
from anonymizer.documents.reading import Budget
from anonymizer.documents.values import PAGE_LOOKS, DeidentifiedDocument, DocumentReport, NotCleanable

#: Computing time for reading the words of a document's pages; a sandboxed task has some 150 s in all.
READING_S = 100.0


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


def clean_pdf(content: bytes, judges: Judges) -> DeidentifiedDocument:
    """A new PDF of painted pages with an invisible layer of the cleaned text."""
    refuse_unfit(content)
    writer = PdfWriter()
    findings = Findings()
    budget = Budget(READING_S)
    with opened(content) as document:
        for number in range(len(document)):
            writer.add(clean_page(document, number, judges, findings, budget))
    return DeidentifiedDocument(
        content=writer.save(),
        media_type="application/pdf",
        extension=".pdf",
        text="\f".join(findings.texts),
        pages=len(findings.texts),
        report=DocumentReport(
            methods=(
                "pages drawn anew",
                *(("pages read by OCR",) if findings.read else ()),
                "identifying text painted over",
                "text layer of the cleaned text",
                "structure not copied",
                "written as PDF/A-2b",
            ),
            counts=findings.counts,
        ),
        look=page_looks(findings.looks),
    )


def page_looks(looks: dict[str, list[int]]) -> tuple[str, ...]:
    """Why a human must look, a sentence for each reason with its pages, counted from one."""
    return tuple(PAGE_LOOKS[why].format(pages=pages_said(numbers)) for why, numbers in looks.items())


def pages_said(numbers: list[int]) -> str:
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
