"""Evens the light of a photographed page, and finds and darkens ink that is too pale to be read; it reads no word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

#: Steps of grey below the paper: ink from here on is seen by an eye that looks for it, and from there on by OCR.
_PALE, _PLAIN = 4, 64
#: The least share of a page that pale ink covers, and the most that a shaded ground may.
_LEAST_SHARE, _MOST_SHARE = 0.0002, 0.25
_MOST_GRAIN = 1.5
#: How far the soft edge of plain ink reaches, in cells of pixels, with the waves that JPEG makes in its blocks of eight.
_CELL, _EDGE = 4, 2


def whitened(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Divide by the ground's own light where it is uneven (a photographed page); leave even pages alone."""
    rows, columns = grey.shape
    if min(rows, columns) < 128:
        return grey
    small = Image.fromarray(grey).resize((max(8, columns // 32), max(8, rows // 32)), Image.Resampling.BOX)
    light = small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(2))
    levels = np.asarray(light)
    if int(levels.min()) > 215 or int(np.percentile(levels, 95)) - int(np.percentile(levels, 5)) < 24:
        return grey
    ground = np.asarray(light.resize((columns, rows), Image.Resampling.BILINEAR), dtype=np.float32)
    evened = grey.astype(np.float32) * (255.0 / np.maximum(ground, 40.0))
    return np.minimum(evened, 255.0).astype(np.uint8)


def has_pale_ink(grey: NDArray[np.uint8]) -> bool:
    """Whether an even page bears marks hardly darker than its paper; a grainy scan hides nothing that pale."""
    ground = float(np.median(grey))
    pale = _pale(grey, ground)
    share = float(pale.mean())
    if not _LEAST_SHARE < share < _MOST_SHARE:
        return False
    paper = np.abs(grey.astype(np.float32) - ground)
    grain = float(paper[paper <= _PALE].mean())
    return grain < _MOST_GRAIN


def darkened(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pale ink alone, black on white."""
    return np.where(_pale(grey, float(np.median(grey))), 0, 255).astype(np.uint8)


def _pale(grey: NDArray[np.uint8], ground: float) -> NDArray[np.bool_]:
    """Where ink is pale, besides the soft edges of plain ink."""
    depth = ground - grey.astype(np.float32)
    result: NDArray[np.bool_] = (depth > _PALE) & (depth < _PLAIN) & ~_near(np.abs(depth) >= _PLAIN)
    return result


def _near(plain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where plain ink is, and around it as far as its edges reach: by cells, since a filter of that width is slow."""
    rows, columns = plain.shape
    padded = np.pad(plain, ((0, -rows % _CELL), (0, -columns % _CELL)))
    cells = padded.reshape(padded.shape[0] // _CELL, _CELL, -1, _CELL).any(axis=(1, 3))
    around = np.pad(cells, _EDGE)
    high, wide = cells.shape
    grown = np.zeros_like(cells)
    for down in range(2 * _EDGE + 1):
        for across in range(2 * _EDGE + 1):
            grown |= around[down : down + high, across : across + wide]
    return np.repeat(np.repeat(grown, _CELL, axis=0), _CELL, axis=1)[:rows, :columns]
