"""Decodes the text of one data set by its own Specific Character Set, and catches the common lie; it writes UTF-8 only.

References
----------
PS3.3 C.12.1.1.2, PS3.5 section 6.1 and Annexes H-K.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

UTF8_TERM = b"ISO_IR 192"
LATIN = frozenset({"iso8859", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859-15"})
LINE_DELIMITERS = frozenset({0x0A, 0x0C, 0x0D, 0x09})
VALUE_DELIMITERS = LINE_DELIMITERS | {0x5C}
NAME_DELIMITERS = VALUE_DELIMITERS | {0x5E, 0x3D}
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

    def decode(self, raw: bytes, vr: str) -> tuple[str, bool]:
        """The text, and whether it was read as declared without doubt."""
        if raw.isascii() and 0x1B not in raw:
            return raw.decode("ascii"), True
        if self.latin or self.encodings == ("UTF8",):
            return self._decode_plain(raw)
        delimiters = NAME_DELIMITERS if vr == "PN" else VALUE_DELIMITERS
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                return str(decode_bytes(raw, list(self.encodings), set(delimiters))), True
            except (UnicodeError, UserWarning, LookupError, ValueError):
                return self._decode_plain(raw)

    def _decode_plain(self, raw: bytes) -> tuple[str, bool]:
        try:
            return raw.decode("utf-8"), self.encodings == ("UTF8",)
        except UnicodeDecodeError:
            pass
        if self.latin and self.encodings[0] != "iso8859":
            try:
                return raw.decode(self.encodings[0]), True
            except UnicodeDecodeError:
                pass
        return raw.decode("cp1252", "replace"), False


@lru_cache(maxsize=256)
def charset_for(declared: str) -> Charset:
    return Charset(declared)


def other_readings(raw: bytes) -> list[str]:
    """The bytes as other senders' software would have meant them."""
    readings = []
    for encoding in OTHER_READINGS:
        try:
            readings.append(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return readings


def _encodings(declared: str) -> tuple[str, ...]:
    terms = [term.strip(" \0") for term in declared.split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(convert_encodings(terms or [""])) or ("iso8859",)
        except (LookupError, ValueError):
            return ("iso8859",)
