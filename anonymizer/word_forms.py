"""Judges by its form whether a word that no list holds is one of medicine or a surname; it knows neither case nor text.

Medicine names its things with few pieces in every language, and people are rarely called so: "Kreuzbandruptur", "Knäprotes",
"Остеохондроз", "Gonarthrose". tests/unit/anonymizer/test_word_forms.py holds names that come near.
"""

from __future__ import annotations

import re
from functools import cache

from anonymizer.words import rows, words

_LEAST_PIECE = 6
_LEAST_ENDED = 7  # shorter words that end as words of medicine do are also names: "Roma", "Noemi"
_LEAST_BEFORE_TAIL = 3
_LEAST_STEM = 6
_INFLECTED = ("s", "es", "n", "en")


def medical(word: str) -> bool:
    """Whether a folded word has the form of a word of medicine, though no list holds it ("facialispares")."""
    if word in _row("whole"):
        return True
    if len(word) < _LEAST_PIECE or word in _row("names") or word in words("given_names"):
        return False
    if _pieces().search(word) or _compounds().fullmatch(word) or _inflected(word):
        return True
    return len(word) >= _LEAST_ENDED and (
        word.endswith(_endings()) or any(word.endswith(tail, _LEAST_BEFORE_TAIL) for tail in _row("tails"))
    )


def surname_form(word: str) -> bool:
    """Whether a folded word ends as surnames do and words of medicine do not."""
    return word.endswith(_surnames()) and not medical(word)


def _inflected(word: str) -> bool:
    """Whether a word is a clinical one in another case or number: "Oberkiefers", "Femurs"."""
    return any(
        word.endswith(ending)
        and len(word) - len(ending) >= _LEAST_STEM
        and word[: -len(ending)] in words("clinical")
        for ending in _INFLECTED
    )


def _row(key: str) -> frozenset[str]:
    return _table()[key]


@cache
def _table() -> dict[str, frozenset[str]]:
    told: dict[str, frozenset[str]] = {}
    for key, row in rows("word_forms"):
        told[key] = told.get(key, frozenset()) | frozenset(row)
    return told


@cache
def _pieces() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(_row("pieces")))))


@cache
def _compounds() -> re.Pattern[str]:
    """A part of the body, at most two letters that join, and what may be wrong with it: "Knie-schmerz", "Handled-s-fraktur"."""
    stems, heads = ("|".join(map(re.escape, sorted(_row(key)))) for key in ("stems", "heads"))
    return re.compile(rf"(?:{stems}).{{0,2}}(?:{heads})")


@cache
def _endings() -> tuple[str, ...]:
    return tuple(sorted(_row("endings")))


@cache
def _surnames() -> tuple[str, ...]:
    return tuple(sorted(_row("surnames")))
