"""Tells whether bytes under one value representation can be a value of another, and converts numbers; it reads no text.

References
----------
PS3.5 6.2 (value representations), 6.2.2 (UN).
"""

from __future__ import annotations

import struct

from anonymizer.elements import NUMBER_VRS, STREAM_VRS, STRING_VRS, WORD_SIZES, Element, dictionary_vr

NUMERALS = frozenset({"DS", "IS"})
#: How `struct` reads one value of each binary number (AT is a pair of tags, no number).
CODES = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
MOST_VALUES = 4096


def contradicts(tag: int, vr: str) -> bool:
    """Whether bytes of this kind cannot be a value of the attribute at all."""
    right = dictionary_vr(tag)
    if not right or right == vr or " or " in right:
        return bool(right) and " or " in right and vr in STRING_VRS
    return not compatible(vr, right)


def compatible(vr: str, right: str) -> bool:
    if vr == right:
        return True
    if right == "SQ" or vr == "SQ":
        return False
    if vr in {"UN", "OB"} and right in STREAM_VRS | {"UN"}:
        return True
    if vr == "UN":
        return right in STRING_VRS | NUMBER_VRS
    return (vr in STRING_VRS and right in STRING_VRS) or (vr in STREAM_VRS and right in STREAM_VRS)


def held_as(element: Element, right: str) -> str:
    """The VR under which a private element may be judged, or "" when its bytes cannot be what the safe row says.

    A number stays the number it is: vendors change the width, never the meaning.
    """
    vr = element.vr
    numbers = NUMERALS | set(CODES)
    own = right in numbers and (
        vr in numbers or vr == "CS"
    )  # a term instead of a number has its own, strict form
    found = vr if own else right if compatible(vr, right) else ""
    if found in CODES and len(element.value) % WORD_SIZES[found]:
        return ""
    return found


def converted_number(element: Element, right: str) -> Element | None:
    """The same numbers under the right VR; None when one of the two is no number, or a value does not fit."""
    if element.vr not in NUMERALS | set(CODES) or right not in NUMERALS | set(CODES):
        return None
    try:
        return Element(element.tag, right, _written(_numbers(element), right))
    except (ValueError, OverflowError, struct.error):
        return None


def _numbers(element: Element) -> list[float]:
    raw = bytes(element.value)
    if element.vr in NUMERALS:
        texts = [text.strip(" \0") for text in raw.decode("ascii").split("\\")]
        return [float(text) if not text.lstrip("+-").isdigit() else int(text) for text in texts if text]
    code = CODES[element.vr]
    size = struct.calcsize(f"<{code}")
    count = len(raw) // size
    if len(raw) % size or count > MOST_VALUES:
        raise ValueError
    return list(struct.unpack(f"<{count}{code}", raw))


def _written(numbers: list[float], right: str) -> bytes:
    if right in {"FL", "FD"}:
        return struct.pack(f"<{len(numbers)}{CODES[right]}", *numbers)
    if right != "DS" and any(one != int(one) for one in numbers):
        raise ValueError
    if right in NUMERALS:
        return "\\".join(_numeral(one, whole=right == "IS") for one in numbers).encode("ascii")
    return struct.pack(f"<{len(numbers)}{CODES[right]}", *map(int, numbers))


def _numeral(number: float, *, whole: bool) -> str:
    """At most 12 (IS) or 16 (DS) characters."""
    text = str(int(number)) if whole or number == int(number) else repr(number)
    if len(text) > (12 if whole else 16):
        if whole:
            raise ValueError
        text = f"{number:.10g}"
    return text
