"""Finds streets with their number that nobody told us of, by the words streets begin or end with; known ones are `places`'s."""

from __future__ import annotations

import re

from anonymizer.names import Token

_NO_MEASURE = r"(?!\d|[.,]\d|\s?(?:[cm]m|mg|ml|g|kg|%|x)\b)"
_CAPITAL = r"[^\W\d_a-zà-öø-ÿ]"
_NO_DATE = r"(?!\d{1,4}([./\-])\d{1,2}\1\d{2}|\d{4}-\d\d)"
_HOUSE = rf"{_NO_DATE}\d{{1,4}}{_NO_MEASURE}(?:\s?[A-Za-z](?![^\W\d_]))?"
_NUMBER = re.compile(rf"[^\S\t]{{1,2}}{_HOUSE}")
_NUMBER_IN_COLUMN = re.compile(rf"\s{{1,2}}{_HOUSE}")
#: Endings that no word of a report's table has beside its number in the next column.
_CERTAIN = re.compile(
    r"(?:gatan|gata|vägen|gränd|stigen|torget|allén|straße|strasse|gasse|allee|straat|katu|kuja|polku|gaten)$",
    re.IGNORECASE,
)
_LIVES = re.compile(
    r"(?:\b(?:bor|bosatt|bopel|wohnt|wohnhaft|wohnte|woont|asuu|adress|adresse|anschrift|address)\b(?:[ ](?:på|i|in|auf|an|im|der|am|op|aan|de))?[:\s]{1,3})$",
    re.IGNORECASE,
)
_YEAR_BEHIND = re.compile(r",?\s{1,2}(?:19|20)\d\d\s")
_BEFORE = re.compile(r"\d{1,5}[A-Za-z]?\s(?:[A-Z][\w'’]{1,20}\s){1,3}$")
_OF = re.compile(
    rf"{_CAPITAL}[\w'’.\-]{{1,24}}[ \-](?i:straße|strasse|weg|platz|allee|gasse|ufer|straat|katu|vägen|gatan|gata|vej|veien?)$"
)
_SMALL_WORDS = r"(?:(?:de|del|du|des|la|las|los|le|les|dei|della|im|św)\.?\s|[ld]['’])*"
_AFTER = re.compile(
    rf"\.?\s{_SMALL_WORDS}(?:{_CAPITAL}[\w'’.\-]{{1,20}}[ ,]{{1,2}}){{1,3}}(?:(?:nr|no|д|n)\.?\s?)?\d{{1,4}}{_NO_MEASURE}\w?"
)
_NAMED = re.compile(
    rf"\.?\s{_SMALL_WORDS}{_CAPITAL}[\w'’\-]{{1,20}}(?:[ \-]{_CAPITAL}[\w'’\-]{{1,20}}){{0,2}}"
)
_NUMBER_BEFORE = re.compile(r"(?<![\w.,])\d{1,4}\s?(?:bis|ter|[A-Da-d])?,?\s$")
_WORDS_BEFORE = re.compile(rf"(?:{_CAPITAL}[\w'’.\-]{{1,20}}\s){{1,3}}$")
_NUMBER_BEHIND = re.compile(rf"\.?\s{{0,2}}(?:no|nr|n)?[.:\s]{{1,3}}\d{{1,4}}{_NO_MEASURE}", re.IGNORECASE)
_PLACE_BEHIND = re.compile(
    rf""",?\s{{1,2}}(?:[A-Z]{{1,2}}-)?(?:\d{{3}}\s\d{{2}}|\d{{4,5}}|\d\d-\d{{3}})\s{_CAPITAL}[\w'’\-]{{1,24}}
    |,?\s{{1,2}}(?:г\.\s?)?{_CAPITAL}[\w'’\-]{{1,24}}(?:\s{_CAPITAL}[\w'’\-]{{1,24}})?,?\s{{1,2}}(?:\d{{5,6}}|[A-Z]{{1,2}}\d[A-Z\d]?\s?\d[A-Z]{{2}})(?!\w)""",
    re.VERBOSE,
)


def street_at(text: str, token: Token) -> tuple[int, int] | None:
    """The street with its number, and the place behind it, around one of its words."""
    found = _street(text, token)
    if not found:
        return None
    place = _PLACE_BEHIND.match(text, found[1])
    return found[0], place.end() if place else found[1]


def _street(text: str, token: Token) -> tuple[int, int] | None:
    kind = token.entry.street
    before = text[max(0, token.start - 60) : token.start]
    if kind == "lead":  # ul. Długa 3, 12 rue de la Paix
        if after := _AFTER.match(text, token.end):
            return token.start, after.end()
        number, named = _NUMBER_BEFORE.search(before), _NAMED.match(text, token.end)
        return (token.start - len(number.group()), named.end()) if number and named else None
    if kind == "between":  # Atatürk Caddesi No: 12
        words, behind = _WORDS_BEFORE.search(before), _NUMBER_BEHIND.match(text, token.end)
        return (token.start - len(words.group()), behind.end()) if words and behind else None
    if token.raw[0].islower():
        return None
    if kind in ("end", "doubtful"):  # Storgatan 12, Schönhauser Straße 8
        lives = _LIVES.search(before) is not None
        column = lives or _CERTAIN.search(token.raw)
        behind = (_NUMBER_IN_COLUMN if column else _NUMBER).match(text, token.end)
        if behind and kind == "doubtful" and not (lives or _addressed(text, behind.end())):
            return None
        whole = _OF.search(text[max(0, token.start - 40) : token.end])
        return (token.end - len(whole.group()) if whole else token.start, behind.end()) if behind else None
    words = _BEFORE.search(before)  # 12 Baker Street
    return (token.start - len(words.group()), token.end) if words else None


def _addressed(text: str, at: int) -> bool:
    """Whether a postcode and its town stand here, and no date."""
    return _PLACE_BEHIND.match(text, at) is not None and not _YEAR_BEHIND.match(text, at)
