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
from functools import lru_cache
from typing import TypeVar

from anonymizer import structured_report as sr
from anonymizer.attribute_types import load_table
from anonymizer.charset import Charset, charset_for
from anonymizer.elements import TEXT_VRS, DataSet, Element, Raw, is_private
from anonymizer.errors import Unfit
from anonymizer.harvest_text import harvest_text
from anonymizer.known import Address, Identifier, Known, Person, PersonName
from anonymizer.name_runs import without_strangers
from anonymizer.pseudonyms import STAND_IN, WELL_KNOWN_ROOT, folded_name
from anonymizer.reader import read_part10
from anonymizer.words import words as listed

T = TypeVar("T")
CHARACTER_SET = 0x00080005
PACKED, PACKED_LENGTH = 0x00420011, 0x00420015
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
#: Numbers of one machine: found again in texts and names of stations.
DEVICES = frozenset({0x00181000, 0x00181002, 0x00181003, 0x0018700A})
CODED_PERSONS, CODED_PERSON = frozenset({0x00401101, 0x0040A088}), 0x00401101
BIRTH_DATE = 0x00100030
#: A name as DICOM and HL7 write it; nothing else that vendors keep has this form.
NAME_FORM = re.compile(
    r"[^\W\d_]{2,}(?:[ '’\-][^\W\d_]+){0,4}\^[^\W\d_]+(?:[ '’\-.][^\W\d_]*){0,4}(?:\^[^\W\d_. '’\-]*){0,3}"
)
NO_INSTITUTION = ("no_names", "makers", "function", "generic_institution")
LEAST_PROSE, MOST_PROSE, MOST_PRIVATE = 8, 1 << 20, 256
MIN_IDENTIFIER, MIN_DEVICE, LEAST_CODE, LEAST_NAME = 4, 5, 6, 4
TAKEN = frozenset(IDENTIFIERS) | PHONES | ADDRESSES | INSTITUTIONS | DEVICES


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


def harvest_both(content: bytes | memoryview) -> tuple[Known, frozenset[str]]:
    """What `harvest_instance` and `harvest_uids` find, from one reading."""
    try:
        dataset = read_part10(content).dataset
    except Unfit:
        return Known(), frozenset()
    return _named(dataset), _uids(dataset)


def harvest_instance(content: bytes | memoryview) -> Known:
    """What this object's standard attributes name, at any depth; empty when it cannot be read."""
    return harvest_both(content)[0]


def _named(dataset: DataSet) -> Known:
    found = _Found()
    read: set[str] = set()
    for element, owner, charset, parent in _walk(dataset):
        if is_private(element.tag):
            _take_private(element, charset, found, read)
        else:
            _take(element, owner, charset, found)
            _take_prose(element, charset, read)
            _take_coded_person(element, owner, charset, parent, found)
    return _with_prose(found.known(), read).merged(_harvest_packed(dataset))


def _harvest_packed(dataset: DataSet) -> Known:
    """What a document inside the object names; meshes hold no sentences."""
    element = dataset.get(PACKED)
    if element is None or element.items is not None or element.fragments is not None or not element.value:
        return Known()
    # The readers of PDF and pictures are large: a run of slices never loads them.
    from anonymizer.documents.harvest import harvest_document

    length = dataset.number(PACKED_LENGTH)
    content = bytes(element.value)
    return harvest_document(content[:length] if 0 < length <= len(content) else content)


def harvest_uids(content: bytes | memoryview) -> frozenset[str]:
    """Every UID value that names an instance, a series, a study or the like: none may be found in what leaves."""
    return harvest_both(content)[1]


@lru_cache(maxsize=1)
def _kept_uids() -> frozenset[int]:
    rows = load_table("extra_attributes.json")["rows"]
    return frozenset(int(row["tag"], 16) for row in rows if row["handling"] == "keep_uid")


def _uids(dataset: DataSet) -> frozenset[str]:
    kept = _kept_uids()
    values = {
        value.strip(" \0")
        for element, *_ in _walk(dataset)
        if element.vr == "UI" and element.tag not in kept and not is_private(element.tag)
        for value in bytes(element.value).decode("ascii", "replace").split("\\")
    }
    return frozenset(value for value in values if value and not value.startswith(WELL_KNOWN_ROOT))


def _walk(dataset: DataSet) -> Iterator[tuple[Element, DataSet, Charset, int]]:
    """Every element with a value, its data set, that one's character set, and the sequence it lies in (0: none)."""
    waiting = [(dataset, charset_for(""), 0)]
    while waiting:
        current, charset, parent = waiting.pop()
        own = current.get(CHARACTER_SET)
        if own is not None and own.items is None:
            charset = charset_for(bytes(own.value).decode("latin-1"))
        for element in current:
            if element.items is not None:
                waiting.extend((item, charset, element.tag) for item in element.items)
            elif element.fragments is None and element.value:
                yield element, current, charset, parent


# -- words behind labels, and what vendors keep for themselves --------------------------------------------------------
def _take_prose(element: Element, charset: Charset, read: set[str]) -> None:
    if element.vr in TEXT_VRS and element.tag not in TAKEN and len(element.value) >= LEAST_PROSE:
        text = charset.decode(bytes(element.value[:MOST_PROSE]), element.vr)[0].strip(" \0")
        if " " in text or ":" in text:
            read.add(text)


def _with_prose(known: Known, read: set[str]) -> Known:
    """What comments and reports name behind labels (`harvest_text` is careful about what it takes for a name)."""
    header = known
    for text in sorted(read):
        if named := _in_prose(text):
            known = known.merged(without_strangers(named, header, text))
    return known


@lru_cache(maxsize=2_000)
def _in_prose(text: str) -> Known:
    """The slices of a series repeat their descriptions."""
    return harvest_text(text)


def _take_private(element: Element, charset: Charset, found: _Found, read: set[str]) -> None:
    """A private value of a name's very form: whatever becomes of it, the name may stand elsewhere, too."""
    if element.vr not in TEXT_VRS | {"PN", "UN"} or len(element.value) > MOST_PRIVATE:
        return
    text = charset.decode(bytes(element.value), "PN")[0].strip(" \0")
    if NAME_FORM.fullmatch(text) and not listed("no_names").issuperset(folded_name(text).split()):
        name = PersonName.parse(text)
        if name:
            found.physicians.append(Person(names=(name,)))
    elif element.vr in TEXT_VRS and text.isprintable() and ":" in text:
        read.add(text)


def _take_coded_person(
    element: Element, owner: DataSet, charset: Charset, parent: int, found: _Found
) -> None:
    """The meaning of a code that names a person (PS3.3 10.1) is that person's name."""
    if element.tag == sr.MEANING and parent in CODED_PERSONS:
        _take_names(Element(CODED_PERSON, "PN", element.value), owner, charset, found)


def _take(element: Element, owner: DataSet, charset: Charset, found: _Found) -> None:
    tag = element.tag
    if element.vr == "PN":
        _take_names(element, owner, charset, found)
    elif tag == sr.TEXT_VALUE and sr.CONCEPT_NAME in owner:
        if sr.names_somebody(owner, charset):
            found.other.extend(filter(_is_institution, _values(element, charset, MIN_IDENTIFIER)))
    elif tag in IDENTIFIERS:
        values = [value for value in _values(element, charset, MIN_IDENTIFIER) if _is_number(tag, value)]
        found.identifiers.extend(Identifier(value=value, type=IDENTIFIERS[tag]) for value in values)
    elif tag in ADDRESSES:
        found.addresses.extend(map(_address, _values(element, charset, MIN_IDENTIFIER)))
    elif tag in PHONES:
        for value in _values(element, charset, MIN_IDENTIFIER):
            (found.emails if "@" in value else found.phones).append(value)
    elif tag in INSTITUTIONS:
        found.institutions.extend(filter(_is_institution, _values(element, charset, MIN_IDENTIFIER)))
    elif tag in DEVICES and element.vr in TEXT_VRS:
        values = [
            value
            for value in _values(element, charset, MIN_DEVICE)
            if sum(map(str.isdigit, value)) >= MIN_IDENTIFIER
        ]
        found.identifiers.extend(Identifier(value=value, type="device") for value in values)
    elif tag == BIRTH_DATE:
        _take_birth_date(element.value, found)


def _is_number(tag: int, value: str) -> bool:
    """Some sites write a procedure's name where an order number belongs; scrubbing that would cost clinical words."""
    digits = sum(sign.isdigit() for sign in value)
    return digits >= MIN_IDENTIFIER or (
        tag in PATIENT_NUMBERS and (digits > 0 or len(value) >= 2 * MIN_IDENTIFIER)
    )


def _address(value: str) -> Address:
    """Street, postal code and city as far as commas and lines tell them apart; else all of it as the street."""
    parts = [part.strip() for part in re.split(r"[,;^\r\n]+", value) if part.strip()]
    if len(parts) < 2:
        return Address(street=value)
    street, rest = parts[0], parts[1:]
    code, city = "", ""
    for part in rest:
        match = re.fullmatch(r"((?:[A-Z]{1,2}-)?\d[\d -]{2,6}\d)\s*(.*)", part)
        if match and not code:
            code, city = match[1].strip(), city or match[2].strip()
        elif not city and not any(sign.isdigit() for sign in part):
            city = part
    return Address(street=street, postal_code=code, city=city)


def _take_names(element: Element, owner: DataSet, charset: Charset, found: _Found) -> None:
    for value in _values(element, charset, 2):
        if (listed("no_names") | listed("makers")).issuperset(folded_name(value).split()):
            continue
        parts = [_of_letters(PersonName.parse(part), found) for part in value.split("=") if part.strip("^ ")]
        names = tuple(name for name in parts if name)
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


def _of_letters(name: PersonName, found: _Found) -> PersonName:
    """The name without parts that are numbers or words of no name: a code in a name's place is an identifier."""
    parts = []
    for part in (name.family, name.given, name.middle):
        if any(sign.isdigit() for sign in part):
            if len(part) >= LEAST_CODE and part.casefold() not in listed("no_names"):
                found.identifiers.append(Identifier(value=part, type="patient id"))
            parts.append("")
        else:
            parts.append("" if _says_nobody(part, name) else part)
    return PersonName(
        family=parts[0], given=parts[1], middle=parts[2], prefix=name.prefix, suffix=name.suffix
    )


def _says_nobody(part: str, name: PersonName) -> bool:
    """Whether a part is a word for no name; beside another name, two letters are one: Li Na is a person."""
    words = set(folded_name(part).split())
    if not words <= listed("no_names"):
        return False
    short = len(part) == 2 and not listed("no_names").issuperset(folded_name(name.family).split())
    return not (short and part.isascii() and bool(set("aeiouy") & set(part.lower())))


def _is_institution(value: str) -> bool:
    """A name of a place, not of a maker, nor a word of everyday ("Here", "Radiology department")."""
    words = set(folded_name(value).split())
    return not words <= frozenset().union(*map(listed, NO_INSTITUTION))


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
