"""Finds the known addresses and institutions of Chinese, Japanese and Korean cases inside text without spaces; it knows no other.

An address is told from its province to its flat ("東京都新宿区西新宿2-8-1"), or from any of its parts on, with the numbers behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from anonymizer.eastern_dates import EASTERN
from anonymizer.folding import Normal
from anonymizer.known import Known

_NUMERAL = "〇一二三四五六七八九十百"
_UNIT = r"(?:丁目|番地|番|号楼|號樓|号院|号室|号|號|栋|棟|幢|座|单元|單元|室|楼|樓|层|層|弄|巷|街|組|班|段|번지|번길|번|호|동|층|가)"
#: Where the parts of an address end: province, city, district, town, road.
_ENDS = "省市州盟都道府県县區区郡町村镇鎮乡鄉路街巷弄도시군구읍면동리로길"
_PART = re.compile(
    rf"\S+?(?:特别行政区|自治区|街道|大道|大街|胡同|특별자치도|특별자치시|특별시|광역시|대로|[{_ENDS}])(?![{_ENDS}]|大街|大道)|\S+"
)
_RUN = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]{2,120}")
_TAIL = re.compile(
    rf"[\s,、]{{0,2}}(?:第|제|지하)?(?P<n>\d{{1,5}}|[{_NUMERAL}]{{1,4}}(?={_UNIT}))(?P<u>\s?{_UNIT}|(?=\s?[\-の之−ー~]\s?\d)|)(?:[\-の之−ー~](?=\d))?"
)
_UNITS = re.compile(rf"[{_NUMERAL}]*{_UNIT}")
_OF_TOWN = re.compile(r"^\S{1,4}?[市县縣區区]")
_POSTCODE = re.compile(r"〒\s?\d{3}[\-\s]?\d{4}(?!\d)")
_NEXT = re.compile(r"[\s,、の]{0,2}")
#: Words of an address that are words of anatomy and of prose too: they go only beside another part.
_COMMON = frozenset(("中央区", "中央區", "中心区", "中央部", "周辺区", "移行区"))
_LONG = 3
_MOST = 8


class EasternPlaces:
    """The addresses and institutions of `Known` in these scripts, compiled."""

    def __init__(self, known: Known) -> None:
        parts: set[str] = set()
        numbers: set[str] = set()
        for address in known.addresses:
            for text in (address.region, address.city, address.street):
                if EASTERN.search(text):
                    plain = _POSTCODE.sub("", Normal(text).text)
                    parts.update(*map(_told, _RUN.findall(plain)))
                    numbers |= set(re.findall(r"\d+", plain))
        self._numbers = frozenset(numbers)
        self._parts = _either(parts)
        told = (known.institutions, (person.institution for person in known.people))
        names = {Normal(text).text for several in told for text in several if EASTERN.search(text)}
        names |= {_OF_TOWN.sub("", name) for name in names if len(name) > 2 * _LONG}
        self._institutions = _either(name for name in names if len(name) > _LONG)

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where they stand: start, end, kind."""
        if self._institutions:
            yield from ((*match.span(), "institution") for match in self._institutions.finditer(text))
        if "〒" in text:
            yield from ((*match.span(), "address") for match in _POSTCODE.finditer(text))
        if not self._parts:
            return
        run: list[re.Match[str]] = []
        for match in self._parts.finditer(text):
            if run and not _NEXT.fullmatch(text, run[-1].end(), match.start()):
                yield from self._settled(text, run)
                run = []
            run.append(match)
        yield from self._settled(text, run)

    def _settled(self, text: str, run: list[re.Match[str]]) -> Iterator[tuple[int, int, str]]:
        """Parts that stand together, with their numbers, if they are more than one word of prose."""
        if not run:
            return
        end = self._numbers_end(text, run[-1].end())
        lone = run[0].group()
        if len(run) > 1 or end > run[-1].end() or (len(lone) >= _LONG and lone not in _COMMON):
            yield run[0].start(), end, "address"

    def _numbers_end(self, text: str, at: int) -> int:
        """Where the numbers of the house and the flat end; the first is a known one or has a word for houses behind it."""
        for count in range(_MOST):
            tail = _TAIL.match(text, at)
            if not tail or text[tail.end() : tail.end() + 1] in ("月", "年", "日", "월", "년", "일", "."):
                break
            known = tail["n"] in self._numbers
            if not known and not (tail["u"] or (count and text[at - 1] in "-の之−ー~")):
                break
            at = tail.end()
        return at


def _told(run: str) -> Iterator[str]:
    """An address without its numbers: whole, from each of its parts on, and each part."""
    starts = [part.span() for part in _PART.finditer(run)]
    for start, end in starts:
        for part in (run[start:], run[start:end]):
            if len(part) > 1 and not _UNITS.fullmatch(part):
                yield part


def _either(parts: Iterable[str]) -> re.Pattern[str] | None:
    found = sorted(set(parts), key=lambda part: (-len(part), part))
    return re.compile("|".join(map(re.escape, found))) if found else None
