"""How addresses and institutions are written: shortened streets, house numbers and hospital words beside a hit; it finds none itself."""

from __future__ import annotations

import re
from functools import cache

from anonymizer.folding import fold, german
from anonymizer.known import Address
from anonymizer.words import rows, words

_NUMBER_BEFORE = re.compile(r"(?<![\w.,])(\d{1,6})(?:\s?[A-Za-z](?![^\W\d_]))?[\s,]{1,3}$")
_NUMBER_AFTER = re.compile(r"\.?[\s,]{1,3}(\d{1,6})(?:\s?[A-Za-z](?![^\W_]))?(?![\w]|[.,]\d)")
_COUNTRY_BEFORE = re.compile(r"(?<![^\W_])[A-Z]{1,3}-$")
_HOSPITAL_BEFORE = re.compile(
    r"(?<![^\W_])([^\W\d_]+)(?:\.?\s(?:of|i|in|im|de|du|der|den|för|für|la))?[\s.\-]{1,2}$", re.IGNORECASE
)
_HOSPITAL_AFTER = re.compile(r"[\s.\-]{1,2}([^\W\d_]+)")
_DIGITS = re.compile(r"\d+")
_MOST = 5


@cache
def _abbreviations() -> tuple[tuple[str, tuple[str, ...]], ...]:
    table = {
        write(word): tuple(map(fold, short))
        for word, short in rows("street_abbreviations")
        for write in (fold, german)
    }
    return tuple(sorted(table.items(), key=lambda row: -len(row[0])))


def street_forms(parts: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The ways to write a street, given as its folded words: as it stands, shortened, without its house number."""
    bare = list(parts)
    while bare and (bare[0].isdigit() or (len(bare[0]) == 1 and len(bare) > 1 and bare[1].isdigit())):
        bare.pop(0)
    while len(bare) > 1 and (bare[-1].isdigit() or len(bare[-1]) == 1):
        bare.pop()
    forms = {tuple(bare)}
    for at, part in enumerate(bare):
        for word, shorts in _abbreviations():
            if part.endswith(word):
                stem = part[: -len(word)]
                forms |= {
                    (*bare[:at], stem + short, *bare[at + 1 :]) for short in shorts if stem or len(bare) > 1
                }
                break
    return {form for form in forms if form}


def address_numbers(addresses: tuple[Address, ...]) -> frozenset[str]:
    """House numbers and the parts of postal codes."""
    return frozenset(
        number
        for one in addresses
        for part in (one.street, one.postal_code, one.city)
        for number in _DIGITS.findall(part)
    )


def widen_address(text: str, start: int, end: int, numbers: frozenset[str]) -> tuple[int, int]:
    """Take in the known house number and postal code beside a known street or city."""
    for _ in range(3):
        before = _NUMBER_BEFORE.search(text[max(0, start - 14) : start])
        if not before or before[1] not in numbers:
            break
        start -= len(before.group())
    if country := _COUNTRY_BEFORE.search(text[max(0, start - 4) : start]):
        start -= len(country.group())
    for _ in range(3):
        after = _NUMBER_AFTER.match(text, end)
        if not after or after[1] not in numbers:
            break
        end = after.end()
    return start, end


def widen_institution(text: str, start: int, end: int) -> tuple[int, int]:
    """Take in the words for hospital, university and the like beside the word that points at one."""
    for _ in range(_MOST):
        before = _HOSPITAL_BEFORE.search(text[max(0, start - 40) : start])
        if not before or fold(before[1]) not in words("institution_words"):
            break
        start -= len(before.group())
    for _ in range(_MOST):
        after = _HOSPITAL_AFTER.match(text, end)
        if not after or fold(after[1]) not in words("institution_words"):
            break
        end = after.end()
    return start, end
