"""Reads the documented JSON shape of the known identifiers: lenient in how things are written, strict in what they are called.

References
----------
docs/spec/known-identifiers.md
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from anonymizer.known import Address, Identifier, Known, KnownShapeError, Person, PersonName

T = TypeVar("T")


def read_known(obj: Any) -> Known:
    """Read the documented shape; raise `KnownShapeError` naming the key, never the value."""
    given = _object(obj, "the file", _TOP)
    return Known(
        names=_names(given.get("names"), "names"),
        identifiers=_many(given.get("identifiers"), "identifiers", _identifier),
        birth_date=_birth_date(given.get("birth_date"), "birth_date"),
        sex=_string(given.get("sex"), "sex"),
        addresses=_many(given.get("addresses"), "addresses", _address),
        phones=_strings(given.get("phones"), "phones"),
        emails=_strings(given.get("emails"), "emails"),
        relatives=_many(given.get("relatives"), "relatives", _person),
        physicians=_many(given.get("physicians"), "physicians", _person),
        institutions=_strings(given.get("institutions"), "institutions"),
        other=_strings(given.get("other"), "other"),
        kept=_strings(given.get("kept"), "kept"),
    )


# Keys are compared without case, hyphens and underscores, so that "birthDate" is "birth_date". A row per key:
# what it may be called besides its own name.
_PERSON_KEYS = {
    "names": ("name",),
    "family": ("familyname", "surname", "lastname"),
    "given": ("givenname", "firstname", "forename", "givennames"),
    "middle": ("middlename",),
    "prefix": ("title",),
    "suffix": (),
    "relation": ("relationship", "role"),
    "institution": ("hospital", "clinic", "organisation", "organization"),
    "phones": ("phone", "telephone", "telephones"),
    "emails": ("email",),
    "identifiers": ("identifier", "id", "ids"),
}
_TOP = {
    "names": ("name", "patientname"),
    "identifiers": ("identifier", "ids", "patientid", "patientids"),
    "birth_date": ("dateofbirth", "dob", "birthday"),
    "sex": ("gender",),
    "addresses": ("address",),
    "phones": ("phone", "telephone", "telephones"),
    "emails": ("email",),
    "relatives": ("relative",),
    "physicians": ("physician", "doctors", "staff"),
    "institutions": ("institution", "hospitals", "hospital"),
    "other": ("others",),
    "kept": ("keptwords", "keep"),
}
_NAME_KEYS = {key: _PERSON_KEYS[key] for key in ("family", "given", "middle", "prefix", "suffix")} | {
    "text": ("full", "fullname")
}
_IDENTIFIER_KEYS = {
    "type": ("kind", "label"),
    "issuer": ("system", "assigner", "authority"),
    "value": ("id", "number"),
}
_ADDRESS_KEYS = {
    "street": ("line", "lines", "streetaddress"),
    "postal_code": ("postcode", "zip", "zipcode"),
    "city": ("town", "place"),
    "region": ("state", "county", "district"),
    "country": (),
}


def _squeeze(key: str) -> str:
    return re.sub(r"[\s_\-]+", "", key).casefold()


def _object(value: Any, where: str, keys: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise KnownShapeError(f"{where}: expected an object with the keys {', '.join(keys)}")
    names = {_squeeze(alias): key for key, aliases in keys.items() for alias in (key, *aliases)}
    result: dict[str, Any] = {}
    for number, (key, part) in enumerate(value.items(), start=1):
        proper = names.get(_squeeze(str(key)))
        if proper is None:
            # An unknown key may itself be a value typed in the wrong place, so it is shown only if it looks like a key.
            shown = f'"{key}"' if re.fullmatch(r"[A-Za-z_\-]{1,40}", str(key)) else f"number {number}"
            raise KnownShapeError(f"{where}: the key {shown} is not one of {', '.join(keys)}")
        held = result.get(proper)
        result[proper] = [*_listed(held), *_listed(part)] if held and part else part
    return result


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _string(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise KnownShapeError(f"{where}: expected a text")
    return unicodedata.normalize("NFC", str(value)).strip()


def _many(value: Any, where: str, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    if value is None:
        return ()
    items: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    single = not isinstance(value, list | tuple)
    found = (read(item, where if single else f"{where}[{index}]") for index, item in enumerate(items))
    return tuple(dict.fromkeys(item for item in found if item))


def _strings(value: Any, where: str) -> tuple[str, ...]:
    return _many(value, where, _string)


def _joined(value: Any, where: str) -> str:
    """Read a text, or a list of texts as FHIR writes given names and street lines."""
    return " ".join(_strings(value, where))


def _names(value: Any, where: str) -> tuple[PersonName, ...]:
    items: list[Any] = value if isinstance(value, list) else [value]
    split = [PersonName.parse_all(item) if isinstance(item, str) else item for item in items]
    flat = [name for item in split for name in (item if isinstance(item, tuple) else (item,))]
    return _many([item for item in flat if item is not None], where, _name)


def _name(value: Any, where: str) -> PersonName:
    if isinstance(value, PersonName):
        return value
    if isinstance(value, str):
        return PersonName.parse(_string(value, where))
    if not isinstance(value, Mapping):
        raise KnownShapeError(
            f'{where}: expected "Family^Given", "Given Family" or an object with family and given'
        )
    parts = _object(value, where, _NAME_KEYS)
    named = PersonName(**{key: _joined(parts.get(key), f"{where}.{key}") for key in parts if key != "text"})
    return named or PersonName.parse(_joined(parts.get("text"), f"{where}.text"))


def _identifier(value: Any, where: str) -> Identifier:
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = _string(value, where)
        return Identifier(value=text)
    if not isinstance(value, Mapping):
        raise KnownShapeError(f"{where}: expected a text or an object with type, issuer and value")
    parts = {
        key: _string(part, f"{where}.{key}") for key, part in _object(value, where, _IDENTIFIER_KEYS).items()
    }
    return Identifier(**{"value": "", **parts})


def _address(value: Any, where: str) -> Address:
    if isinstance(value, str):
        return Address(street=_string(value, where))
    if not isinstance(value, Mapping):
        raise KnownShapeError(f"{where}: expected a text or an object with {', '.join(_ADDRESS_KEYS)}")
    parts = _object(value, where, _ADDRESS_KEYS)
    return Address(**{key: _joined(part, f"{where}.{key}") for key, part in parts.items()})


def _person(value: Any, where: str) -> Person:
    if isinstance(value, str):
        return Person(names=PersonName.parse_all(_string(value, where)))
    if not isinstance(value, Mapping):
        raise KnownShapeError(f"{where}: expected a name or an object with {', '.join(_PERSON_KEYS)}")
    parts = _object(value, where, _PERSON_KEYS)
    names = _names(parts.get("names"), f"{where}.names")
    own = {key: parts[key] for key in ("family", "given", "middle", "prefix", "suffix") if key in parts}
    if own:
        inline = _name(own, where)
        names = (*names, inline) if inline else names
    return Person(
        names=names,
        relation=_string(parts.get("relation"), f"{where}.relation"),
        institution=_string(parts.get("institution"), f"{where}.institution"),
        phones=_strings(parts.get("phones"), f"{where}.phones"),
        emails=_strings(parts.get("emails"), f"{where}.emails"),
        identifiers=_many(parts.get("identifiers"), f"{where}.identifiers", _identifier),
    )


def _birth_date(value: Any, where: str) -> date | None:
    if isinstance(value, date):
        return value
    text = _string(value, where)
    if not text:
        return None
    match = re.match(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?:T.*)?$", text)
    if match:
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            pass
    raise KnownShapeError(f"{where}: expected a date as YYYY-MM-DD")
