"""Judges the attributes of a clinical document (CDA): whether a code, a unit, a number or a time is none, and says who.

References
----------
HL7 data types 2.2 (CD, PQ, TS); UCUM, section 2 (a unit's letters are few, words stand in brackets); NDC: 11 digits.
"""

from __future__ import annotations

import re

from anonymizer.folding import fold
from anonymizer.text import Scrubber
from anonymizer.words import words

#: A time of HL7 (TS): a day, then hours, minutes, seconds, parts of them and the zone.
TIME = re.compile(
    r"((?:19|20|21)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
    r"((?:(?:[01]\d|2[0-4])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,6})?)?)?)?(?:[+-]\d{4})?)"
)
_TIMES = frozenset({"effectiveTime", "time", "low", "high", "center"})
_TIME_TYPES = frozenset({"TS", "IVL_TS"})
_DRUGS = "2.16.840.1.113883.6.69"
_DRUG = re.compile(r"\d{10,11}")
_BRACKETS = re.compile(r"\[[A-Za-z_0-9']{1,24}\]")
_LETTERS = re.compile(r"[^\W\d_]+")
#: Letters of a unit without its prefix are four at most; a name's capital and three small ones make no code.
_UNIT = 5
_NAMED = re.compile(r"[^\W\d_][^\W\d_A-Z]{3,}")
_UNITS = frozenset({"Torr"})
_TERMS = frozenset({"code", "unit"})


def is_timed(name: str, key: str, typed: str) -> bool:
    """Whether an attribute is a time, by its element's name without namespace and its ``xsi:type`` or ""."""
    return key == "value" and (name in _TIMES or (name == "value" and typed in _TIME_TYPES))


def identifies(key: str, value: str, *, timed: bool, system: str, judge: Scrubber) -> bool:
    """Whether an attribute may not stand.

    Parameters
    ----------
    timed
        What `is_timed` says of it.
    system
        The element's ``codeSystem``, or "".
    judge
        The case's, which moves no dates.
    """
    if judge.known_left(value):
        return True
    if timed and TIME.fullmatch(value):
        return False  # twelve digits may be a number of somebody's, too: here they are a time
    if key == "code" and system == _DRUGS and _DRUG.fullmatch(value):
        return False
    return judge.finds(value) or (key in _TERMS and " " not in value and _is_no_term(key, value))


def _is_no_term(key: str, value: str) -> bool:
    """A name in the place of a code or a unit, though nobody knows it: a word that no vocabulary has."""
    for word in _LETTERS.findall(_BRACKETS.sub("", value)):
        strange = len(word) > _UNIT if key == "unit" else False
        named = word[0].isupper() and _NAMED.fullmatch(word) is not None and word not in _UNITS
        if (strange or named) and not _is_listed(fold(word)):
            return True
    return False


def _is_listed(word: str) -> bool:
    return word in words("clinical") or word in words("everyday")
