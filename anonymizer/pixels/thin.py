"""Tells whether thin strokes of print stand upon a slice: bright pixels with darker ones on either side; it reads no letter.

Letters whose edges are soft have few pixels of one value, and bone or a hot spot may be brighter than they are. But their
upright strokes rise within a pixel or two, many of them in a few rows, and these stand in a line. Anatomy has such edges one
here and one there; only where a small part of the picture holds many of them, that part is looked at closely.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels.strokes import line_boxes

Values = NDArray[np.signedinteger] | NDArray[np.unsignedinteger]
_ASIDE = 3  # pixels to either side, beyond which an upright stroke has ended
_RISE = 0.2  # of the range of values between ground and the brightest rows
#: By which rows and pixels that range is told; a hot spot, metal and padding lie outside.
_BRIGHT_ROWS, _GROUND = 0.9, 0.3
_SAMPLED = 16  # every so many rows and columns
_FEWEST, _MOST_SHARE = 14, 0.06  # pixels that rise, in half of the rows: fewer are no name, more are noise
_CELL_ROWS, _CELL_COLUMNS = 8, 64  # of the picture's halved rows, and of its columns
_IN_A_CELL = 21
_MOST_CELLS = 2
_SHADES = 0.27  # by which strokes of one ink may differ, of their rise; tissue differs more
_AROUND_ROWS, _AROUND_COLUMNS = 24, 64
_HIGHEST = 32  # pixels; larger print has the picture's highest value in many pixels


def thin_print(frame: Values) -> bool:
    """Whether thin bright strokes stand in a line somewhere in a frame (rows, columns) of 16-bit values."""
    rows, columns = _rising(frame)
    if not len(rows):
        return False
    return any(_is_print(frame, 2 * rows[held], columns[held]) for held in _crowded(rows, columns))


def _rising(frame: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Halved row and column of the pixels that rise above both of their sides, in every second row; none for noise.

    Where the brightest rows show nothing but grain, the highest value tells the range: letters may stand in few rows.
    """
    tops = frame.max(axis=1)
    ground = _at(frame[::_SAMPLED, ::_SAMPLED].ravel(), _GROUND)
    none = np.zeros(0, np.int64)
    tried = 0
    for bright in (_at(tops, _BRIGHT_ROWS), int(tops.max())):
        rise = int(_RISE * (bright - ground))
        if rise < max(8, 2 * tried):
            continue
        places, across = _above_sides(frame, rise, int(tops.max()))
        if len(places) <= _MOST_SHARE * across * (frame.shape[0] // 2):
            rows, columns = np.divmod(places, across)
            return (rows, columns + _ASIDE) if len(places) >= _FEWEST else (none, none)
        tried = rise
    return none, none


def _above_sides(frame: Values, rise: int, highest: int) -> tuple[NDArray[np.int64], int]:
    """Places in every second row, counted through rows of the length that is told."""
    half = np.ascontiguousarray(frame[::2])
    if highest + rise > np.iinfo(frame.dtype).max:
        half, rise = half >> 1, rise >> 1
    sides = np.maximum(half[:, : -2 * _ASIDE], half[:, 2 * _ASIDE :])
    sides += frame.dtype.type(rise)
    return np.flatnonzero(half[:, _ASIDE:-_ASIDE] > sides), sides.shape[1]


def _at(values: Values, share: float) -> int:
    place = int(share * (len(values) - 1))
    return int(np.partition(values, place)[place])


def _crowded(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Which points stand in each of the few cells that hold the most; cells are laid twice, the second between the first."""
    across = int(columns.max()) // _CELL_COLUMNS + 2
    found: list[tuple[int, int, NDArray[np.int64]]] = []
    for shift in (0, 1):
        down = (rows + shift * _CELL_ROWS // 2) // _CELL_ROWS
        cells = down * across + (columns + shift * _CELL_COLUMNS // 2) // _CELL_COLUMNS
        counts = np.bincount(cells)
        fullest = np.argsort(counts)[: -_MOST_CELLS - 1 : -1]
        found += [(int(counts[cell]), int(cell), cells) for cell in fullest if counts[cell] >= _IN_A_CELL]
    asked = np.zeros(len(rows), np.bool_)
    for _, cell, cells in sorted(found, key=lambda one: -one[0])[:_MOST_CELLS]:
        held = cells == cell
        if 2 * np.count_nonzero(held & asked) < np.count_nonzero(held):
            yield held
        asked |= held


def _is_print(frame: Values, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> bool:
    """Whether a line of print stands around these points, once all that is darker than half of their rise is left out."""
    risen, aside = frame[rows, columns], frame[rows, columns - _ASIDE]
    middle, ink, bright = (_at(risen, share) for share in (0.6, 0.75, 0.95))
    ground = (_at(aside, 0.5) + _at(frame[rows, columns + _ASIDE], 0.5)) / 2
    if ink <= ground or bright - middle > _SHADES * (bright - ground):
        return False
    top, left = max(int(rows.min()) - _AROUND_ROWS, 0), max(int(columns.min()) - _AROUND_COLUMNS, 0)
    part = frame[top : int(rows.max()) + _AROUND_ROWS + 2, left : int(columns.max()) + _AROUND_COLUMNS + 1]
    levels = (part.astype(np.float32) - ground) * (200 / (ink - ground)) + 30
    grey = np.clip(levels, 0, 255).astype(np.uint8)
    return any(box.height <= _HIGHEST for box in line_boxes(part >= (ink + ground) / 2, grey))
