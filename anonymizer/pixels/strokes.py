"""Finds what looks like a line of text in a picture by the geometry of its strokes; it reads no letter.

It is the second opinion beside OCR: what it sees and OCR cannot read goes to a human. It works on runs of pixels (start and
end in a row), so that a picture with few strokes costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
#: Heights of letters in pixels, in classes that overlap; beyond the last a banner is read by OCR alone.
CLASSES = ((5, 11), (9, 22), (18, 45), (38, 90))
MAX_RUNS = 400_000
_LOWEST_LETTER, _SHORTEST_WORD = 6, 22  # pixels; what is smaller nobody can read
_FLAT, _SOFT = 3, 45  # grey levels within which drawn strokes are of one shade, alone and with soft edges


@dataclass(frozen=True, slots=True)
class Box:
    """A stretch of a frame in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def overlap(self, other: Box) -> float:
        """Which share of this box lies in the other."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide * high / (self.width * self.height) if wide > 0 and high > 0 else 0.0

    def grown(self, by: int, rows: int, columns: int) -> Box:
        left, top = max(self.left - by, 0), max(self.top - by, 0)
        return Box(
            left, top, max(min(self.right + by, columns) - left, 1), max(min(self.bottom + by, rows) - top, 1)
        )

    def reduced(self, factor: int) -> Box:
        """The same box in a picture that is smaller by a factor; no pixel of it is lost."""
        left, top = self.left // factor, self.top // factor
        return Box(
            left, top, max(-(-self.right // factor) - left, 1), max(-(-self.bottom // factor) - top, 1)
        )

    def joined(self, other: Box) -> Box:
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)


@dataclass(slots=True)
class _Runs:
    row: Ints
    start: Ints
    end: Ints  # exclusive


@dataclass(slots=True)
class _Parts:
    """Connected parts: bounding boxes, areas, and the part of each run."""

    left: Ints
    top: Ints
    right: Ints
    bottom: Ints
    area: Ints
    of_run: Ints

    @property
    def height(self) -> Ints:
        return self.bottom - self.top

    @property
    def width(self) -> Ints:
        return self.right - self.left


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box that may be a line of text; ``strong``: of one shade on a quiet ground, and long enough for a word."""

    box: Box
    strong: bool


def candidates(grey: NDArray[np.uint8]) -> list[Candidate]:
    """Where upright text may stand in a grey picture (rows, columns), light on dark or dark on light, strong ones first."""
    strong: list[Box] = []
    weak: list[Box] = []
    for mask in stroke_masks(grey):
        for box in _lines(mask):
            grade = _grade(grey, mask, box)
            if grade:
                (strong if grade == "strong" else weak).append(box)
    held = merged(strong)
    rest = [box for box in merged(weak) if all(box.overlap(one) < 0.5 for one in held)]
    return [Candidate(box, strong=True) for box in held] + [Candidate(box, strong=False) for box in rest]


def _stroke_width(here: Mask) -> float:
    """Mean length of the runs in a box: letters are thin, blots, bars and flow in colour are not."""
    starts = np.count_nonzero(here[:, 1:] & ~here[:, :-1]) + np.count_nonzero(here[:, 0])
    return float(np.count_nonzero(here)) / max(int(starts), 1)


def line_boxes(mask: Mask, grey: NDArray[np.uint8] | None = None) -> list[Box]:
    """Lines of letters among pixels that are marked already; with ``grey``, only those in print, or long and nearly so."""
    lines = [box for box in _lines(mask) if box.width >= 2.6 * box.height]
    long = ("strong",), ("strong", "weak")
    return [b for b in lines if grey is None or _grade(grey, mask, b) in long[b.width > 5 * b.height]]


def _grade(grey: NDArray[np.uint8], mask: Mask, box: Box) -> str:
    """Print has one shade and a quiet ground; speckle and tissue have neither. Figures: docs/decisions/0061."""
    part = np.s_[box.top : box.bottom, box.left : box.right]
    values, here = grey[part].astype(np.float32), mask[part]
    inside, ground = values[here], values[~here]
    if not inside.size or not ground.size:
        return ""
    if inside.mean() < ground.mean():
        inside, ground = 255 - inside, 255 - ground
    middle, bright = np.percentile(inside, (60, 95))
    contrast = float(bright) - float(np.median(ground))
    if contrast < 12:
        return ""
    shades, unrest = float(bright - middle) / contrast, float(ground.std()) / contrast
    soft = box.height <= 13 and unrest <= 0.15 and contrast >= 30  # small letters are nothing but soft edges
    if shades > (0.7 if soft else 0.3) or unrest > 0.6 or _stroke_width(here) > 0.5 * box.height:
        return ""
    quiet = soft or (shades <= 0.24 and unrest <= 0.26) or (shades <= 0.06 and unrest <= 0.45)
    long_enough = box.width >= max(2.6 * box.height, _SHORTEST_WORD) and box.height >= _LOWEST_LETTER
    return "strong" if quiet and long_enough else "weak"


def stroke_masks(grey: NDArray[np.uint8]) -> Iterator[Mask]:
    """Where strokes may be: pixels that stand out from what lies around them, and shades that are drawn, not imaged."""
    mean, deviation = _surroundings(grey)
    rise = grey.astype(np.float32) - mean
    limit = np.maximum(16.0, 1.1 * deviation)
    yield rise > limit
    yield -rise > limit
    for shade in drawn_shades(grey):
        away = np.abs(grey.astype(np.int16) - shade)
        for reach in (_FLAT, _SOFT):  # the shade alone, and with the soft edges of its letters
            near = away <= reach
            if near.mean() < 0.25:
                yield near


def _surroundings(
    grey: NDArray[np.uint8], radius: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of the square around each pixel, by sums over the whole picture."""
    rows, columns = grey.shape
    padded = np.pad(grey.astype(np.float32), ((radius + 1, radius), (radius + 1, radius)), mode="edge")
    size = 2 * radius + 1

    def boxed(values: NDArray[np.float32]) -> NDArray[np.float64]:
        sums = np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1)
        return (
            sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
        ) / size**2

    mean = boxed(padded)
    spread = np.sqrt(np.maximum(boxed(padded * padded) - mean * mean, 0))
    return mean.astype(np.float32)[:rows, :columns], spread.astype(np.float32)[:rows, :columns]


def drawn_shades(grey: NDArray[np.uint8]) -> list[int]:
    """Shades that stand out of the histogram as a spike: fonts have one shade, tissue has many."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    padded = np.pad(counts, 6, mode="reflect")
    around = np.median(np.stack([padded[shift : shift + 256] for shift in range(13)]), axis=0)
    spikes = np.flatnonzero((counts > 3 * around + 40) & (counts < 0.2 * grey.size))
    return [int(shade) for shade in sorted(spikes, key=lambda shade: -counts[shade])[:6]]


def _runs(mask: Mask) -> _Runs:
    rows, columns = mask.shape
    edges = np.zeros((rows, columns + 2), np.int8)
    edges[:, 1:-1] = mask
    steps = np.diff(edges, axis=1)
    starts, ends = np.nonzero(steps == 1), np.nonzero(steps == -1)
    return _Runs(starts[0].astype(np.int64), starts[1].astype(np.int64), ends[1].astype(np.int64))


def _parts(runs: _Runs, columns: int) -> _Parts:
    """Runs of neighbouring rows that touch, also at a corner, are one part."""
    stride = columns + 4
    keys_start, keys_end = runs.row * stride + runs.start, runs.row * stride + runs.end
    below = (runs.row + 1) * stride
    first = np.searchsorted(keys_end, below + runs.start, side="left")
    last = np.searchsorted(keys_start, below + runs.end, side="right")
    many = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(runs.row)), many)
    offsets = np.arange(len(upper)) - np.repeat(np.cumsum(many) - many, many)
    lower = np.repeat(first, many) + offsets
    label = np.arange(len(runs.row))
    while True:
        before, least = label.copy(), np.minimum(label[upper], label[lower])
        np.minimum.at(label, label[upper], least)
        np.minimum.at(label, label[lower], least)
        label = label[label]
        label = label[label]
        if np.array_equal(before, label):
            break
    _, of_run = np.unique(label, return_inverse=True)
    size = int(of_run.max()) + 1 if len(of_run) else 0
    big = np.iinfo(np.int64).max
    left, top = np.full(size, big), np.full(size, big)
    right, bottom, area = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.minimum.at(left, of_run, runs.start)
    np.minimum.at(top, of_run, runs.row)
    np.maximum.at(right, of_run, runs.end)
    np.maximum.at(bottom, of_run, runs.row + 1)
    np.add.at(area, of_run, runs.end - runs.start)
    return _Parts(left, top, right, bottom, area, of_run)


def parts_of(mask: Mask) -> _Parts | None:
    """The connected parts of a mask; None for too few or too many."""
    runs = _runs(mask)
    return _parts(runs, mask.shape[1]) if 6 <= len(runs.row) <= MAX_RUNS else None


def _lines(mask: Mask) -> list[Box]:
    parts = parts_of(mask)
    if parts is None:
        return []
    rows, columns = mask.shape
    density = np.cumsum(np.pad(np.cumsum(mask, axis=1, dtype=np.int64), ((0, 0), (1, 0))), axis=0)
    density = np.pad(density, ((1, 0), (0, 0)))
    found: list[Box] = []
    for low, high in CLASSES:
        height, width = parts.height, parts.width
        letters = (height >= low) & (height <= high) & (width <= 12 * high) & (parts.area >= 4)
        # Bars, frames and filled blots are no letters: strokes cover a part of their box only.
        filled = parts.area / np.maximum(width * height, 1)
        letters &= (filled > 0.12) & ((filled < 0.85) | (width < 0.5 * height))
        if letters.sum() >= 2:
            found += _gathered(parts, np.flatnonzero(letters), low, density, (rows, columns))
    return found


def _gathered(parts: _Parts, letters: Ints, low: int, density: Ints, shape: tuple[int, int]) -> list[Box]:
    """Letters of like height side by side, as boxes of lines that have quiet rows above and below."""
    order = letters[np.argsort(parts.left[letters], kind="stable")]
    left, right = parts.left[order], parts.right[order]
    top, bottom = parts.top[order], parts.bottom[order]
    height = bottom - top
    chain = np.full(len(order), -1)
    lists: list[list[int]] = []
    open_ends: list[tuple[int, int, int, int]] = []  # right, top, bottom of the last letter, and its chain
    for index in range(len(order)):
        reach = left[index] - 3.0 * low - 4
        if len(open_ends) > 64 or index % 16 == 0:
            open_ends = [end for end in open_ends if end[0] >= reach]
        best, gap_of_best = -1, 1e9
        for number, (end_right, end_top, end_bottom, _) in enumerate(open_ends):
            gap = left[index] - end_right
            tall = max(end_bottom - end_top, height[index])
            if gap > 1.3 * tall + 2 or gap < -0.5 * tall:
                continue
            shared = min(end_bottom, bottom[index]) - max(end_top, top[index])
            if shared < 0.6 * min(end_bottom - end_top, height[index]):
                continue
            if abs(gap) < gap_of_best:
                best, gap_of_best = number, abs(gap)
        if best >= 0:
            number = open_ends[best][3]
            lists[number].append(index)
        else:
            number = len(lists)
            lists.append([index])
            open_ends.append((0, 0, 0, number))
            best = len(open_ends) - 1
        open_ends[best] = (int(right[index]), int(top[index]), int(bottom[index]), number)
        chain[index] = number
    found = []
    for members in lists:
        picked = np.array(members)
        box = _line_box(left[picked], right[picked], top[picked], bottom[picked])
        if box is not None and _quiet(box, density, shape):
            found.append(box)
    return found


def _line_box(left: Ints, right: Ints, top: Ints, bottom: Ints) -> Box | None:
    height = bottom - top
    typical = float(np.median(height))
    wide = int(right.max() - left.min())
    # Three letters, or as wide as three where letters touch.
    if len(left) < 3 and wide < 2.2 * typical:
        return None
    slack = 0.12 * typical + 1.0
    straight_bottom = np.mean(np.abs(bottom - np.median(bottom)) <= slack)
    straight_top = np.mean(np.abs(top - np.median(top)) <= slack)
    if max(straight_bottom, straight_top) < 0.6:
        return None
    whole = Box(int(left.min()), int(top.min()), wide, int(bottom.max() - top.min()))
    return whole if whole.height <= 2.2 * typical + 2 else None


def _quiet(box: Box, density: Ints, shape: tuple[int, int]) -> bool:
    """Whether there are clearly fewer strokes just above and below the line than in it: noise has as many."""

    def share(top: int, bottom: int) -> float:
        top, bottom = max(top, 0), min(bottom, shape[0])
        if bottom <= top:
            return 0.0
        total = (
            density[bottom, box.right]
            - density[top, box.right]
            - density[bottom, box.left]
            + density[top, box.left]
        )
        return float(total) / ((bottom - top) * box.width)

    inside = share(box.top, box.bottom)
    margin = max(2, box.height // 5)
    outside = sorted((share(box.top - margin, box.top), share(box.bottom, box.bottom + margin)))
    return inside > 0.1 and outside[0] < 0.25 * inside and outside[1] < 0.6 * inside


def merged(boxes: list[Box]) -> list[Box]:
    """Boxes of which one covers most of another become one."""
    found: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.width * box.height):
        for index, held in enumerate(found):
            if box.overlap(held) > 0.6:
                if box.overlap(held) < 1.0:
                    found[index] = held.joined(box)
                break
        else:
            found.append(box)
    return sorted(found, key=lambda box: (box.top, box.left))
