"""Amounts of bytes as operators write and read them: 8GiB, 500 MB, none; pages for patients say them otherwise."""

from __future__ import annotations

import re

from gateway.domain.errors import InvalidError

_AMOUNT = re.compile(r"\s*([0-9]{1,18})(?:[.,]([0-9]{1,3}))?\s*([A-Za-z]{0,3})\s*")
_UNITS = {
    "": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_SAID = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def bytes_of(text: str) -> int | None:
    """Return the bytes that «8GiB» or «500 MB» says; None for «none» and for nothing."""
    if text.strip().lower() in {"", "none"}:
        return None
    found = _AMOUNT.fullmatch(text)
    if not found or found[3].upper() not in _UNITS:
        raise InvalidError(f"«{text[:40]}» is no amount", next_step="Write 8GiB, 500MB or none.")
    return round(float(f"{found[1]}.{found[2] or 0}") * _UNITS[found[3].upper()])


def said_bytes(size_bytes: int) -> str:
    """Return «4.2 GiB»; what was read from text is said so that it reads the same."""
    unit, name = next(((u, n) for u, n in _SAID if size_bytes >= u), (1, "B"))
    return f"{size_bytes / unit:.4g} {name}"


def number_of(text: str) -> int | None:
    """Return a whole number; None for «none» and for nothing."""
    if text.strip().lower() in {"", "none"}:
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 7):
        raise InvalidError(f"«{text[:40]}» is no number", next_step="Write a number, or none.")
    return int(text)
