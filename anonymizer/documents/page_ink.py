"""Finds ink on a page that looks written and that no reader read: handwriting, stamps, signatures, foreign letters.

It works on a coarse grid of cells; it neither reads nor judges words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymizer.documents.reading import Box

#: Cells along the longer side: at A4 about 1.3 mm each, half the height of a line of print.
_CELLS = 220
_INK = 70
#: In cells: what is smaller is a speck or a bullet, what is thinner a rule, what is emptier a frame.
_LEAST_LENGTH, _LEAST_CELLS, _LEAST_FILL = 5, 8, 0.14
_PICTURE_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Patch:
    """Connected ink that was not read: its box in pixels, and whether it is as large as a picture on the page."""

    box: Box
    picture: bool


def unread(grey: NDArray[np.uint8], read: Iterable[Box]) -> list[Patch]:
    """The patches of ink in a (rows, columns) picture that lie outside the boxes that were read."""
    rows, columns = grey.shape
    size = max(4, max(rows, columns) // _CELLS)
    ground = float(np.median(grey))
    ink = np.abs(grey.astype(np.int16) - int(ground)) > _INK
    for left, top, right, bottom in read:
        pad = max(2, (bottom - top) // 4)
        ink[max(0, top - pad) : bottom + pad, max(0, left - pad) : right + pad] = False
    down, across = rows // size, columns // size
    if not down or not across:
        return []
    counts = ink[: down * size, : across * size].reshape(down, size, across, size).sum(axis=(1, 3))
    cells = counts >= max(2, size * size * 0.05)
    found: list[Patch] = []
    for low, first, high, last, count in _groups(cells):
        tall, wide = high - low + 1, last - first + 1
        if count < _LEAST_CELLS or max(tall, wide) < _LEAST_LENGTH or min(tall, wide) < 2:
            continue
        if count / (tall * wide) < _LEAST_FILL or (min(tall, wide) == 2 and max(tall, wide) > 40):
            continue
        box = first * size, low * size, (last + 1) * size, (high + 1) * size
        found.append(Patch(box, picture=count > _PICTURE_SHARE * down * across))
    return found


def _groups(cells: NDArray[np.bool_]) -> list[tuple[int, int, int, int, int]]:
    """Connected cells, a gap of one forgiven sidewards: top row, left column, bottom row, right column, count."""
    left = {(int(row), int(column)) for row, column in np.argwhere(cells)}
    groups = []
    while left:
        start = left.pop()
        queue = deque([start])
        low = high = start[0]
        first = last = start[1]
        count = 0
        while queue:
            row, column = queue.popleft()
            count += 1
            low, high, first, last = min(low, row), max(high, row), min(first, column), max(last, column)
            for step_down in (-1, 0, 1):
                for step_across in (-2, -1, 0, 1, 2):
                    beside = row + step_down, column + step_across
                    if beside in left:
                        left.discard(beside)
                        queue.append(beside)
        groups.append((low, first, high, last, count))
    return groups
