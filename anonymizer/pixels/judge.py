"""Judges a line that was read in a picture: does it identify, is it clinical, or can nobody tell; it sees no pixel.

Reading errs, so known identifiers are compared with a tolerance: signs that look alike count as one, a name may lack or
have a letter, and may be split over words. What is neither known nor on a list of harmless words is removed as well:
PS3.15 E.3.1 allows to remove all text, and a stranger's name is on no list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from anonymizer.attribute_types import load_table
from anonymizer.folding import fold
from anonymizer.known import Known
from anonymizer.pixels.needles import DIGIT_OF, LETTER_OF, SIGNS, in_other_letters, needles, short_pairs
from anonymizer.text import Scrubber
from anonymizer.words import words as listed

Verdict = Literal["mask", "keep", "doubt", "noise"]
#: A line read with less confidence is masked only for a known identifier.
SURE = 70.0
_CLEAR = 80.0
_ANY_SHIFT = 7  # the Scrubber tells dates only where it shifts them; in pixels each date goes
_TIME = re.compile(r"[012]?\d[:.][0-5]\d([:.][0-5]\d)?")
_WITH_FIGURE = re.compile(r"([a-z]{1,8})[:=.]?\d{1,3}(?:[.,]\d{1,2})?")
_MEASURE = re.compile(
    r"[\dOolI|i]{1,3}([.,][\dOolI|i]{1,2})?(?:cm|mm|Hz|dB|kV)"
)  # "11cm" is read as "licm", too
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # "LiNa": the space was not read
_PARTED, _PARTED_CAPITALS = 0.8, 0.25  # a space is about 0.4 heights of capitals wide
_EDGES = ".,;:()[]{}<>=*'\"|/\\-–—_~«»‘’“”°+"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a line; ``words`` are the indices of the words it concerns, () for all.

    ``known``: of this case; ``stranger``: masked only because nobody knows the words.
    """

    verdict: Verdict
    words: tuple[int, ...] = ()
    known: bool = False
    stranger: bool = False


class TextJudge:
    """The known identifiers of one case, prepared for text that was read and not written."""

    def __init__(self, known: Known, *, strict: bool = False) -> None:
        self._strict = strict
        self._scrubber = Scrubber(known, shift_days=_ANY_SHIFT)
        table = load_table("burned_in_words.json")
        self._harmless = frozenset(fold(word) for word in table["words"].split())
        self._long_harmless = [word for word in self._harmless | listed("clinical") if len(word) >= 6]
        self._near_harmless = [word for word in self._harmless if len(word) >= 3] + self._long_harmless
        self._labels = frozenset(fold(word).strip(".#:") for word in table["labels"].split())
        self._patterns = re.compile("|".join(f"(?:{one})" for one in table["patterns"]), re.IGNORECASE)
        self._digits = int(table["shortest_digits"])
        #: What a human judged not to identify, as it stands: a kept phrase keeps none of its words elsewhere.
        phrases = {tuple(map(_bare, text.split())) for text in known.kept}
        self._phrases = sorted((phrase for phrase in phrases if len(phrase) > 1), key=len, reverse=True)
        self._kept = frozenset(phrase[0] for phrase in phrases if len(phrase) == 1)
        names, self._numbers = needles(known)
        self._names = names - {_letters(word) for word in self._kept}
        self._pairs, self.other_letters = short_pairs(known), in_other_letters(known)

    def known_in(self, text: str) -> bool:
        """Whether a known identifier of the case may stand in a text as read."""
        return self._is_known(text, text.split(), shortest=5)

    def _is_known(self, text: str, words: list[str], *, shortest: int) -> bool:
        """``shortest``: letters that a name needs; noise is read as short words."""
        rest = self._without_phrases(words)
        return (
            self._scrubber.known_left(text)
            or self._known_number(text)
            or any(self._known_names(part, shortest) for part in rest)
        )

    def _without_phrases(self, words: list[str]) -> list[list[str]]:
        """The stretches of a line between the kept phrases that stand in it."""
        inside = self._in_phrases(words)
        parts: list[list[str]] = [[]]
        for index, word in enumerate(words):
            if index in inside:
                parts.append([])
            else:
                parts[-1].append(word)
        return parts

    def _in_phrases(self, words: Sequence[str]) -> set[int]:
        if not self._phrases:
            return set()
        read = tuple(map(_bare, words))
        return {
            place
            for phrase in self._phrases
            for at in range(len(read) - len(phrase) + 1)
            if read[at : at + len(phrase)] == phrase
            for place in range(at, at + len(phrase))
        }

    def judge(
        self, words: tuple[str, ...], confidence: float, *, printed: bool, gaps: tuple[float, ...] = ()
    ) -> Judgement:
        """Judge a line.

        Parameters
        ----------
        words
            As read, in order.
        confidence
            Of the line, 0 to 100.
        printed
            Whether the geometry of its strokes says that it is print.
        gaps
            Between each word and the next, in heights of the line; () for narrow ones.
        """
        text = " ".join(words)
        signs = sum(sign.isalnum() for sign in text)
        clear = printed or confidence >= 60
        if (clear or signs >= 6) and self._is_known(text, list(words), shortest=3 if clear else 6):
            return Judgement("mask", known=True)
        sure = (confidence >= SURE and (printed or signs >= 5)) or (
            printed and confidence >= 60 and signs >= 3
        )
        if sure and (self._scrubber.spans(text) or self._long_number(text) or self._labelled(words)):
            return Judgement("mask")
        unread = Judgement("doubt" if printed and signs >= 2 else "noise")
        kept = self._in_phrases(words)
        strange = tuple(
            index for index, word in enumerate(words) if index not in kept and not self._is_harmless(word)
        )
        strange = self._without_parted(words, strange, gaps)
        if self._strict and sure:
            return Judgement("mask")
        if not strange:
            # Several harmless words are hardly a misread name, even where they were read with less confidence.
            enough = confidence >= (60 if signs < 6 or len(words) < 2 else 45)
            return Judgement("keep") if signs and (sure or (printed and enough)) else unread
        if (
            sure
            and printed
            and confidence < _CLEAR
            and all(self._resembles(words[index]) for index in strange)
        ):
            return Judgement(
                "doubt"
            )  # a device's word that something crosses, or a stranger's: a human tells them apart
        if sure:
            worth = [index for index in strange if sum(sign.isalnum() for sign in words[index]) >= 4]
            # One or two odd signs beside good words are a misread mark; more of them are text nobody knows.
            alone = printed and confidence >= _CLEAR and len(words) == 1 and _is_short_name(words[0])
            if worth or alone or (len(strange) > 1 and len(strange) * 2 > len(words)):
                concerned = strange if self._is_exact(words, strange) else ()
                return Judgement("mask", concerned, stranger=True)
            return Judgement("keep")
        return unread

    def _resembles(self, word: str) -> bool:
        """Whether each part of a word is but a letter away from a harmless one, or its beginning."""
        parts = [part for part in re.split(r"[\W_\d]+", _bare(word)) if part]
        return bool(parts) and all(
            any(one.startswith(part) for one in self._long_harmless if len(part) >= 4)
            or process.extractOne(part, self._near_harmless, scorer=OSA.distance, score_cutoff=1) is not None
            for part in parts
        )

    def _without_parted(
        self, words: tuple[str, ...], strange: tuple[int, ...], gaps: tuple[float, ...]
    ) -> tuple[int, ...]:
        """Without the parts of a harmless word that was read as two: what crosses a word parts it.

        A name and a given name begin with capitals, and a space stands between them.
        """
        whole: set[int] = set()
        for index in range(len(words) - 1):
            joined = _bare(words[index]) + _bare(words[index + 1])
            gap = gaps[index] if index < len(gaps) else 0.0
            if (
                _one_word(words[index].strip(_EDGES), words[index + 1].strip(_EDGES), gap)
                and len(joined) >= 5
                and joined.isalpha()
                and (joined in self._harmless or joined in listed("clinical"))
            ):
                whole |= {index, index + 1}
        return tuple(index for index in strange if index not in whole)

    def _is_harmless(self, word: str) -> bool:
        """Whether a word says nothing of a person; "MI=0.8" is read in its parts, and figures with letters that look alike."""
        if self._is_plain(word):
            return True
        parts = [part for part in re.split(r"[=<>:()]+|(?<=\b[LR])-(?=[A-Z])", word) if part]
        if len(parts) > 1 and all(self._is_plain(part) for part in parts):
            return True
        if _MEASURE.fullmatch(word):
            return True
        figures = re.sub(r"(?<=[\d.,])[OolI|]|[OolI|](?=[\d.,])", _digit, word)
        return figures != word and self._is_plain(figures)

    def _is_plain(self, word: str) -> bool:
        bare = _bare(word)
        if (
            not bare
            or bare in self._harmless
            or bare in self._kept
            or len(bare) == 1
            or _TIME.fullmatch(bare)
        ):
            return True
        if len(re.sub(r"\D", "", bare)) >= self._digits:
            return False
        if self._patterns.fullmatch(bare) or self._patterns.fullmatch(word) or bare in listed("clinical"):
            return True
        if (run_on := _WITH_FIGURE.fullmatch(bare)) and run_on[1] in self._harmless:
            return True
        if len(bare) < 6 or any(sign.isdigit() for sign in bare):
            return False
        return process.extractOne(bare, self._long_harmless, scorer=OSA.distance, score_cutoff=1) is not None

    def _is_exact(self, words: tuple[str, ...], strange: tuple[int, ...]) -> bool:
        """Whether all the rest of a line is harmless as it is written: beside a stranger, what only resembles goes too."""
        rest = [fold(word).strip(".,;:()") for index, word in enumerate(words) if index not in strange]
        return all(word in self._harmless or not word.isalpha() or len(word) < 3 for word in rest)

    def _labelled(self, words: tuple[str, ...]) -> bool:
        """A label with something behind it, or a label alone that ends in a colon: its value stands next to it."""
        for index, word in enumerate(words):
            label = fold(word).strip(".#:;,()")
            if label in self._labels and (":" in word or "#" in word or index + 1 < len(words)):
                return True
        return False

    def _long_number(self, text: str) -> bool:
        """Five and more digits together or with separators between them; a time of day or a size is none."""
        for run in re.finditer(r"[\dOoIl|][\dOoIl|.\-/ ]*[\dOoIl|]", text):
            raw = run.group()
            digits = sum(sign.isdigit() for sign in raw)
            longest = max((len(part) for part in re.findall(r"\d+", raw)), default=0)
            if longest >= self._digits or (
                digits >= 6 and re.search(r"\d{3,}[-/.]\d{2,}|\d{2}[-/.]\d{2}[-/.]\d{2}", raw)
            ):
                return True
        return False

    def _known_number(self, text: str) -> bool:
        if not self._numbers:
            return False
        compact = SIGNS.sub("", text)
        read = compact.translate(DIGIT_OF).casefold()
        if sum(sign.isdigit() for sign in read) < 4:
            return False
        for needle in self._numbers:
            if len(read) < len(needle) - 1:
                continue
            if needle in read:
                return True
            if len(needle) >= 6:
                allowed = 1 if len(needle) < 10 else 2
                score = 100.0 * (1 - allowed / len(needle)) - 0.01
                found = fuzz.partial_ratio_alignment(
                    needle, read, score_cutoff=100 - 100 * allowed / len(needle)
                )
                if (
                    found is not None
                    and found.score >= score
                    and OSA.distance(needle, read[found.dest_start : found.dest_end]) <= allowed
                ):
                    return True
        return False

    def _known_names(self, words: list[str], shortest: int) -> bool:
        """A name of the case in one word or in neighbours that were split, with a letter more, less or other."""
        forms: list[str] = []
        parts = [_letters(part) for word in words for part in _HUMP.split(word)]
        if shortest <= 3 and not self._pairs.isdisjoint(pairwise(parts)):
            return True
        for index, word in enumerate(words):
            bare = _letters(word)
            harmless = self._is_harmless(word) and bare not in self._names
            if bare and not harmless:
                forms.append(bare)
            joined = bare
            for other in words[index + 1 : index + 4]:
                joined += _letters(other)
                if 4 <= len(joined) <= 24 and not (harmless and self._is_harmless(other)):
                    forms.append(joined)
        return any(self._one_name(form) for form in forms if len(form) >= shortest)

    def _one_name(self, form: str) -> bool:
        if form in self._names:
            return True
        if len(form) < 4:
            return False
        for needle in self._names:
            size = len(needle)
            if size < 4:
                continue
            allowed = 1 if size < 7 else 2
            if (
                abs(len(form) - size) <= allowed
                and OSA.distance(form, needle, score_cutoff=allowed) <= allowed
            ):
                return True
            # A name cut off at the edge, or run together with what stands beside it.
            if size >= 6 and (needle in form or (len(form) >= 6 and needle.startswith(form))):
                return True
        return False


def _is_short_name(word: str) -> bool:
    """Whether a word of three letters is written as a name is; marks of a scale are read as three like ones."""
    bare = word.strip(_EDGES)
    return bare.isalpha() and len(set(fold(bare))) >= 3 and (bare.istitle() or bare.isupper())


def _digit(sign: re.Match[str]) -> str:
    return sign.group().translate(DIGIT_OF)


def _one_word(first: str, second: str, gap: float) -> bool:
    """Whether two parts may be one word by their letters and by the gap between them, in heights of the line."""
    return (second[:1].islower() and gap < _PARTED) or (
        first.isupper() and second.isupper() and gap < _PARTED_CAPITALS
    )


def _bare(word: str) -> str:
    return fold(word).strip(_EDGES)


def _letters(word: str) -> str:
    return SIGNS.sub("", fold(word)).translate(LETTER_OF)


@lru_cache(maxsize=4)
def judge_for(known: Known, strict: bool) -> TextJudge:
    """The judge of a case; a few are remembered, so that one case's objects share it."""
    return TextJudge(known, strict=strict)
