"""Decodes the text of one data set by its own Specific Character Set, and catches the common lie; it writes UTF-8 only.

References
----------
PS3.3 C.12.1.1.2, PS3.5 section 6.1 and Annexes H-K.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

LATIN = frozenset({"iso8859", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_15"})
#: After these an escape's set no longer holds (PS3.5 6.1.2.5.3).
RESET = {False: re.compile(rb"[\n\f\r\t\\]"), True: re.compile(rb"[\n\f\r\t\\^=]")}
LINE_END = re.compile(rb"[\n\f\r\t]")
#: Sets of two bytes in the lower half (PS3.5 Annex H), whose signs hold the bytes of ^, = and the backslash.
PAIRED = frozenset({"iso2022_jp", "iso2022_jp_2", "iso2022_jp_1"})
#: Codecs that read the escape themselves.
STATEFUL = frozenset({"iso2022_jp", "iso2022_jp_2", "iso2022_jp_1", "iso2022_kr"})
TERM = re.compile(r"ISO[ _-]?(2022)?[ _-]?IR[ _-]?(\d+)", re.IGNORECASE)
#: What a sender may have meant when he declared a Latin set: tried only to find a known identifier, never to write.
OTHER_READINGS = (
    "cp1252",
    "cp1250",
    "cp1251",
    "iso8859_7",
    "cp437",
    "gb18030",
    "shift_jis",
    "euc_kr",
    "big5",
)


class Charset:
    """The character set of one data set (an item inherits its parent's, PS3.5 7.5.1.1)."""

    __slots__ = ("encodings", "latin")

    def __init__(self, declared: str) -> None:
        self.encodings = _encodings(declared)
        self.latin = len(self.encodings) == 1 and self.encodings[0] in LATIN

    def decode(self, raw: bytes, vr: str) -> tuple[str, str]:
        """The text, and the codec when it was read in doubt ("" when the declaration leaves none).

        A Latin declaration always leaves doubt: every byte string can be read by it.
        """
        if raw.isascii() and 0x1B not in raw:
            return raw.decode("ascii"), ""
        if self.latin:
            return self._decode_plain(raw)
        try:
            if 0x1B in raw:
                return self._decode_escaped(raw, RESET[vr == "PN"]), ""
            return raw.decode(self.encodings[0]), ""
        except (UnicodeDecodeError, LookupError):
            return self._decode_plain(raw)

    def _decode_escaped(self, raw: bytes, reset: re.Pattern[bytes]) -> str:
        """Code extensions (ISO 2022): each escape rules up to the next one or to a delimiter."""
        text = ""
        for part in re.split(rb"(?=\x1b)", raw):
            if not part.startswith(b"\x1b"):
                text += part.decode(self.encodings[0])
                continue
            size = 4 if part[:4] in CODES_TO_ENCODINGS else 3
            codec = CODES_TO_ENCODINGS.get(part[:size])
            if codec is None:
                raise LookupError
            # In sets of two bytes any of the delimiters may be half of a sign: there only a line's end ends them.
            end = (LINE_END if codec in PAIRED else reset).search(part, size)
            ruled, rest = (part[: end.start()], part[end.start() :]) if end else (part, b"")
            text += (ruled if codec in STATEFUL else ruled[size:]).decode(codec)
            text += rest.decode(self.encodings[0])
        return text

    def _decode_plain(self, raw: bytes) -> tuple[str, str]:
        western = self.encodings[0] in {"iso8859", "latin_1"} or not self.latin
        for codec in ("utf-8", "cp1252" if western else self.encodings[0]):
            try:
                return raw.decode(codec), "" if codec == "utf-8" else codec
            except UnicodeDecodeError:
                continue
        return raw.decode("latin-1"), "latin-1"


@lru_cache(maxsize=256)
def charset_for(declared: str) -> Charset:
    return Charset(declared)


def other_readings(text: str, codec: str) -> list[str]:
    """A text that was read in doubt, as other senders' software may have meant it."""
    try:
        raw = text.encode(codec)
    except UnicodeEncodeError:
        return []
    readings = []
    for encoding in OTHER_READINGS:
        try:
            readings.append(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return readings


def _encodings(declared: str) -> tuple[str, ...]:
    return tuple(_codec(term.strip(" \0")) for term in declared.split("\\"))


def _codec(term: str) -> str:
    known = python_encoding.get(term)
    match = None if known else TERM.match(term)
    if match:  # misspelt: "ISO IR 100", "ISO-IR-100"
        known = python_encoding.get(f"ISO {match[1]} IR {match[2]}" if match[1] else f"ISO_IR {match[2]}")
    return str(known or "iso8859")
