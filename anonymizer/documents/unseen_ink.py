"""Tells letters that nobody sees on a page: white on white paper, or set too small to be read."""

from __future__ import annotations

import re

#: Below this size in points no reader reads a letter.
LEAST_POINTS = 3.5
_WHITE = re.compile(
    r"(?:#?f{3}|#?f{6}|#?f{8}|white|rgba?\(\s*255\s*,\s*255\s*,\s*255\b.*|transparent|rgba\(.*,\s*0(?:\.0*)?\s*\))",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\s*(\d{0,6}(?:\.\d{1,6})?)\s*(pt|px|mm|cm|in)\s*", re.IGNORECASE)
_POINTS = {"pt": 1.0, "px": 0.75, "mm": 2.83, "cm": 28.3, "in": 72.0}


def is_white(colour: str) -> bool:
    """Whether a colour is that of paper, or none."""
    return bool(_WHITE.fullmatch(colour.strip()))


def is_tiny(size: str) -> bool:
    """Whether a length with its unit is too small for letters."""
    match = _SIZE.fullmatch(size)
    return bool(match and match[1] and float(match[1]) * _POINTS[match[2].lower()] < LEAST_POINTS)
