"""Whether a study belongs to a case: a score from 0 to 100 with its reasons; it decides nothing and reads no row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "ı": "i", "đ": "d", "þ": "th", "ð": "d"})
_SHORTEST_IDENTIFIER = 4
IDENTIFIER, BIRTH_DATE, FULL_NAME, FAMILY_NAME, SEX_DIFFERS = 55, 25, 25, 10, -15


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well a study fits a case, and why: the reasons name kinds of agreement, never values."""

    score: int
    reasons: tuple[str, ...]


def score(head: Mapping[str, str], patient: Mapping[str, Any]) -> Match:
    """Compare what a DICOM header says with what the case knows of its patient.

    Parameters
    ----------
    head
        ``patient_id``, ``patient_name`` (PN, PS3.5 6.2), ``patient_birth_date`` (DA), ``patient_sex`` as received.
    patient
        The known-identifiers shape.
    """
    points = 0
    reasons: list[str] = []
    number = _number(head.get("patient_id", ""))
    if any(_same_number(number, known) for known in _identifiers(patient)):
        points, reasons = points + IDENTIFIER, [*reasons, "identifier"]
    born = head.get("patient_birth_date", "").replace("-", "")
    known_born = str(patient.get("birth_date") or "").replace("-", "")
    if born and known_born:
        if born == known_born:
            points, reasons = points + BIRTH_DATE, [*reasons, "birth_date"]
        else:
            points, reasons = points - BIRTH_DATE, [*reasons, "birth_date_differs"]
    theirs = _tokens(head.get("patient_name", ""))
    for family, given in _names(patient):
        if not family:  # an absent name is part of every name
            continue
        if theirs and family <= theirs and given & theirs:
            points, reasons = points + FULL_NAME, [*reasons, "name"]
            break
        if theirs and family <= theirs:
            points, reasons = points + FAMILY_NAME, [*reasons, "family_name"]
            break
    sexes = {head.get("patient_sex", "")[:1].upper(), str(patient.get("sex") or "")[:1].upper()}
    if sexes == {"F", "M"}:
        points, reasons = points + SEX_DIFFERS, [*reasons, "sex_differs"]
    return Match(score=max(0, min(points, 100)), reasons=tuple(reasons))


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(c for c in plain if not unicodedata.combining(c))


def _tokens(name: str) -> frozenset[str]:
    """Return the folded words of a name; ``Å`` counts as ``A`` and as ``AA`` is left to the human eye."""
    return frozenset(re.findall(r"[^\W\d_]+", _fold(name.replace("^", " ").replace("=", " "))))


def _names(patient: Mapping[str, Any]) -> Iterable[tuple[frozenset[str], frozenset[str]]]:
    for name in patient.get("names") or []:
        if isinstance(name, str):
            family, _, given = name.partition("^") if "^" in name else tuple(reversed(name.rpartition(" ")))
            yield _tokens(family), _tokens(given)
        else:
            yield _tokens(str(name.get("family", ""))), _tokens(str(name.get("given", "")))


def _number(value: str) -> str:
    return re.sub(r"[^0-9a-z]", "", _fold(value))


def _identifiers(patient: Mapping[str, Any]) -> Iterable[str]:
    """Yield the patient's identifiers without separators; very short ones would fit by chance."""
    for identifier in patient.get("identifiers") or []:
        number = _number(str(identifier.get("value", "") if isinstance(identifier, dict) else identifier))
        if len(number) >= _SHORTEST_IDENTIFIER:
            yield number


def _same_number(one: str, other: str) -> bool:
    """Compare two identifiers; where one is a personal number without its century, the other's is left out too."""
    return one == other or _without_century(one) == other or one == _without_century(other)


def _without_century(number: str) -> str:
    return number[2:] if len(number) == 12 and number[:2] in {"18", "19", "20"} else number
