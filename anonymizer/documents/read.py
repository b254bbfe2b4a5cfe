"""Chooses the reader of a written document by its kind; pictures, PDFs and plain text are read elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anonymizer.documents.blocks import Script
from anonymizer.documents.clinical_xml import CDA_KIND, read_clinical
from anonymizer.documents.kinds import kind_of
from anonymizer.documents.mail import read_mail
from anonymizer.documents.opentext import read_opentext
from anonymizer.documents.picture import PICTURES
from anonymizer.documents.plain import decoded
from anonymizer.documents.rich_text import read_rich_text
from anonymizer.documents.values import NotCleanable
from anonymizer.documents.web_page import read_web_page
from anonymizer.documents.word import read_word

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAIL = "message/rfc822"


def _clinical(content: bytes) -> Script:
    script, packed = read_clinical(content)
    if packed:
        raise NotCleanable("packed")
    return script


#: A row per kind: its reader, and what the report says was read.
READERS: Mapping[str, tuple[Callable[[bytes], Script], str]] = {
    DOCX: (read_word, "word processor's file read"),
    "application/vnd.oasis.opendocument.text": (read_opentext, "word processor's file read"),
    "application/rtf": (read_rich_text, "rich text read"),
    "text/html": (read_web_page, "web page read"),
    CDA_KIND: (_clinical, "clinical document read, header's persons left out"),
    MAIL: (lambda content: read_mail(content, read_part), "mail read, its head's persons left out"),
}


def read_part(content: bytes) -> Script | None:
    """An attached file as blocks; None for a kind that must be cleaned by itself."""
    kind = kind_of(content)
    script = Script()
    if kind in PICTURES:
        script.add_picture(content)
        return script
    if kind == "text/plain":
        read = decoded(content)
        script.add(read.text if read else "")
        return script
    return READERS[kind][0](content) if kind in READERS and kind != MAIL else None


def script_of(content: bytes, kind: str) -> Script:
    """The blocks of a written document. Raises `NotCleanable` on any content that cannot be read."""
    try:
        return READERS[kind][0](content)
    except RecursionError as error:
        raise NotCleanable("too_deep") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        LookupError,
        MemoryError,
    ) as error:
        # A reader met what its format forbids: the file is not what it says it is.
        raise NotCleanable("unreadable") from error
