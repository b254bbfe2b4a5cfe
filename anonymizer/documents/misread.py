"""Finds known names and numbers that OCR read with a letter or two wrong; exact ones are `text.Scrubber`'s.

A clinical or everyday word is never taken for a misread name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rapidfuzz.distance import OSA

from anonymizer.folding import fold, german
from anonymizer.known import Known
from anonymizer.lexicon import WORD
from anonymizer.numbers import national_digits
from anonymizer.text import PLACEHOLDERS, Span
from anonymizer.words import words

_TOKEN = re.compile(r"[^\W_]+(?:[|!][^\W_]+)*")
_TO_LETTERS = str.maketrans("015834|!6", "olsbeallb")
_TO_DIGITS = str.maketrans("OoQDlI|!iSsBZzGbqgT", "0000111115582266997")
_CHAIN = re.compile(
    r"(?<![^\W\d_]{2})[\dOoQDlI|!iSsBZzGbqgT](?:[\s\-+./,:]{0,2}[\dOoQDlI|!iSsBZzGbqgT]){4,40}"
)
_NUMBER_FORM = re.compile(r"(?<!\d)\d{6}(?:\d\d)?\s?[-–+]\s?\d{4}(?!\d)")
_MAIL_FORM = re.compile(r"[\w.\-]{2,}\s?[©®@]\s?[\w\-]{2,}\.[\w.]{2,}")
_LISTS = ("clinical", "everyday", "function", "eponyms", "eponym_surnames", "titles")
#: From this many letters on one wrong letter is forgiven, from the other on two.
_ONE, _TWO = 6, 9
_SHORT = 4
_ONE_DIGIT, _TWO_DIGITS = 7, 10


class Misread:
    """The known names and numbers of a case, compiled for comparing with what OCR read."""

    def __init__(self, known: Known) -> None:
        pieces: dict[str, str] = {}
        for name in known.all_names:
            for part in (name.family, name.given, name.middle):
                for piece in (*WORD.findall(part), "".join(WORD.findall(part))):
                    pieces |= dict.fromkeys((fold(piece), german(piece)), "name")
        for address in known.addresses:
            for piece in WORD.findall(f"{address.street} {address.city}"):
                pieces.setdefault(fold(piece), "address")
        self._names = {
            piece: kind for piece, kind in pieces.items() if len(piece) >= _SHORT and not _listed(piece)
        }
        self._skeletons = {
            _skeleton(piece): kind for piece, kind in self._names.items() if len(piece) >= _SHORT
        }
        self._numbers: dict[str, str] = {}
        for identifier in (
            *known.identifiers,
            *(item for person in known.people for item in person.identifiers),
        ):
            digits = re.sub(r"\D", "", identifier.value)
            self._note(digits, "number")
            if len(digits) == 12:
                self._note(digits[2:], "number")
        for phone in (*known.phones, *(phone for person in known.people for phone in person.phones)):
            self._note(national_digits(phone)[1], "phone")
        self._births = {
            form: "birth_date"
            for born in known.birth_dates
            for form in (born.strftime("%Y%m%d"), born.strftime("%d%m%Y"))
        }

    def _note(self, digits: str, kind: str) -> None:
        if len(digits) >= _ONE_DIGIT - 1:
            self._numbers.setdefault(digits, kind)

    def spans(self, text: str) -> list[Span]:
        """Stretches that are, but for OCR's mistakes, a known identifier, or that have the form of one."""
        found = [*self._in_words(text), *self._in_numbers(text)]
        found += [_span(hit, "number", known=False) for hit in _NUMBER_FORM.finditer(text)]
        found += [_span(hit, "email", known=False) for hit in _MAIL_FORM.finditer(text)]
        return found

    def _in_words(self, text: str) -> Iterator[Span]:
        tokens = list(_TOKEN.finditer(text))
        for index, token in enumerate(tokens):
            kind = self._name(token.group())
            if kind:
                yield _span(token, kind)
            elif index + 1 < len(tokens) and tokens[index + 1].start() - token.end() <= 1:
                after = tokens[index + 1]
                joined = token.group() + after.group()
                if (
                    len(joined) >= _TWO
                    and not (_listed(fold(token.group())) and _listed(fold(after.group())))
                    and (kind := self._name(joined))
                ):
                    yield Span(token.start(), after.end(), kind, PLACEHOLDERS[kind])

    def _name(self, raw: str) -> str:
        """The kind of the known word that this one is, give or take OCR's mistakes; "" for none."""
        word = fold(raw)
        if word.isdigit() or len(word) < _SHORT or _listed(word):
            return ""
        word = fold(raw.replace("I", "l")) if any(sign.isdigit() for sign in raw) else word
        word = word.translate(_TO_LETTERS)
        if (kind := self._names.get(word)) or (kind := self._skeletons.get(_skeleton(word))):
            return kind
        if raw[0].islower() and not raw[0].isdigit() and len(word) < _TWO:
            return ""
        for known, kind in self._names.items():
            allowed = (
                2 if min(len(known), len(word)) >= _TWO else 1 if min(len(known), len(word)) >= _ONE else 0
            )
            if allowed and OSA.distance(known, word, score_cutoff=allowed) <= allowed:
                return kind
        return ""

    def _in_numbers(self, text: str) -> Iterator[Span]:
        for chain in _CHAIN.finditer(text):
            written = chain.group()
            places = [at for at, sign in enumerate(written) if sign.isalnum() or sign in "|!"]
            if sum(sign.isdigit() for sign in written) * 3 < len(places) * 2:
                continue
            digits = "".join(written[at] for at in places).translate(_TO_DIGITS)
            for start, end, kind in self._numbers_in(digits):
                first, last = chain.start() + places[start], chain.start() + places[end - 1] + 1
                yield Span(first, last, kind, PLACEHOLDERS[kind])

    def _numbers_in(self, digits: str) -> Iterator[tuple[int, int, str]]:
        for known, kind in self._births.items():
            at = digits.find(known)
            if at >= 0:
                yield at, at + len(known), kind
        for known, kind in self._numbers.items():
            size = len(known)
            allowed = 2 if size >= _TWO_DIGITS else 1 if size >= _ONE_DIGIT else 0
            best: tuple[int, int, int] | None = None
            for width in range(size - (allowed > 0), size + (allowed > 0) + 1):
                for start in range(len(digits) - width + 1):
                    wrong = OSA.distance(known, digits[start : start + width], score_cutoff=allowed)
                    if wrong <= allowed and (best is None or wrong < best[0]):
                        best = (wrong, start, start + width)
            if best:
                yield best[1], best[2], kind


def _span(hit: re.Match[str], kind: str, *, known: bool = True) -> Span:
    return Span(hit.start(), hit.end(), kind, PLACEHOLDERS[kind], known)


def _listed(word: str) -> bool:
    return any(word in words(name) for name in _LISTS)


def _skeleton(word: str) -> str:
    """A word as an eye that is not sure of its letters sees it."""
    word = word.replace("rn", "m").replace("vv", "w").replace("cl", "d").replace("ii", "u")
    return re.sub(r"[ijlt1]", "l", word).replace("0", "o")
