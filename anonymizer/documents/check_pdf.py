"""Reads a cleaned PDF again: its structure against a list of all that ours may hold, its streams, its text, its pages.

References
----------
ISO 32000-2 7.7 (catalogue and pages); ISO 19005-2 6.6.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Callable, Iterator
from typing import Any

import pikepdf
import pypdfium2 as pdfium

from anonymizer.documents.archival import INTENT, XMP, srgb
from anonymizer.documents.check_picture import jpeg_places
from anonymizer.documents.check_words import UNREAD, Clock, shown_words_left
from anonymizer.documents.judges import Judges

Scan = Callable[[bytes, str], Iterator[str]]
_ROOT = frozenset({"/Type", "/Pages", "/Metadata", "/OutputIntents"})
_TRAILER = frozenset(
    {"/Root", "/Size", "/ID", "/Type", "/W", "/Index", "/Filter", "/Length", "/DecodeParms", "/Prev"}
)
_PAGE = frozenset({"/Type", "/Parent", "/MediaBox", "/Resources", "/Contents", "/Rotate"})
_RESOURCES = frozenset({"/XObject", "/Font", "/ProcSet"})
_INTENT = frozenset({"/Type", "/S", "/OutputConditionIdentifier", "/Info", "/DestOutputProfile"})
_DPI = 150
_MOST_PIXELS = 12_000_000


def pdf_places(output: bytes, judges: Judges, scan: Scan) -> Iterator[str]:
    """Places in a PDF that leaves where something identifying, or something that ours never holds, was found."""
    pictures: set[int] = set()
    try:
        with pikepdf.open(io.BytesIO(output)) as pdf:
            yield from _structure(pdf)
            for number, page in enumerate(pdf.pages):
                if "/XObject" in page.obj.get("/Resources", {}) and len(page.obj.Resources.XObject):
                    pictures.add(number)
            for number, thing in enumerate(pdf.objects):
                yield from _object(thing, number, judges, scan)
    except (pikepdf.PdfError, ValueError, TypeError, AttributeError, KeyError, RuntimeError):
        yield "file: cannot be read back"
        return
    if output.count(b"startxref") != 1:
        yield "file: earlier revisions"
    yield from _text_and_pages(output, judges, pictures)


def _structure(pdf: pikepdf.Pdf) -> Iterator[str]:
    for key in sorted(set(pdf.Root.keys()) - _ROOT):
        yield f"metadata: {key}"
    for key in sorted(set(pdf.trailer.keys()) - _TRAILER):
        yield f"metadata: trailer {key}"
    if pdf.is_encrypted:
        yield "file: locked"
    metadata = pdf.Root.get("/Metadata")
    if not isinstance(metadata, pikepdf.Stream) or metadata.read_bytes() != XMP:
        yield "metadata: /Metadata is not ours"
    yield from _intents(pdf.Root.get("/OutputIntents"))
    for number, page in enumerate(pdf.pages, start=1):
        for key in sorted(set(page.obj.keys()) - _PAGE):
            yield f"page {number}: {key}"
        resources = page.obj.get("/Resources", pikepdf.Dictionary())
        for key in sorted(set(resources.keys()) - _RESOURCES):
            yield f"page {number}: {key}"
        for picture in resources.get("/XObject", pikepdf.Dictionary()).values():
            if picture.get("/Subtype") != "/Image" or {"/Metadata", "/Alternates", "/OPI", "/SMask"} & set(
                picture.keys()
            ):
                yield f"page {number}: an object that is no plain picture"


def _intents(intents: Any) -> Iterator[str]:
    if not isinstance(intents, pikepdf.Array) or len(intents) != 1:
        yield "metadata: /OutputIntents is not ours"
        return
    intent = intents[0]
    ours = (
        set(intent.keys()) == _INTENT
        and str(intent.OutputConditionIdentifier) == str(intent.Info) == INTENT
        and intent.DestOutputProfile.read_bytes() == srgb()
    )
    if not ours:
        yield "metadata: /OutputIntents is not ours"


def _object(thing: Any, number: int, judges: Judges, scan: Scan) -> Iterator[str]:
    if isinstance(thing, pikepdf.Stream):
        picture = thing.get("/Subtype") == "/Image"
        jpeg = picture and _filters(thing) == ["/DCTDecode"]
        try:
            data = thing.read_raw_bytes() if jpeg else thing.read_bytes()
        except pikepdf.PdfError:
            yield f"object {number}: stream cannot be read"
            return
        yield from scan(data, f"object {number}")
        if jpeg:
            yield from jpeg_places(data)
        thing = thing.stream_dict
    if isinstance(thing, pikepdf.Dictionary | pikepdf.Array):
        for text in _strings(thing, depth=0):
            if judges.plain.known_left(text):
                yield f"object {number}: string"


def _filters(stream: pikepdf.Stream) -> list[str]:
    coded = stream.get("/Filter")
    return [str(one) for one in coded] if isinstance(coded, pikepdf.Array) else [str(coded)]


def _strings(thing: Any, *, depth: int) -> Iterator[str]:
    """Strings of an object and of what stands inside it; a palette is bytes of colours, which the byte scan reads."""
    if depth > 8:
        return
    parts = list(thing.values()) if isinstance(thing, pikepdf.Dictionary) else list(thing)
    if parts and parts[0] == "/Indexed":
        return
    for part in parts:
        if isinstance(part, pikepdf.String):
            yield str(part)
        elif isinstance(part, pikepdf.Dictionary | pikepdf.Array) and not getattr(part, "is_indirect", False):
            yield from _strings(part, depth=depth + 1)


def _text_and_pages(output: bytes, judges: Judges, pictures: set[int]) -> Iterator[str]:
    try:
        document = pdfium.PdfDocument(output)
    except pdfium.PdfiumError:
        yield "file: cannot be read back"
        return
    clock = Clock()
    try:
        for number in range(len(document)):
            try:
                for place in _page(document, number, judges, clock, pictured=number in pictures):
                    yield f"page {number + 1}: {place}"
            except (pdfium.PdfiumError, ctypes.ArgumentError, ValueError, OSError):
                yield f"page {number + 1}: {UNREAD}"
    finally:
        document.close()


def _page(document: Any, number: int, judges: Judges, clock: Clock, *, pictured: bool) -> Iterator[str]:
    page = document[number]
    try:
        reader = page.get_textpage()
        text = reader.get_text_range()
        reader.close()
        if judges.plain.known_left(text):
            yield "text"
        # A page without pictures was set by us from cleaned text: what it shows is what its text says.
        if pictured:
            width, height = page.get_size()
            scale = min(_DPI / 72, (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
            shown = page.render(scale=scale, grayscale=True).to_pil()
            if place := shown_words_left(shown, judges, clock, text=text):
                yield place
    finally:
        page.close()
