"""Finds values nobody told us of by what announces them: a label, a title, a street's name before its number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from anonymizer.folding import fold
from anonymizer.lexicon import WORD, Lexicon
from anonymizer.mentions import UNCASED, mentions, uncased_prose
from anonymizer.name_runs import KnownPeople
from anonymizer.names import Found, Token, eponym_after, follow
from anonymizer.streets import street_at
from anonymizer.word_forms import medical
from anonymizer.words import rows, spelled, words

_COLON = re.compile(r"\s{0,3}[:=]\s{0,8}")
_COLUMN = re.compile(
    r"[ \t]{0,8}(?:\t| {2})[ \t]{0,40}"
)  # a form's column, where only spaces part label and value
_TO_LINE_END = re.compile(r"[^\r\n;|\t]{1,120}?(?=[\r\n;|\t]|\s{2}|$|.{0}(?<=.{120}))")
_SENTENCE_ENDS = re.compile(r"(\.)[ \t]{1,3}(?=[^\W\d_])|(,)[ \t]{1,3}(?=[a-zà-öø-ÿа-яё])")
_PLACE_LAST = re.compile(r"\d[^,]{0,40},[ \t]{0,3}(?:\d[\d -]{1,8}\s)?([^\W\d_][^,\d]{1,40})$")
_NUMBER_VALUE = re.compile(r"[\s:=#.]{0,4}(?:(?:nr|no|num|nummer|number)\b\.?)?(?P<colon>[\s:=#]{0,4})(?P<value>(?:[A-Za-z]{0,5}[\-/]?|[A-Z]{1,5} )\d[\w+/]{0,80}(?:[ \-.]\d[\w+/]{0,12}){0,5})", re.IGNORECASE)  # fmt: skip
_BIRTH_VALUE = re.compile(
    r"[\s:=.]{0,4}(?P<value>\d{4}[-./ ]\d\d?[-./ ]\d\d?|\d\d?[-./ ]{1,2}\d\d?[-./ ]{1,2}\d{2,4}|\d{6}(?:\d\d)?(?:[-+ ]?\d{4})?)(?!\d)"
)
_PHONE_VALUE = re.compile(
    r"[\s:=.]{0,4}(?:(?:nr|no)\b\.?)?[\s:=.]{0,3}(?P<value>\+?\(?\d[\d\s\-()/.]{4,20}\d)", re.IGNORECASE
)
_BIRTH_GAP = re.compile(r"[\s:=.,]{0,4}(?:(?:den|the|am|on|el|le)\s)?")
_LABEL_GAP = re.compile(r"[\s.\-/_]{0,3}")
_NAME_PART = re.compile(r"[\s,.^'’\-&]{0,4}([^\W\d_]+)")
_NAME_WORDS = 6
_SMALL_WORD = 3
_DEGREE = re.compile(
    r"\.?(?:\s?(?:med|dent|rer|nat|hab|habil|n|phil|h|c|univ|lek|vet|sc|inż|ing|dr|prof)\.){1,4}(?=\s)",
    re.IGNORECASE,
)
_PARTICLES = re.compile(r"[ \t]{1,3}((?:[^\W\d_]{1,4}[ \t'’]{1,3}){1,3})(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A value behind a label or a title: what kind of label, its folded words, where the value stands."""

    kind: str
    label: str
    start: int
    end: int


class LabelReader:
    """Reads labelled values, capitalised words behind titles, and streets with their number."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.people = KnownPeople.of(lexicon.names)

    def unknown(self, text: str, tokens: list[Token]) -> Iterator[Found]:
        """Values behind labels, capitalised words behind titles, streets with their number."""
        for value in self.values(text, tokens):
            yield value.start, value.end, _KINDS.get(value.kind, value.kind)

    def values(self, text: str, tokens: list[Token]) -> Iterator[Labelled]:
        """The same, with the label that announced each; who is known whole needs no further name."""
        for value in self._announced(text, tokens):
            end = self.people.end(text, value.start, value.end) if value.kind in _UNMARKED else value.end
            yield value if end == value.end else replace(value, end=end)

    def _announced(self, text: str, tokens: list[Token]) -> Iterator[Labelled]:
        for token in tokens:
            if token.entry.announces:
                yield from self._after_title(text, token)
            if token.entry.labels:
                yield from self._after_label(text, token)
            for kind, start, end in mentions(text, token) if token.entry.beside else ():
                yield Labelled(kind, "", start, end)
            if token.entry.street:
                place = street_at(text, token)
                if place:
                    yield Labelled("street", "", *place)

    def birth_labels(self, text: str, tokens: list[Token]) -> set[int]:
        """Where the value of a label for the date of birth begins."""
        ends: set[int] = set()
        for token in tokens:
            for rest, kind in token.entry.labels:
                end = follow(text, token.end, rest, gap=_LABEL_GAP) if rest else token.end
                if kind == "birth" and end:
                    gap = _BIRTH_GAP.match(text, end)
                    ends.add(gap.end() if gap else end)
        return ends

    def _after_title(self, text: str, token: Token) -> Iterator[Labelled]:
        dotted = text[token.end : token.end + 1] == "."
        if token.raw.isupper() and not (dotted and token.raw == "DR"):
            return  # MR and DR are modalities, MS is a disease
        cased = token.raw.lower() != token.raw.upper()
        if cased and not (token.raw.istitle() or token.raw.isupper() or dotted or token.raw == "dr"):
            return
        degree = _DEGREE.match(text, token.end)
        start = degree.end() if degree else token.end
        prose = UNCASED.match(token.raw) is not None
        named = self._name_chain(text, start, most=5 if prose else 3, commas=False, prose=prose)
        title = fold(token.raw)
        if title in _ALSO_WORDS and named and medical(fold(text[slice(*named)].split(maxsplit=1)[0])):
            return  # "Op Ljumskbråck"
        if named and text[start : named[0]].strip(" .\t") == "":
            yield Labelled("title", title, *named)

    def _name_chain(
        self, text: str, at: int, *, most: int, commas: bool = True, prose: bool = False
    ) -> tuple[int, int] | None:
        """The capitalised words from here on that clinical words do not stop; `prose` of a script without capitals."""
        start = end = -1
        last = ""
        for count in range(most):
            part = self._next_part(text, end if end >= 0 else at)
            if part is None or part[1][0].islower() or "\n" in part.group():
                break
            if start >= 0 and "." in part.group() and len(last) > 3 and not self.lexicon.is_title(last):
                break  # a new sentence
            folded = fold(part[1])
            if _placeholder(text, part.start(1), part.end(1)) or _clinical(part[1]):
                break
            if count and "-" not in part.group() and medical(folded):
                break
            if folded in words("eponyms") and eponym_after(text, part.end(1)):
                break
            if text[part.end(1) : part.end(1) + 1] in (":", "="):
                break
            if count and (folded in words("titles") or (not commas and "," in part.group())):
                break
            held = self.lexicon.entry(part[1])
            if held and held.labels and len(folded) > 1:
                break
            if UNCASED.match(part[1]) and (
                uncased_prose(part[1]) or (prose and count > 1 and not _goes_on(last, part[1]))
            ):
                break
            if start < 0:
                start = part.start(1)
            end, last = part.end(1), part[1]
        return (start, end) if start >= 0 else None

    def _next_part(self, text: str, at: int) -> re.Match[str] | None:
        """The next word of a name; "von der" and "de la" belong to the capitalised word behind them."""
        particles = _PARTICLES.match(text, at - 1 if text[at - 1 : at] == " " else at)
        if particles and all(fold(word) in words("particles") for word in WORD.findall(particles[1])):
            at = particles.end()
        return _NAME_PART.match(text, at)

    def _after_label(self, text: str, token: Token) -> Iterator[Labelled]:
        for rest, kind in token.entry.labels:
            end = follow(text, token.end, rest, gap=_LABEL_GAP) if rest else token.end
            if not end:
                continue
            label = " ".join((fold(token.raw), *rest))
            value = self._LABELLED[kind](self, text, end)
            if not value and kind in _NAMES and label not in weak_labels():
                column = _COLUMN.match(text, end)
                value = self._name_chain(text, column.end(), most=_NAME_WORDS) if column else None
            if value and value[0] < value[1] and not _placeholder(text, value[0] + 1, value[1] - 1):
                yield Labelled(kind, label, *value)
                return

    def _labelled_name(self, text: str, at: int) -> tuple[int, int] | None:
        colon = _COLON.match(text, at)
        return self._name_chain(text, colon.end(), most=_NAME_WORDS) if colon else None

    def _labelled_line(self, text: str, at: int) -> tuple[int, int] | None:
        colon = _COLON.match(text, at)
        value = _TO_LINE_END.match(text, colon.end()) if colon else None
        if not value or not WORD.search(value.group()) or "[" in value.group():
            return None
        return value.start(), self._before_prose(text, *value.span())

    def _before_prose(self, text: str, start: int, end: int) -> int:
        """Where an address or an institution ends that a sentence follows in its line: "Kvarngatan 14. Diabetes typ 2"."""
        stops = [*_SENTENCE_ENDS.finditer(text, start, end)]
        ends = [*(stop.start() for stop in stops[1:]), end]
        for stop, following in zip(stops, ends, strict=False):
            piece = text[stop.end() : following]
            if self._sentence(piece, clinical=stop[1] is None, whole=self._whole(text[start : stop.start()])):
                return stop.start()
        return end

    def _whole(self, written: str) -> bool:
        """Whether an address has its house number and its place: "Goethestr. 27, 89073 Ulm"."""
        place = _PLACE_LAST.search(written)
        if not place or "." in place[1]:
            return False
        last = self.lexicon.entry(WORD.findall(place[1])[-1])
        return not (last and (last.street or last.title))

    def _sentence(self, piece: str, *, clinical: bool, whole: bool) -> bool:
        """Whether a piece behind an address is prose: words of the clinic in it, or small words; behind a `whole` one, any."""
        parts = [found.group() for found in WORD.finditer(piece)]
        entries = [self.lexicon.entry(part) for part in parts]
        if any(entry and entry.street for entry in entries):
            return False
        if _of_clinic(parts[0]):
            return True
        if clinical:
            return False
        if any(part.islower() and _of_clinic(part) for part in parts):
            return True
        small = [part for part in parts if part.islower() and len(part) > _SMALL_WORD]
        return (whole or bool(small)) and not any(sign.isdigit() for sign in piece)

    def _labelled_number(self, text: str, at: int) -> tuple[int, int] | None:
        value = _NUMBER_VALUE.match(text, at)
        if not value:
            return None
        digits = sum(sign.isdigit() for sign in value["value"])
        marked = any(sign in ":=#" for sign in text[at : value.start("value")])
        return value.span("value") if digits >= (3 if marked else 5) else None

    def _labelled_birth(self, text: str, at: int) -> tuple[int, int] | None:
        value = _BIRTH_VALUE.match(text, at)
        return value.span("value") if value else None

    def _labelled_phone(self, text: str, at: int) -> tuple[int, int] | None:
        value = _PHONE_VALUE.match(text, at)
        return value.span("value") if value else None

    _LABELLED: dict[str, Callable[[LabelReader, str, int], tuple[int, int] | None]] = {  # noqa: RUF012 - a constant table
        "name": _labelled_name,
        "person": _labelled_name,
        "relative": _labelled_name,
        "institution": _labelled_line,
        "address": _labelled_line,
        "number": _labelled_number,
        "birth": _labelled_birth,
        "phone": _labelled_phone,
    }


_NAMES = frozenset({"name", "person", "relative"})
#: Titles that are words of medicine, too: the operation and the surgeon.
_ALSO_WORDS = frozenset({"op"})
#: Those whom no colon announces: prose may follow at once.
_UNMARKED = frozenset({"title", "office", "given"})
_KINDS = {
    "person": "name",
    "relative": "name",
    "title": "name",
    "office": "name",
    "given": "name",
    "birth": "birth_date",
    "street": "address",
}


@cache
def weak_labels() -> frozenset[str]:
    """Labels that are also words of prose: only a colon makes one of them."""
    return frozenset(
        " ".join(map(fold, WORD.findall(label))) for _, labels in rows("weak_labels") for label in labels
    )


_SON_OF = frozenset({"بن", "ابن", "بنت", "عبد", "أبو", "ابو", "آل"})


def _goes_on(last: str, word: str) -> bool:
    """Whether a third Arabic word is still of a name: behind "son of", or the family name with its article behind two without."""
    if {last, word} & _SON_OF:
        return True
    return word.startswith("ال") and not last.startswith("ال")


def _clinical(raw: str) -> bool:
    """Whether a word is clinical as it is written: "ASA" is, "Åsa" is not."""
    return raw.casefold() in spelled("clinical") or (raw.isascii() and fold(raw) in words("clinical"))


def _of_clinic(raw: str) -> bool:
    return fold(raw) in words("clinical") or medical(fold(raw))


def _placeholder(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] == "[" and text[end : end + 1] == "]"
