"""Reads the words of one frame, and says where something looks like words and cannot be read; it judges no word.

Two readers: the whole frame by OCR, and OCR of every stretch that `strokes` takes for a line, enlarged and turned so that
letters are dark. A stretch of clear print that gives no confident words is doubtful: a human must look.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer import ocr
from anonymizer.ocr import Layout, OcrTimeError, Word
from anonymizer.pixels.grain import enlarged_box, without_grain
from anonymizer.pixels.lines import Line, Reading, in_lines, moved_line
from anonymizer.pixels.strokes import Box, Candidate, candidates, drawn_shades, merged

Grey = NDArray[np.uint8]
#: From here on words are taken for what was written, below it nothing is known but that something stands there.
CONFIDENT = 60.0
_WHOLE_PIXELS = 700_000  # what is read as a whole; larger frames are reduced for this reading only
_DETECTED_PIXELS = 16_000_000
_EDGE, _MOST_INK = 75, 0.2  # grey levels around a drawn shade; share of a frame that ink may take
_LETTER = 36  # height in pixels at which letters are read best
_ENOUGH = 0.65  # of a stretch, read with confidence: spaces between words are not read
_CROSSED = 0.5  # of a stretch, under what is asked already
_GAP = 2.0  # heights of a line, beyond which what is unread in it is no space
_MOST_CROPS = 90
_MOST_WEAK = 24


class OutOfTimeError(Exception):
    """The picture has more to read than the time allows."""


class Budget:
    """Processor time for one object; asked before each step.

    ``read`` is what was read of a view, by the view's digest: a frame is read again once it is masked, and most of it is as before.
    """

    def __init__(self, seconds: float, read: dict[bytes, tuple[Word, ...]] | None = None) -> None:
        self._end = time.thread_time() + seconds
        self.read = {} if read is None else read

    def left_s(self) -> float:
        left = self._end - time.thread_time()
        if left <= 0:
            raise OutOfTimeError
        return left


def read_frame(
    grey: Grey, budget: Budget, *, whole: bool = True, known: list[Candidate] | None = None
) -> Reading:
    """Read one frame.

    Parameters
    ----------
    grey
        uint8 (rows, columns).
    whole
        Read the whole frame too, not only what looks like a line.
    known
        Stretches that look like lines, where the caller has looked already.

    Raises
    ------
    OutOfTimeError, OcrMissingError
    """
    found = Reading()
    if whole:
        found.lines = _whole_frame(grey, budget)
    if known is None and grey.size <= _DETECTED_PIXELS:
        known = candidates(grey)
    _stretches(grey, known or [], found, budget, turned=0)
    if whole and grey.size <= _DETECTED_PIXELS:
        _turned(grey, found, budget, known or [])
        for view, factor in without_grain(grey):
            _in_grain(view, factor, found, budget, known or [])
    return found


def _in_grain(view: Grey, factor: int, found: Reading, budget: Budget, upright: list[Candidate]) -> None:
    """Text that is hardly darker or lighter than the grain around it; what was read or is asked already is left out."""
    seen = [box for line in found.lines if line.confidence >= CONFIDENT for box in line.boxes]
    seen += [one.box for one in upright if one.strong]
    fresh = [
        one
        for one in candidates(view)
        if one.strong and _crossed(enlarged_box(one.box, factor), seen) < _CROSSED
    ]
    inner = Reading()
    _stretches(view, fresh, inner, budget, turned=0)
    found.lines += [
        replace(line, boxes=tuple(enlarged_box(box, factor) for box in line.boxes)) for line in inner.lines
    ]
    found.doubts += [enlarged_box(box, factor) for box in inner.doubts]
    found.printed += [enlarged_box(one.box, factor) for one in fresh]


def _crossed(box: Box, others: list[Box]) -> float:
    """Which share of a box lies under others; columns of upright lines look like turned ones."""
    under = np.zeros((box.height, box.width), np.bool_)
    for other in others:
        left, top = max(other.left - box.left, 0), max(other.top - box.top, 0)
        under[top : max(other.bottom - box.top, 0), left : max(other.right - box.left, 0)] = True
    return float(under.mean())


def _turned(grey: Grey, found: Reading, budget: Budget, upright: list[Candidate]) -> None:
    """Text written upwards: the frame is turned, and what was read upright already is not asked again."""
    turned = np.ascontiguousarray(np.rot90(grey, -1))  # upwards becomes left to right
    rows = grey.shape[0]
    # Letters that lie on their side are read as single ones, with confidence.
    lines = [line for line in found.lines if sum(sign.isalnum() for sign in line.text) >= 4]
    seen = [box for line in lines if line.confidence >= CONFIDENT for box in line.boxes]
    strong = [one for one in candidates(turned) if one.strong and one.box.width > 3 * one.box.height]
    # (row, column) of the turned frame is (rows - 1 - column, row) of the frame.
    seen += [one.box for one in upright if one.strong]
    fresh = [one for one in strong if _crossed(_back(one.box, rows), seen) < _CROSSED]
    inner = Reading()
    _stretches(turned, fresh, inner, budget, turned=2)
    for line in inner.lines:
        if line.confidence >= CONFIDENT or _says_much(line):
            boxes = tuple(_back(box, rows) for box in line.boxes)
            found.lines.append(Line(line.words, boxes, line.confidence, upright=False))
    found.printed += [_back(one.box, rows) for one in fresh]
    for box in inner.doubts:
        here = [line for line in inner.lines if line.box.overlap(box) > 0.5]
        if any(map(_says_much, here)) or not here:
            found.doubts.append(_back(box, rows))


def _back(box: Box, rows: int) -> Box:
    """A box of the frame turned a quarter clockwise, in the frame itself."""
    return Box(box.top, rows - box.right, box.height, box.width)


def _whole_frame(grey: Grey, budget: Budget) -> list[Line]:
    """The frame as it is, and each drawn shade with its soft edges alone: tissue behind a name then vanishes."""
    scale = min(1.0 if _is_noisy(grey) else 2.0, (_WHOLE_PIXELS / grey.size) ** 0.5)
    dark = float(np.median(grey)) < 128
    lines = _read_whole(_scaled(255 - grey if dark else grey, scale), scale, budget)
    shades = drawn_shades(grey)
    for shade in sorted({max(shades), min(shades)} if shades else set()):
        away = np.abs(grey.astype(np.int16) - shade)
        if float((away < _EDGE).mean()) < _MOST_INK:
            alone = np.minimum(away * (255 // _EDGE), 255).astype(np.uint8)
            larger = min(2.0, (_WHOLE_PIXELS / grey.size) ** 0.5)
            lines += _read_whole(_scaled(alone, larger), larger, budget)
    return lines


def _read_whole(view: Grey, scale: float, budget: Budget) -> list[Line]:
    return in_lines(_words(view, budget, layout="sparse", most_s=8.0), scale, (0, 0))


def _is_noisy(grey: Grey) -> bool:
    """Whether so many neighbours differ that the whole-frame reader would mostly read grain, and slowly."""
    apart = np.abs(np.diff(grey[:, ::2].astype(np.int16), axis=1)) > 20
    return float(apart.mean()) > 0.2


def _scaled(grey: Grey, scale: float) -> Grey:
    rows, columns = grey.shape
    size = max(int(columns * scale), 1), max(int(rows * scale), 1)
    if size == (columns, rows):
        return grey
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def _stretches(grey: Grey, asked: list[Candidate], found: Reading, budget: Budget, *, turned: int) -> None:
    """Read each stretch that no confident line covers; clear print that stays unread is doubtful."""
    weak = 0
    whole = list(found.lines)
    for number, one in enumerate(asked):
        if _is_read(one, whole):
            continue
        weak += not one.strong
        if number >= _MOST_CROPS or weak > _MOST_WEAK:
            if one.strong:
                raise OutOfTimeError
            break
        lines = _read_stretch(grey, one, budget, turned)
        found.lines += lines
        if _read_share(one.box, [*whole, *lines]) <= _ENOUGH:
            if _is_telling(one, lines):
                found.doubts.append(one.box)
        elif not _is_read(one, [*whole, *lines]):
            found.doubts.append(_unread(one.box, [*whole, *lines]))
    found.doubts = merged(found.doubts)


def _is_read(one: Candidate, lines: list[Line]) -> bool:
    """Whether a stretch was read, but for the spaces between its words: at the end of a clear line may stand a pale one."""
    gap = _unread(one.box, lines).width
    return _read_share(one.box, lines) > _ENOUGH and (not one.strong or gap < _GAP * one.box.height)


def _unread(box: Box, lines: list[Line]) -> Box:
    """The longest part of a stretch that was not read with confidence."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1], _columns_read(box, lines), [1]))))
    parts = zip(edges[::2], edges[1::2], strict=True)
    start, end = max(parts, key=lambda part: part[1] - part[0], default=(0, 0))
    return Box(box.left + int(start), box.top, max(int(end - start), 1), box.height)


def _read_share(box: Box, lines: list[Line]) -> float:
    """Which share of a stretch's columns was read with confidence; a sign at its end is not the stretch."""
    return float(_columns_read(box, lines).mean())


def _columns_read(box: Box, lines: list[Line]) -> NDArray[np.int8]:
    columns = np.zeros(box.width, np.int8)
    for line in lines:
        over = line.box
        high = min(box.bottom, over.bottom) - max(box.top, over.top)
        if line.confidence >= CONFIDENT and high >= 0.5 * min(box.height, over.height):
            columns[max(over.left - box.left, 0) : max(over.right - box.left, 0)] = 1
    return columns


def _is_telling(one: Candidate, lines: list[Line]) -> bool:
    """Whether a stretch that was not read may be writing: long ones by themselves, short ones where OCR saw letters."""
    wide = one.box.width / one.box.height
    return wide > 6 or (one.strong and (wide > 4 or any(map(_says_something, lines))))


def _says_something(line: Line) -> bool:
    return sum(sign.isalnum() for sign in line.text) >= 2 and line.confidence >= 15


def _says_much(line: Line) -> bool:
    """Whether OCR saw a word's worth of letters: columns of anatomy are read as a few signs."""
    return sum(sign.isalnum() for sign in line.text) >= 6 and line.confidence >= 30


def _read_stretch(grey: Grey, one: Candidate, budget: Budget, turned: int) -> list[Line]:
    """One line by itself, in up to three ways: with what stands beside it, alone, and alone as a block."""
    best, found = 0.0, []
    attempts: tuple[tuple[int, Layout], ...] = ((2, "line"), (0, "line"), (0, "block"))
    for aside, layout in attempts if one.strong or one.box.width > 4 * one.box.height else attempts[:1]:
        lines = _read_crop(grey, one.box, aside * one.box.height, layout, budget, turned)
        found += [line for line in lines if line not in found]
        best = max(best, _read_share(one.box, lines))
        if best > _ENOUGH:
            break
    return found


def _read_crop(grey: Grey, line: Box, aside: int, layout: Layout, budget: Budget, turned: int) -> list[Line]:
    """With dark letters on light ground and at the height that is read best; turned text in both directions."""
    rows, columns = grey.shape
    box = line.grown(max(3, line.height // 3), rows, columns)
    left = max(box.left - aside, 0)
    box = Box(left, box.top, min(box.right + aside, columns) - left, box.height)
    crop = grey[box.top : box.bottom, box.left : box.right]
    low, middle, high = (float(level) for level in np.percentile(crop, (2, 50, 98)))
    if high - middle > middle - low:
        crop = 255 - crop
        low, high = 255 - high, 255 - low
    span = max(high - low, 1.0)
    stretched = np.clip((crop.astype(np.float32) - low) * (255.0 / span), 0, 255).astype(np.uint8)
    scale = min(max(_LETTER / line.height, 0.5), 4.0)
    best: list[Line] = []
    for turn in (0, 2) if turned else (0,):
        view = np.ascontiguousarray(np.rot90(stretched, turn)) if turn else stretched
        shown = np.pad(_scaled(view, scale), 12, mode="edge")
        lines = in_lines(_words(shown, budget, layout=layout), scale, (0, 0))
        moved = [moved_line(found, box, 12 / scale, turn) for found in lines]
        if _confidence(moved) > _confidence(best):
            best = moved
        if _confidence(best) >= CONFIDENT:
            break
    return best


def _words(shown: Grey, budget: Budget, *, layout: Layout, most_s: float = 3.0) -> tuple[Word, ...]:
    limit_s = min(budget.left_s(), most_s)
    told = f"{layout} {shown.shape}".encode()
    digest = hashlib.blake2b(
        np.ascontiguousarray(shown).data, digest_size=16, person=b"view", key=told
    ).digest()
    if digest not in budget.read:
        try:
            budget.read[digest] = ocr.read_words(shown, limit_s=limit_s, layout=layout)
        except OcrTimeError:
            raise OutOfTimeError from None
    return budget.read[digest]


def _confidence(lines: list[Line]) -> float:
    return max((line.confidence for line in lines), default=-1.0)
