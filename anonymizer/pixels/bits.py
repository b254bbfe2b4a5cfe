"""Clears bits of uncompressed pictures that no pixel uses, where overlays used to be drawn.

References
----------
PS3.5 8.1.1 (unused bits); PS3.3 C.9.2 (overlays), retired embedding: PS3.3-2004 C.9.3.1.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.elements import PIXEL_DATA, DataSet, Element
from anonymizer.mapped import blocks


def mask_unused_bits(dataset: DataSet) -> int:
    """Clear bits outside Bits Stored that are no sign extension and no padding; returns how many pixels changed.

    Pictures without such bits are not copied.
    """
    element = dataset.get(PIXEL_DATA)
    allocated, stored = dataset.number(0x00280100), dataset.number(0x00280101)
    high = dataset.number(0x00280102, stored - 1)
    if (
        element is None
        or element.fragments is not None
        or not 0 < stored < allocated
        or allocated not in {8, 16, 32}
    ):
        return 0
    if high != stored - 1 or len(element.value) < allocated // 8:
        return 0
    size = allocated // 8
    used = (1 << stored) - 1
    met = 0
    for _, block in blocks(element.value):
        met |= int(np.bitwise_or.reduce(np.frombuffer(block, dtype=f"<u{size}", count=len(block) // size)))
    if not met & ~used:
        return 0
    pixels = np.frombuffer(element.value, dtype=f"<u{size}", count=len(element.value) // size)
    return _mask(element, pixels, dataset, stored, used)


def _mask(
    element: Element, pixels: NDArray[np.unsignedinteger], dataset: DataSet, stored: int, used: int
) -> int:
    right = pixels & pixels.dtype.type(used)
    if dataset.number(0x00280103) == 1:
        negative = (right >> pixels.dtype.type(stored - 1)).astype(np.bool_)
        unused = ((1 << 8 * pixels.dtype.itemsize) - 1) ^ used
        right = np.where(negative, right | pixels.dtype.type(unused), right)
    changed = right != pixels
    padding = dataset.get(0x00280120)
    if padding is not None and len(padding.value) == pixels.dtype.itemsize:
        changed &= pixels != pixels.dtype.type(int.from_bytes(padding.value, "little"))
    count = int(np.count_nonzero(changed))
    if count:
        whole = np.where(changed, right, pixels).astype(pixels.dtype).tobytes()
        element.value = whole + bytes(element.value[len(whole) :])
    return count
