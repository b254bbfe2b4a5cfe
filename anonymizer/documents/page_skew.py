"""Measures how far the lines of a scanned page lean; it reads no word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_POINTS = 40_000
_WIDEST = 8.0
_INK = 90


def skew_degrees(grey: NDArray[np.uint8]) -> float:
    """By how many degrees to turn the picture (counter-clockwise, as Pillow does) so that its lines lie level.

    ``grey`` is (rows, columns), at most about 1000 a side. Lines that lie level crowd their ink into few rows: the angle
    with the largest sum of squared row counts wins. 0 when no angle is clearly better, as in photographs.
    """
    ground = float(np.median(grey))
    ink = grey < ground - _INK if ground > 127 else grey > ground + _INK
    down, across = np.nonzero(ink)
    if len(down) < 300 or len(down) > 0.35 * grey.size:
        return 0.0
    if len(down) > _MOST_POINTS:
        step = len(down) // _MOST_POINTS + 1
        down, across = down[::step], across[::step]

    def crowding(degrees: float) -> float:
        rows = (down - across * np.tan(np.radians(degrees))).astype(np.int64)
        counts = np.bincount(rows - rows.min())
        return float((counts.astype(np.float64) ** 2).sum())

    coarse = [float(angle) for angle in np.arange(-_WIDEST, _WIDEST + 0.1, 0.5)]
    best = max(coarse, key=crowding)
    fine = [best + float(step) for step in np.arange(-0.4, 0.41, 0.1)]
    best = max(fine, key=crowding)
    return best if crowding(best) > 1.08 * crowding(0.0) and abs(best) < _WIDEST else 0.0
