"""Decides which words of a text are names, by the lexicon's strength of each and by its place; it replaces nothing.

Name position is: beside another part of a known name, behind a title or a label, with an initial, or the value's only words.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anonymizer.folding import fold
from anonymizer.lexicon import PART, WORD, Entry, Lexicon, Strength
from anonymizer.words import spelled, words


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a text that may be something."""

    start: int
    end: int
    raw: str
    entry: Entry


Found = tuple[int, int, str]
_BESIDE = re.compile(r"[\s,.^=\\_'’\-\u2010-\u2015/&]{0,4}")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)([\s.:,^\-]{1,3})$")
_WORD_AFTER = re.compile(r"(?:['’]?s)?[\s\-]{1,2}([^\W\d_]+)")
_SENTENCE = re.compile(r"[.!?:;\n\r]\s*$")
_INITIAL_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_])(\.?[\s\-^,]{0,2}|['’])$")
_INITIAL_AFTER = re.compile(r"[\s,^]{1,2}([^\W\d_])(?![^\W_]|['’])\.?")
_PARTICLE_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_]{1,6})[\s'’\-]+$")
_CUT_LENGTHS = frozenset({15, 16, 63, 64})  # SH and CS hold 16 characters, LO and PN 64 (PS3.5 table 6.2-1)
_VALUE_WORDS = 8

# -- labels -------------------------------------------------------------------------------------------------------
_COLON = re.compile(r"\s{0,3}[:=]\s{0,8}")
_TO_LINE_END = re.compile(r"[^\r\n;|\t]{1,120}?(?=[\r\n;|\t]|\s{2}|$|.{0}(?<=.{120}))")
_NUMBER_VALUE = re.compile(r"[\s:=#.]{0,4}(?:(?:nr|no|num|nummer|number)\b\.?)?(?P<colon>[\s:=#]{0,4})(?P<value>[A-Za-z]{0,5}[\-/]?\d[\w+/]*(?:[ \-.]\d[\w+/]*){0,5})", re.IGNORECASE)  # fmt: skip
_BIRTH_VALUE = re.compile(
    r"[\s:=.]{0,4}(?P<value>\d{4}[-./ ]\d\d?[-./ ]\d\d?|\d\d?[-./ ]{1,2}\d\d?[-./ ]{1,2}\d{2,4}|\d{6}(?:\d\d)?(?:[-+ ]?\d{4})?)(?!\d)"
)
_PHONE_VALUE = re.compile(
    r"[\s:=.]{0,4}(?:(?:nr|no)\b\.?)?[\s:=.]{0,3}(?P<value>\+?\(?\d[\d\s\-()/.]{4,20}\d)", re.IGNORECASE
)
_BIRTH_GAP = re.compile(r"[\s:=.,]{0,4}(?:(?:den|the|am|on|el|le)\s)?")
_LABEL_GAP = re.compile(r"[\s.\-/_]{0,3}")
_NAME_PART = re.compile(r"[\s,.^'’\-&]{0,4}([^\W\d_]+)")
_NO_MEASURE = r"(?!\d|[.,]\d|\s?(?:[cm]m|mg|ml|g|kg|%|x)\b)"
_STREET_NUMBER = re.compile(rf"\s{{1,2}}\d{{1,4}}{_NO_MEASURE}(?:\s?[A-Za-z](?![^\W\d_]))?")
_STREET_BEFORE = re.compile(r"\d{1,5}[A-Za-z]?\s(?:[A-Z][\w'’]{1,20}\s){1,3}$")
_STREET_AFTER = re.compile(rf"\.?\s(?:[^\W\d_a-z][\w'’]{{1,20}}[ ]){{1,3}}\d{{1,4}}{_NO_MEASURE}\w?")
_NAME_WORDS = 6


class NameFinder:
    """Finds names, institutions, addresses and labelled values in the words of one text after another."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    # -- known words ----------------------------------------------------------------------------------------------
    def known(self, text: str, tokens: list[Token]) -> Iterator[Found]:
        """Known names and phrases."""
        for token in tokens:
            for rest, kind in token.entry.phrases:
                end = _follow(text, token.end, rest)
                if end:
                    yield token.start, end, kind
                    break
        candidates = [token for token in tokens if token.entry.strength is not None]
        if candidates:
            yield from self._runs(text, candidates)
        yield from self._cut_tail(text, candidates)
        for name in self.lexicon.unspaced_names:
            at = text.find(name)
            while at >= 0:
                yield at, at + len(name), "name"
                at = text.find(name, at + len(name))

    def _runs(self, text: str, candidates: list[Token]) -> Iterator[Found]:
        whole = self._whole_value(text, candidates)
        run: list[Token] = []
        for token in candidates:
            if run and not _BESIDE.fullmatch(text, run[-1].end, token.start):
                yield from self._settle(text, run, whole=whole)
                run = []
            run.append(token)
        yield from self._settle(text, run, whole=whole)

    def _settle(self, text: str, run: list[Token], *, whole: bool) -> Iterator[Found]:
        """Which words of a run of known words are identifiers."""
        sure = [whole or self._by_itself(text, token) for token in run]
        if len(run) > 1:
            if any(sure):
                lower = any(ok and token.raw.islower() for ok, token in zip(sure, run, strict=True))
                sure = [ok or self._beside(run, sure, index, lower=lower) for index, ok in enumerate(sure)]
            elif not any(token.raw.islower() for token in run) or text.islower():
                sure = [len({fold(token.raw) for token in run}) > 1] * len(run)
        for ok, token in zip(sure, run, strict=True):
            if ok:
                if token.entry.kind == "name":
                    yield (*self._widen(text, token.start, token.end), "name")
                else:
                    yield token.start, token.end, token.entry.kind

    @staticmethod
    def _beside(run: list[Token], sure: list[bool], index: int, *, lower: bool) -> bool:
        token = run[index]
        if token.entry.kind != "name" or (token.raw.islower() and not lower):
            return False
        return any(ok and other.entry.kind == "name" for ok, other in zip(sure, run, strict=True))

    def _by_itself(self, text: str, token: Token) -> bool:
        strength = token.entry.strength
        if strength is Strength.ALWAYS:
            return True
        if _eponym(text, token):
            return False
        if strength is Strength.CONTEXT:
            return True
        capital = not token.raw[0].islower()
        if strength is Strength.CAPITAL and capital:
            return True
        before = text[max(0, token.start - 40) : token.start]
        if strength is Strength.INSIDE_SENTENCE and capital and not token.raw.isupper():
            word = _WORD_BEFORE.search(before)
            if word and word[1].islower() and not _SENTENCE.search(before):
                return True
        return capital and token.entry.kind == "name" and self._in_position(text, token, before)

    def _in_position(self, text: str, token: Token, before: str) -> bool:
        word = _WORD_BEFORE.search(before)
        if word and (self.lexicon.is_title(word[1]) or "^" in word[2]):
            return True
        initial = _INITIAL_BEFORE.search(before)
        if initial and fold(initial[1]) in self.lexicon.initials and initial[2][:1] in (".", "^"):
            return True
        after = _INITIAL_AFTER.match(text, token.end)
        return bool(
            (after and fold(after[1]) in self.lexicon.initials and after.group().endswith("."))
            or text[token.end : token.end + 1] == "^"
            or before.endswith("^")
        )

    def _whole_value(self, text: str, candidates: list[Token]) -> bool:
        """Whether the text is nothing but names, initials, titles and particles, as a PN value is."""
        if len(text) > 128 or all(token.entry.strength is Strength.ALWAYS for token in candidates):
            return False
        every = WORD.findall(text)
        if len(every) > _VALUE_WORDS or any(token.entry.kind != "name" for token in candidates):
            return False
        if len(candidates) == 1 and "^" not in text and fold(candidates[0].raw) in words("clinical"):
            return False
        named = {token.raw for token in candidates}
        return all(
            word in named or len(word) == 1 or self.lexicon.is_title(word) or fold(word) in words("particles")
            for word in every
        )

    def _widen(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Take in the initials and particles that belong to a name."""
        for _ in range(3):
            before = text[max(0, start - 12) : start]
            initial = _INITIAL_BEFORE.search(before)
            particle = _PARTICLE_BEFORE.search(before)
            if initial and (
                initial[2] in ("'", "’")
                or (not initial[1].islower() and fold(initial[1]) in self.lexicon.initials)
            ):
                start -= len(initial.group())
            elif particle and fold(particle[1]) in self.lexicon.particles:
                start -= len(particle.group())
            else:
                break
        for _ in range(3):
            after = _INITIAL_AFTER.match(text, end)
            if not after or after[1].islower() or fold(after[1]) not in self.lexicon.initials:
                break
            end = after.end()
        return start, end

    def _cut_tail(self, text: str, candidates: list[Token]) -> Iterator[Found]:
        """The last word of a value that its VR cut off."""
        stripped = text.rstrip(" \0")
        last = next(iter(deque(WORD.finditer(stripped, max(0, len(stripped) - 40)), maxlen=1)), None)
        if last is None or last.end() != len(stripped):
            return
        beside = any(
            _BESIDE.fullmatch(text, token.end, last.start())
            for token in candidates
            if token.end <= last.start()
        )
        full = len(text) in _CUT_LENGTHS
        if (beside or full) and self.lexicon.begins(last.group(), at_least=3 if beside else 4):
            yield last.start(), last.end(), "name"

    # -- unknown names --------------------------------------------------------------------------------------------
    def unknown(self, text: str, tokens: list[Token]) -> Iterator[Found]:
        """Values behind labels, capitalised words behind titles, streets with their number."""
        for token in tokens:
            if token.entry.announces:
                yield from self._after_title(text, token)
            if token.entry.labels:
                yield from self._after_label(text, token)
            if token.entry.street:
                yield from _street(text, token)

    def birth_labels(self, text: str, tokens: list[Token]) -> set[int]:
        """Where the value of a label for the date of birth begins."""
        ends: set[int] = set()
        for token in tokens:
            for rest, kind in token.entry.labels:
                end = _follow(text, token.end, rest, gap=_LABEL_GAP) if rest else token.end
                if kind == "birth" and end:
                    gap = _BIRTH_GAP.match(text, end)
                    ends.add(gap.end() if gap else end)
        return ends

    def _after_title(self, text: str, token: Token) -> Iterator[Found]:
        dotted = text[token.end : token.end + 1] == "."
        if token.raw.isupper() and not (dotted and token.raw == "DR"):
            return  # MR and DR are modalities, MS is a disease
        if not (token.raw.istitle() or token.raw.isupper() or dotted or token.raw == "dr"):
            return
        named = self._name_chain(text, token.end, most=3, commas=False)
        if named and text[token.end : named[0]].strip(" .\t") == "":
            yield (*named, "name")

    def _name_chain(self, text: str, at: int, *, most: int, commas: bool = True) -> tuple[int, int] | None:
        """The capitalised words from here on that clinical words do not stop."""
        start = end = -1
        last = ""
        for count in range(most):
            part = _NAME_PART.match(text, end if end >= 0 else at)
            if part is None or part[1][0].islower() or "\n" in part.group():
                break
            if start >= 0 and "." in part.group() and len(last) > 3 and not self.lexicon.is_title(last):
                break  # a new sentence
            folded = fold(part[1])
            if _placeholder(text, part.start(1), part.end(1)) or _clinical(part[1]):
                break
            if folded in words("eponyms") and (count or _eponym_after(text, part.end(1))):
                break
            if text[part.end(1) : part.end(1) + 1] in (":", "="):
                break
            if count and (folded in words("titles") or (not commas and "," in part.group())):
                break
            held = self.lexicon.entry(part[1])
            if held and held.labels and len(folded) > 1:
                break
            if start < 0:
                start = part.start(1)
            end, last = part.end(1), part[1]
        return (start, end) if start >= 0 else None

    def _after_label(self, text: str, token: Token) -> Iterator[Found]:
        for rest, kind in token.entry.labels:
            end = _follow(text, token.end, rest, gap=_LABEL_GAP) if rest else token.end
            if not end:
                continue
            value = self._LABELLED[kind](self, text, end)
            if value and value[0] < value[1] and not _placeholder(text, value[0] + 1, value[1] - 1):
                yield (*value, _KINDS.get(kind, kind))
                return

    def _labelled_name(self, text: str, at: int) -> tuple[int, int] | None:
        colon = _COLON.match(text, at)
        return self._name_chain(text, colon.end(), most=_NAME_WORDS) if colon else None

    def _labelled_line(self, text: str, at: int) -> tuple[int, int] | None:
        colon = _COLON.match(text, at)
        value = _TO_LINE_END.match(text, colon.end()) if colon else None
        return value.span() if value and WORD.search(value.group()) and "[" not in value.group() else None

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

    _LABELLED: dict[str, Callable[[NameFinder, str, int], tuple[int, int] | None]] = {  # noqa: RUF012 - a constant table
        "name": _labelled_name,
        "person": _labelled_name,
        "address": _labelled_line,
        "number": _labelled_number,
        "birth": _labelled_birth,
        "phone": _labelled_phone,
    }


_KINDS = {"person": "name", "birth": "birth_date"}


def _clinical(raw: str) -> bool:
    """Whether a word is clinical as it is written: "ASA" is, "Åsa" is not."""
    return raw.casefold() in spelled("clinical") or (raw.isascii() and fold(raw) in words("clinical"))


def _placeholder(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] == "[" and text[end : end + 1] == "]"


def _follow(text: str, at: int, parts: tuple[str, ...], *, gap: re.Pattern[str] = _BESIDE) -> int:
    """Where a phrase ends that continues with these folded parts; 0 if it does not."""
    for part in parts:
        between = gap.match(text, at)
        word = PART.match(text, between.end() if between else at)
        if not word or fold(word.group()) != part:
            return 0
        at = word.end()
    return at


def _eponym_after(text: str, at: int) -> bool:
    after = _WORD_AFTER.match(text, at)
    return bool(after and fold(after[1]) in words("eponym_heads"))


def _eponym(text: str, token: Token) -> bool:
    """Whether the word beside shows an eponym: "Parkinson disease", "Morbus Crohn", "non-Hodgkin"."""
    if _eponym_after(text, token.end):
        return True
    before = _WORD_BEFORE.search(text[max(0, token.start - 24) : token.start])
    return bool(before and fold(before[1]) in words("eponym_heads"))


def _street(text: str, token: Token) -> Iterator[Found]:
    if token.raw[0].islower() and token.entry.street != "lead":
        return
    if token.entry.street == "end" and (number := _STREET_NUMBER.match(text, token.end)):
        yield token.start, number.end(), "address"
    elif token.entry.street == "word" and (
        before := _STREET_BEFORE.search(text[max(0, token.start - 60) : token.start])
    ):
        yield token.start - len(before.group()), token.end, "address"
    elif token.entry.street == "lead" and (after := _STREET_AFTER.match(text, token.end)):
        yield token.start, after.end(), "address"
