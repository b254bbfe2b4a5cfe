"""What is already known to identify the patient and those around her: a value, not a search.

The shape is documented in ``docs/spec/known-identifiers.md``; the intake form, the ``--known`` file and the harvest
from a case's own objects all speak it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self, TypeVar

from anonymizer.errors import AnonymizerError
from anonymizer.folding import fold
from anonymizer.words import words as listed


class KnownShapeError(AnonymizerError):
    """The known identifiers do not have the documented shape: mend the named key (docs/spec/known-identifiers.md)."""


_SPACES = re.compile(r"[\s_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """One name of one person, in the parts that PS3.5 section 6.2 (VR PN) knows."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""

    def __bool__(self) -> bool:
        return bool(self.family or self.given or self.middle)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "Family^Given^Middle^Prefix^Suffix", "Family, Given" or "Given Family"."""
        text = _SPACES.sub(" ", text).strip(" ,")
        if "^" in text:
            parts = [_SPACES.sub(" ", part).strip() for part in text.split("^")]
            parts += [""] * (5 - len(parts))
            return cls(
                family=parts[0],
                given=parts[1],
                middle=parts[2],
                prefix=parts[3],
                suffix=" ".join(parts[4:]).strip(),
            )
        if "," in text:
            family, _, given = text.partition(",")
            return cls(family=family.strip(), given=given.replace(",", " ").strip())
        words = text.split(" ")
        cut = len(words) - 1
        while cut > 1 and fold(words[cut - 1].strip(".'’")) in listed("particles"):
            cut -= 1
        if cut == 1 and fold(words[0]) in listed("particles"):
            cut = 0
        return cls(family=" ".join(words[cut:]), given=" ".join(words[:cut]))

    @classmethod
    def parse_all(cls, text: str) -> tuple[Self, ...]:
        """Read a PN with its alphabetic, ideographic and phonetic groups (parted by =) and values (by a backslash)."""
        groups = (group for value in text.split("\\") for group in value.split("="))
        return tuple(dict.fromkeys(name for name in map(cls.parse, groups) if name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A number or code that somebody issued to the patient or her case: personal number, MRN, accession number."""

    value: str
    type: str = ""
    issuer: str = ""

    def __bool__(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address; every part may be empty."""

    street: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str = ""

    def __bool__(self) -> bool:
        return bool(self.street or self.postal_code or self.city or self.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody beside the patient: a relative, or a physician with her institution."""

    names: tuple[PersonName, ...] = ()
    relation: str = ""
    institution: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.institution or self.phones or self.emails or self.identifiers)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that is known to identify one case's patient, her relatives and those who treat her."""

    names: tuple[PersonName, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    birth_date: date | None = None
    sex: str = ""
    addresses: tuple[Address, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    relatives: tuple[Person, ...] = ()
    physicians: tuple[Person, ...] = ()
    institutions: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # words a human judged not to identify, in this case: they stay

    def __bool__(self) -> bool:
        return any(
            bool(getattr(self, field.name)) for field in fields(self) if field.name not in ("sex", "kept")
        )

    @property
    def birth_dates(self) -> tuple[date, ...]:
        """The date of birth, and those that `merged` kept among ``other``."""
        more = (_iso_date(text) for text in self.other)
        return tuple(dict.fromkeys(born for born in (self.birth_date, *more) if born))

    @property
    def people(self) -> tuple[Person, ...]:
        return self.relatives + self.physicians

    @property
    def all_names(self) -> tuple[PersonName, ...]:
        """The patient's names, and those of everybody known with her."""
        return (*self.names, *(name for person in self.people for name in person.names))

    @classmethod
    def from_json(cls, obj: Any) -> Known:
        """Read the documented shape; raise `KnownShapeError` naming the key, never the value."""
        from anonymizer.known_json import read_known

        return read_known(obj)

    def to_json(self) -> dict[str, Any]:
        """The documented shape, empty keys left out; `from_json` reads it back to an equal value."""
        return _plain(self)

    def merged(self, other: Known) -> Known:
        """Both together, each value once; a second, different birth date is kept among ``other``."""
        rest = _union(self.other, other.other)
        if self.birth_date and other.birth_date and self.birth_date != other.birth_date:
            rest = _union(rest, (other.birth_date.isoformat(),))
        return Known(
            names=_union(self.names, other.names),
            identifiers=_union(self.identifiers, other.identifiers),
            birth_date=self.birth_date or other.birth_date,
            sex=self.sex or other.sex,
            addresses=_union(self.addresses, other.addresses),
            phones=_union(self.phones, other.phones),
            emails=_union(self.emails, other.emails),
            relatives=_union(self.relatives, other.relatives),
            physicians=_union(self.physicians, other.physicians),
            institutions=_union(self.institutions, other.institutions),
            other=rest,
            kept=_union(self.kept, other.kept),
        )


def _union(left: tuple[T, ...], right: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(left + right))


def _iso_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def _plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, tuple):
            part = [item if isinstance(item, str) else _plain(item) for item in part]
        elif isinstance(part, date):
            part = part.isoformat()
        if part:
            plain[field.name] = part
    return plain
