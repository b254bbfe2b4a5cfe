"""How values of each kind look, and what can be packed into them; it judges no case and holds no identifier.

References
----------
PS3.5 6.2 (value representations); RFC 4648 (base64).
"""

from __future__ import annotations

import base64
import re

import numpy as np

from anonymizer.elements import Element

OLDEST_SHOWN = 89
#: How a value of a kind looks; what senders commonly get wrong about it, but no name can be, passes too.
FORMS = {
    "TM": re.compile(r"\d{1,2}:?(\d{2}:?(\d{2}(\.\d{1,9})?)?)?"),
    "AS": re.compile(r"\d{1,3} ?[DWMYdwmy]?"),
    "IS": re.compile(r"[ \d.,eE+\-]{0,24}"),
    "DS": re.compile(r"[ \d.,eE+\-]{0,40}|[+-]?(?:nan|inf|NaN|Inf|INF|infinity|Infinity)"),
    "CS": re.compile(r"[A-Z0-9_ ]{0,16}"),
}
#: Kinds of number that a patient's number fits into, and how numpy reads them.
LARGE_NUMBERS = {"UL": "<u4", "SL": "<i4", "UV": "<u8", "SV": "<i8", "FL": "<f4", "FD": "<f8"}
LEAST_LARGE, MOST_NUMBERS = 100_000, 64
BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4}\s?){5,}[A-Za-z0-9+/]{0,3}={0,2}(?![A-Za-z0-9+/=])"
)
PLACEHOLDER = re.compile(r"\[[a-z]+\]")
CUT_PLACEHOLDER = re.compile(r"\s*\[[a-z]*$")


def unpacked(packed: str) -> bytes:
    """The bytes that a run of letters and digits spells in base64, a cut end left out; b"" when it spells none."""
    compact = "".join(packed.split()).rstrip("=")
    try:
        return base64.b64decode(compact[: len(compact) // 4 * 4], validate=True)
    except ValueError:
        return b""


def cut(text: str, limit: int) -> str:
    """Text cut to the length of its kind, without half a placeholder at its end."""
    return CUT_PLACEHOLDER.sub("", text[:limit]).rstrip()


def large_numbers(element: Element) -> list[str]:
    """The whole numbers of six digits and more in a short binary value, as they would be written."""
    code = LARGE_NUMBERS[element.vr]
    size = int(code[2])
    if not size <= len(element.value) <= MOST_NUMBERS * size or len(element.value) % size:
        return []
    numbers = np.frombuffer(element.value, dtype=code).tolist()
    return [str(int(abs(one))) for one in numbers if LEAST_LARGE <= abs(one) < 1e15 and one == int(one)]


def cap_age(value: str) -> str:
    """Ages over 89 are shown as 90 years (the rarer the age, the more it names); "61Y" is spelled 061Y."""
    match = re.fullmatch(r"(\d{1,3}) ?([DWMYdwmy]?)", value)
    if match is None:
        return value
    unit = match[2].upper()
    years = int(match[1]) / {"Y": 1, "M": 12, "W": 52.2, "D": 365.25, "": 1}[unit]
    if years > OLDEST_SHOWN:
        return "090Y"
    return f"{int(match[1]):03d}{unit}" if unit else value
