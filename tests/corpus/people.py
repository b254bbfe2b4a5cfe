"""The generated patients of the corpus and all that could identify them, as forms to plant and to look for."""

import json
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

CASES = Path(__file__).with_name("cases.json")
PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "ł": "l", "Ł": "L", "đ": "d", "ı": "i", "þ": "th", "Þ": "Th"}
)


def folded(text: str) -> str:
    """Without case and marks, as a reader would recognise a name again."""
    spread = unicodedata.normalize("NFKD", str(text).translate(PLAIN))
    return "".join(c for c in spread if not unicodedata.combining(c)).casefold()


def name_parts(pn: str) -> list[str]:
    """The words of all groups and components of a PN, each a form that gives the person away."""
    words = []
    for group in pn.split("="):
        for component in group.split("^"):
            words += [
                w
                for w in component.replace("-", " ").split()
                if w not in {"van", "der", "de", "la", "von", "zu"}
            ]
    return list(dict.fromkeys(w for w in words if w not in {"St.", "Freiherr"}))


@dataclass(frozen=True)
class Case:
    """One patient with the people and the house around her."""

    told: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.told[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def charsets(self) -> list[str]:
        return self.charset if isinstance(self.charset, list) else [self.charset]

    @property
    def lying(self) -> bool:
        return bool(self.told.get("lying"))

    @property
    def eponym(self) -> bool:
        return bool(self.told.get("eponym"))

    def pn(self, who: str) -> str:
        return str(self.told[who])

    @cached_property
    def fields(self) -> dict[str, tuple[str, list[str]]]:
        """What a template may name: the text to write, and the forms that may not be found again."""
        alphabetic = self.patient.split("=")[0]
        family, _, given = alphabetic.partition("^")
        year, month, day = self.birth.split("-")
        people = {
            who: (
                " ".join(reversed(self.told[who].split("=")[0].split("^"))),
                name_parts(self.told[who].split("=")[0]),
            )
            for who in ("referrer", "operator", "reader", "relative", "former")
        }
        dates = [self.birth, year + month + day, f"{day}.{month}.{year}", f"{day}/{month}/{year}"]
        return {
            "family": (family, name_parts(family)),
            "FAMILY": (family.upper() if family.isascii() else family, name_parts(family)),
            "given": (given.split(" ")[0], name_parts(given.split(" ")[0])),
            "name": (f"{given} {family}", name_parts(alphabetic)),
            "reversed": (f"{family}, {given}", name_parts(alphabetic)),
            "pn": (alphabetic, name_parts(alphabetic)),
            "latin": (self.latin, name_parts(self.latin)),
            "number": (self.number, [self.number]),
            "numberdense": (dense(self.number), [self.number]),
            "mrn": (self.mrn, [self.mrn]),
            "acc": (self.acc, [self.acc]),
            "birth": (year + month + day, dates),
            "birth_iso": (self.birth, dates),
            "birth_dotted": (f"{day}.{month}.{year}", dates),
            "phone": (self.phone, [self.phone]),
            "phone2": (self.phone2, [self.phone2]),
            "email": (self.email, [self.email]),
            "street": (self.street, [self.street]),
            "postal": (self.postal, [self.postal]),
            "city": (self.city, [self.city]),
            **self._strangers,
            "hospital": (self.hospital, [self.hospital]),
            **people,
        }

    @property
    def _strangers(self) -> dict[str, tuple[str, list[str]]]:
        """Somebody with a Swedish number, telephone and mail who stands in no structured attribute."""
        place = int(self.code[1:3])
        serial = f"6{place % 10}0{1 + place % 9}1{place % 9}{230 + place}"
        doubled = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(serial))
        number = f"19{serial[:6]}-{serial[6:]}{-doubled % 10}"
        phone, mail = f"+46 73 19{place:02d} 4{place:02d}", f"granne.{place}77@annanpost.se"
        return {
            "stranger_number": (number, [number, number[2:]]),
            "stranger_phone": (phone, [phone]),
            "stranger_mail": (mail, [mail]),
        }

    @cached_property
    def known(self) -> dict[str, Any]:
        """What an intake form would know, which is less than what stands in the objects."""
        family, _, given = self.patient.split("=")[0].partition("^")
        # A vowelless script says too little of the Latin spelling: the form's clerk writes both.
        latin = [{"family": self.latin, "given": given}] if self.country in {"IL", "AE"} else []
        return {
            "names": [{"family": family, "given": given}, *latin],
            "identifiers": [{"type": "national", "issuer": self.country, "value": self.number}],
            "birth_date": self.birth,
            "sex": self.sex,
            "addresses": [
                {
                    "street": self.street,
                    "postal_code": self.postal,
                    "city": self.city,
                    "country": self.country,
                }
            ],
            "phones": [self.phone],
            "emails": [self.email],
            "institutions": [self.hospital],
        }

    @cached_property
    def secrets(self) -> list[str]:
        """Every text that, found in any byte or decoded text of an output, makes it a leaking file."""
        words: list[str] = []
        for who in ("patient", "former", "relative", "referrer", "operator", "reader"):
            words += name_parts(self.told[who])
        words += [
            self.latin,
            self.number,
            self.mrn,
            self.acc,
            self.phone,
            self.phone2,
            self.email,
            self.street,
            self.hospital,
            self.city,
        ]
        words += self.fields["birth"][1]
        clinical = {"parkinson", "hodgkin", "graves", "crohn", "stark", "james"} if self.eponym else set()
        return list(dict.fromkeys(w for w in words if folded(w) not in clinical))


def dense(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def cases() -> list[Case]:
    return [Case(told) for told in json.loads(CASES.read_text(encoding="utf-8"))]
