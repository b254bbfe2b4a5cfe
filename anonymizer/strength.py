"""How sure a known word is to be meant as the identifier that it is; a scale, and the lists of words that put a word on it."""

from __future__ import annotations

from enum import IntEnum
from functools import cache

from anonymizer.folding import fold
from anonymizer.words import rows, spelled, words


class Strength(IntEnum):
    """When a known word is taken for the identifier that it is."""

    POSITION = 0  # only in name position: beside another part of the name, behind a title, alone in the value
    INSIDE_SENTENCE = 1  # also when capitalised inside a sentence ("kom Per idag", never "5 per dag")
    CAPITAL = 2  # whenever it begins with a capital
    CONTEXT = 3  # always, except beside the word that shows an eponym ("Hoffmann sign")
    ALWAYS = 4


@cache
def months() -> dict[str, int]:
    """The folded names of months (the first word of each), and which month each is."""
    return {
        fold(name.split()[0]): number
        for _, names in rows("months")
        for number, name in enumerate(names, start=1)
    }


def rank(word: str) -> Strength:
    """How sure a folded known word is to be meant as the identifier, by the lists of words."""
    if len(word) < 2 or word in words("titles") or (len(word) == 2 and word in words("no_names")):
        return Strength.POSITION  # "Na" is sodium, and "not available"
    if word in words("clinical") or word in words("function") or word in months():
        return Strength.INSIDE_SENTENCE
    everyday = len(word) == 2 or word in words("everyday")
    if word in words("eponym_surnames"):
        return Strength.CAPITAL if everyday else Strength.CONTEXT
    if word in words("eponyms"):
        return Strength.POSITION
    return Strength.CAPITAL if everyday else Strength.ALWAYS


def listed(raw: str) -> bool:
    """Whether a word stands in one of the lists with the very diacritics it has here."""
    word = raw.casefold()
    return any(
        word in spelled(name)
        for name in ("clinical", "function", "everyday", "eponyms", "eponym_surnames", "titles")
    )
