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

from pydicom.uid import UID_dictionary

from anonymizer.errors import PseudonymKeyError

WELL_KNOWN_ROOT = "1.2.840.10008."
#: No digit, so that a pseudonym never looks like a number of the patient, and no vowel, so that it never reads as a word.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
SHIFT_WEEKS_MIN, SHIFT_WEEKS_MAX = 52, 520
ROLES = {"Person": "PRS", "Physician": "PHY", "Operator": "OPR", "Reviewer": "RVW", "Observer": "OBS"}
STAND_IN = re.compile(
    rf"MDT-[{LETTERS}]{{10}}|({'|'.join(ROLES.values())})[{LETTERS}]{{8}}|[A-Z][{LETTERS}]{{10}}"
)
_DATE = re.compile(r"(\d{4})(?:[.\-]?(\d{2})(?:[.\-]?(\d{2}))?)?")
_RANGE = re.compile(r"(\d{8})?-(\d{8})?")
_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?")
#: As other formats write a moment (ISO 8601, RFC 3339); some senders copy it into DT.
_SPELLED = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d(?:\.\d{1,6})?)\d*)?)? ?(?:(Z)|([+-]\d\d):?(\d\d))?"
)
#: A well-known UID under the standard's root has short parts; a long one there is a sender's own (and may hold a number).
_LONGEST_PART = 3


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
        if not old or is_well_known(old):
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
        """A DA value shifted, also of a month, a year or a range (PS3.4 C.2.2.2.5); "" when it is no date."""
        text = old.strip(" \0")
        if "-" in text and (sides := _RANGE.fullmatch(text)) and (sides[1] or sides[2]):
            new = [self._date(side) if side else "" for side in sides.groups()]
            return "-".join(new) if all(map(bool, new)) == all(sides.groups()) and any(new) else ""
        match = _DATE.fullmatch(text)
        if match is None:
            return ""
        shifted = self._shift(int(match[1]), int(match[2] or 7), int(match[3] or 1))
        return _spelled(shifted, match) if shifted else ""

    def datetime(self, old: str) -> str:
        """A DT value shifted by whole days, its precision, fraction and offset kept; "" when it is none."""
        text = old.strip(" \0")
        if spelled := _SPELLED.fullmatch(text):
            zone = "+0000" if spelled[7] else (spelled[8] or "") + (spelled[9] or "")
            text = "".join(spelled[part] or "" for part in range(1, 7)) + zone
        match = _DATETIME.fullmatch(text)
        if match is None or (match[4] and not match[3]):
            return ""
        shifted = self._shift(int(match[1]), int(match[2] or 7), int(match[3] or 1))
        return _spelled(shifted, match) + (match[4] or "") + (match[5] or "") if shifted else ""

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


def _spelled(shifted: date, match: re.Match[str]) -> str:
    """The shifted day, to the precision that was given."""
    month = f"{shifted.month:02d}" if match[2] else ""
    return f"{shifted.year:04d}{month}" + (f"{shifted.day:02d}" if match[3] else "")


def is_well_known(text: str) -> bool:
    """Whether the standard itself gave out this UID: registered, or of the form of those (short parts, no date)."""
    return text in UID_dictionary or (
        text.startswith(WELL_KNOWN_ROOT)
        and is_uid(text)
        and all(len(part) <= _LONGEST_PART for part in text[len(WELL_KNOWN_ROOT) :].split("."))
    )


def is_uid(text: str) -> bool:
    return len(text) <= 64 and re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", text) is not None


@lru_cache(maxsize=4096)
def folded_name(name: str) -> str:
    """Letters of a name without accents, case, order and punctuation."""
    plain = unicodedata.normalize("NFKD", name.split("=", maxsplit=1)[0] or name).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(sorted(part for part in re.split(r"[^\w]+|_", plain) if part))
