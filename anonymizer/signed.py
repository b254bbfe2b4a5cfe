"""Finds those who sign: a name behind a title of several words, and a line that is a name beside a line or word that is an office.

One word's titles are `labels`'s and `mentions`'s. A name here is two capitalised words that no list holds, or one with initials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from anonymizer.folding import fold
from anonymizer.mentions import hyphened_given, nameable
from anonymizer.word_forms import medical
from anonymizer.words import lines, words

_CAPITAL = r"[^\W\d_a-zà-öø-ÿа-яёšžčřęąćłńóśźżığş\u0590-\u08ff\u0e00-\u0eff\u3040-\u9fff]"
_PART = rf"{_CAPITAL}[^\W\d_]++(?:[-'’]{_CAPITAL}[^\W\d_]++)?"
_INITIAL = rf"{_CAPITAL}\."
_SMALL = r"(?:(?:von|van|der|den|de|del|la|las|los|du|af|av|ter|zu)\s){0,3}"
_NAME = (
    rf"(?:{_INITIAL}\s?(?:{_INITIAL}\s?)?{_SMALL}{_PART}"
    rf"|{_CAPITAL}\s{_CAPITAL}\s{_PART}"
    rf"|{_PART}\s{_INITIAL}(?:\s?{_INITIAL})?"
    rf"|{_PART}\s(?:{_INITIAL}\s)?{_SMALL}{_PART})"
)
_REVERSED = rf"{_PART},\s{_PART}"
_OFFICE = r"(?:[^\W\d_]++[.-]?[ ]?){1,3}"
#: What may stand behind an office in its line; a sentence may not.
_LAST = r"(?=[ \t]{0,20}(?:$|[^\w\s]|\d)|[ ]?\t|[ ]{2})"
#: Degrees that are words of the clinic as well (LT is "left"): only a line that holds them and a name alone counts.
_DEGREES = frozenset(
    {"ll", "lt", "lkt", "el", "sh", "md", "mbbs", "frcr", "phd", "rn", "due", "mir", "ssk", "usk"}
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@cache
def _behind_titles() -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w.-])(?:{_titles()})[ \t\xa0]{{0,2}}(?:\r?\n[ \t]{{0,20}})?(?P<name>{_NAME})(?![\w-])"
    )


@cache
def _titles() -> str:
    return "|".join(lines("long_titles"))


@cache
def _beside_offices() -> tuple[re.Pattern[str], ...]:
    """A line that is a name with the office behind it or on the next line, and the other way round."""
    titles = rf"(?P<title>{_titles()})"
    return (
        re.compile(
            rf"^[ \t]{{0,20}}(?P<name>{_NAME})(?=(?:,[ \t]{{0,2}}|[ ]\()(?:{titles}|(?P<office>{_OFFICE})))",
            re.MULTILINE,
        ),
        re.compile(
            rf"^[ \t]{{0,20}}(?P<name>{_REVERSED}|{_NAME})"
            rf"(?=[ \t]{{0,20}}\r?\n[ \t]{{0,20}}(?:{titles}|(?P<below>{_OFFICE}){_LAST}))",
            re.MULTILINE,
        ),
        re.compile(
            rf"^[ \t]{{0,20}}(?P<office>{_OFFICE})?(?=[ \t]{{0,20}}(?:\r?\n[ \t]{{0,20}}|[ ])(?P<name>{_NAME})[ \t]{{0,20}}$)",
            re.MULTILINE,
        ),
    )


def signatures(text: str) -> Iterator[tuple[int, int]]:
    """Where the names of those who sign stand."""
    for found in _behind_titles().finditer(text):
        if _is_name(found["name"], everyday=True):
            yield found.span("name")
        elif alone := _before_prose(found["name"]):
            yield found.start("name"), found.start("name") + alone
    for pattern in _beside_offices():
        for found in pattern.finditer(text):
            told = found.groupdict()
            office = (
                told.get("title") or _is_office(told.get("office") or "") or _alone(told.get("below") or "")
            )
            if office and _is_name(found["name"], everyday=False):
                yield found.span("name")


def _is_office(written: str) -> bool:
    parts = [fold(part) for part in _WORD.findall(written)]
    return any(
        part in words("roles") or part in words("recognised_titles") or part in _DEGREES for part in parts
    )


def _alone(written: str) -> bool:
    """Whether an office and no sentence about one fills a line."""
    return _is_office(written) and not words("verbs").intersection(map(fold, _WORD.findall(written)))


def _is_name(written: str, *, everyday: bool) -> bool:
    """Whether every whole word of it may be part of a name, and none is an office; in capitals or reversed, one is a given name."""
    pieces = re.split(r",?\s+", written)
    if (written.isupper() or "," in written) and not words("given_names").intersection(map(fold, pieces)):
        return False
    if written.isupper():
        pieces = [piece.title() for piece in pieces]
    if any(fold(piece.strip(".")) in words("titles") for piece in pieces):
        return False
    parts = [part for part in pieces if len(part) > 2 and not part.endswith(".") and not part.islower()]
    if len(parts) > 1 and _short_given(parts[0]) and fold(parts[1]) not in words("per_what"):
        parts = parts[1:]
    return bool(parts) and all(
        hyphened_given(part) or (nameable(part, everyday=not everyday) and fold(part) not in words("roles"))
        for part in parts
    )


def _before_prose(written: str) -> int:
    """How long the surname is that a word of medicine follows: "leg läk Åkerlund Knäprotes"."""
    first, *rest = written.split()
    named = len(rest) == 1 and medical(fold(rest[0])) and nameable(first, everyday=False)
    return len(first) if named else 0


def _short_given(raw: str) -> bool:
    """Whether a given name is a word of prose as well: "Per", "Jan"; "Hans" is "his", too."""
    return raw.istitle() and (fold(raw) in words("given_short") or raw == "Hans")
