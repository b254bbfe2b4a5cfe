"""Tells in a fraction of a millisecond whether something may be drawn upon an uncompressed CT, MR or PET slice.

Two signs: tissue has its highest value in a few places or in filled areas, writing has its own in thin strokes; and the thin
strokes of soft or less bright letters stand close together in a line.
"""

from __future__ import annotations

import numpy as np

from anonymizer.elements import PIXEL_DATA, DataSet
from anonymizer.pixels.strokes import line_boxes
from anonymizer.pixels.thin import Values, thin_print

#: How many pixels of the highest value writing has, and how large a part of the picture it takes at most.
_FEWEST = 40
_MOST_SHARE = 0.06
_MOST_BYTES = 64 << 20


def drawn_upon(dataset: DataSet) -> bool:
    """Whether writing may stand in any frame; only 16-bit uncompressed pictures are asked."""
    element = dataset.get(PIXEL_DATA)
    rows, columns = dataset.number(0x00280010), dataset.number(0x00280011)
    if element is None or element.fragments is not None or dataset.number(0x00280100) != 16:
        return False
    if dataset.number(0x00280002, 1) != 1 or len(element.value) > _MOST_BYTES or rows * columns < 4096:
        return False
    kind = "<i2" if dataset.number(0x00280103) == 1 else "<u2"
    size = rows * columns
    values = np.frombuffer(element.value, kind, count=len(element.value) // 2)
    return any(
        drawn_in(values[start : start + size].reshape(rows, columns))
        for start in range(0, len(values) - size + 1, size)
    )


def drawn_in(frame: Values) -> bool:
    """Whether strokes stand in lines in one frame (rows, columns) of 16-bit values."""
    highest = frame == frame.max()
    many = int(np.count_nonzero(highest))
    if _FEWEST <= many <= _MOST_SHARE * frame.size and line_boxes(highest):
        return True
    return thin_print(frame)
