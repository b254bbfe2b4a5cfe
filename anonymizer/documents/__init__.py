"""Documents that are not DICOM: tells their kind, makes clean copies, shows pages to the human; all in memory, never a file."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from anonymizer.documents.check import verify_document
from anonymizer.documents.kinds import kind_of
from anonymizer.documents.pdf import clean_pdf, pdf_preview
from anonymizer.documents.picture import PICTURES, clean_picture, picture_preview
from anonymizer.documents.plain import clean_plain, decoded
from anonymizer.documents.values import (
    DeidentifiedDocument,
    DocumentReport,
    NotCleanable,
    QuarantinedDocument,
    quarantined,
)
from anonymizer.errors import PreviewError
from anonymizer.known import Known
from anonymizer.text import Scrubber

__all__ = [
    "DeidentifiedDocument",
    "DocumentReport",
    "QuarantinedDocument",
    "deidentify_document",
    "kind_of",
    "preview",
    "verify_document",
]

MAX_BYTES = 512 << 20
#: What is not cleaned here, and the sentence that says why (`values.REASONS`).
REFUSED = {
    "application/dicom": "dicom",
    "image/heic": "heic",
    "image/avif": "heic",
    "image/svg+xml": "svg",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "office",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "office",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "office",
    "application/vnd.oasis.opendocument.text": "office",
    "application/epub+zip": "office",
    "application/x-ole-storage": "old_office",
    "application/rtf": "rtf",
    "text/html": "markup",
    "text/xml": "markup",
    "message/rfc822": "mail",
    "x-application/hl7-v2+er7": "message",
    "application/zip": "archive",
    "application/x-7z-compressed": "archive",
    "application/vnd.rar": "archive",
    "application/gzip": "archive",
    "application/x-bzip2": "archive",
    "application/x-xz": "archive",
    "application/x-tar": "archive",
    "application/x-iso9660-image": "archive",
    "video/mp4": "video",
    "video/x-matroska": "video",
}


@lru_cache(maxsize=8)
def _scrubber(known: Known, shift_days: int) -> Scrubber:
    return Scrubber(known, shift_days=shift_days)


def deidentify_document(
    content: bytes, *, media_type: str, known: Known, pseudonyms_shift_days: int
) -> DeidentifiedDocument | QuarantinedDocument:
    """A clean copy, or the reason why there is none.

    The content decides what the document is; a different ``media_type`` means that somebody called it something else, and
    it is judged by what it is. Never raises on any content.
    """
    if not content:
        return quarantined("empty")
    if len(content) > MAX_BYTES:
        return quarantined("too_large")
    kind = kind_of(content)
    scrubber = _scrubber(known, pseudonyms_shift_days)
    try:
        if kind == "application/pdf":
            return clean_pdf(content, scrubber)
        if kind in PICTURES:
            return clean_picture(content, kind)
        if kind == "text/plain":
            return clean_plain(content, scrubber)
    except NotCleanable as verdict:
        return quarantined(verdict.code)
    return quarantined(REFUSED.get(kind, "unknown"))


def preview(content: bytes, *, media_type: str, page: int = 0, max_side: int = 1024) -> bytes:
    """A PNG of one page for the human look; `PreviewError` when there is nothing to show."""
    kind = kind_of(content)
    try:
        if kind == "application/pdf":
            return pdf_preview(content, page, max_side)
        if kind in PICTURES:
            return picture_preview(content, kind, page, max_side)
        if kind == "text/plain":
            return _text_preview(content, page, max_side)
    except NotCleanable as verdict:
        raise PreviewError(quarantined(verdict.code).reason) from verdict
    raise PreviewError(quarantined(REFUSED.get(kind, "unknown")).reason)


_LINES_A_PAGE = 60


def _text_preview(content: bytes, page: int, max_side: int) -> bytes:
    read = decoded(content)
    lines = [line.expandtabs(4)[:110] for line in (read.text if read else "").splitlines()]
    shown = lines[page * _LINES_A_PAGE : (page + 1) * _LINES_A_PAGE]
    picture = Image.new("L", (max_side, max_side), 255)
    font = ImageFont.load_default(max(6, max_side // 80))
    ImageDraw.Draw(picture).multiline_text(
        (max_side // 40, max_side // 40), "\n".join(shown), fill=0, font=font
    )
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
