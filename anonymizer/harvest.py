"""Collects who and what one DICOM object names (pass one of two); it cleans nothing and keeps nothing.

References
----------
PS3.3 C.7.1 (patient), C.7.2 (study), C.7.5 (equipment), 10.1 and 10.14 (persons and issuers), C.17 (SR).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from anonymizer import structured_report as sr
from anonymizer.attribute_types import load_table
from anonymizer.charset import Charset, charset_for
from anonymizer.elements import DataSet, Element, Raw, is_private
from anonymizer.errors import Unfit
from anonymizer.known import Address, Identifier, Known, Person, PersonName
from anonymizer.pseudonyms import STAND_IN, WELL_KNOWN_ROOT, folded_name
from anonymizer.reader import read_part10

T = TypeVar("T")
CHARACTER_SET = 0x00080005
PATIENT_NAMES = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00100012})
RELATIVE_NAMES = frozenset({0x00101060, 0x00102297})
#: Attribute -> type of the identifier; short ones would be found everywhere by chance and are left out.
IDENTIFIERS = {
    0x00100020: "patient id", 0x00101000: "patient id", 0x00101002: "patient id", 0x00101090: "medical record",
    0x00080050: "accession", 0x00380010: "admission", 0x00380060: "service episode", 0x00402016: "placer order",
    0x00402017: "filler order", 0x00402006: "placer order", 0x00402007: "filler order",
    0x00401001: "requested procedure", 0x00101050: "insurance", 0x0040E001: "document",
}  # fmt: skip
PHONES = frozenset({0x00102154, 0x00102155, 0x00080094, 0x00401103})
ADDRESSES = frozenset({0x00101040, 0x00080092, 0x00401102, 0x00080081})
INSTITUTIONS = frozenset({0x00080080, 0x0040A027, 0x00102299})
PATIENT_NUMBERS = frozenset({0x00100020, 0x00101000, 0x00101090, 0x00080050})
BIRTH_DATE = 0x00100030
MIN_IDENTIFIER = 4
#: What senders write when there is no name: scrubbing these words from prose would only do harm.
NO_NAMES = frozenset(
    [
        "anonymous",
        "anonymized",
        "anonymised",
        "anon",
        "unknown",
        "none",
        "nn",
        "na",
        "not",
        "known",
        "removed",
        "patient",
        "test",
        "phantom",
        "no",
        "name",
    ]
)


@dataclass(slots=True)
class _Found:
    names: list[PersonName] = field(default_factory=list)
    relatives: list[Person] = field(default_factory=list)
    physicians: list[Person] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    institutions: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    birth_date: date | None = None

    def known(self) -> Known:
        return Known(
            names=_once(self.names),
            identifiers=_once(self.identifiers),
            birth_date=self.birth_date,
            addresses=_once(self.addresses),
            phones=_once(self.phones),
            emails=_once(self.emails),
            relatives=_once(self.relatives),
            physicians=_once(self.physicians),
            institutions=_once(self.institutions),
            other=_once(self.other),
        )


def _once(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def harvest_instance(content: bytes | memoryview) -> Known:
    """What this object's standard attributes name, at any depth; empty when it cannot be read."""
    found = _Found()
    try:
        dataset = read_part10(content).dataset
    except Unfit:
        return Known()
    for element, owner, charset in _walk(dataset):
        _take(element, owner, charset, found)
    return found.known()


def harvest_uids(content: bytes | memoryview) -> frozenset[str]:
    """Every UID value that names an instance, a series, a study or the like: none may be found in what leaves."""
    try:
        dataset = read_part10(content).dataset
    except Unfit:
        return frozenset()
    kept = {
        int(row["tag"], 16)
        for row in load_table("extra_attributes.json")["rows"]
        if row["handling"] == "keep_uid"
    }
    values = {
        value.strip(" \0")
        for element, _, _ in _walk(dataset)
        if element.vr == "UI" and element.tag not in kept
        for value in bytes(element.value).decode("ascii", "replace").split("\\")
    }
    return frozenset(value for value in values if value and not value.startswith(WELL_KNOWN_ROOT))


def _walk(dataset: DataSet) -> Iterator[tuple[Element, DataSet, Charset]]:
    """Every standard element with a value, its data set and that one's character set."""
    waiting = [(dataset, charset_for(""))]
    while waiting:
        current, charset = waiting.pop()
        own = current.get(CHARACTER_SET)
        if own is not None and own.items is None:
            charset = charset_for(bytes(own.value).decode("latin-1"))
        for element in current:
            if element.items is not None:
                waiting.extend((item, charset) for item in element.items)
            elif element.fragments is None and element.value and not is_private(element.tag):
                yield element, current, charset


def _take(element: Element, owner: DataSet, charset: Charset, found: _Found) -> None:
    tag = element.tag
    if element.vr == "PN":
        _take_names(element, owner, charset, found)
    elif tag == sr.TEXT_VALUE and sr.CONCEPT_NAME in owner:
        if sr.names_somebody(owner, charset):
            found.other.extend(_values(element, charset, MIN_IDENTIFIER))
    elif tag in IDENTIFIERS:
        values = [value for value in _values(element, charset, MIN_IDENTIFIER) if _is_number(tag, value)]
        found.identifiers.extend(Identifier(value=value, type=IDENTIFIERS[tag]) for value in values)
    elif tag in ADDRESSES:
        found.addresses.extend(Address(street=value) for value in _values(element, charset, MIN_IDENTIFIER))
    elif tag in PHONES:
        for value in _values(element, charset, MIN_IDENTIFIER):
            (found.emails if "@" in value else found.phones).append(value)
    elif tag in INSTITUTIONS:
        found.institutions.extend(_values(element, charset, MIN_IDENTIFIER))
    elif tag == BIRTH_DATE:
        _take_birth_date(element.value, found)


def _is_number(tag: int, value: str) -> bool:
    """Some sites write a procedure's name where an order number belongs; scrubbing that would cost clinical words."""
    digits = sum(sign.isdigit() for sign in value)
    return digits >= MIN_IDENTIFIER or (
        tag in PATIENT_NUMBERS and (digits > 0 or len(value) >= 2 * MIN_IDENTIFIER)
    )


def _take_names(element: Element, owner: DataSet, charset: Charset, found: _Found) -> None:
    for value in _values(element, charset, 2):
        if NO_NAMES.issuperset(folded_name(value).split()):
            continue
        names = tuple(
            name
            for part in value.split("=")
            if part.strip("^ ")
            for name in (PersonName.parse(part),)
            if name
        )
        if not names:
            continue
        if element.tag in PATIENT_NAMES:
            found.names.extend(names)
        elif element.tag in RELATIVE_NAMES:
            found.relatives.append(Person(names=names))
        elif element.tag == sr.PERSON_NAME and sr.names_patient(owner, charset):
            found.names.extend(names)
        else:
            found.physicians.append(Person(names=names))


def _take_birth_date(value: Raw, found: _Found) -> None:
    digits = re.sub(r"\D", "", bytes(value).decode("ascii", "replace"))
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return
    if found.birth_date is None:
        found.birth_date = born
    elif found.birth_date != born:
        found.other.append(born.isoformat())


def _values(element: Element, charset: Charset, shortest: int) -> list[str]:
    raw = bytes(element.value)
    readings = [charset.decode(raw, element.vr)[0]]
    values = [value.strip(" \0") for text in readings for value in text.split("\\")]
    return [value for value in values if len(value) >= shortest and not STAND_IN.fullmatch(value)]
