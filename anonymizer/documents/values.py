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
    "moving": "The picture moves or holds several pictures. Ask the sender for single pictures, or for the study in DICOM.",
    "unlocated": "A page holds identifying text whose place on the page cannot be found. Ask the sender for a scan or a new PDF.",
    "heic": "The picture is of a kind (HEIC) that cannot be opened here. Ask the sender for it as JPEG.",
    "office": "A word processor's or spreadsheet's file may hide names and old versions. Ask the sender to save it as PDF.",
    "old_office": "The file is of an older office program, or is locked by a password. Ask the sender to save it as PDF.",
    "rtf": "A file of rich text may hide names and old versions. Ask the sender to save it as PDF.",
    "markup": "A web page or XML file may hide names between its visible words. Ask the sender to save it as PDF.",
    "mail": "A mail carries names in its head and its attachments. Ask the sender for the attachments, and for the text as PDF.",
    "message": "The file is a hospital system's message. Ask the sender for the report as PDF.",
    "archive": "The archive was not opened here. Unpack it and send what is in it.",
    "video": "A film cannot be cleaned here. Ask the sender for single pictures, or for the study in DICOM.",
    "svg": "A drawing in SVG may hide names between its visible words. Ask the sender to save it as PDF.",
    "not_text": "The text is written in a way that cannot be told. Ask the sender to save it as PDF.",
    "unknown": "What kind of file it is cannot be told. Ask the sender what it is, and for a PDF or a picture of it.",
    "dicom": "This is a DICOM object, not a document: it goes the way of the images.",
}


UNSURE = (
    "{place}: a word that is a known name and a clinical word alike was taken for the clinical one. Read it."
)


class NotCleanable(Exception):  # noqa: N818 - a verdict on the way to becoming `QuarantinedDocument`; never leaves this package
    """The document cannot be cleaned safely: its code names the sentence in `REASONS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def quarantined(code: str) -> QuarantinedDocument:
    return QuarantinedDocument(code=code, reason=REASONS[code])
