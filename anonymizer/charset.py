"""Decodes the text of one data set by its own Specific Character Set, and catches the common lie; it writes UTF-8 only.

References
----------
PS3.3 C.12.1.1.2, PS3.5 section 6.1 and Annexes H-K.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

#: What pydicom calls the default repertoire (ISO-IR 6), which holds no sign beyond ASCII.
DEFAULT = "iso8859"
LATIN = frozenset({"iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-9", "iso8859-15"})
#: Other one-byte sets, and what senders write under their names.
FAMILIES = {
    "iso8859-5": ("cp1251", "koi8_r", "cp866", "iso8859_5"),
    "iso8859-6": ("cp1256",),
    "iso8859-7": ("cp1253",),
    "iso8859-8": ("cp1255",),
    "tis-620": ("cp874",),
}
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
    "cp1257",
    "iso8859_2",
    "iso8859_7",
    "iso8859_9",
    "cp437",
    "cp850",
    "mac_roman",
    "gb18030",
    "shift_jis",
    "euc_kr",
    "big5",
)
#: Tried, too, where whole words lie beyond ASCII: single letters of a Latin text would only make nonsense of another script.
FAR_READINGS = ("iso8859_5", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256", "iso8859_6", "euc_jp")
WHOLE_WORD = re.compile(rb"[\x80-\xff]{3}")


class Charset:
    """The character set of one data set (an item inherits its parent's, PS3.5 7.5.1.1)."""

    __slots__ = ("encodings", "one_byte")

    def __init__(self, declared: str) -> None:
        self.encodings = _encodings(declared)
        first = codecs.lookup(self.encodings[0]).name
        alone = len(self.encodings) == 1 or self.encodings[0] != DEFAULT
        self.one_byte = alone and (first in LATIN or first in FAMILIES)

    def decode(self, raw: bytes, vr: str) -> tuple[str, str]:
        """The text, and the codec when it was read in doubt ("" when the declaration leaves none).

        A one-byte set always leaves doubt: every byte string can be read by it.
        """
        if is_plain(raw):
            return raw.decode("ascii"), ""
        if self.one_byte and 0x1B not in raw:
            return self._decode_plain(raw)
        try:
            if 0x1B in raw:
                return self._decode_escaped(raw, RESET[vr == "PN"]), ""
            return self._unruled(raw, ""), ""
        except (UnicodeDecodeError, LookupError):
            return self._decode_plain(raw)

    def _decode_escaped(self, raw: bytes, reset: re.Pattern[bytes]) -> str:
        """Code extensions (ISO 2022): each escape rules up to the next one or to a delimiter."""
        text = ""
        for part in re.split(rb"(?=\x1b)", raw):
            if not part.startswith(b"\x1b"):
                text += self._unruled(part, "")
                continue
            size = 4 if part[:4] in CODES_TO_ENCODINGS else 3
            codec = CODES_TO_ENCODINGS.get(part[:size])
            if codec is None:
                raise LookupError
            # In sets of two bytes any of the delimiters may be half of a sign: there only a line's end ends them.
            end = (LINE_END if codec in PAIRED else reset).search(part, size)
            ruled, rest = (part[: end.start()], part[end.start() :]) if end else (part, b"")
            text += (ruled if codec in STATEFUL else ruled[size:]).decode(codec)
            text += self._unruled(rest, codec)
        return text

    def _unruled(self, raw: bytes, before: str) -> str:
        """Bytes that no escape rules: the first set's; the default repertoire has none beyond ASCII, so a further one's.

        Many writers leave out the escape, or write it in the first line only: ``before`` is the set of the last one.
        """
        if raw.isascii() or self.encodings[0] != DEFAULT:
            return raw.decode(self.encodings[0])
        for codec in (before, *self.encodings[1:]):
            if codec and codec != DEFAULT and codec not in STATEFUL:
                try:
                    return raw.decode(codec)
                except UnicodeDecodeError:
                    continue
        raise LookupError

    def _decode_plain(self, raw: bytes) -> tuple[str, str]:
        own = self.encodings[0] if self.one_byte else DEFAULT
        own = "cp1252" if own in {DEFAULT, "latin_1"} else own
        for codec in ("utf-8", own, *FAMILIES.get(codecs.lookup(own).name, ())):
            try:
                return raw.decode(codec), "" if codec == "utf-8" else codec
            except UnicodeDecodeError:
                continue
        return raw.decode("latin-1"), "latin-1"


def is_plain(raw: bytes) -> bool:
    """Whether bytes read alike in every set, and may stay as they are in UTF-8: ASCII without an escape."""
    return raw.isascii() and 0x1B not in raw


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
    far = FAR_READINGS if WHOLE_WORD.search(raw) else ()
    for encoding in FAMILIES.get(codecs.lookup(codec).name, (*OTHER_READINGS, *far)):
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
