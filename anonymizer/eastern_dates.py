"""Finds dates as Chinese, Japanese and Korean write them, and writes them anew some days later in the same form.

Years of the common era, of the Japanese eras and of the Republic (民國), in digits or in Chinese numerals; durations ("2年3个月",
"3개월") are none. The letters of the eras ("S33.1.30") tell a date only in a Japanese text, or when it is the date of birth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from anonymizer.written_dates import FoundDate, century, moved, real_date

#: An era to the year before its first, its first day and its last.
_ERAS = {
    "明治": (1867, date(1868, 1, 1), date(1912, 7, 30)),
    "大正": (1911, date(1912, 7, 30), date(1926, 12, 25)),
    "昭和": (1925, date(1926, 12, 25), date(1989, 1, 7)),
    "平成": (1988, date(1989, 1, 8), date(2019, 4, 30)),
    "令和": (2018, date(2019, 5, 1), date(9999, 12, 31)),
    "民國": (1911, date(1912, 1, 1), date(9999, 12, 31)),
}
_SAME = {"民国": "民國", "M": "明治", "T": "大正", "S": "昭和", "H": "平成", "R": "令和"}
_REPUBLIC = range(100, 200)  # a year of three digits is the Republic's
_NUMERALS = "〇零○一二三四五六七八九十"
_ERA = r"(?:明治|大正|昭和|平成|令和|民[國国]|(?<![A-Za-z])[MTSHR](?=\d))"
_YEAR = rf"(?:\d{{2,4}}|[{_NUMERALS}]{{2,4}})"
_TOLD = rf"(?:\d\d?|[{_NUMERALS}]{{1,3}})"
_SIGNS = re.compile(
    rf"""(?<!\d)(?:
      (?:(?P<era>{_ERA})(?P<g1>\s?)(?P<ey>\d\d?|元|[{_NUMERALS}]{{1,3}})|(?P<y>{_YEAR}))(?P<g2>\s?年\s?)
      (?P<m>{_TOLD})(?P<g3>\s?月(?:份)?)
      (?:(?P<g4>\s?)(?P<d>{_TOLD})(?:\s?[日号號]|(?<!\s\d)(?<!\s\d\d)(?=$|[\s;)\]、。；）]|[.,:](?!\d))))?
    | (?P<ym>{_TOLD})(?P<g5>\s?月\s?)(?P<yd>{_TOLD})\s?[日号號]
    )""",
    re.VERBOSE,
)
_HANGUL = re.compile(
    r"""(?<!\d)(?:
      (?P<y>\d{4}|\d\d)(?P<g2>\s?년\s{0,2})(?P<m>\d\d?)(?P<g3>\s?월)(?:(?P<g4>\s{0,2})(?P<d>\d\d?)\s?일)?
    | (?P<ym>\d\d?)(?P<g5>\s?월\s{0,2})(?P<yd>\d\d?)\s?일
    )""",
    re.VERBOSE,
)
_LETTERS = re.compile(
    r"(?<![A-Za-z\d.])(?P<era>[MTSHR])(?P<g1>\.?\s?)(?P<ey>\d\d?)(?P<g2>[./\-])(?P<m>\d\d?)(?P<g3>(?P=g2))(?P<d>\d\d?)(?![\d]|[./\-]\d|[A-Za-z%])"
)
#: "1958年1月30日生", never "3月5日生化检查".
_BORN = re.compile(r"\s?(?:出生|生まれ|생(?![\uac00-\ud7a3])|생(?=입니다|이고|인)|生(?![\u3400-\u9fff]))")
EASTERN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_PARTS = (("ey", "e"), ("y", "y"), ("m", "m"), ("ym", "m"), ("d", "d"), ("yd", "d"))
_PLACES = "〇一二三四五六七八九"
_LEAPLESS = 2023  # a year without 29 February, for a day and a month without their year


@dataclass(frozen=True, slots=True)
class EasternDates:
    """Finds and moves such dates, for one case."""

    born: frozenset[date]
    shift: timedelta

    def find(self, text: str) -> Iterator[FoundDate]:
        """All of a text."""
        for sign, pattern in (("月", _SIGNS), ("월", _HANGUL)):
            for match in pattern.finditer(text) if sign in text else ():
                if found := self._told(match, match.groupdict()):
                    yield found
        if any(letter in text for letter in "MTSHR"):
            japanese = _JAPANESE.search(text) is not None
            for match in _LETTERS.finditer(text):
                found = self._told(match, match.groupdict())
                if found and (found.born or (japanese and _sure(match))):
                    yield found

    def _told(self, match: re.Match[str], told: dict[str, str | None]) -> FoundDate | None:
        written = {part: old for group, part in _PARTS if (old := told.get(group))}
        era = _SAME.get(told.get("era") or "", told.get("era") or "")
        years = _years(written, era)
        month, day = _number(written["m"]), _number(written.get("d", "15"))
        exact = real_date(years[0], month, day) if years and 0 < month < 13 else None
        if exact is None:
            return None
        later = moved(exact, self.shift)
        dated = bool(written.keys() & {"e", "y"})
        if dated and "d" in written:
            born = later in self.born or any(real_date(year, month, day) in self.born for year in years)
        else:
            born = dated and any((one.year, one.month) == (exact.year, exact.month) for one in self.born)
        shifted = _written(match, written, era, later)
        announced = dated and _BORN.match(match.string, match.end()) is not None
        return FoundDate(*match.span(), shifted, born, exact if dated and "d" in written else None, announced)


def birth_forms(born: date) -> tuple[str, ...]:
    """The likeliest ways to write a date of birth in these scripts, to look for in bytes."""
    eras = {era: born.year - before for era, (before, first, last) in _ERAS.items() if first <= born <= last}
    years = [f"{born.year}年", *(f"{era}{year}年" for era, year in eras.items())]
    days = (f"{born.month}月{born.day}日", f"{born:%m}月{born:%d}日")
    hangul = (f"{born.year}년 {born.month}월 {born.day}일", f"{born:%Y}년 {born:%m}월 {born:%d}일")
    return tuple(dict.fromkeys((*(year + day for year in years for day in days), *hangul)))


def _years(written: dict[str, str], era: str) -> tuple[int, ...]:
    """The years of the common era that a year so written may be, the likeliest first; none for a duration."""
    if "e" in written:
        return (_ERAS[era][0] + _number(written["e"]),)
    if "y" not in written:
        return (_LEAPLESS,)
    year = _number(written["y"])
    if year < _REPUBLIC.stop and "d" not in written:
        return ()  # "10年3月" lasts so long
    if year in _REPUBLIC:
        return (_ERAS["民國"][0] + year,)
    if year < 100:
        return (century(year), 1900 + year, 2000 + year, *(before + year for before, *_ in _ERAS.values()))
    return (year,) if 1867 < year < 2100 else ()


def _sure(match: re.Match[str]) -> bool:
    """Whether letters and numbers in a Japanese text are a day of an era, no vertebrae or ribs ("S1/2/3")."""
    before, first, last = _ERAS[_SAME[match["era"]]]
    read = real_date(before + int(match["ey"]), int(match["m"]), int(match["d"]))
    long = match["g2"] == "." or len(match["ey"]) > 1
    return long and read is not None and first <= read <= last


def _written(match: re.Match[str], written: dict[str, str], era: str, later: date) -> str:
    """The moved date with the signs of the old one; in the common era when it left the old one's."""
    text, at = match.string, match.start()
    values = {"m": later.month, "d": later.day, "y": later.year}
    if "e" in written:
        before, first, last = _ERAS[era]
        values["e"] = later.year - before if first <= later <= last else 0
    elif "y" in written and (told := _number(written["y"])) < _REPUBLIC.stop:
        values["y"] = later.year - 1911 if told in _REPUBLIC else later.year % 100
    padded = any(written.get(part, "").startswith("0") for part in "md")
    pieces = []
    for group, part in _PARTS:
        if match.groupdict().get(group) is None:
            continue
        old = written[part]
        if values[part]:
            width = len(old) if part == "y" else 1 + padded
            pieces += [text[at : match.start(group)], _like(values[part], old, width=width)]
        else:  # 平成31年 goes on as 2019年
            pieces.append(_like(later.year, "〇〇" if old[0] in _PLACES else "0", width=4))
        at = match.end(group)
    return "".join([*pieces, text[at : match.end()]])


def _number(old: str) -> int:
    """The value of digits, of 元 (the first year), of Chinese numerals by their places (一九七六) or with tens (二十三)."""
    if old.isdecimal():
        return int(old)
    if old == "元":
        return 1
    if "十" in old:
        tens, _, ones = old.partition("十")
        return 10 * (_number(tens) if tens else 1) + (_number(ones) if ones else 0)
    return int("".join(str(max(0, _PLACES.find(sign))) for sign in old))


def _like(value: int, old: str, *, width: int) -> str:
    """A number in digits or numerals, as the old one was."""
    if old.isdecimal() or (old == "元" and value > 1):
        return f"{value:0{width}d}"
    if old == "元":
        return old
    if len(old) > 1 and "十" not in old:
        return "".join(_PLACES[int(sign)] for sign in str(value))
    tens, ones = divmod(value, 10)
    ten = "" if not tens else "十" if tens == 1 else f"{_PLACES[tens]}十"
    return ten + (_PLACES[ones] if ones else "")
