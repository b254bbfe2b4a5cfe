"""How addresses and institutions are written: shortened streets, house numbers and hospital words beside a hit; it finds none itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice, product

from anonymizer.folding import fold, german
from anonymizer.known import Address
from anonymizer.words import rows, words

_NUMBER_BEFORE = re.compile(r"(?<![\w.,])(\d{1,6})(?:\s?(?:[A-Za-z]|bis|ter|quater)(?![^\W\d_]))?[\s,]{1,3}$")
_NUMBER_AFTER = re.compile(
    r"(?:\.[\s,]{0,3}|[\s,]{1,3}|(?<=\d)/)(?:#\s?|(?:apt|apartment|unit|ste|suite|lgh|appt?|no|nr|n|m|d|кв|д)\.?\s?)?(\d{1,6})(?:\s?[A-Za-z](?![^\W_]))?(?![\w]|[.,]\d)",
    re.IGNORECASE,
)
_COUNTRY_BEFORE = re.compile(r"(?<![^\W_])[A-Z]{1,3}-$")
_HOSPITAL_BEFORE = re.compile(
    r"(?<![^\W_])([^\W\d_]+)(?:\.?\s(?:of|i|in|im|de|du|der|den|för|für|la))?[\s.\-]{1,2}$", re.IGNORECASE
)
_HOSPITAL_AFTER = re.compile(r"[\s.\-]{1,2}([^\W\d_]+)")
_DIGITS = re.compile(r"\d+")
_COMMAS = re.compile(r"\s{0,2}[,;\r\n]+\s{0,2}")
_CODE = re.compile(r"(?<![\w\-])(?:\d{3} \d\d|\d{5,6}|\d{5}-\d{4}|\d\d-\d{3}|\d{3}-\d{4})(?![\w\-])")
PARTS = re.compile(r"[^\W\d_]+|\d+")
_MOST = 5
#: Of a glued street name, the part before its ending.
_STEM = 3
_LONE = 4
_MOST_FORMS = 64
_BIS = frozenset({"bis", "ter", "quater"})
#: Russian words for a street, which stand before its name or behind it, folded.
_TURNED = frozenset({"ul", "ulitsa", "per", "pereulok", "prospekt", "bulvar"})
_QUARTERS = frozenset({"ne", "nw", "se", "sw", "north", "south", "east", "west"})


@cache
def _writings() -> tuple[tuple[str, frozenset[tuple[str, ...]]], ...]:
    """Every word for a street and every short form of one, the longest first, with the other ways to write it."""
    table: dict[str, set[tuple[str, ...]]] = {}
    for word, short in rows("street_abbreviations"):
        for write in (fold, german):
            forms = {tuple(map(write, PARTS.findall(form))) for form in (word, *short)}
            for (form, *rest), others in ((form, forms - {form}) for form in forms):
                if not rest:  # "пр-т" is written, never looked up
                    table.setdefault(form, set()).update(others)
    return tuple((word, frozenset(table[word])) for word in sorted(table, key=len, reverse=True))


def street_forms(parts: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The ways to write a street, given as its folded words: as it stands, shortened or in full, without the house's number."""
    bare = _without_numbers(parts)
    writings = [[(part,), *sorted(_rewritten(part, alone=len(bare) == 1))] for part in bare]
    written = list(islice(product(*writings), _MOST_FORMS))
    forms = {tuple(chain.from_iterable(several)) for several in written}
    if bare and bare[0] in _TURNED:  # "Лесная улица" as much as "ул. Лесная"
        forms |= {tuple(chain.from_iterable((*several[1:], several[0]))) for several in written}
    if len(bare) > 2 and bare[-1] in _QUARTERS:
        forms |= street_forms(bare[:-1])
    house = next((part for part in parts[1:] if part.isdigit()), "")
    if house and len(bare) > 1 and bare[0] in words("street_leads"):
        forms.add((*bare[1:], house))  # "Długa 3"
    return {form for form in forms if form}


def _without_numbers(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A street's words without the numbers of its house, floor and flat."""
    bare = list(parts)
    while bare and (bare[0].isdigit() or (len(bare[0]) == 1 and len(bare) > 1 and bare[1].isdigit())):
        bare.pop(0)
    if len(bare) < len(parts) and len(bare) > 1 and bare[0] in _BIS:
        bare.pop(0)
    for at in range(1, len(bare) - 1):
        numbered = bare[at] in words("door_words") and bare[at + 1].isdigit()
        if numbered and (at > 1 or len(bare[0]) > _LONE):
            del bare[at:]
            break
    while len(bare) > 1 and (bare[-1].isdigit() or (len(bare[-1]) == 1 and bare[-2].isdigit())):
        bare.pop()
    if len(bare) > 1 and len(bare[-1]) == 1:
        bare.pop()
    return tuple(bare)


def _rewritten(part: str, *, alone: bool) -> Iterator[tuple[str, ...]]:
    """One word of a street with its ending, or all of it, written otherwise."""
    for word, others in _writings():
        stem = part.removesuffix(word)
        if (
            stem == part
            or (alone and not stem)
            or 0 < len(stem) < _STEM
            or (stem and len(word) == 1 and word not in "gv")
        ):
            continue
        yield from ((stem + first, *rest) for first, *rest in others)
        return


def address_phrases(address: Address) -> Iterator[tuple[str, bool]]:
    """The street, the town and the region, and whether one word of it tells; an address given as one text is parted at commas."""
    for count, part in enumerate(_COMMAS.split(address.street)):
        named = {fold(word) for word in PARTS.findall(part) if not word.isdigit()}
        if not named <= words("door_words"):
            yield part, count == 0 or not named.isdisjoint(words("street_leads") | words("street_words"))
    yield address.city, False
    yield address.region, False


def postal_codes(address: Address) -> tuple[str, ...]:
    """The postal code; of an address given as one text, what stands as one behind its street's comma."""
    behind = _COMMAS.split(address.street)[1:]
    return (address.postal_code, *(code for part in behind for code in _CODE.findall(part)))


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
