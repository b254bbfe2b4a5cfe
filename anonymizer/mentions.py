"""Finds people and institutions nobody told us of by the word beside them: a relative, an office, a given name, a hospital word.

A name here is capitalised, and none of its words is clinical, everyday or ends as words of medicine do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from anonymizer.folding import fold
from anonymizer.names import Token, eponym_after
from anonymizer.word_forms import medical
from anonymizer.words import spelled, words

_WORD = r"[^\W\d_]+(?:[-'’][^\W\d_]+)*"
_NEXT = re.compile(rf"[ \t]{{1,2}}({_WORD})")
_AFTER_BORN = re.compile(rf"(?:(?<=[Gg]eb)\.)?[ \t]{{1,2}}({_WORD})")
_AFTER_RELATION = re.compile(rf"(?:,?[ \t]{{1,2}}|[ \t]?:[ \t]{{1,2}}|[ \t]?\r?\n)(?:d['’])?({_WORD})")
_BEFORE = re.compile(rf"(?<![^\W_])({_WORD})[ \t]{{1,2}}$")
_SMALL = re.compile(
    r"[ \t]{1,2}(?:(?:im|imienia|им|имени|św|st|ste)\b\.?|de|del|de la|des|du|di|w|i|von|van|der|den)(?=[ \t])",
    re.IGNORECASE,
)
_NEVER = (
    "clinical",
    "function",
    "titles",
    "generic_institution",
    "street_words",
    "relations",
    "eponym_heads",
    "no_names",
    "makers",
)
_HYPHENED = re.compile(r"(?<![^\W_])[^\W\d_a-z][^\W\d_]+-$")
_MIDDLE = re.compile(r"(?:-[^\W\d_a-z][^\W\d_]+)?(?:[ ][^\W\d_a-z]\.?)?[ ]")
_MOST = 4
_LEAST = 3
_SHORT = 5
_PATRON = re.compile(r"(?:saint|sainte|st|ste|sankt|san|santa|santo|são)[-‐‑]", re.IGNORECASE)
_LONG_CODE = 6  # shorter words in capitals are abbreviations
_BY = re.compile(r"(?:(?<![^\W_])(?:av|by|af|von|par|por)[ ]|/[ ]?)$", re.IGNORECASE)
_NAMED_BEFORE = re.compile(r"(?<![^\W_])[^\W\d_a-z][^\W\d_]+,?[ ]\(?$")
_INITIALS = re.compile(r"[ ][^\W\d_a-zа-я]\.(?:[ ]?[^\W\d_a-zа-я]\.)?")
_HOLDER = re.compile(
    r"(?<![\w'’-])([^\W\d_a-z][^\W\d_]+(?:-[^\W\d_]+)?)[ ]([^\W\d_a-zåäö](?:[^\W\d_]+(?:-[^\W\d_]+)?|\.)?),?[ ]\(?$"
)
_SIGNED = re.compile(r"(?<![^\W_])(?:[Ss]ign|SIGN)\b[.:]?\s?([A-ZÅÄÖ][a-zåäö][A-ZÅÄÖ][a-zåäö])(?![^\W_])")
_TOLD = {
    "before": "institution",
    "behind": "institution",
    "maiden": "relative",
    "staff": "office",
    "short": "given",
}
UNCASED = re.compile("[\u0590-\u08ff]")
_WITH_ARTICLE = re.compile("(?:[وف]ال|لل)[^\\W\\d_]{3,}")
_PREFIXES = "وفبلك"


def mentions(text: str, token: Token) -> Iterator[tuple[str, int, int]]:
    """What the word of this token announces: kind ("relative", "office", "given", "institution") and where it stands."""
    for kind in token.entry.beside:
        if kind in ("relative", "maiden"):
            if (
                kind == "maiden"
                and token.raw.isascii()
                and not _NAMED_BEFORE.search(text[: token.start][-40:])
            ):
                continue  # the Dutch "nee" is "no"
            called = _called().match(text, token.end) if kind == "relative" else None
            first = _AFTER_BORN if kind == "maiden" else _NEXT if called else _AFTER_RELATION
            found = _people(
                text,
                called.end() if called else token.end,
                first=first,
                most=3,
                short=True,
                everyday=kind == "maiden",
            )
        elif kind in ("office", "staff"):
            if before := _person_before(text, token.start):
                yield "office", *before
            found = _office_holder(text, token, alone=kind == "staff" and token.raw.isupper())
        elif kind == "given":
            found = _full_name(text, token)
        elif kind == "short":
            found = (
                _full_name(text, token) if _BY.search(text[max(0, token.start - 8) : token.start]) else None
            )
        elif kind == "behind" and len(token.raw) < _SHORT and not token.raw.isupper():
            continue  # "VC Ekhagen", "CHU Sainte-Marguerite"; "Chu" is a name
        else:
            found = _named_before(text, token) if kind == "before" else _named_behind(text, token)
        if found:
            yield _TOLD.get(kind, kind), *found


def uncased_prose(raw: str) -> bool:
    """Whether an Arabic word is one of reports, bare or behind "and", "with", "for", "like" or an article."""
    lists = words("clinical") | words("no_names")
    bare = raw[1:] if raw[0] in _PREFIXES else raw
    every = {one for word in (raw, bare) for one in (word, word.removeprefix("ال"))}
    return _WITH_ARTICLE.fullmatch(raw) is not None or any(
        fold(one) in lists for one in every if len(one) > 1
    )


def sign_codes(text: str) -> Iterator[tuple[int, int]]:
    """The letters of those who signed: "sign AnBe"."""
    return (found.span(1) for found in _SIGNED.finditer(text))


def nameable(raw: str, *, everyday: bool, maker: bool = False) -> bool:
    """Whether a word may be one of a name that nobody told us of; `maker`: a maker's word may, too."""
    if (
        len(raw) < _LEAST
        or not (raw[0].isupper() or UNCASED.match(raw))
        or (raw.isupper() and len(raw) < _LONG_CODE)
    ):
        return False
    for part in filter(_more_than_a_letter, re.split(r"[-'’]", raw)):  # O'Brien, D'Souza
        lists = _NEVER if everyday else (*_NEVER, "everyday")
        if any(
            part.casefold() in spelled(name) or (part.isascii() and fold(part) in words(name))
            for name in lists
            if not (maker and name == "makers")
        ):
            return False
    return not medical(fold(raw))


def _more_than_a_letter(part: str) -> bool:
    return len(part) > 1


def hyphened_given(raw: str) -> bool:
    """Whether a hyphenated word is a double given name, also of words of prose: "Per-Olof", "Ann-Britt"."""
    parts = raw.split("-")
    return len(parts) == 2 and all(part.istitle() for part in parts) and any(map(_given, parts))


def _people(
    text: str,
    at: int,
    *,
    first: re.Pattern[str],
    most: int,
    short: bool = False,
    everyday: bool = False,
) -> tuple[int, int] | None:
    """The capitalised words from here on; the first may be a given name (`short`) or a surname that is a word of prose."""
    start = end = -1
    for count in range(most):
        found = (first if count == 0 else _NEXT).match(text, at if count == 0 else end)
        if (
            not found
            or found[1].isupper()
            or not (
                nameable(found[1], everyday=everyday or count > 0)
                or (short and count == 0 and (_short(found[1]) or hyphened_given(found[1])))
            )
            or _per_what(text, found.end(1))
            or eponym_after(text, found.end(1))
        ):
            break
        if text[found.end(1) : found.end(1) + 1] == ":" or (count and UNCASED.match(found[1]) and count > 1):
            break
        start = found.start(1) if start < 0 else start
        end = found.end(1)
    return (start, end) if start >= 0 else None


def _two_words(text: str, found: tuple[int, int]) -> bool:
    return len(text[slice(*found)].split()) > 1


def _given(raw: str) -> bool:
    return fold(raw.split("-", maxsplit=1)[0]) in words("given_names")


def _per_what(text: str, at: int) -> bool:
    """Whether the "Per" that ends here is a word of prose: "ssk Per telefon"."""
    behind = _NEXT.match(text, at)
    return text[:at].endswith("Per") and behind is not None and fold(behind[1]) in words("per_what")


def _short(raw: str) -> bool:
    return raw.istitle() and fold(raw.split("-", maxsplit=1)[0]) in words("given_short")


def _office_holder(text: str, token: Token, *, alone: bool) -> tuple[int, int] | None:
    """The name behind an office: two words, a given name, a surname with initials; or any name where `alone` is enough."""
    found = _people(text, token.end, first=_AFTER_RELATION, most=3, short=True)
    if not found:
        return None
    if initials := _INITIALS.match(text, found[1]):
        return found[0], initials.end()
    raw = text[slice(*found)]
    return found if alone or _two_words(text, found) or _given(raw) or _short(raw) else None


def _person_before(text: str, at: int) -> tuple[int, int] | None:
    """A common given name and a surname or its initial before an office: "Bo Ek ssk", "/Jan O, överläkare"."""
    start = max(0, at - 60)
    found = _HOLDER.search(text[start:at])
    if not found or not (_given(found[1]) or _short(found[1])):
        return None
    folded = fold(found[2])
    if folded in words("clinical") or folded in words("eponym_heads") or medical(folded):
        return None
    return start + found.start(1), start + found.end(2)


@cache
def _called() -> re.Pattern[str]:
    phrases = sorted((word.replace("_", " ") for word in spelled("named")), key=len, reverse=True)
    return re.compile(rf"[ \t]{{1,2}}(?:{'|'.join(map(re.escape, phrases))})(?=[ \t])", re.IGNORECASE)


def _full_name(text: str, token: Token) -> tuple[int, int] | None:
    """A common given name and the capitalised words behind it: "Jan-Erik Blomdahl", "Anna M. Ek"."""
    if not token.raw.istitle():
        return None
    double = _HYPHENED.search(text[max(0, token.start - 20) : token.start])
    start = token.start - len(double.group()) if double else token.start
    if start and text[start - 1] in "-'’":
        return None
    behind = _MIDDLE.match(text, token.end)
    found = _people(text, behind.end() - 1, first=_NEXT, most=2, everyday=True) if behind else None
    if not found or not text[found[0] + 1 : found[0] + 2].islower():
        return None
    return start, found[1]


def _generic(raw: str) -> bool:
    return len(raw) > 1 and any(
        fold(raw) in words(name) for name in ("institution_words", "generic_institution", "called_after")
    )


def _patron(raw: str) -> tuple[str, bool]:
    """The name of a saint without the word that says so, and whether there was one: "Saint-Antoine"."""
    bare = _PATRON.sub("", raw, count=1)
    return bare, bare != raw


def _named_before(text: str, token: Token) -> tuple[int, int] | None:
    """The capitalised words before a hospital word: "Björkhaga lasarett", "Wexcombe General Hospital"."""
    start, telling = token.start, False
    for _ in range(_MOST):
        word = _BEFORE.search(text[max(0, start - 40) : start])
        if not word:
            break
        generic = _generic(word[1])
        if not generic and (telling or not nameable(word[1], everyday=False, maker=True)):
            break
        if telling and word[1].islower() and len(word[1]) < _LEAST + 1:
            break  # "at Lunar Hospital"
        telling = telling or not generic
        start -= len(word.group())
    return (start, token.end) if telling else None


def _named_behind(text: str, token: Token) -> tuple[int, int] | None:
    """The capitalised words behind a hospital word: "Klinikum Adlersbach", "Hospital Universitario Virgen de Altarriba"."""
    end, telling, patron = token.end, False, False
    for _ in range(_MOST + 1):
        small = _SMALL.match(text, end)
        word = _NEXT.match(text, small.end() if small else end)
        if not word:
            break
        generic = _generic(word[1])
        bare, saint = _patron(word[1])
        everyday = telling or patron or saint or bool(small)
        if not (generic and not telling) and not nameable(bare, everyday=everyday, maker=True):
            break
        called = fold(word[1]) in words("called_after")
        telling = telling or not generic or (patron and called)  # "Santa Cruz", "Notre-Dame"
        patron = called
        end = word.end()
    return (token.start, end) if telling else None
