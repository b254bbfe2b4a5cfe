"""Views of a grainy frame in which drawn letters stand out; it reads nothing.

Ink is of one shade and grain is not, so that pixels like their neighbours are ink even where it is hardly darker than its
ground. What was encoded with loss has no such pixels any more: there the mean of squares tells letters from grain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels.strokes import Box

Grey = NDArray[np.uint8]
_LEAST_GRAIN = 5.0  # mean difference of neighbours in grey levels
_MOST_FLAT = 0.06  # share of a frame that is like its neighbours
_MOST_PIXELS = 4_000_000


def without_grain(grey: Grey) -> list[tuple[Grey, int]]:
    """Views and by how much each is smaller; none for a frame without grain."""
    if grey.size > _MOST_PIXELS or min(grey.shape) < 64:
        return []
    wide = grey.astype(np.int16)
    if float(np.median(np.abs(np.diff(wide[:, ::2], axis=1)))) < _LEAST_GRAIN:
        return []
    found: list[tuple[Grey, int]] = []
    alike = np.zeros(grey.shape, np.uint8)
    across, down = wide[:, 1:] == wide[:, :-1], wide[1:] == wide[:-1]
    alike[:, 1:] += across
    alike[:, :-1] += across
    alike[1:] += down
    alike[:-1] += down
    flat = alike >= 2
    if 0 < flat.mean() < _MOST_FLAT:
        found.append((np.where(flat, np.uint8(255), np.uint8(0)), 1))
    rows, columns = (length // 2 * 2 for length in grey.shape)
    squares = wide[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    found.append((squares.mean(axis=(1, 3)).astype(np.uint8), 2))
    return found


def enlarged_box(box: Box, factor: int) -> Box:
    return Box(box.left * factor, box.top * factor, box.width * factor, box.height * factor)
