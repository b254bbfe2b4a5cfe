"""Finds dates told in digits less plainly than by day, month and year, and writes them anew: months, weeks, six bare digits.

"20190304-20190309" is two days, "2019-03" and "03/2019" are months, "v. 10 2019" and "KW 12/2021" weeks; "us 190306" is a day only behind the word that says so.
Measures, versions and numbers of cases are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from anonymizer.written_dates import FoundDate, century, moved, real_date

_YEAR = r"(?:19|20)\d\d"
#: What a text must hold for a month or a week, and for a day, to be looked for.
_FOUR = re.compile(r"(?:19|20)\d\d(?!\d)")
_TWO = re.compile(r"\d[-/\u2010-\u2015]\d{1,4}[-./]?\d\d?[-./]?\d\d")
_SPAN = re.compile(
    rf"(?<![\w.,/\-])(?:(?P<y>{_YEAR})(?P<s>[-./]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d)(?P<g>[-/\u2010-\u2015])(?P<y2>{_YEAR})(?P=s)(?P<m2>\d\d)(?P=s)(?P<d2>\d\d)"
    rf"|(?P<e>\d\d?)\.(?P<n>\d\d?)\.(?P<z>{_YEAR})(?P<h>[-\u2010-\u2015])(?P<e2>\d\d?)\.(?P<n2>\d\d?)\.(?P<z2>{_YEAR}))(?![\w]|[.,/\-]\d)"
)
_DAY = re.compile(r"\s\d{6}(?!\d)")
_NO_UNIT = r"(?!\s?(?:[cm]m|[mu]?l|[mk]?g|%|HU|st|x)\b)"
_ALONE = rf"(?![\w]|[.,:][\w]|[-/\u2010-\u2015]\w){_NO_UNIT}"
_MONTH = re.compile(
    rf"""(?<![\w])(?<![\w\]][.,:/\-\u2010-\u2015#])(?<![#+\-])(?:
      (?P<y>{_YEAR})(?P<g>[-/])(?P<m>0[1-9]|1[0-2])
    | (?P<m2>0[1-9]|1[0-2])(?P<g2>[/\-])(?P<y2>{_YEAR})
    | (?P<m3>0[1-9]|1[0-2])(?P<g3>\.)(?P<y3>{_YEAR})
    ){_ALONE}(?!\s\d\d\d?[\s\-]\d\d)""",
    re.VERBOSE,
)
_WEEKS = r"v|vecka|kw|woche|uke|uge|week|wk|vk|viikko|sem|semaine|semana|tydzień|tydz|нед|неделя"
#: Behind these no month stands: a number of a case, a version, a week.
_NO_MONTH = re.compile(
    rf"(?<![^\W_])(?:nr|no|nº|n°|№|nummer|number|id|dnr|ref|iso|en|din|version|ver|rel|release|rev|build|protocol|protokoll|prot|{_WEEKS})\.?:?\s{{0,2}}$",
    re.IGNORECASE,
)
#: "10.2019" may be a measure: a month behind these only.
_WHEN = re.compile(
    r"(?<![^\W_])(?:am|ab|in|im|od|do|op|le|du|en|dal|nel|vom|von|bis|seit|since|from|fr|från|sedan|w|в|с|до|от)\.?\s$",
    re.IGNORECASE,
)
_WEEK = re.compile(
    rf"(?<![^\W_])(?:{_WEEKS})\.?\s?(?P<w>\d\d?)(?P<g>[ /.,\-]{{1,2}}|\s(?:of|av|de|i)\s)(?P<y>{_YEAR}){_ALONE}",
    re.IGNORECASE,
)
_ISO_WEEK = re.compile(
    rf"(?<![\w.,/\-])(?P<y>{_YEAR})(?P<g>-?[Ww]|\s(?:v|vecka|KW|uke|uge|week|wk)\.?\s)(?P<w>\d\d)(?!\w|-\w)"
)
#: What was done or compared on a day, and the side of it: behind it six digits are that day, as "190306".
_DONE = (
    "us usn unders undersökt undersökning undersökningen rtg röntgen rx dt ct mr mrt mri pet spect ul eko mammo mammografi skint angio op opererad opererades "
    "jfr jmf jämför jämfört med från fr den dat datum date dated sedan tom fom t.o.m f.r.o.m kontroll remiss besök inlagd utskriven "
    "sign diktat pad untersuchung vom am bis seit undersøkelse undersøgelse tatt taget tutk kuvattu vä hö dx sin vänster höger bilat li re since from prior exam compared"
)
_SIX = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(sorted((re.escape(word) for word in _DONE.split()), key=len, reverse=True))})[.:]?\s{{1,2}}(?P<y>\d\d)(?P<m>[01]\d)(?P<d>[0-3]\d){_ALONE}(?!\s\d)",
    re.IGNORECASE,
)
_OLDEST = 1985  # older pictures are told in words


@dataclass(frozen=True, slots=True)
class RoughDates:
    """Finds and moves such dates, for one case."""

    born: frozenset[date]
    shift: timedelta
    today: date

    def find(self, text: str) -> Iterator[FoundDate]:
        """All of a text."""
        dated = _FOUR.search(text) is not None
        for match in _MONTH.finditer(text) if dated else ():
            if found := self._month(text, match):
                yield found
        for match in _SPAN.finditer(text) if _TWO.search(text) else ():
            yield from self._span(match)
        for pattern in (_WEEK, _ISO_WEEK) if dated else ():
            for match in pattern.finditer(text):
                if found := self._week(text, match):
                    yield found
        for match in _SIX.finditer(text) if _DAY.search(text) else ():
            read = real_date(century(int(match["y"])), int(match["m"]), int(match["d"]))
            if read and read.year > _OLDEST and read <= self.today:
                later = moved(read, self.shift)
                yield FoundDate(match.start("y"), match.end(), f"{later:%y%m%d}", later in self.born, read)

    def _span(self, match: re.Match[str]) -> Iterator[FoundDate]:
        """From one day to another, without a space between: "20190304-20190309", "04.03.2019-09.03.2019"."""
        for year, month, day in (("y", "m", "d"), ("y2", "m2", "d2"), ("z", "n", "e"), ("z2", "n2", "e2")):
            read = real_date(*map(int, match.group(year, month, day))) if match[year] else None
            if read is None:
                continue
            later = moved(read, self.shift)
            if year[0] == "y":
                written = match["s"].join((f"{later:%Y}", f"{later:%m}", f"{later:%d}"))
            else:
                padded = len(match[day]) > 1 and len(match[month]) > 1
                written = f"{later:%d.%m.%Y}" if padded else f"{later.day}.{later.month}.{later.year}"
            start, end = min(match.start(year), match.start(day)), max(match.end(year), match.end(day))
            yield FoundDate(start, end, written, read in self.born or later in self.born, read)

    def _month(self, text: str, match: re.Match[str]) -> FoundDate | None:
        if _NO_MONTH.search(text, max(0, match.start() - 16), match.start()):
            return None
        if (
            match["m3"]
            and match["m3"] > "09"
            and not _WHEN.search(text, max(0, match.start() - 8), match.start())
        ):
            return None
        year, month = match["y"] or match["y2"] or match["y3"], match["m"] or match["m2"] or match["m3"]
        middle = date(int(year), int(month), 15)
        later = moved(middle, self.shift)
        between = match["g"] or match["g2"] or match["g3"]
        written = f"{later:%Y}{between}{later:%m}" if match["y"] else f"{later:%m}{between}{later:%Y}"
        return FoundDate(*match.span(), written, self._of_birth(middle))

    def _week(self, text: str, match: re.Match[str]) -> FoundDate | None:
        try:
            thursday = date.fromisocalendar(int(match["y"]), int(match["w"]), 4)
        except ValueError:
            return None
        year, week, _ = moved(thursday, self.shift).isocalendar()
        old = match["w"]
        told = f"{week:02d}" if len(old) > 1 and (old[0] == "0" or match.re is _ISO_WEEK) else str(week)
        first, last = sorted(("y", "w"), key=match.start)
        parts = {"y": f"{year:04d}", "w": told}
        start = match.start(first)
        return FoundDate(
            start,
            match.end(),
            f"{parts[first]}{text[match.end(first) : match.start(last)]}{parts[last]}",
            False,
        )

    def _of_birth(self, month: date) -> bool:
        return any((one.year, one.month) == (month.year, month.month) for one in self.born)
