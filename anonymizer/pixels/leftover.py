"""Notices drawn signs that stand in no upright line, as oblique or stacked writing does; it reads and masks nothing.

Lines of print are found by `strokes` and read by OCR, both upright or turned by quarters. What is drawn in one shade, is of a
letter's size and stands in company of its like, but in no line that anybody read, is for a human.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels.strokes import Box, drawn_shades, parts_of

#: How many like signs close to one another are taken for writing; two calipers or a pair of arrows are not.
FEWEST = 6
_LOWEST, _HIGHEST = 7, 60  # pixels
_NEAR = 2.2  # sizes between neighbours
_MOST = 3000
_FLAT = 3
_SOFT = 60


def leftover_signs(grey: NDArray[np.uint8], explained: list[Box]) -> list[Box]:
    """Boxes around groups of drawn signs outside the ``explained`` boxes; (rows, columns) of grey levels."""
    found: list[Box] = []
    for shade in drawn_shades(grey):
        away = np.abs(grey.astype(np.int16) - shade)
        for mask in (away <= _FLAT, away <= _SOFT):
            if mask.mean() < 0.25:
                found += _groups(mask, explained)
    return found


def _groups(mask: NDArray[np.bool_], explained: list[Box]) -> list[Box]:
    parts = parts_of(mask)
    if parts is None:
        return []
    size = np.maximum(parts.height, parts.width)
    thin = np.minimum(parts.height, parts.width)
    filled = parts.area / np.maximum(parts.width * parts.height, 1)
    signs = (size >= _LOWEST) & (size <= _HIGHEST) & (thin >= 0.2 * size) & (filled > 0.15) & (filled < 0.8)
    chosen = np.flatnonzero(signs)
    middle_x = (parts.left + parts.right) / 2
    middle_y = (parts.top + parts.bottom) / 2
    for box in explained:
        inside = (
            (middle_x[chosen] >= box.left - 3)
            & (middle_x[chosen] <= box.right + 3)
            & (middle_y[chosen] >= box.top - 3)
            & (middle_y[chosen] <= box.bottom + 3)
        )
        chosen = chosen[~inside]
    if not FEWEST <= len(chosen) <= _MOST:
        return []
    x, y, s = middle_x[chosen], middle_y[chosen], size[chosen].astype(np.float64)
    reach = _NEAR * np.minimum(s[:, None], s[None, :])
    alike = (s[:, None] < 2.2 * s[None, :]) & (s[None, :] < 2.2 * s[:, None])
    joined = alike & (np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :]) <= reach)
    label = np.arange(len(chosen))
    while True:
        least = np.where(joined, label[None, :], len(chosen)).min(axis=1)
        least = np.minimum(least, label)
        if np.array_equal(least, label):
            break
        label = least
    groups = []
    for one in np.unique(label):
        members = chosen[label == one]
        if len(members) >= FEWEST:
            left, top = int(parts.left[members].min()), int(parts.top[members].min())
            right, bottom = int(parts.right[members].max()), int(parts.bottom[members].max())
            groups.append(Box(left, top, right - left, bottom - top))
    return groups
