"""Finds the known numbers of a case in a text, whatever parts their digits; it knows no number by its pattern.

Numbers of eight digits and more are found anywhere, also inside a longer one; shorter ones only as whole numbers.
"""

from __future__ import annotations

import re
from datetime import date

from anonymizer.known import Identifier, Known
from anonymizer.places import postal_codes
from anonymizer.words import words

#: What may stand between the digits of one number.
SEPARATORS = r"\s\-+./()_^:,\u2010-\u2015\u2212"
CHAIN = re.compile(rf"\d(?:[{SEPARATORS}]{{0,3}}\d)*")
_NOT_DIGIT = re.compile(r"\D+")
_NOT_ALNUM = re.compile(r"[\W_]+")
LONG = 8
_LETTER_FOR_DIGIT = re.compile(r"\d[OoIlSB|]|[OoIlSB|]\d")
_AS_DIGITS = str.maketrans("OoIl|SB", "0011158")
_PREFIX_SIGNS = 12  # "+46 (0)" and the like
WHOLE = 5
_BACKWARDS = 10
_GAP = r"[\s\-+./_^:\u2010-\u2015\u2212]{0,2}"
_COUNTRY_1 = ("1", "7")
_COUNTRY_2 = frozenset(
    {
        "20",
        "27",
        *map(str, range(30, 35)),
        "36",
        "39",
        "40",
        "41",
        *map(str, range(43, 50)),
        *map(str, range(51, 59)),
    }
    | {*map(str, range(60, 67)), "81", "82", "84", "86", *map(str, range(90, 96)), "98"}
)
Found = tuple[int, int, str]


def national_digits(phone: str) -> tuple[str, str]:
    """Split a phone number into its country code ("" when it has none) and the digits that every way of writing it shares."""
    digits = _NOT_DIGIT.sub("", re.sub(r"\(\s*0\s*\)", "", phone))
    international = phone.strip().startswith("+") or digits.startswith("00")
    if not international:
        return "", digits.lstrip("0")
    digits = digits.lstrip("0")
    size = 1 if digits[:1] in _COUNTRY_1 else 2 if digits[:2] in _COUNTRY_2 else 3
    return digits[:size], digits[size:].lstrip("0")


def birth_digits(born: date) -> tuple[str, ...]:
    """The ways to write a date of birth in digits alone."""
    return tuple(
        dict.fromkeys(
            born.strftime(form) for form in ("%Y%m%d", "%y%m%d", "%d%m%Y", "%d%m%y", "%m%d%Y", "%m%d%y")
        )
    )


class Numbers:
    """The digits of `Known`, compiled."""

    def __init__(self, known: Known) -> None:
        self._long: dict[str, str] = {}
        self._whole: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self.letters: list[str] = []
        self._short: set[str] = set()
        self._grouped: dict[str, str] = {}  # whole numbers whose digits are parted in one way only
        self._phone_prefixes: set[str] = {"0"}
        for identifier in (
            *known.identifiers,
            *(item for person in known.people for item in person.identifiers),
        ):
            self._identifier(identifier)
        for phone in (*known.phones, *(phone for person in known.people for phone in person.phones)):
            self._phone(phone)
        for address in known.addresses:
            for code in postal_codes(address):
                self._postal_code(code)
        for text in known.other:
            if any(sign.isdigit() for sign in text) and len(_NOT_DIGIT.sub("", text)) * 2 > len(text):
                self._code(text, "other")
        for born in known.birth_dates:
            forms = birth_digits(born)
            self._long.setdefault(forms[0], "birth_date")
            for form in forms[1:]:
                self._whole.setdefault(form, "birth_date")
        self._long_pattern = _alternation(self._long)
        self._whole_pattern = (
            re.compile(
                rf"(?<!\d)(?<!\d[.,])0*(?:{'|'.join(self._grouped.get(form, r'[ -]?'.join(form)) for form in _longest(self._whole))})(?!\d)(?![.,]\d)"
            )
            if self._whole
            else None
        )
        self._code_pattern = self._compile_codes()

    def _identifier(self, identifier: Identifier) -> None:
        self._code(identifier.value, "number")

    def _postal_code(self, value: str) -> None:
        """A postal code of digits is known as it is grouped: "123 45" or "12345", never "12 345" cells."""
        digits = _NOT_DIGIT.sub("", value)
        if len(digits) >= WHOLE and digits.isascii() and re.fullmatch(r"[\d\s-]+", value.strip()):
            self._whole.setdefault(digits, "address")
            self._grouped[digits] = r"[ -]?".join(re.findall(r"\d+", value)) if len(digits) < LONG else digits
        else:
            self._code(value, "address")

    def _code(self, value: str, kind: str) -> None:
        compact = _NOT_ALNUM.sub("", value).casefold()
        digits = _NOT_DIGIT.sub("", compact)
        if not digits:
            if len(compact) > 3:
                self.letters.append(compact)
            return
        if digits != compact:
            if len(compact) >= 4 and compact not in words("clinical"):
                self._codes.setdefault(compact, kind)
            runs = [run for run in re.findall(r"\d+", compact) if len(run) > 5]
        else:
            runs = [digits]
        for run in runs:
            self._digits(run, kind)

    def _digits(self, digits: str, kind: str) -> None:
        significant = digits.lstrip("0")
        forms = [significant]
        if len(digits) == 12 and digits[:2] in ("18", "19", "20"):
            forms.append(digits[2:])  # a Swedish personal number is also written without its century
        if kind == "number":  # a file name or a test label may hold it backwards
            forms += [form[::-1] for form in forms if len(form) >= _BACKWARDS]
        for form in forms:
            if len(form) >= LONG:
                self._long.setdefault(form, kind)
            elif len(form) >= WHOLE:
                self._whole.setdefault(form, kind)
            elif len(form) >= 3 and form == significant:
                self._short.add(digits)

    def _phone(self, phone: str) -> None:
        country, digits = national_digits(phone)
        if country:
            self._phone_prefixes |= {country, country + "0", "00" + country, "00" + country + "0"}
        if len(digits) >= LONG:
            self._long[digits] = "phone"
        elif len(digits) > WHOLE:
            self._whole[digits] = "phone"

    def _compile_codes(self) -> re.Pattern[str] | None:
        if not self._codes:
            return None
        branches = []
        for code in _longest(self._codes):
            body = _GAP.join(map(re.escape, code))
            branches.append(body if len(code) >= LONG else rf"(?<![^\W_]){body}(?![^\W_])")
        return re.compile("|".join(branches), re.IGNORECASE)

    @property
    def needles(self) -> tuple[str, ...]:
        """The numbers long enough to be looked for in raw bytes."""
        return (*self._long, *(code for code in self._codes if len(code) >= LONG))

    def find(self, text: str) -> list[Found]:
        """Where known numbers stand: start, end, kind."""
        found: list[Found] = []
        if self._code_pattern:
            for match in self._code_pattern.finditer(text):
                compact = _NOT_ALNUM.sub("", match.group()).casefold()
                found.append(
                    (*_whole_digits(text, match.start(), match.end()), self._codes.get(compact, "number"))
                )
        found += self._cut_code(text)
        if text.strip() in self._short:
            found.append((0, len(text), "number"))
        if not (self._long_pattern or self._whole_pattern):
            return found
        if self._long_pattern and _LETTER_FOR_DIGIT.search(text):
            found += self._misread(text)
        for chain in CHAIN.finditer(text):
            if chain.end() - chain.start() < WHOLE:
                continue
            found += self._in_chain(text, chain)
        return found

    def _in_chain(self, text: str, chain: re.Match[str]) -> list[Found]:
        found: list[Found] = []
        written = chain.group()
        compact = _NOT_DIGIT.sub("", written)
        if self._long_pattern and len(compact) >= LONG:
            hits = [
                (hit.start(), hit.end(), self._long[hit.group()])
                for hit in self._long_pattern.finditer(compact)
            ]
            if not hits and chain.end() == len(text):
                hits = self._cut(compact)
            if hits:
                places = [index for index, sign in enumerate(written) if sign.isdigit()]
                covered = 0
                for first, last, kind in hits:
                    begin, finish = chain.start() + places[first], chain.start() + places[last - 1] + 1
                    if finish <= covered:
                        continue  # widened over already: a long run of digits is walked once
                    start, end = _whole_digits(text, max(begin, covered), finish)
                    covered = end
                    start = self._with_prefix(text, chain.start(), start, kind)
                    found.append((start, end, kind))
        if self._whole_pattern:
            for hit in self._whole_pattern.finditer(written):
                kind = self._whole.get(_NOT_DIGIT.sub("", hit.group()).lstrip("0")) or self._whole.get(
                    _NOT_DIGIT.sub("", hit.group()), "number"
                )
                start = self._with_prefix(text, chain.start(), chain.start() + hit.start(), kind)
                found.append((start, chain.start() + hit.end(), kind))
        return found

    def _misread(self, text: str) -> list[Found]:
        """Long known numbers in which OCR took O for 0 or l for 1."""
        as_digits = text.translate(_AS_DIGITS)
        found = [hit for chain in CHAIN.finditer(as_digits) for hit in self._in_chain(as_digits, chain)]
        return [
            (start, end, kind)
            for start, end, kind in found
            if text[start:end] != as_digits[start:end]
            and sum(sign.isdigit() for sign in text[start:end]) >= WHOLE
        ]

    def _cut(self, compact: str) -> list[Found]:
        """A known number cut off by the end of a short VR: its first eight digits or more."""
        for form, kind in self._long.items():
            for size in range(min(len(form), len(compact)), LONG - 1, -1):
                if compact.endswith(form[:size]):
                    return [(len(compact) - size, len(compact), kind)]
        return []

    def _cut_code(self, text: str) -> list[Found]:
        for code, kind in self._codes.items():
            if len(code) <= LONG:
                continue
            tail = _NOT_ALNUM.sub("", text[-2 * len(code) :]).casefold()
            for size in range(min(len(code) - 1, len(tail)), LONG - 1, -1):
                if tail.endswith(code[:size]):
                    start = len(text)
                    while size:
                        start -= 1
                        size -= text[start].isalnum()  # noqa: PLW2901 - counts the code's own signs backwards
                    return [(start, len(text), kind)]
        return []

    def _with_prefix(self, text: str, chain_start: int, start: int, kind: str) -> int:
        """Where a phone number with its trunk or country code begins."""
        if kind == "phone":
            before = text[chain_start:start] if start - chain_start <= _PREFIX_SIGNS else ""
            if before and _NOT_DIGIT.sub("", before) in self._phone_prefixes:
                start = chain_start
        while start and text[start - 1] in "+(" and kind == "phone":
            start -= 1
        return start


def _longest(forms: dict[str, str]) -> list[str]:
    return sorted(forms, key=len, reverse=True)


def _alternation(forms: dict[str, str]) -> re.Pattern[str] | None:
    return re.compile("|".join(_longest(forms))) if forms else None


def _whole_digits(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a stretch to the digits that touch it, so that no rest of a number stays behind."""
    while start and text[start - 1].isdigit() and text[start].isdigit():
        start -= 1
    while end < len(text) and text[end].isdigit() and text[end - 1].isdigit():
        end += 1
    return start, end
