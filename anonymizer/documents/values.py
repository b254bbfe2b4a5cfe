"""What the cleaning of one document gives back: a clean copy, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentReport:
    """What was done: methods by name and counts per kind, never a value."""

    methods: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"methods": list(self.methods), "counts": dict(self.counts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifiedDocument:
    """A new document without identifiers; ``look`` says why a human must see it before it is released."""

    content: bytes
    media_type: str
    extension: str
    text: str
    pages: int
    report: DocumentReport
    look: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedDocument:
    """No copy can be made safely; ``reason`` is a sentence for the coordinator that says what to ask for."""

    code: str
    reason: str


#: A row per reason: code, sentence. The sentence says what stands in the way and what to ask the sender for.
REASONS: Mapping[str, str] = {
    "encrypted": "The document is locked or restricted by a password. Ask the sender for a copy without one.",
    "xfa": "The form is of a kind (XFA) that cannot be drawn page by page. Ask the sender to print it to an ordinary PDF.",
    "portfolio": "The PDF is a folder of other files. Ask the sender to send each file by itself.",
    "unreadable": "The file is damaged or is not what it says it is. Ask the sender to send it again.",
    "empty": "The file is empty. Ask the sender to send it again.",
    "too_large": "The document is too large to be drawn safely here. Ask the sender for a smaller copy or for parts of it.",
    "too_long": "The document has too many pages to be cleaned at once. Ask the sender to send it in parts.",
    "too_deep": "The document unpacks to more than a true one does. Do not open it; ask the sender to save it as PDF.",
    "moving": "The picture moves or holds several pictures. Ask the sender for single pictures, or for the study in DICOM.",
    "unlocated": "A page holds identifying text whose place on the page cannot be found. Ask the sender for a scan or a new PDF.",
    "heic": "The picture is of a kind (HEIC) that cannot be opened here. Ask the sender for it as JPEG.",
    "office": "A spreadsheet or a presentation may hide names and old versions. Ask the sender to save it as PDF.",
    "old_office": "The file is of an older office program, or is locked by a password. Ask the sender to save it as PDF.",
    "markup": "An XML file that is no clinical document (CDA) cannot be read here. Ask the sender to save it as PDF.",
    "mail_attachments": "The mail carries files that must be cleaned by themselves. Ask the sender to send each of them by itself.",
    "packed": "The clinical document carries another file instead of text. Ask the sender to send that file by itself.",
    "message": "The file is a hospital system's message. Ask the sender for the report as PDF.",
    "archive": "The archive was not opened here. Unpack it and send what is in it.",
    "video": "A film cannot be cleaned here. Ask the sender for single pictures, or for the study in DICOM.",
    "svg": "A drawing in SVG may hide names between its visible words. Ask the sender to save it as PDF.",
    "not_text": "The text is written in a way that cannot be told. Ask the sender to save it as PDF.",
    "script": "The text is in letters that cannot be set here. Ask the sender to save it as PDF.",
    "unknown": "What kind of file it is cannot be told. Ask the sender what it is, and for a PDF or a picture of it.",
    "dicom": "This is a DICOM object, not a document: it goes the way of the images.",
}


UNSURE = (
    "{place}: a word that is a known name and a clinical word alike was taken for the clinical one. Read it."
)
#: Why a human looks at pages, each with its pages before it.
PAGE_LOOKS: Mapping[str, str] = {
    "scan": "{pages}: no text that a machine can read (a scan or a drawing). Look for names, numbers and dates.",
    "picture": "{pages}: a picture. Look for faces, and for names and numbers that the machine did not read.",
    "strokes": "{pages}: many drawn strokes, which may be handwriting or a signature. Look for names.",
    "unmapped": "{pages}: letters that the file does not name. Look for names that the machine may have missed.",
    "unsure": UNSURE.replace("{place}", "{pages}"),
    "form": "{pages}: a filled-in form or a note on the page was drawn as it looks. Look for names and numbers.",
    "poor": "{pages}: the machine read this page poorly. Look for names, numbers and dates.",
    "ink": "{pages}: handwriting, a stamp or a drawing that the machine could not read. Look for names and numbers.",
    "unread": "{pages}: too many pages to be read by the machine at once. Look for names, numbers and dates.",
    "disagree": "{pages}: what is drawn is not what the file says. Look for names, numbers and dates.",
}
#: Why a human looks at a whole document.
DOCUMENT_LOOKS: Mapping[str, str] = {
    "photograph": "It is a photograph or a drawing, not a page of text. Look for faces, names and numbers.",
    "picture_poor": "It is a picture of text that the machine read poorly. Look for names, numbers and dates.",
    "picture_ink": "It is a picture of text with handwriting, a stamp or a drawing in it. Look for names and numbers.",
    "picture_unread": "It is a picture, and its words were not read: text recognition is missing here. Look for names, numbers and faces.",
    "pictures_inside": "There are pictures in the document. Look for faces, and for names and numbers in them.",
    "left_out": "Parts that are no text, such as drawings, embedded files or forms, were left out. Compare it with the original.",
    "letters": "Some letters could not be set and are shown as boxes. Compare it with the original.",
    "unsure": UNSURE.replace("{place}", "The text"),
}


class NotCleanable(Exception):  # noqa: N818 - a verdict on the way to becoming `QuarantinedDocument`; never leaves this package
    """The document cannot be cleaned safely: its code names the sentence in `REASONS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def quarantined(code: str) -> QuarantinedDocument:
    return QuarantinedDocument(code=code, reason=REASONS[code])
