"""A document: one file that a patient or referrer sent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# received: whole and sealed · unpacked: an archive, its contents stand for it · dicom: became instances ·
# deidentified: a copy may be released · quarantined: a human decides · excluded: a human decided · ignored: no content
DOCUMENT_STATES = ("received", "unpacked", "dicom", "deidentified", "quarantined", "excluded", "ignored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """``name`` is the sender's own file name: sealed at rest, shown escaped, never a path."""

    id: str
    case_id: str
    holder: str
    parent_id: str | None = None
    link_id: str | None = None
    category: str = "other"
    name: str = ""
    media_type: str = "application/octet-stream"
    object_id: str
    size_bytes: int
    digest: bytes
    generation: int = 1
    sha256: str = ""
    state: str = "received"
    note: str = ""
    received_at: datetime
