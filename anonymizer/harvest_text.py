"""Collects whom the text of a document or a comment names behind its own labels (pass one of two); it cleans nothing.

A wrongly harvested word is taken out of every object of the case, so a name needs a label and the shape of a name,
and is never a clinical or an everyday word.

References
----------
docs/spec/known-identifiers.md; words/labels.txt (what announces a value), words/word_forms.txt (how words of medicine look).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TypeVar

from anonymizer.folding import Normal, fold
from anonymizer.known import Address, Identifier, Known, Person, PersonName
from anonymizer.labels import Labelled, LabelReader, weak_labels
from anonymizer.lexicon import WORD, Lexicon
from anonymizer.names import Token
from anonymizer.prose_dates import DateFinder
from anonymizer.recognisers import born_by_number, unknown_links, unknown_numbers
from anonymizer.word_forms import medical
from anonymizer.words import spelled, words

T = TypeVar("T")
_PHONE_BEHIND = re.compile(
    r"[ \t]{0,2}(?:\([^()\d\n]{1,30}\))?[ \t]?[,;:]?[ \t]{0,2}(?:[^\W\d_]{1,8}[.:]?[ \t]{1,2})?(\+?\d[\d \-/]{6,16}\d)(?![\d.,/-])"
)
MAX_TEXT = 2_000_000
MAX_OF_A_KIND = 200
_POSTCODE = re.compile(
    r"(?<![\w-])(?:[A-Z]{1,2}-)?(?P<code>\d{3} ?\d{2}|\d{2}-\d{3}|\d{4,6}|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})(?P<place>(?:[ ]{1,2}[^\W\d_a-z][\w'’.\-]+){1,3})?"
)
_STREET = re.compile(
    r"^(?:[^,;\n]{0,40}?[^\W\d_]{3,}[^,;\n]{0,20}?\s\d{1,4}\s?[A-Za-z]?\b|\d{1,5}[A-Za-z]?\s[^,;\d\n]{4,40})"
)
_NEVER = ("clinical", "generic_institution", "titles", "street_words")
_LONGEST_INSTITUTION = 8


@cache
def _empty() -> tuple[Lexicon, LabelReader]:
    lexicon = Lexicon(Known())
    return lexicon, LabelReader(lexicon)


@dataclass(slots=True)
class _Found:
    names: list[PersonName] = field(default_factory=list)
    relatives: list[Person] = field(default_factory=list)
    physicians: list[Person] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)
    births: list[date] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    institutions: list[str] = field(default_factory=list)


def harvest_text(text: str) -> Known:
    """What a document's text names behind labels, and numbers that prove themselves; empty for a text that names nobody.

    Only the first two million characters are read, and at most 200 values of each kind are kept.
    """
    plain = Normal(text[:MAX_TEXT]).text
    lexicon, labels = _empty()
    tokens = [
        Token(match.start(), match.end(), match.group(), entry)
        for match in WORD.finditer(plain)
        if (entry := lexicon.entry(match.group()))
    ]
    found = _Found()
    prose = _lowercase_words(plain)
    values = _outermost(list(labels.values(plain, tokens)))
    for value in values:
        _take(plain, value, prose, found)
    found.births += _births(plain, tokens, labels)
    found.phones += [
        phone[1]
        for value in values
        if value.kind in ("relative", "person") and (phone := _PHONE_BEHIND.match(plain, value.end))
    ]
    for start, end, kind in unknown_numbers(plain):
        if kind == "phone":
            found.phones.append(plain[start:end])
        else:
            held = {one.value for one in found.identifiers}
            if plain[start:end] not in held:
                found.identifiers.append(Identifier(value=plain[start:end], type="recognised"))
    found.emails += [plain[start:end] for start, end, kind in unknown_links(plain) if kind == "email"]
    births = _once(found.births) or _born_by_number(found.identifiers)
    return Known(
        names=_once(found.names),
        identifiers=_once(found.identifiers),
        birth_date=births[0] if births else None,
        addresses=_once(found.addresses),
        phones=_once(found.phones),
        emails=_once(found.emails),
        relatives=_once(found.relatives),
        physicians=_once(found.physicians),
        institutions=_once(found.institutions),
        other=tuple(born.isoformat() for born in births[1:]),
    )


def _outermost(values: list[Labelled]) -> list[Labelled]:
    """Without mere parts: "Maria Lindqvist", of "Patient: Anna Maria Lindqvist"."""
    kept: list[Labelled] = []
    reached = -1
    for value in sorted(values, key=lambda one: (one.start, -one.end, one.kind in ("given", "office"))):
        if value.kind in ("given", "office") and value.end <= reached:
            continue
        kept.append(value)
        if value.kind not in ("street", "institution"):
            reached = max(reached, value.end)
    return kept


def _once(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for value in values if value))[:MAX_OF_A_KIND]


def _lowercase_words(plain: str) -> frozenset[str]:
    """Words that the text writes in lower case: prose, since nobody writes names so among capitalised ones."""
    return frozenset(
        fold(found.group())
        for found in re.finditer(r"(?<![\w@.])[^\W\d_]+(?![\w@]|\.\w)", plain)
        if found.group().islower()
    )


def _take(plain: str, value: Labelled, prose: frozenset[str], found: _Found) -> None:
    written = plain[value.start : value.end].strip()
    if value.kind in ("name", "person", "relative", "title", "office", "given"):
        _take_name(plain, value, prose, found)
    elif value.kind == "number":
        digits = sum(sign.isdigit() for sign in written)
        if digits > 4 or (digits > 3 and any(sign.isalpha() for sign in written)):
            found.identifiers.append(Identifier(value=written, type=value.label))
    elif value.kind == "phone":
        found.phones.append(written)
    elif value.kind == "street":
        place = _address(written) or Address(street=written)
        if not any(held.street == place.street for held in found.addresses):
            found.addresses.append(place)
    elif value.kind == "address":
        address = _address(written)
        if address:
            found.addresses.append(address)
    elif value.kind == "institution" and _institution(written):
        found.institutions.append(written)


# -- names --------------------------------------------------------------------------------------------------------
def _take_name(plain: str, value: Labelled, prose: frozenset[str], found: _Found) -> None:
    written = _one_person(plain, value)
    parts = WORD.findall(written)
    if not _looks_like_a_name(plain, value, parts, prose):
        return
    name = PersonName.parse(written)
    if value.kind == "name":
        found.names.append(name)
    elif value.kind == "relative":
        found.relatives.append(Person(names=(name,)))
    else:
        found.physicians.append(Person(names=(name,)))


def _one_person(plain: str, value: Labelled) -> str:
    """The words before the comma that begins an address or a clinic; "Lindqvist, Anna" is one person."""
    written = plain[value.start : value.end]
    pieces = written.split(",")
    if len(pieces) > 1 and (len(pieces[0].split()) > 1 or value.kind != "name"):
        pieces = pieces[:1]
    kept: list[str] = []
    for word in ",".join(pieces[:2]).split():
        entry = _empty()[0].entry(bare) if (bare := word.strip(",.")) else None
        if entry and entry.street:
            break
        if not (entry and entry.title and not kept):  # "Dr Karin Ek" without her title
            kept.append(word)
    return " ".join(kept).strip(" ,")


def _looks_like_a_name(plain: str, value: Labelled, parts: list[str], prose: frozenset[str]) -> bool:
    full = [part for part in parts if len(part) > 1 and fold(part) not in words("particles")]
    if not full or any(_holds(part, *_NEVER) or medical(fold(part)) for part in full):
        return False
    if len(full) > 1:
        return not all(fold(part) in prose or _holds(part, "function") for part in full)
    word = fold(full[0])
    if _holds(full[0], "everyday", "eponyms", "function") or word in prose or len(word) < 3:
        return False
    if value.kind in ("relative", "office") and not value.label:
        return not full[0].isupper()
    if value.kind == "title":
        return not parts[-1].isupper()
    ends = re.match(r"\s*(?:$|[\r\n,;|\d(]|\s{2})", plain[value.end : value.end + 3])
    return value.label not in weak_labels() and bool(ends) and not (parts[-1].isupper() and len(word) < 5)


def _holds(raw: str, *names: str) -> bool:
    """Whether one of the lists has this word as it is written: "ASA" is a drug, "Åsa" is not."""
    return any(
        raw.casefold() in spelled(name) or (raw.isascii() and fold(raw) in words(name)) for name in names
    )


# -- dates, places ------------------------------------------------------------------------------------------------
def _births(plain: str, tokens: list[Token], labels: LabelReader) -> list[date]:
    """Every exact date behind a label for the date of birth."""
    places = labels.birth_labels(plain, tokens)
    months = [(token.start, token.end) for token in tokens if token.entry.month]
    dates = sorted(DateFinder((), 0).find(plain, months), key=lambda one: one.start)
    return [one.read for one in dates if one.read and one.start in places]


def _born_by_number(identifiers: list[Identifier]) -> tuple[date, ...]:
    """The date of birth in the only personal number that a document holds; of several nobody knows whose is whose."""
    dates = {born for one in identifiers if (born := born_by_number(one.value))}
    return tuple(dates) if len(dates) == 1 else ()


def _address(written: str) -> Address | None:
    """Street with its number, postal code and place; nothing when neither shows that it is an address."""
    street = _STREET.match(written)
    code = _POSTCODE.search(written, street.end() if street else 0)
    if not street and not code:
        return None
    place = ""
    if code:
        place = (code["place"] or "").strip()
    elif street and (
        rest := re.match(r"\s*,\s*([^\W\d_a-z][\w'’\-]+(?: [^\W\d_a-z][\w'’\-]+)?)", written[street.end() :])
    ):
        place = rest[1]
    if any(fold(word) in words("clinical") for word in WORD.findall(place)):
        place = ""
    return Address(
        street=street.group().strip() if street else "", postal_code=code["code"] if code else "", city=place
    )


def _institution(written: str) -> bool:
    """Whether a labelled institution is named rather than described: a capitalised word that no list holds."""
    parts = WORD.findall(written)
    return len(parts) <= _LONGEST_INSTITUTION and any(
        not part[0].islower() and len(part) > 2 and not _holds(part, *_NEVER, "everyday", "function")
        for part in parts
    )
