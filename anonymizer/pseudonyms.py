"""Keyed, case-bound pseudonyms: the same original gives the same pseudonym under one key, and nothing leads back without it.

No table is kept: forgetting the key ends every link. The key belongs to the case and is passed in.

References
----------
PS3.15 E.1.1 (consistency), PS3.5 B.2 (UUID-derived UIDs under 2.25), RFC 2104 (HMAC).
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from datetime import date, timedelta
from functools import lru_cache

from anonymizer.errors import PseudonymKeyError

WELL_KNOWN_ROOT = "1.2.840.10008."
#: No digit, so that a pseudonym never looks like a number of the patient, and no vowel, so that it never reads as a word.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
SHIFT_WEEKS_MIN, SHIFT_WEEKS_MAX = 52, 520
ROLES = {"Person": "PRS", "Physician": "PHY", "Operator": "OPR", "Reviewer": "RVW", "Observer": "OBS"}
STAND_IN = re.compile(
    rf"MDT-[{LETTERS}]{{10}}|({'|'.join(ROLES.values())})[{LETTERS}]{{8}}|[A-Z][{LETTERS}]{{10}}"
)
_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?")


class Pseudonyms:
    """The one mapping of a case; equal keys give equal mappings in every process and batch."""

    settled = False

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise PseudonymKeyError
        self._key = bytes(key)
        weeks = int.from_bytes(self._digest("shift", "")[:8], "big")
        self.shift_days: int = -7 * (SHIFT_WEEKS_MIN + weeks % (SHIFT_WEEKS_MAX - SHIFT_WEEKS_MIN + 1))
        self.uid = lru_cache(maxsize=65536)(self._uid)
        self.date = lru_cache(maxsize=4096)(self._date)

    def _digest(self, purpose: str, value: str) -> bytes:
        message = f"consilium pseudonym 1|{purpose}|{value}".encode()
        return hmac.digest(self._key, message, "sha256")

    def _letters(self, purpose: str, value: str, count: int) -> str:
        number = int.from_bytes(self._digest(purpose, value), "big")
        letters = ""
        for _ in range(count):
            number, place = divmod(number, len(LETTERS))
            letters += LETTERS[place]
        return letters

    def _uid(self, old: str) -> str:
        """A UID under 2.25 (PS3.5 B.2); UIDs that the standard itself registers stay."""
        if not old or (old.startswith(WELL_KNOWN_ROOT) and is_uid(old)):
            return old
        return f"2.25.{int.from_bytes(self._digest('uid', old)[:16], 'big')}"

    def patient_id(self) -> str:
        return f"MDT-{self._letters('patient', '', 10)}"

    def patient_name(self) -> str:
        return self.patient_id()

    def study_id(self, old: str) -> str:
        return self.code("study-id", old, "S")

    def accession(self, old: str) -> str:
        return self.code("accession", old, "A")

    def code(self, purpose: str, old: str, prefix: str = "R") -> str:
        """A short stable stand-in for an identifier; one word of 11 letters, fits SH (16 characters)."""
        return f"{prefix}{self._letters(purpose, old, 10)}" if old else ""

    def person(self, name: str, role: str = "Person") -> str:
        """A stable stand-in for a person; order, case and accents of the name do not matter.

        One word, its first three letters telling the role: a role spelled out ("Person") is somebody's family name.
        """
        folded = folded_name(name)
        return f"{ROLES.get(role, 'PRS')}{self._letters('person', folded, 8)}" if folded else ""

    def _date(self, old: str) -> str:
        """A DA value shifted; "" when it is no date."""
        match = _DATE.fullmatch(old.strip(" \0"))
        shifted = match and self._shift(int(match[1]), int(match[2]), int(match[3]))
        return shifted.strftime("%Y%m%d").rjust(8, "0") if shifted else ""

    def datetime(self, old: str) -> str:
        """A DT value shifted by whole days, its precision, fraction and offset kept; "" when it is none."""
        match = _DATETIME.fullmatch(old.strip(" \0"))
        if match is None or (match[4] and not match[3]):
            return ""
        shifted = self._shift(int(match[1]), int(match[2] or 7), int(match[3] or 1))
        if shifted is None:
            return ""
        text = f"{shifted.year:04d}"
        if match[2]:
            text += f"{shifted.month:02d}"
        if match[3]:
            text += f"{shifted.day:02d}"
        return text + (match[4] or "") + (match[5] or "")

    def _shift(self, year: int, month: int, day: int) -> date | None:
        try:
            return date(year, month, day) + timedelta(days=self.shift_days)
        except (ValueError, OverflowError):
            return None

    def seal(self, sop_instance_uid: str) -> str:
        """A mark that only this key can make: it says that this object was already de-identified under it."""
        return self._letters("seal", sop_instance_uid, 24)


class SettledPseudonyms(Pseudonyms):
    """The mapping for an object that already carries this key's seal: nothing is mapped a second time."""

    settled = True

    def __init__(self, origin: Pseudonyms) -> None:
        super().__init__(origin._key)  # noqa: SLF001 - the same secret, one class further down
        self.shift_days = 0

    def _uid(self, old: str) -> str:
        return old if old.startswith("2.25.") else super()._uid(old)

    def code(self, purpose: str, old: str, prefix: str = "R") -> str:
        return old if STAND_IN.fullmatch(old) else super().code(purpose, old, prefix)

    def person(self, name: str, role: str = "Person") -> str:
        return name if STAND_IN.fullmatch(name) else super().person(name, role)


def is_uid(text: str) -> bool:
    return len(text) <= 64 and re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", text) is not None


@lru_cache(maxsize=4096)
def folded_name(name: str) -> str:
    """Letters of a name without accents, case, order and punctuation."""
    plain = unicodedata.normalize("NFKD", name.split("=", maxsplit=1)[0] or name).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(sorted(part for part in re.split(r"[^\w]+|_", plain) if part))
