"""Finds known names that a wrong character set, a line break, spacing or OCR has damaged; it knows whole words only by the lexicon."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from anonymizer.folding import fold
from anonymizer.lexicon import Lexicon
from anonymizer.names import Found, Token
from anonymizer.strength import Strength
from anonymizer.words import words

_GLUE = re.compile(r"(-\s{1,3}|[-'’´`·\u2010-\u2015]|\.?\s)([^\W\d_]+)")
_SPACED = re.compile(r"(?<![^\W_])[^\W\d_](?:([ .\-_])[^\W\d_])(?:\1[^\W\d_]){2,24}(?![^\W_])")
_MIXED = re.compile(r"(?<![^\W_])(?=[^\W\d_]*\d)(?=[\d]*[^\W\d_])[^\W_]{6,24}(?![^\W_])")
_DIGIT = re.compile(r"[0134568]")
_AS_LETTERS = (str.maketrans("0134568", "oleasgb"), str.maketrans("0134568", "oieasgb"))
_HINT = re.compile(r"[?{}|\[\]\\~_#*&%=\u00a0-\u00bf\u00c2-\u00c5\u0080-\u009f\u2013-\u2122\ufffd]")
#: What stands for a letter that a program could not write, and for letters of the national variants of ISO 646.
_LOST = r"[?_#*\ufffd\u00bf]"
_ISO_646 = {
    "ä": "{",
    "ö": "|",
    "å": "}",
    "Ä": "[",
    "Ö": "\\",
    "Å": "]",
    "ü": "}",
    "Ü": "]",
    "ß": "~",
    "æ": "{",
    "ø": "|",
    "Æ": "[",
    "Ø": "\\",
}
_ESCAPED = r"&\#?\w{1,8};|(?:[%=][0-9A-Fa-f]{2}){1,3}|\\u[0-9A-Fa-f]{4}"
_LEAST_PLAIN = 3


class Damaged:
    """The known names of one case in the ways that programs and scanners spoil them."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        patterns = [pattern for piece in lexicon.spelled if (pattern := _spoiled(piece))]
        self._spoiled = (
            re.compile(rf"(?<![^\W\d_])(?:{'|'.join(patterns)})(?![^\W\d_])", re.IGNORECASE)
            if patterns
            else None
        )

    def find(self, text: str, tokens: Iterable[Token]) -> Iterator[Found]:
        """Where such names stand."""
        for token in tokens:
            if token.entry.begins and (end := self._parted(text, token)):
                yield token.start, end, "name"
        for spaced in _SPACED.finditer(text):
            if self._known(re.sub(r"[ .\-_]", "", spaced.group())):
                yield *spaced.span(), "name"
        for mixed in _MIXED.finditer(text) if _DIGIT.search(text) else ():
            word = mixed.group().casefold()
            if sum(sign.isdigit() for sign in word) * 2 <= len(word) - 2 and any(
                self._known(word.translate(table)) for table in _AS_LETTERS
            ):
                yield *mixed.span(), "name"
        if self._spoiled and _HINT.search(text):
            for match in self._spoiled.finditer(text):
                yield *match.span(), "name"

    def _parted(self, text: str, token: Token) -> int:
        """The end of a name that a hyphen, a line break or a space parts here; 0 if none is."""
        glue = _GLUE.match(text, token.end)
        if not glue or not self._known(token.raw + glue[2]):
            return 0
        loose = not any(sign in glue[1] for sign in "-'’´`·\u2010\u2011\u2012\u2013\u2014\u2015")
        prose = any(fold(glue[2]) in words(name) for name in ("function", "titles", "everyday", "clinical"))
        return 0 if loose and (token.raw[0].islower() or prose) else glue.end()

    def _known(self, word: str) -> bool:
        held = self._lexicon.exact(word)
        return held is not None and held >= Strength.CONTEXT


def _spoiled(piece: str) -> str:
    """A pattern for one name whose letters beyond ASCII went wrong; "" for a name that has none or is too short."""
    piece = unicodedata.normalize("NFC", piece)
    if piece.isascii() or sum(sign.isascii() for sign in piece) < _LEAST_PLAIN:
        return ""
    return "".join(
        re.escape(sign) if sign.isascii() else f"(?:{'|'.join(_spoiled_sign(sign))})" for sign in piece
    )


def _spoiled_sign(sign: str) -> list[str]:
    forms: set[str] = set()
    for cased in {sign, sign.lower(), sign.upper()} - {sign.upper() if len(sign.upper()) > 1 else ""}:
        for written, read in (
            ("utf-8", "latin-1"),
            ("utf-8", "cp1252"),
            ("cp1252", "cp437"),
            ("cp850", "cp1252"),
            ("cp437", "latin-1"),
        ):
            try:
                forms.add(unicodedata.normalize("NFKC", cased.encode(written).decode(read)))
            except UnicodeError:
                continue
        forms.add(_ISO_646.get(cased, cased))
    escaped = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    return [*escaped, _ESCAPED, r"[^\W\d_]?\u0308", _LOST + "{1,2}"]
