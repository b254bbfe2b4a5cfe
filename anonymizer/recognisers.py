"""Recognises identifiers nobody told us of, by their pattern and check digit; names only behind a title or a label."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

from anonymizer.phones import Found, unknown_phones


# -- check digits -------------------------------------------------------------------------------------------------
def luhn(digits: str) -> bool:
    total = 0
    for index, sign in enumerate(reversed(digits)):
        value = int(sign) * (1 + index % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(sign) * weight for sign, weight in zip(digits, weights, strict=False))


def _day(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def swedish(digits: str) -> bool:
    """Personnummer and samordningsnummer (day + 60), 10 or 12 digits (SKV 704, SKV 707)."""
    ten = digits[-10:]
    if len(digits) == 12 and digits[:2] not in ("18", "19", "20"):
        return False
    day = int(ten[4:6])
    return _day(day - 60 if day > 60 else day, int(ten[2:4])) and luhn(ten)


def german(text: str) -> bool:
    """Krankenversichertennummer: a letter and nine digits, the last one a check digit (§ 290 SGB V)."""
    written = f"{ord(text[0].upper()) - ord('A') + 1:02d}" + re.sub(r"\D", "", text)
    total = 0
    for index, sign in enumerate(written[:10]):
        value = int(sign) * (1 + index % 2)
        total += value - 9 * (value > 9)
    return total % 10 == int(written[10])


def born_by_number(text: str) -> date | None:
    """The date of birth that a Swedish personal or coordination number begins with; None for any other text."""
    written = re.fullmatch(r"(\d\d)?(\d\d)(\d\d)(\d\d)([-+ ]?)\d{4}", text.strip())
    if not written or not swedish(re.sub(r"\D", "", text)):
        return None
    this = date.today()  # noqa: DTZ011 - only the century of a two-digit year
    day = int(written[4]) - 60 * (int(written[4]) > 60)
    century = int(written[1]) if written[1] else this.year // 100 - (int(written[2]) > this.year % 100)
    try:
        return date(
            (century - (written[5] == "+" and not written[1])) * 100 + int(written[2]), int(written[3]), day
        )
    except ValueError:
        return None


def norwegian(digits: str) -> bool:
    """Fødselsnummer, D-number (day + 40) and H-number (month + 40): two check digits modulo 11."""
    if len(digits) != 11:
        return False
    first = (11 - _weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11) % 11
    second = (11 - _weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    day, month = int(digits[:2]), int(digits[2:4])
    plausible = _day(day - 40 if day > 40 else day, month - 40 if month > 40 else month)
    return plausible and (first, second) == (int(digits[9]), int(digits[10]))


def polish(digits: str) -> bool:
    """PESEL: eleven digits, the month carries the century."""
    if len(digits) != 11:
        return False
    check = (10 - _weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10
    return check == int(digits[10]) and _day(int(digits[4:6]), int(digits[2:4]) % 20)


def turkish(digits: str) -> bool:
    """T.C. kimlik no: eleven digits, two check digits."""
    if len(digits) != 11 or digits[0] == "0":
        return False
    numbers = [int(sign) for sign in digits]
    tenth = (sum(numbers[0:9:2]) * 7 - sum(numbers[1:8:2])) % 10
    return tenth == numbers[9] and sum(numbers[:10]) % 10 == numbers[10]


def british(digits: str) -> bool:
    """NHS number: ten digits, modulo 11."""
    check = 11 - _weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return len(digits) == 10 and (0 if check == 11 else check) == int(digits[9])


_HETU_SIGNS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_DNI_SIGNS = "TRWAGMYFPDXBNJZSQVHLCKE"


def finnish(text: str) -> bool:
    digits = text[:6] + text[7:10]
    return _day(int(text[:2]), int(text[2:4])) and _HETU_SIGNS[int(digits) % 31] == text[10].upper()


def spanish(text: str) -> bool:
    digits = re.sub(r"\W", "", text).upper()
    digits = {"X": "0", "Y": "1", "Z": "2"}.get(digits[0], digits[0]) + digits[1:]
    return digits[:-1].isdigit() and _DNI_SIGNS[int(digits[:-1]) % 23] == digits[-1]


def french(text: str) -> bool:
    digits = re.sub(r"\W", "", text)
    return len(digits) == 15 and int(digits[13:]) == 97 - int(digits[:13]) % 97


def iban(text: str) -> bool:
    """ISO 13616: modulo 97 of the rearranged letters and digits."""
    compact = re.sub(r"\W", "", text).upper()
    if not 15 <= len(compact) <= 34:
        return False
    moved = compact[4:] + compact[:4]
    return (
        moved.isalnum() and moved.isascii() and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1
    )


def _digits(check: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: check(re.sub(r"\D", "", text))


def _danish(text: str) -> bool:
    return _day(int(text[:2]), int(text[2:4]))


#: One row a kind of number: how it looks, what must hold. Read in this order, the first that holds wins.
_ROWS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("swedish", r"(?:1[89]|20)?\d\d[01]\d[0-9]\d[-+\u2010-\u2015 ]?\d{4}(?!\d)", _digits(swedish)),
    ("danish", r"[0-3]\d[01]\d\d\d-\d{4}(?!\d)", _danish),
    ("norwegian", r"[0-7]\d[0-5]\d\d\d ?\d{5}(?!\d)", _digits(norwegian)),
    ("finnish", r"[0-3]\d[01]\d\d\d[-+A-FU-Ya-fu-y]\d{3}[0-9A-Za-z](?!\w)", finnish),
    ("polish", r"\d{11}(?!\d)", _digits(polish)),
    ("turkish", r"[1-9]\d{10}(?!\d)", _digits(turkish)),
    ("british", r"\d{3}[- ]\d{3}[- ]\d{4}(?!\d)", _digits(british)),
    ("spanish", r"(?:\d{8}|[XYZ]\d{7})[- ]?[A-Za-z](?![A-Za-z\d])", spanish),
    ("american", r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])", bool),
    ("german", r"[A-Za-z] ?\d{3} ?\d{3} ?\d{3}(?!\d)", german),
    ("french", r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d(?!\d)", french),
)
_NATIONAL = [(re.compile(r"(?<![\d.])(?<![A-Za-z]\d)" + pattern), check) for _, pattern, check in _ROWS]
#: Where one of them may begin, so that few places are tried.
_START = re.compile(
    r"(?<!\d)(?<!\d\.)(?:\d{6}|\d{3}[\- ]\d{3}|\d{3}-\d\d-\d{4}|[12] \d\d |[XYZ]\d{7}|(?<!\w)[A-Za-z] ?\d{3} ?\d{3} ?\d{3}(?!\d))"
)
_IBAN = re.compile(r"(?<![A-Za-z\d])[A-Z]{2}\d\d(?: ?[A-Z\d]{4}){2,7}(?: ?[A-Z\d]{1,3})?(?![A-Za-z\d])")
_CODICE_FISCALE = re.compile(r"(?<![A-Za-z\d])[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?![A-Za-z\d])")
_AT = re.compile(r"\s?(?:@|[(\[{]\s?(?:at|snabel-a|ät)\s?[)\]}])\s?", re.IGNORECASE)
_SAID_DOT = r"\s?[(\[{]\s?(?:punkt|dot|point|punto|kropka|piste|nokta|точка)\s?[)\]}]\s?"
_ATOM = r"[^\s@<>()\[\]{},;:\"'^|]{1,64}"
_MAILBOX = re.compile(rf"(?:{_ATOM}{_SAID_DOT}){{0,3}}{_ATOM}$", re.IGNORECASE)
_DOMAIN = re.compile(rf"(?:[\w\-]{{1,63}}(?:\.|{_SAID_DOT})){{1,8}}[^\W\d_]{{2,24}}", re.IGNORECASE)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_HOST = r"(?:workstation|work station|arbetsstation|arbeitsplatz|station|host(?:name)?|server|client|klient|computer|dator|rechner|ws|pc|ip(?:v4)?)"
_IPV4 = re.compile(
    rf"(?<![^\W_]){_HOST}(?:[ -]?(?:address|adress|adresse|name|nr|no|id))?[\s:=#@(_-]{{1,4}}(?:ip[\s:=]{{1,3}})?"
    rf"(?P<ip>{_OCTET}(?:\.{_OCTET}){{3}}(?::\d{{2,5}})?)(?![\d.]*\d)"
    rf"|(?<![\w.])(?<!version )(?<!software )(?P<before>(?:10\.{_OCTET}|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.{_OCTET}){{2}}(?::\d{{2,5}})?)(?=\s\(?{_HOST}(?![^\W_]))",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"(?:https?|ftp|file)://[^\s<>\"\]]+|(?<![\w@.])www\.[\w\-]+(?:\.[\w\-]+)+(?:/[^\s<>\"\]]*)?",
    re.IGNORECASE,
)


def unknown_numbers(text: str) -> Iterator[Found]:
    """National numbers with their check digit, phone numbers, bank accounts."""
    for place in _START.finditer(text):
        for pattern, check in _NATIONAL:
            match = pattern.match(text, place.start())
            if match and check(match.group()):
                yield match.start(), match.end(), "number"
                break
    yield from unknown_phones(text)
    for pattern, check in ((_IBAN, iban), (_CODICE_FISCALE, str.isalnum)):
        for match in pattern.finditer(text):
            if check(match.group()):
                yield match.start(), match.end(), "number"


def unknown_links(text: str) -> Iterator[Found]:
    """E-mail addresses, web addresses, addresses of computers (IPv4, beside a word that says so)."""
    if "@" in text or "at" in text or "AT" in text or "ät" in text or "snabel" in text:
        for at in _AT.finditer(text):
            mailbox = _MAILBOX.search(text[max(0, at.start() - 96) : at.start()])
            domain = _DOMAIN.match(text, at.end())
            if mailbox and domain:
                yield at.start() - len(mailbox.group()), domain.end(), "email"
    if "://" in text or "www." in text or "WWW." in text:
        for match in _LINK.finditer(text):
            yield match.start(), match.end(), "link"
    if text.count(".") > 2:
        for match in _IPV4.finditer(text):
            yield *match.span(match.lastgroup or 0), "link"
