"""Reads a cleaned document again by other means than those that made it, and names where a known identifier is left.

It looks at the raw bytes, at every decoded stream, at the text that another reader extracts, at the structure itself, where
all that is not expected is a leak whatever it says, and at the words that can be seen, read with other settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from anonymizer.documents.check_pdf import pdf_places
from anonymizer.documents.check_picture import jpeg_places, png_places, tiff_places
from anonymizer.documents.check_words import picture_words_places
from anonymizer.documents.check_xml import xml_places
from anonymizer.documents.judges import Judges, judges_for
from anonymizer.known import Known

Check = Callable[[bytes, Judges, tuple[bytes, ...]], Iterator[str]]


def verify_document(output: bytes, *, media_type: str, known: Known) -> tuple[str, ...]:
    """Places where something identifying is left; () means that none was found."""
    judges = judges_for(known, 0)
    needles = judges.plain.byte_needles()
    places = list(bytes_places(output, needles, "raw bytes"))
    check = _CHECKS.get(media_type)
    if check is None:
        places.append("media type: not one that is released")
    else:
        places += check(output, judges, needles)
    return tuple(dict.fromkeys(places))


def bytes_places(content: bytes, needles: tuple[bytes, ...], place: str) -> Iterator[str]:
    for needle in needles:
        at = content.find(needle)
        if at >= 0:
            yield f"{place} at {at}"


def _pdf(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    yield from pdf_places(output, judges, lambda content, place: bytes_places(content, needles, place))


def _jpeg(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    yield from jpeg_places(output)
    yield from picture_words_places(output, judges)


def _png(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    yield from png_places(output)
    yield from picture_words_places(output, judges)


def _tiff(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    yield from tiff_places(output)
    yield from picture_words_places(output, judges)


def _xml(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    yield from xml_places(output, judges)


def _plain(output: bytes, judges: Judges, needles: tuple[bytes, ...]) -> Iterator[str]:
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        yield "text: not UTF-8"
        return
    if judges.plain.known_left(text):
        yield "text"


#: A row per kind that may leave, and what reads it again.
_CHECKS: Mapping[str, Check] = {
    "application/pdf": _pdf,
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/tiff": _tiff,
    "text/xml": _xml,
    "text/plain": _plain,
}
