"""Cleans a plain text file: finds its encoding by evidence, cleans its words, writes UTF-8."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from anonymizer.documents.parted import joined
from anonymizer.documents.values import UNSURE, DeidentifiedDocument, DocumentReport, NotCleanable
from anonymizer.text import Scrubber

#: Single-byte encodings of the languages we meet, likeliest first.
SINGLE_BYTE = ("cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-9", "cp850", "cp852", "cp866", "mac-roman", "koi8-r")  # fmt: skip
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
_STRAY = re.compile(r"[^\W\d_][^\w\s.,;:!?()'\"/\-’][^\W\d_]")
_UPPER_INSIDE = re.compile(r"[a-zà-ÿа-яα-ωąćęłńóśźżşğı][A-ZÀ-ÞА-ЯΑ-Ω]")
#: Letters that the languages we meet write; a legacy reading full of others is a wrong reading.
_COMMON = frozenset(
    "åäöéüßæøáàâèêëíîïóôñçúýąćęłńśźżğışőűčřšžůďťňľАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ".casefold()
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, the encoding it was read by, and whether that encoding is certain."""

    text: str
    encoding: str
    certain: bool


def decoded(content: bytes, *, cut: bool = False) -> Decoded | None:
    """Read bytes as text by evidence; nothing when they are no text. ``cut`` forgives a sign split at the end."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _strict(content[len(mark) :], encoding, cut=cut)
    wide = _wide(content)
    if wide:
        return _strict(content, wide, cut=cut)
    if _binary(content):
        return None
    found = _strict(content, "utf-8", cut=cut)
    return found or _legacy(content)


def _strict(content: bytes, encoding: str, *, cut: bool) -> Decoded | None:
    for trim in range(4 if cut else 1):
        try:
            return Decoded(content[: len(content) - trim].decode(encoding), encoding, certain=True)
        except UnicodeDecodeError:
            continue
    return None


def _wide(content: bytes) -> str:
    """UTF-16 without a mark: half of the bytes are zero, all on one side."""
    sample = content[:4096]
    if len(sample) < 4 or len(content) % 2:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.4 and odd < half * 0.05 else ""


def _binary(content: bytes) -> bool:
    sample = content[:65536]
    strange = sum(sample.count(bytes([sign])) for sign in (*range(8), *range(14, 27), *range(28, 32)))
    return b"\0" in sample or strange > max(2, len(sample) // 100)


def _legacy(content: bytes) -> Decoded | None:
    readings = [(encoding, text) for encoding in SINGLE_BYTE if (text := _try(content, encoding)) is not None]
    if not readings:
        return None
    scored = [(-_plausible(text), rank, encoding, text) for rank, (encoding, text) in enumerate(readings)]
    _, _, encoding, text = min(scored)
    return Decoded(text, encoding, certain=False)


def _try(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _plausible(text: str) -> float:
    """How much a reading of single bytes looks like prose."""
    foreign = [sign for sign in text[:200_000] if sign > "\x7f"]
    if not foreign:
        return 0.0
    good = sum(sign.casefold() in _COMMON for sign in foreign)
    letters = sum(sign.isalpha() for sign in foreign)
    controls = sum(unicodedata.category(sign) == "Cc" for sign in foreign)
    stray = len(_STRAY.findall(text[:200_000])) + len(_UPPER_INSIDE.findall(text[:200_000]))
    return (2 * good + letters - 5 * controls - 2 * stray) / len(foreign)


def clean_plain(content: bytes, scrubber: Scrubber) -> DeidentifiedDocument:
    """A new UTF-8 text without the identifiers of the old one."""
    if not content.strip(b"\0 \r\n\t\xef\xbb\xbf\xff\xfe"):
        raise NotCleanable("empty")
    read = decoded(content)
    if read is None:
        raise NotCleanable("not_text")
    text = read.text
    extra = 0
    if not read.certain:
        text, extra = _clean_other_readings(content, text, scrubber)
    # A sign that no reader shows can part a name in two: they go before the words are read.
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    cleaned = scrubber.clean(joined(text, scrubber))
    counts = dict(cleaned.kinds)
    if extra:
        counts["other_encoding"] = extra
    look = (UNSURE.format(place="The text"),) if scrubber.unsure(cleaned.text) else ()
    return DeidentifiedDocument(
        look=look,
        content=cleaned.text.encode("utf-8", "replace"),
        media_type="text/plain",
        extension=".txt",
        text=cleaned.text,
        pages=1,
        report=DocumentReport(
            methods=("text cleaned", f"read as {read.encoding}", "written as utf-8"), counts=counts
        ),
    )


def _clean_other_readings(content: bytes, text: str, scrubber: Scrubber) -> tuple[str, int]:
    """Where another encoding shows a known identifier, take it out too: a wrong guess must not hide a name.

    In single-byte encodings the n-th sign is the n-th byte, so places agree between readings.
    """
    places: dict[tuple[int, int], str] = {}
    taken = {(span.start, span.end) for span in scrubber.spans(text)}
    for encoding in SINGLE_BYTE:
        other = _try(content, encoding)
        if other is None or other == text or len(other) != len(text):
            continue
        for span in scrubber.spans(other):
            place = (span.start, span.end)
            foreign = any(sign > "\x7f" for sign in other[span.start : span.end])
            if (
                span.known
                and foreign
                and not any(start < span.end and span.start < end for start, end in taken)
            ):
                places[place] = span.replacement
    found = 0
    last = len(text)
    for (start, end), replacement in sorted(places.items(), reverse=True):
        if end <= last:
            text = text[:start] + replacement + text[end:]
            last = start
            found += 1
    return text, found
