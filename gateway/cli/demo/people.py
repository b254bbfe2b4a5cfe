"""Invented people for the demo and the tests: nobody here exists, and nothing here is read from anywhere.

Personal numbers come from the series that the Swedish Tax Agency keeps for tests (birth numbers 980-999),
telephone numbers from the series that the Post and Telecom Authority keeps for fiction (070-174 06 05 to 99),
e-mail from ``example.org`` (RFC 2606), postal codes from above the highest in use.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

_FAMILY = ("Åkervallius", "Öbergsholmén", "Hällströmsson", "Sjöqvarnell", "Ängslandhér", "Kråkmoström")
_GIVEN = {
    "F": ("Märta-Lovisanne", "Ingegärdh", "Åsalill-Märit", "Gölinna", "Sigvördis", "Tölvina"),
    "M": ("Björnulf-Åkeman", "Sölvegard", "Östenfrid", "Håkanvald-Nilsér", "Fröjulf", "Gräddmund"),
}
_STREETS = ("Lövsångarstigen", "Gäddviksbacken", "Ärtskidegränd", "Snökullavägen", "Åsklockegatan")
_CITIES = ("Åmålsvikstad", "Norrköklinge", "Ödeshammar", "Västeråker-Ström")
_HOSPITALS = ("Ekbacksåns länssjukhus", "Höglidens lasarett", "Örnsköldsborgs sjukhus", "Märstaviks klinik")
_PASSPORT_COUNTRIES = ("Finland", "Norge", "Polska", "Deutschland")
_RELATIONS = {"F": "daughter", "M": "son"}
_SAME_NAME_PART = 5  # shorter parts of a hyphenated name stand inside ordinary words


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A person's name, as it is written in DICOM and as it is written on paper."""

    family: str
    given: str

    @property
    def dicom(self) -> str:
        """PS3.5 6.2, VR PN: family and given name complex."""
        return f"{self.family}^{self.given}"

    @property
    def plain(self) -> str:
        """Given name first, as in running text."""
        return f"{self.given} {self.family}"

    def forms(self) -> tuple[str, ...]:
        """Every spelling that identifies: the whole, the two names, and the long parts of hyphenated ones."""
        parts = [part for name in (self.family, self.given) for part in name.split("-")]
        long = [part for part in parts if len(part) >= _SAME_NAME_PART]
        return (self.dicom, self.plain, self.family, self.given, *long)

    def as_json(self) -> dict[str, str]:
        """One entry of a ``names`` list in the patient file."""
        return {"family": self.family, "given": self.given}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A number that somebody issued for the patient."""

    type: str
    issuer: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The patient of one demo case and everybody around them."""

    patient: Name
    sex: str
    birth_date: date
    personnummer: Identifier
    passport: Identifier
    mrn: Identifier
    second_mrn: Identifier
    street: str
    postal_code: str
    city: str
    phone: str
    email: str
    relative: Name
    relation: str
    relative_phone: str
    referring: Name
    radiologist: Name
    operator: Name
    hospital: str
    clinic: str
    study_date: date
    accession: str
    second_accession: str

    @property
    def address(self) -> str:
        """The address on one line."""
        return f"{self.street}, {self.postal_code} {self.city}"

    def as_json(self) -> dict[str, Any]:
        """The patient file: the one shape of ``case open --patient`` and ``deidentify --known``."""
        identifiers = (self.personnummer, self.passport, self.mrn, self.second_mrn)
        return {
            "names": [self.patient.as_json()],
            "identifiers": [{"type": i.type, "issuer": i.issuer, "value": i.value} for i in identifiers],
            "birth_date": self.birth_date.isoformat(),
            "sex": self.sex,
            "addresses": [
                {
                    "street": self.street,
                    "postal_code": self.postal_code,
                    "city": self.city,
                    "country": "SE",
                }
            ],
            "phones": [self.phone],
            "emails": [self.email],
            "relatives": [
                {
                    "names": [self.relative.as_json()],
                    "relation": self.relation,
                    "phones": [self.relative_phone],
                }
            ],
            "physicians": [
                {"names": [self.referring.as_json()], "institution": self.hospital},
                {"names": [self.radiologist.as_json()], "institution": self.hospital},
                {"names": [self.operator.as_json()], "institution": self.hospital},
            ],
            "institutions": [self.hospital, self.clinic],
        }

    def planted(self) -> tuple[str, ...]:
        """Every identifying string that the material holds, in every form in which it is written there."""
        number = self.personnummer.value
        born = self.birth_date
        forms = [
            *(form for name in self._names() for form in name.forms()),
            *(number, number.replace("-", ""), number[2:], number[2:].replace("-", "")),
            *(self.passport.value, self.mrn.value, self.second_mrn.value),
            *(self.accession, self.second_accession),
            *(self.street, self.street.rsplit(" ", 1)[0], f"{self.postal_code} {self.city}", self.city),
            *(form for phone in (self.phone, self.relative_phone) for form in phone_forms(phone)),
            *(self.email, self.email.split("@")[0], self.hospital, self.clinic),
            *(born.isoformat(), born.strftime("%Y%m%d"), born.strftime("%d.%m.%Y")),
        ]
        return tuple(dict.fromkeys(forms))

    def _names(self) -> tuple[Name, ...]:
        return (self.patient, self.relative, self.referring, self.radiologist, self.operator)


def check_digit(digits: str) -> int:
    """Return the Luhn digit of the nine digits of a Swedish personal number (SKV 704)."""
    doubled = (int(d) * (2 - i % 2) for i, d in enumerate(digits))
    return -sum(d // 10 + d % 10 for d in doubled) % 10


def phone_forms(phone: str) -> tuple[str, ...]:
    """The number as a form, a person and a Swede write it: ``+46 70 …``, ``+4670…``, ``070-…``."""
    national = phone.removeprefix("+46 ")
    area, rest = national.split(" ", 1)
    return (phone, phone.replace(" ", ""), f"0{area}-{rest}", f"0{area}{rest.replace(' ', '')}")


def _personnummer(rng: random.Random, born: date, sex: str) -> str:
    # The third digit of the birth number is even for women (SKV 704).
    serial = rng.randrange(980, 1000, 2) + (sex == "M")
    body = f"{born:%y%m%d}{serial}"
    return f"{born:%Y%m%d}-{serial}{check_digit(body)}"


def _ascii(text: str) -> str:
    folded = text.casefold().translate(str.maketrans("åäöéæø", "aaoeao"))
    return folded.replace("-", "")


def make_people(seed: int) -> People:
    """Return the cast for a seed; the same seed gives the same people, to the last digit."""
    rng = random.Random(f"consilium people {seed}")  # noqa: S311 - reproducible fiction, no secret
    sex = rng.choice("FM")
    families = rng.sample(_FAMILY, 5)
    patient = Name(family=f"{families[0]}-{families[1]}", given=rng.choice(_GIVEN[sex]))
    others = [
        Name(family=family, given=given)
        for family, given in zip(
            families[2:],
            rng.sample([g for g in (*_GIVEN["F"], *_GIVEN["M"]) if g != patient.given], 3),
            strict=True,
        )
    ]
    kin_sex = rng.choice("FM")
    kin = Name(
        family=families[0],
        given=rng.choice(
            [g for g in _GIVEN[kin_sex] if g not in {patient.given, *(o.given for o in others)}]
        ),
    )
    born = date(1948, 1, 1) + timedelta(days=rng.randrange(34 * 365))
    phones = rng.sample(range(5, 100), 2)
    hospital, clinic = rng.sample(_HOSPITALS, 2)
    country = rng.choice(_PASSPORT_COUNTRIES)
    return People(
        patient=patient,
        sex=sex,
        birth_date=born,
        personnummer=Identifier(
            type="personnummer", issuer="Skatteverket", value=_personnummer(rng, born, sex)
        ),
        passport=Identifier(type="passport", issuer=country, value=f"XZ{rng.randrange(10**6, 10**7)}"),
        mrn=Identifier(type="mrn", issuer=hospital, value=f"MRN-{rng.randrange(10**6, 10**7)}"),
        second_mrn=Identifier(type="mrn", issuer=clinic, value=f"P{rng.randrange(10**7, 10**8)}"),
        street=f"{rng.choice(_STREETS)} {rng.randrange(11, 99)}B",
        postal_code=f"99{rng.randrange(1, 10)} {rng.randrange(10, 100)}",
        city=rng.choice(_CITIES),
        phone=f"+46 70 174 06 {phones[0]:02d}",
        email=f"{_ascii(patient.given)}.{_ascii(families[0])}@example.org",
        relative=kin,
        relation=_RELATIONS[kin_sex],
        relative_phone=f"+46 70 174 06 {phones[1]:02d}",
        referring=others[0],
        radiologist=others[1],
        operator=others[2],
        hospital=hospital,
        clinic=clinic,
        study_date=date(2025, 3, 3) + timedelta(days=rng.randrange(200)),
        accession=f"RIS{rng.randrange(10**7, 10**8)}",
        second_accession=f"ACC{rng.randrange(10**7, 10**8)}",
    )
