"""Says of which language a month's name is, so that a moved date is written in it; it finds no dates and moves none.

Several languages spell a month alike ("mars", "may", "oct"): the words around it decide, then the whole text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from anonymizer.folding import fold
from anonymizer.words import rows

_WORD = re.compile(r"(?<!\d)[^\W\d_]+")  # the "er" of "1er mars" is no Icelandic word
_FRENCH_FIRST = re.compile(r"(?<!\d)1er(?![^\W_])")
_NEXT = re.compile(r"[ \t]{1,2}([^\W\d_]+)")
_BARE = str.maketrans("أإآ", "ااا")
_LINE, _NEAR = 100, 200
#: How far a text is read for its language: a long letter's first pages tell it.
_FAR = 20_000


@cache
def places_of() -> dict[str, tuple[tuple[int, int], ...]]:
    """Folded month word, the first of a name of two, to the rows of the table and the months it stands for."""
    table: dict[str, list[tuple[int, int]]] = {}
    for row, (_, names) in enumerate(rows("months")):
        for month, name in enumerate(names, start=1):
            table.setdefault(fold(name.split()[0]), []).append((row, month))
    return {word: tuple(places) for word, places in table.items()}


def whole_name(row: int, month: int) -> bool:
    """Whether a row of short names writes this month out ("août" among "juil", "sept"), so that no dot follows it."""
    language, _, form = rows("months")[row][0].partition(" ")
    full = next(names for key, names in rows("months") if key == language)
    return bool(form) and rows("months")[row][1][month - 1] == full[month - 1]


class MonthRows:
    """The months of one text, and of which row of the table each is."""

    def __init__(self, text: str, places: Iterable[tuple[int, int]]) -> None:
        self._text = text
        # Short names have a full stop or none throughout a text; a whole name ("mars") never has one.
        self._favour = Counter(
            (self._dotted(end), row)
            for start, end in places
            for row, _ in places_of().get(fold(text[start:end]), ())
        )
        self._whole: Counter[str] | None = None

    def readings(self, start: int, end: int) -> tuple[int, list[tuple[int, int]]]:
        """Where the month's name at this place ends, and the rows and months it may stand for, the likeliest first."""
        every = [(place, self._end(place, end)) for place in places_of().get(fold(self._text[start:end]), ())]
        last = max((one for _, one in every), default=end)
        places = tuple(place for place, one in every if one == last)
        best = self._choose(places, start, last)
        others = {month: (row, month) for row, month in reversed(places) if best and month != best[1]}
        return last, [*([best] if best else []), *others.values()]

    def _end(self, place: tuple[int, int], end: int) -> int:
        """Where a name of two words ends, when both stand here; else the end of the first."""
        rest = _name(place).split()[1:]
        found = _NEXT.match(self._text, end) if rest else None
        return found.end() if found and found[1].translate(_BARE) == rest[0].translate(_BARE) else end

    def _choose(self, places: tuple[tuple[int, int], ...], start: int, end: int) -> tuple[int, int] | None:
        word = self._text[start:end]
        exact = [place for place in places if _name(place) == word.casefold()]
        places = tuple(exact or places)
        if len({_language(row) for row, _ in places}) > 1:
            languages = {_language(row) for row, _ in places}
            best = self._spoken(start, end, languages)
            places = tuple(place for place in places if _language(place[0]) in best)
        dotted = self._dotted(end)
        return max(places, key=lambda place: (self._favour[dotted, place[0]], -place[0]), default=None)

    def _dotted(self, end: int) -> bool:
        return self._text[end : end + 1] == "."

    def _spoken(self, start: int, end: int, languages: set[str]) -> set[str]:
        """Those of the languages that most of the small words speak: those nearby, else those of the whole text."""
        for reach in (_LINE, _NEAR):
            first, last = max(0, start - reach), end + reach
            if reach == _LINE:
                first = max(first, self._text.rfind("\n", 0, start) + 1)
                last = min(last, self._text.find("\n", end) % (len(self._text) + 1))
            near = _votes(f"{self._text[first:start]} {self._text[end:last]}")
            if best := _leading(near, languages, least=2):
                return best
        if self._whole is None:
            self._whole = _votes(self._text[:_FAR])
        return _leading(self._whole, languages, least=1) or languages


def _leading(votes: Counter[str], languages: set[str], *, least: int) -> set[str]:
    """The language with the most votes, if it leads the others."""
    counted = sorted((votes[one] for one in languages), reverse=True)
    leads = counted[0] >= least and counted[0] > counted[1]
    return {one for one in languages if votes[one] == counted[0]} if leads else set()


def _name(place: tuple[int, int]) -> str:
    return rows("months")[place[0]][1][place[1] - 1].casefold()


def _language(row: int) -> str:
    return rows("months")[row][0].partition(" ")[0]


@cache
def _telling() -> dict[str, tuple[str, ...]]:
    table: dict[str, list[str]] = {}
    for language, telling in rows("languages"):
        for word in {fold(one) for one in telling}:
            table.setdefault(word, []).append(language)
    return {word: tuple(spoken) for word, spoken in table.items()}


def _votes(text: str) -> Counter[str]:
    telling = _telling()
    votes = Counter(language for word in _WORD.findall(text) for language in telling.get(fold(word), ()))
    votes.update({"fr": 2 * len(_FRENCH_FIRST.findall(text))})
    return votes
