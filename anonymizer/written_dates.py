"""Says what a date found in a text is told as, and writes moved numbers in the form of the old ones; it finds no dates itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

#: Endings of the first day alone: "1er mars", "1º de marzo" (which NFKC makes "1o"), "1° marzo".
_OF_THE_FIRST = frozenset({"er", "º", "ª", "°", "o", "a"})


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in a text: where it stands, how it reads when shifted, whether it may be the date of birth."""

    start: int
    end: int
    shifted: str
    born: bool
    read: date | None = None  # when it is exact: a day, a month and a year
    told: bool = False  # the words beside it say that somebody was born on it


def century(year: int) -> int:
    """The full year of two digits: not more than a year ahead of today."""
    this = date.today().year  # noqa: DTZ011 - the pivot of two-digit years needs no clock
    return year + (2000 if 2000 + year <= this + 1 else 1900)


def real_date(year: int, month: int, day: int) -> date | None:
    """The date of these numbers, or nothing when there is none."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def reading(year: str, month: str, day: str) -> date | None:
    """The date of these digits, of a year in two or four of them."""
    if len(year) == 1:
        return None
    return real_date(int(year) if len(year) == 4 else century(int(year)), int(month), int(day))


def moved(day: date, shift: timedelta) -> date:
    """The date so many days later; the same one at the ends of the calendar."""
    try:
        return day + shift
    except OverflowError:
        return day


def is_birth(read: date, born: Iterable[date], *, short: bool) -> bool:
    """Whether this is a date of birth; of a year in two digits, in whatever century."""
    return any(
        one == read
        or (short and (one.year % 100, one.month, one.day) == (read.year % 100, read.month, read.day))
        for one in born
    )


def digits(day: date, part: str, old: str, *, padded: bool) -> str:
    """The year, month or day ("y", "m", "d") of a date, written as its old digits were, with their ending."""
    number = re.match(r"\d+", old)
    size = len(number.group()) if number else 0
    if part == "y":
        return f"{day.year:04d}"[-size:] if size == 2 else f"{day.year:04d}"
    value = day.day if part == "d" else day.month
    written = f"{value:02d}" if padded else str(value)
    ending = old[size:]
    if ending.lower() in ("st", "nd", "rd", "th"):
        ending = "th" if 10 < value < 14 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    elif ending in (":e", ":a"):
        ending = ":a" if value % 10 in (1, 2) and value not in (11, 12) else ":e"
    elif ending.lower() in _OF_THE_FIRST and value != 1 and int(old[:size]) == 1:
        ending = ""
    return written + ending


def cased(name: str, like: str) -> str:
    """A month's name in the case of the old one."""
    if like.isupper():
        return name.upper()
    return name.capitalize() if like[:1].isupper() else name
