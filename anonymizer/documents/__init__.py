"""Documents that are not DICOM: tells their kind, makes clean copies, shows pages to the human; all in memory, never a file."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from anonymizer.documents.blocks import Block, Picture, Script
from anonymizer.documents.check import verify_document
from anonymizer.documents.clinical_copy import clean_clinical
from anonymizer.documents.clinical_xml import CDA_KIND
from anonymizer.documents.flow import clean_script
from anonymizer.documents.judges import Judges, judges_for
from anonymizer.documents.kinds import kind_of
from anonymizer.documents.pdf import clean_pdf, pdf_preview
from anonymizer.documents.picture import PICTURES, clean_picture, picture_preview
from anonymizer.documents.plain import clean_plain, decoded
from anonymizer.documents.read import READERS, script_of
from anonymizer.documents.typeset import typeset
from anonymizer.documents.values import (
    DeidentifiedDocument,
    DocumentReport,
    NotCleanable,
    QuarantinedDocument,
    quarantined,
)
from anonymizer.errors import PreviewError
from anonymizer.known import Known

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
    "image/avif": "heic",
    "image/svg+xml": "svg",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "office",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "office",
    "application/epub+zip": "office",
    "application/x-ole-storage": "old_office",
    "text/xml": "markup",
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
#: Who calls a document by these names wants a clinical document back as XML: an object carries it by its own class.
_AS_XML = frozenset({"text/xml", "application/xml"})


def deidentify_document(
    content: bytes, *, media_type: str, known: Known, pseudonyms_shift_days: int
) -> DeidentifiedDocument | QuarantinedDocument:
    """A clean copy, or the reason why there is none.

    The content decides what the document is; a different ``media_type`` means that somebody called it something else, and
    it is judged by what it is. Only for a clinical document (CDA) does it choose the form: "text/xml" asks for XML again,
    anything else for a PDF. Never raises on any content.
    """
    if not content:
        return quarantined("empty")
    if len(content) > MAX_BYTES:
        return quarantined("too_large")
    kind = kind_of(content)
    judges = judges_for(known, pseudonyms_shift_days)
    try:
        return _cleaned(content, kind, judges, as_xml=media_type.strip().lower() in _AS_XML)
    except NotCleanable as verdict:
        return quarantined(verdict.code)
    except MemoryError:
        raise  # the sandbox tells it by its own name
    except Exception:  # noqa: BLE001 - fail closed: content that breaks a parser in a new way is held, in words
        return quarantined("unreadable")


def _cleaned(content: bytes, kind: str, judges: Judges, *, as_xml: bool) -> DeidentifiedDocument:
    if kind == "application/pdf":
        return clean_pdf(content, judges)
    if kind in PICTURES:
        return clean_picture(content, kind, judges)
    if kind == "text/plain":
        return clean_plain(content, judges.scrubber)
    if kind == CDA_KIND and as_xml:
        return clean_clinical(content, judges)
    if kind in READERS:
        script = script_of(content, kind)
        return clean_script(script, judges, kind_of=kind_of, methods=(READERS[kind][1],))
    raise NotCleanable(REFUSED.get(kind, "unknown"))


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
        if kind in READERS:
            return pdf_preview(typeset(_shown(script_of(content, kind))).content, page, max_side)
    except NotCleanable as verdict:
        raise PreviewError(quarantined(verdict.code).reason) from verdict
    raise PreviewError(quarantined(REFUSED.get(kind, "unknown")).reason)


def _shown(script: Script) -> list[Block]:
    """What of a document can be set without judging it; its pictures are seen in the clean copy."""
    return [block for block in script.blocks if not isinstance(block, Picture)]


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
