"""Finds dates in prose, in digits and with month names of a dozen languages, and writes them anew some days later.

A date that may be the date of birth is reported as such; times of day are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta

from anonymizer.eastern_dates import EASTERN, EasternDates
from anonymizer.folding import fold
from anonymizer.month_rows import MonthRows, whole_name
from anonymizer.rough_dates import RoughDates
from anonymizer.words import rows
from anonymizer.written_dates import FoundDate, cased, century, digits, is_birth, moved, reading, real_date

_YEAR = r"(?:18|19|20)\d\d"
_NUMERIC = re.compile(
    rf"""(?<!\d)(?<!\d[.,/\-])(?:
      (?P<y1>{_YEAR})(?P<s1>\.\ |[-./\u2010-\u2015]|)(?P<m1>\d\d?)(?P=s1)(?P<d1>\d\d?)(?:(?!\d)|(?=[012]\d[0-5]\d[0-5]\d(?!\d)))(?!(?!(?<=\d{{8}})-[012]\d[0-5]\d(?:[0-5]\d)?(?!\d))[.,/\-]\d)
    | (?<![A-Za-z])(?P<a>\d\d?)(?P<s2>[-./]|\.\ )(?P<b>\d\d?)(?P=s2)(?P<c>{_YEAR}|\d\d)(?!\d)(?![.,/\-]\d)
    | (?<![A-Za-z])(?P<d3>\d\d?)(?P<s3>/)(?P<m3>\d\d?)(?P<t3>[ \-]{{1,3}})(?P<y3>{_YEAR}|(?<=-)\d\d)(?!\d)(?![.,/\-]\d)
    )""",
    re.VERBOSE,
)
_DAY_BEFORE = re.compile(
    r"(?<![\d.,/:])(?P<d>\d\d?)(?P<o>st|nd|rd|th|:[ea]|\.|er|[º°oª](?=\s)|-го|ης|η)?(?P<g>[\s\-./]*(?:(?:of|de|den)\s+|d['’]\s*)?)$",
    re.IGNORECASE,
)
_YEAR_BEFORE = re.compile(rf"(?<!\d)(?P<y>{_YEAR})(?P<g>[\s\-./,]{{1,3}})$")
_YEAR_AFTER = re.compile(
    rf"(?P<g>\.?[\s\-,/]{{0,3}}(?:(?:de|del|of)\s+)?)(?P<y>{_YEAR})(?!\d)|(?P<g2>\s?[\-/'’]|)(?P<y2>\d\d)(?![\d:%]|[.,]\d)",
    re.IGNORECASE,
)
_DAY_AFTER = re.compile(
    rf"(?P<g>\.?[\s\-]{{1,3}})(?P<d>\d\d?)(?P<o>st|nd|rd|th)?(?!\s?(?:[cm]m|mg|ml|g|kg|%|x|:))(?![\d:.])(?:(?P<h>[\s,\-]{{1,3}})(?P<y>{_YEAR})(?!\d)|\s?['’](?P<y2>\d\d)(?!\d))?",
    re.IGNORECASE,
)
_ROMAN = re.compile(
    rf"(?<![\w.,/\-])(?P<d>\d\d?)(?:\.\s?|[\s/\-])(?P<m>[IVX]{{1,4}})(?:\.\s?|[\s/\-])(?P<y>{_YEAR})(?!\d)"
)
_ROMAN_MONTHS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_VERSION = re.compile(r"(?:version|ver|v|rel|release|rev|build)\.?\s*$", re.IGNORECASE)
_WINDOW = 16
_FULL = 5
#: Short months that are words, too: "3 years ago 1990", "sie 2020 operiert wurde".
_NO_MONTHS_ALONE = frozenset({"may", "ago", "sie", "lip", "kas", "ara", "tem"})
_LEAPLESS = 2023  # a year without 29 February, for a day and a month without their year


def _birth_forms(born: Iterable[date]) -> re.Pattern[str] | None:
    """The month of birth in digits, and the day of birth as ISO 8601 counts weeks and days of the year."""
    forms: set[str] = set()
    for one in born:
        year, week, weekday = one.isocalendar()
        forms |= {
            rf"{one:%Y[-./]%m}(?![\w]|[-./]\d)",
            rf"{one:%m[-./]%Y}(?![\w]|[-./]\d)",
            rf"{one.month}/{one.year}(?!\d)",
            rf"{year}-?W{week:02d}(?:-?{weekday})?(?!\d)",
            rf"{one:%Y}-?{one:%j}(?!\d)",
        }
    return (
        re.compile(rf"(?<![\w])(?<![\d][-./])(?:{'|'.join(sorted(forms, key=len, reverse=True))})")
        if forms
        else None
    )


class DateFinder:
    """Finds and shifts dates by one number of days, for one case."""

    def __init__(self, born: Iterable[date], shift_days: int) -> None:
        self.born = frozenset(born)
        self.shift = timedelta(days=shift_days)
        self._birth_forms = _birth_forms(self.born)
        self._eastern = EasternDates(self.born, self.shift)
        self._today = date.today()  # noqa: DTZ011 - only to tell 24 March 2012 from 12 March 2024
        self._rough = RoughDates(self.born, self.shift, self._today)

    def find(self, text: str, month_words: list[tuple[int, int]]) -> list[FoundDate]:
        """All dates of a text; ``month_words`` are the places of words that may be months."""
        eastern = EASTERN.search(text) is not None
        numeric = (self._numeric(text, match, eastern=eastern) for match in _NUMERIC.finditer(text))
        found = [date_ for date_ in numeric if date_]
        if "I" in text or "V" in text or "X" in text:
            found += [date_ for match in _ROMAN.finditer(text) if (date_ := self._roman(text, match))]
        found += [*self._eastern.find(text), *self._rough.find(text)]
        if self._birth_forms:
            found += [
                FoundDate(*match.span(), match.group(), born=True)
                for match in self._birth_forms.finditer(text)
            ]
        if month_words:
            months = MonthRows(text, month_words)
            taken = 0
            for start, end in month_words:
                date_ = self._named(text, start, end, months, taken) if start >= taken else None
                if date_:
                    found.append(date_)
                    taken = date_.end
        return found

    # -- digits ---------------------------------------------------------------------------------------------------
    def _numeric(self, text: str, match: re.Match[str], *, eastern: bool) -> FoundDate | None:
        if match["y1"]:
            if not match["s1"] and (len(match["m1"]), len(match["d1"])) != (2, 2):
                return None
            readings = [reading(match["y1"], match["m1"], match["d1"])]
            order = [("y1", "y"), ("m1", "m"), ("d1", "d")]
            orders = [order]
        elif match["a"]:
            versioned = _VERSION.search(text, max(0, match.start() - _WINDOW), match.start())
            if len(match["c"]) == 2 and ((match["s2"] == ". " and not eastern) or versioned):
                return None
            orders = [_ORDERS[name] for name in _two_digit_orders(match, eastern=eastern)]
            readings = [reading(*(match[_field(order, part)] for part in "ymd")) for order in orders]
        else:
            orders = [[("d3", "d"), ("m3", "m"), ("y3", "y")], [("m3", "d"), ("d3", "m"), ("y3", "y")]]
            readings = [
                reading(match["y3"], match["m3"], match["d3"]),
                reading(match["y3"], match["d3"], match["m3"]),
            ]
        valid = [(order, read) for order, read in zip(orders, readings, strict=True) if read]
        if not valid:
            return None
        born = any(is_birth(read, self.born, short=_short_year(match, order)) for order, read in valid)
        order, read = valid[0]
        if match["s2"] == "." and order is _ORDERS["ymd"] and not (born or eastern):
            return None
        if match["s2"] == "-" and _short_year(match, order):
            order, read = min(valid, key=lambda pair: (pair[1] > self._today, abs(pair[1] - self._today)))
        later = moved(read, self.shift)
        written, at = [], match.start()
        padded = all(len(match[group]) > 1 for group, _ in order)
        for group, part in sorted(order, key=lambda pair: match.start(pair[0])):
            written += [text[at : match.start(group)], digits(later, part, match[group], padded=padded)]
            at = match.end(group)
        written.append(text[at : match.end()])
        return FoundDate(match.start(), match.end(), "".join(written), born or later in self.born, read)

    def _roman(self, text: str, match: re.Match[str]) -> FoundDate | None:
        """A date whose month is a Roman number, as in Polish and Italian letters."""
        month = _ROMAN_MONTHS.index(match["m"]) + 1 if match["m"] in _ROMAN_MONTHS else 0
        read = reading(match["y"], str(month), match["d"])
        if read is None:
            return None
        later = moved(read, self.shift)
        day = digits(later, "d", match["d"], padded=match["d"].startswith("0"))
        between = text[match.end("d") : match.start("m")], text[match.end("m") : match.start("y")]
        written = f"{day}{between[0]}{_ROMAN_MONTHS[later.month - 1]}{between[1]}{later.year}"
        return FoundDate(match.start(), match.end(), written, read in self.born or later in self.born, read)

    # -- month names ----------------------------------------------------------------------------------------------
    def _named(self, text: str, start: int, end: int, months: MonthRows, taken: int) -> FoundDate | None:
        """The date around a month's name; what stands before ``taken`` is of the date before."""
        end, places = months.readings(start, end)
        word = text[start:end]
        parts: list[tuple[int, int, str]] = [(start, end, "m")]
        offset = max(taken, start - _WINDOW)
        before = text[offset:start]
        day_before = _DAY_BEFORE.search(before)
        year_before = None if day_before else _YEAR_BEFORE.search(before)
        day = year = 0
        after = _YEAR_AFTER.match(text, end)
        follow = None if day_before else _DAY_AFTER.match(text, end)
        if (after and after["y"]) or (follow and follow["y"]):
            year_before = None  # "v. 10 2019, oktober 2019": its own year is behind it
        if day_before and 0 < int(day_before["d"]) < 32:
            day = int(day_before["d"])
            parts.append(
                (
                    offset + day_before.start("d"),
                    offset + (day_before.end("o") if day_before["o"] else day_before.end("d")),
                    "d",
                )
            )
        if year_before:
            year = int(year_before["y"])
            parts.append((offset + year_before.start("y"), offset + year_before.end("y"), "y"))
        if after and not year and (after["y"] or _short_year_behind(after, word, end, day=day)):
            group = "y" if after["y"] else "y2"
            year = int(after[group])
            parts.append((after.start(group), after.end(group), "y"))
        elif not day and follow and 0 < int(follow["d"]) < 32:
            written = "y" if follow["y"] else "y2"
            if not (year or follow[written] or follow["o"] or (word[:1].isupper() and len(word) > 3)):
                return None
            day = int(follow["d"])
            parts.append((follow.start("d"), follow.end("o") if follow["o"] else follow.end("d"), "d"))
            if follow[written] and not year:
                year = int(follow[written])
                parts.append((follow.start(written), follow.end(written), "y"))
        if not day and (not year or (fold(word) in _NO_MONTHS_ALONE and word.islower())):
            return None
        dates = (self._write(text, sorted(parts), row, (year, month, day)) for row, month in places)
        read = [date_ for date_ in dates if date_]
        return next((date_ for date_ in read if date_.born), read[0] if read else None)

    def _write(
        self, text: str, parts: list[tuple[int, int, str]], row: int, read: tuple[int, int, int]
    ) -> FoundDate | None:
        year, month, day = read
        full = year if year > 99 else (century(year) if any(part == "y" for *_, part in parts) else _LEAPLESS)
        exact = real_date(full, month, day or 15)
        if exact is None:
            return None
        has_year = any(part == "y" for *_, part in parts)
        if day and has_year:
            born = is_birth(exact, self.born, short=year < 100)
        else:
            born = has_year and any((exact.year, exact.month) == (one.year, one.month) for one in self.born)
        later = moved(exact, self.shift)
        names = rows("months")[row][1]
        written, at = [], parts[0][0]
        for start, end, part in parts:
            old = text[start:end]
            new = (
                cased(names[later.month - 1], old)
                if part == "m"
                else digits(later, part, old, padded=old[:1] == "0")
            )
            written += [text[at:start], new]
            at = end
            if (
                part == "m"
                and start < parts[-1][0]
                and text[end : end + 1] == "."
                and whole_name(row, later.month)
            ):
                at += 1
        return FoundDate(
            parts[0][0],
            parts[-1][1],
            "".join(written),
            born or bool(day and has_year and later in self.born),
            exact if day and has_year else None,
        )


_ORDERS = {
    "ymd": [("a", "y"), ("b", "m"), ("c", "d")],
    "dmy": [("a", "d"), ("b", "m"), ("c", "y")],
    "mdy": [("a", "m"), ("b", "d"), ("c", "y")],
}


def _short_year_behind(after: re.Match[str], word: str, end: int, *, day: int) -> bool:
    """Whether two digits behind a month are its year: "12 mars 85", "mars -19", "mar-19"; "mars 10" and "March-15" are days."""
    told = after["g2"]
    if day:
        return bool(told) or after.start("y2") == end
    if after.string[after.end() : after.end() + 1] in ("-", "/") or not told:
        return False
    return told[-1] in "'’" or told == " -" or (told == "-" and len(word) < _FULL)


def _two_digit_orders(match: re.Match[str], *, eastern: bool) -> tuple[str, ...]:
    if len(match["c"]) == 4:
        return ("dmy", "mdy")
    if eastern:  # "58.1.30" and "21/3/5" begin with the year there
        return ("ymd", "dmy", "mdy")
    return {"-": ("ymd", "dmy", "mdy"), "/": ("dmy", "mdy", "ymd"), ".": ("dmy", "ymd")}[match["s2"]]


def _field(order: list[tuple[str, str]], part: str) -> str:
    return next(group for group, what in order if what == part)


def _short_year(match: re.Match[str], order: list[tuple[str, str]]) -> bool:
    return len(match[_field(order, "y")]) < 4
