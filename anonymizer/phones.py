"""Finds phone numbers nobody told us of, by how countries write them or by the word before them; known ones are `numbers`'s.

Versions, UIDs, measures, dates and times are none: what has neither a trunk code, nor brackets, nor a form of its own needs the word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

Found = tuple[int, int, str]
#: Scripts that put no space between a word and a number: a number may begin right behind them.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_PHONE = re.compile(
    rf"""(?<![^\W{_UNSPACED}])(?<![.,/+\-])(?:
      (?:\+|00)[1-9]\d{{0,2}}[\s\-.]{{0,2}}(?:\(0?\d{{0,4}}\)[\s\-.]{{0,2}})?\d(?:[\s\-.]{{0,2}}\d){{5,12}}
    | \(0\d{{1,4}}\)[\s\-]{{0,2}}\d(?:[ \-]{{0,2}}\d){{4,8}}
    | 0[1-9]\d{{0,3}}(?:\s?[-/\u2010-\u2015]\s?|\ )\d{{2,4}}(?:[ \-\u00a0]?\d{{2,4}}){{1,3}}
    | 07\d{{8}}
    | \(\d{{3}}\)\ ?\d{{3}}-\d{{4}}
    | \(\d\d\)\ ?\d{{4,5}}-\d{{4}}
    | 8(?:\ ?\(\d{{3,5}}\)\ ?|-\d{{3}}-)\d{{1,3}}-\d\d-\d\d
    | \d{{3}}-\d{{3}}-\d{{4}}
    | (?P<dotted>(?:1\.)?[2-9]\d\d\.[2-9]\d\d\.\d{{4}}
      | 0[1-9](?:\.\d\d){{4}}
      | (?!0\d\.\d\d\.(?:18|19|20)\d\d)0[1-9]\d{{0,3}}(?:\.\d{{2,4}}){{2,4}})
    )(?![\d])(?![.,]\d)""",
    re.VERBOSE,
)
#: The word for a phone in scripts that folding would make another word of ("τηλ" is no "til", "κιν" no "kin"), or that stands
#: unspaced in its sentence. Those of the other languages are labels.
_WORD = (
    r"(?<![^\W\d_])(?i:τηλ(?:[έε]φωνο)?|κιν(?:ητ[όο])?|φαξ|סלולרי|ה?טלפון|טל|ה?נייד|פקס|תלפון)"
    r"|(?<![^\W\d_])(?i:тел(?:ефон)?|моб(?:ильный)?|сот|факс)"
    r"|(?<![^\W\d_])(?:ال)?(?:هاتف|تليفون|تلفون|جوال|موبايل|محمول|فاكس)|(?<![^\W\d_])ت(?=\s?[:.])"
    r"|(?:联系|聯絡|联络|聯繫)?(?:电话|電話)(?:号码|號碼|番号)?|手机(?:号码?)?|手機(?:號碼?)?|座机|携帯(?:番号|電話)?|連絡先|联系方式|传真|傳真"
    r"|전화(?:번호)?|연락처|휴대(?:폰|전화)|핸드폰|팩스|โทร(?:ศัพท์)?|फ़ोन|फोन"
)
_SAID = re.compile(
    rf"(?:{_WORD})(?:는|은|が|は|为|為|是)?[\s:=.\-]{{0,4}}(?:(?:nr|no|№)\.?\s?)?"
    r"(?P<value>\+?\d{8,13}(?!\d)|\+?\(?\d(?:[ \-()/.\u00a0\u2010-\u2015]{0,2}\d){6,13})(?!\d)(?![.,]\d)"
)
#: Behind these a number is a phone's when it is grouped as one.
_CALLED = re.compile(
    r"(?<![^\W_])(?:(?:ph|phone|cell|pager|call|called|calls|ring|joignable\sau|llamar\sal?)[.:]?|[tm][.:])\s{0,2}"
    r"(?P<value>\(?[2-9]\d\d\)?[ .\-]?[2-9]\d\d[ .\-]?\d{4}|0\d(?:[ .\-/]?\d){7,9})(?!\d)(?![.,]\d)",
    re.IGNORECASE,
)
#: A Chinese mobile number, behind whatever word: 11 digits that begin as one.
_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])[:\s]{0,2}(?P<value>1[3-9]\d(?:[\s\-]?\d{4}){2})(?!\d|[.,]\d)")
_NUMBERED = re.compile(r"(?:version|ver|v|rel|release|rev|build|software|sw)\.?:?\s*$", re.IGNORECASE)
_SOME = re.compile(r"\d(?:[ \-()/.\u00a0\u2010-\u2015]{0,2}\d){6}")  # without it there is none
_LEAST, _LEAST_ABROAD, _LEAST_DOTTED = 7, 10, 9


def unknown_phones(text: str) -> Iterator[Found]:
    """Phone numbers, with their trunk or country code."""
    for match in _PHONE.finditer(text):
        written = match.group()
        least = _LEAST_ABROAD if written.startswith("00") else _LEAST_DOTTED if match["dotted"] else _LEAST
        versioned = match["dotted"] and _NUMBERED.search(text, max(0, match.start() - 12), match.start())
        if _size(written) >= least and not versioned and not _a_date(written):
            yield match.start(), match.end(), "phone"
    said = () if text.isascii() else (_SAID, _CHINESE)
    for pattern in (*said, _CALLED) if _SOME.search(text) else ():
        for match in pattern.finditer(text):
            if _size(match["value"]) >= _LEAST and not _a_date(match["value"]) and not _a_day(match["value"]):
                yield *match.span("value"), "phone"


def _size(written: str) -> int:
    return sum(sign.isdigit() for sign in written)


def _a_date(written: str) -> bool:
    """Whether what looks like a phone number reads as a date with its time, or as two dates."""
    match = re.match(r"(\d\d)[-/ ](\d\d)[-/ ]?(\d{4})(?!\d)", written)
    return match is not None and _real(match[3], match[2], match[1])


def _a_day(written: str) -> bool:
    """Whether a number behind the word is a day after all: "ringt 2019-03-06", "called 20190306", "06.03.2019"."""
    match = re.match(r"((?:19|20)\d\d)([-./ ]?)(\d\d)\2(\d\d)(?!\d)", written)
    if match and _real(match[1], match[3], match[4]):
        return True
    match = re.match(r"(\d\d?)([-./ ])(\d\d?)\2((?:19|20)\d\d)(?!\d)", written)
    return match is not None and (_real(match[4], match[3], match[1]) or _real(match[4], match[1], match[3]))


def _real(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
