"""How things are named: opaque ids for rows, a short reference that a person can read aloud for cases."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

# Crockford's base 32 without I, L, O, U: nothing that is misread over a telephone.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REF_SIGNS = 8
CASE_REF = re.compile(r"^C-[0-9A-HJKMNP-TV-Z]{8}$")


def new_id() -> str:
    """32 lower-case hex digits, random: says nothing of order, time or person."""
    return uuid.uuid4().hex


def new_case_ref(random: Callable[[int], bytes]) -> str:
    """``C-`` and eight signs (40 bits). It is also a valid AE title (PS3.5 6.2: at most 16 characters)."""
    number = int.from_bytes(random(5), "big")
    return "C-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -5, -5))


def normal_case_ref(text: str) -> str:
    """The reference as it is stored: upper case, with O, I and L read as 0 and 1."""
    signs = text.strip().upper().replace("-", "").replace(" ", "")
    tail = (
        signs[1:] if len(signs) > _REF_SIGNS and signs[0] == "C" else signs
    )  # the eight signs may begin with C too
    return "C-" + tail.replace("O", "0").replace("I", "1").replace("L", "1")
