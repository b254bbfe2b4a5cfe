"""Decides which words of a text are names, by the lexicon's strength of each and by its place; it replaces nothing.

Name position is: beside another part of a known name, behind a title or a label, with an initial, or the value's only words.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from anonymizer.folding import fold
from anonymizer.lexicon import PART, WORD, Entry, Lexicon
from anonymizer.places import widen_address, widen_institution
from anonymizer.strength import Strength
from anonymizer.words import words


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a text that may be something."""

    start: int
    end: int
    raw: str
    entry: Entry


Found = tuple[int, int, str]
BESIDE = re.compile(r"[\s,.^=\\_'’\-\u2010-\u2015/&]{0,4}")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)([\s.:,^\-]{1,3})$")
_WORD_AFTER = re.compile(r"(?:['’]?s|['’])?[\s\-]{1,2}([^\W\d_]+)")
_SENTENCE = re.compile(r"[.!?:;\n\r]\s*$")
_INITIAL_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_])(\.?[\s\-^,]{0,2}|['’])$")
_INITIAL_AFTER = re.compile(r"([\s,^]{1,2}|(?<=\.)|(?<=[^\W\d_])-)([^\W\d_])(?![^\W_]|['’])\.?")
_PARTICLE_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_]{1,6})(\.?)([\s'’`´\-]*)$")
_PARTICLE_AFTER = re.compile(r"\s{1,2}([^\W\d_]{1,6})(?![^\W_])")
_GROUP_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_]{2,4})[.\s,^]{1,2}$")
_GROUP_AFTER = re.compile(r"[\s,^]{1,2}([^\W\d_]{2,4})(?![^\W_])\.?")
_WORD_BEHIND = re.compile(r"\s([^\W\d_A-ZÅÄÖÜ][^\W\d_]+)")
_DATED = re.compile(r"\d\.?\s?\||\|\s?\d")
_NAME_GAP = re.compile(r"[\s.^_\-]{1,2}")
_OF = re.compile(r"\s(?:de|di|du|van|von|af|of|nach|по)\s$", re.IGNORECASE)
CUT_LENGTHS = frozenset({15, 16, 63, 64})  # SH and CS hold 16 characters, LO and PN 64 (PS3.5 table 6.2-1)
_VALUE_WORDS = 8
_GLUED = 6
_SHORT = 2


class NameFinder:
    """Finds the known names, institutions and addresses in the words of one text after another."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    # -- known words ----------------------------------------------------------------------------------------------
    def known(self, text: str, tokens: list[Token]) -> Iterator[Found]:
        """Known names and phrases."""
        for token in tokens:
            for rest, kind in token.entry.phrases:
                end = follow(text, token.end, rest, gap=_NAME_GAP if kind == "name" else BESIDE)
                if end and not (kind == "name" and token.raw[0].islower()):
                    yield (*self._widen(text, token.start, end, kind, token.raw), kind)
                    break
        candidates = [token for token in tokens if token.entry.strength is not None]
        if candidates:
            yield from self._runs(text, candidates)
        yield from self._cut_tail(text, candidates)
        if self.lexicon.patient_initials:
            yield from ((*hit.span(1), "name") for hit in self.lexicon.patient_initials.finditer(text))
        for name in self.lexicon.unspaced_names:
            at = text.find(name)
            while at >= 0:
                yield at, at + len(name), "name"
                at = text.find(name, at + len(name))

    def _runs(self, text: str, candidates: list[Token]) -> Iterator[Found]:
        whole = self._whole_value(text, candidates)
        run: list[Token] = []
        for token in candidates:
            if run and not BESIDE.fullmatch(text, run[-1].end, token.start):
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
            elif not any(token.raw.islower() for token in run) or (
                text.islower() and any(len(token.raw) > _SHORT for token in run)
            ):
                sure = [len({fold(token.raw) for token in run}) > 1] * len(run)
            else:
                sure = self._pairs(text, run)
        for ok, token in zip(sure, run, strict=True):
            if ok:
                kind = token.entry.kind
                yield (*self._widen(text, token.start, token.end, kind, token.raw), kind)

    def _pairs(self, text: str, run: list[Token]) -> list[bool]:
        """Given name and family name of one person side by side are hers in any case: "bo ek"."""
        sure = [False] * len(run)
        for at, (left, right) in enumerate(pairwise(run)):
            joined = (fold(left.raw), fold(right.raw)) in self.lexicon.pairs
            if joined and _NAME_GAP.fullmatch(text, left.end, right.start):
                sure[at] = sure[at + 1] = True
        return sure

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
        initialled = self._has_initial(text, token) or self._initial_size(
            text[max(0, token.start - 12) : token.start]
        )
        if _eponym(text, token) and not initialled:
            return False
        if strength is Strength.CONTEXT:
            return True
        capital = not token.raw[0].islower()
        if token.entry.month and _DATED.search(
            text[max(0, token.start - 4) : token.start] + "|" + text[token.end : token.end + 6]
        ):
            return False  # "im August 2023"
        if strength is Strength.CAPITAL and self._prose(text, token):
            return False
        if strength is Strength.CAPITAL and capital:
            return True
        before = text[max(0, token.start - 40) : token.start]
        if strength is Strength.INSIDE_SENTENCE and capital and not token.raw.isupper():
            word = _WORD_BEFORE.search(before)
            if word and word[1].islower() and not _SENTENCE.search(before):
                return True
        return capital and token.entry.kind == "name" and self._in_position(text, token, before)

    def _prose(self, text: str, token: Token) -> bool:
        """Whether an everyday word begins a sentence of findings: "Stark smärta", "Petit nodule", never "Stark har"."""
        before = text[max(0, token.start - 12) : token.start]
        if not token.raw[1:].islower() or fold(token.raw) not in words("everyday"):
            return False
        if self._initial_size(before) or (before.strip() and not _SENTENCE.search(before)):
            return False
        behind = _WORD_BEHIND.match(text, token.end)
        return bool(behind and fold(behind[1]) in words("clinical") and fold(behind[1]) not in words("verbs"))

    def _in_position(self, text: str, token: Token, before: str) -> bool:
        word = _WORD_BEFORE.search(before)
        if word and (self.lexicon.is_title(word[1]) or "^" in word[2]):
            return True
        if text[token.end : token.end + 1] == "^" or before.endswith("^"):
            return True
        return self._has_initial(text, token)

    def _has_initial(self, text: str, token: Token) -> bool:
        """Whether an initial of a known person, with its full stop or caret, stands beside."""
        before = _INITIAL_BEFORE.search(text[max(0, token.start - 6) : token.start])
        if before and fold(before[1]) in self.lexicon.initials and before[2][:1] in (".", "^"):
            return True
        after = _INITIAL_AFTER.match(text, token.end)
        return bool(after and fold(after[2]) in self.lexicon.initials and after.group().endswith("."))

    def _whole_value(self, text: str, candidates: list[Token]) -> bool:
        """Whether the text is nothing but names, initials, titles and particles, as a PN value is."""
        if len(text) > 128 or all(token.entry.strength is Strength.ALWAYS for token in candidates):
            return False
        every = WORD.findall(text)
        if len(every) > _VALUE_WORDS or any(token.entry.kind != "name" for token in candidates):
            return False
        if "^" not in text and all(fold(token.raw) in words("clinical") for token in candidates):
            return False
        if (
            len(candidates) == 1
            and _eponym(text, candidates[0])
            and not self._has_initial(text, candidates[0])
        ):
            return False
        named = {token.raw for token in candidates}
        return all(
            word in named or len(word) == 1 or self.lexicon.is_title(word) or fold(word) in words("particles")
            for word in every
        )

    def _widen(self, text: str, start: int, end: int, kind: str, raw: str) -> tuple[int, int]:
        """Take in the initials and particles that belong to a name, or what belongs to an address or an institution."""
        if kind == "address":
            return widen_address(text, start, end, self.lexicon.address_numbers)
        if kind == "institution":
            return widen_institution(text, start, end)
        if kind != "name":
            return start, end
        for _ in range(3):
            before = text[max(0, start - 12) : start]
            size = self._initial_size(before) or self._particle_size(before)
            if not size:
                break
            start -= size
        return start, self._after(text, end, raw)

    def _initial_size(self, before: str) -> int:
        initial = _INITIAL_BEFORE.search(before)
        if initial and (
            initial[2] in ("'", "’")
            or (not initial[1].islower() and fold(initial[1]) in self.lexicon.initials)
        ):
            return len(initial.group())
        group = _GROUP_BEFORE.search(before)
        if group and group[1].isupper() and fold(group[1]) in self.lexicon.initial_groups:
            return len(group.group())
        return 0

    def _particle_size(self, before: str) -> int:
        particle = _PARTICLE_BEFORE.search(before)
        if not particle or not (particle[2] or particle[3]):
            return 0
        folded = fold(particle[1])
        if folded in self.lexicon.particles:
            return len(particle.group())
        short = (
            particle[2]
            and len(folded) == 1
            and any(word.startswith(folded) for word in self.lexicon.particles)
        )
        return len(particle.group()) if short else 0

    def _after(self, text: str, end: int, raw: str) -> int:
        """Where a name ends with the initials and particles behind it: "Lindqvist A.M.", "Anna L.", "Heuvel, M. van den"."""
        initials = self.lexicon.initials
        if fold(raw) in self.lexicon.given_words:
            initials |= self.lexicon.family_initials
        took = False
        for _ in range(4):
            after = _INITIAL_AFTER.match(text, end)
            if after and not after[2].islower() and fold(after[2]) in initials and (took or after[1]):
                end, took = after.end(), True
                continue
            group = _GROUP_AFTER.match(text, end)
            if group and group[1].isupper() and fold(group[1]) in self.lexicon.initial_groups:
                end, took = group.end(), True
                continue
            particle = _PARTICLE_AFTER.match(text, end) if took else None
            if not particle or fold(particle[1]) not in self.lexicon.particles:
                break
            end = particle.end()
        return end

    def _cut_tail(self, text: str, candidates: list[Token]) -> Iterator[Found]:
        """The last word of a value that its VR cut off."""
        stripped = text.rstrip(" \0")
        last = next(iter(deque(WORD.finditer(stripped, max(0, len(stripped) - 40)), maxlen=1)), None)
        if last is None or last.end() != len(stripped):
            return
        beside = any(
            BESIDE.fullmatch(text, token.end, last.start())
            for token in candidates
            if token.end <= last.start()
        )
        full = len(text) in CUT_LENGTHS
        if full:
            word = last.group()
            for size in range(len(word) - 1, _GLUED - 1, -1):
                if self.lexicon.begins(word[-size:], at_least=_GLUED):
                    yield last.end() - size, last.end(), "name"  # "KNEE8CHZammitell"
                    return
        if (beside or full) and self.lexicon.begins(last.group(), at_least=3 if beside else 4):
            yield last.start(), last.end(), "name"


def follow(text: str, at: int, parts: tuple[str, ...], *, gap: re.Pattern[str] = BESIDE) -> int:
    """Where a phrase ends that continues with these folded parts; 0 if it does not."""
    for part in parts:
        between = gap.match(text, at)
        word = PART.match(text, between.end() if between else at)
        if not word or fold(word.group()) != part:
            return 0
        at = word.end()
    return at


def eponym_after(text: str, at: int) -> bool:
    """Whether the word behind shows an eponym, also at the end of a chain: "Klein-Levin-Syndrom", "Weber B-Fraktur"."""
    for count in range(3):
        after = _WORD_AFTER.match(text, at)
        if not after:
            return False
        if fold(after[1]) in words("eponym_heads"):
            return True
        chained = "-" in after.group() or (count == 0 and len(after[1]) == 1)
        if not chained and text[after.end() : after.end() + 1] != "-":
            return False
        at = after.end()
    return False


def _eponym(text: str, token: Token) -> bool:
    """Whether the word beside shows an eponym: "Parkinson disease", "Morbus Crohn", "non-Hodgkin"."""
    if eponym_after(text, token.end):
        return True
    written = _OF.sub(" ", text[max(0, token.start - 28) : token.start])
    before = _WORD_BEFORE.search(written)
    return bool(before and fold(before[1]) in words("eponym_leads"))
