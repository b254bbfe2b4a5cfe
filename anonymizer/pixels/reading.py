"""Reads the words of one frame, and says where something looks like words and cannot be read; it judges no word.

Two readers: the whole frame by OCR, and OCR of every stretch that `strokes` takes for a line, enlarged and turned so that
letters are dark. A stretch of clear print that gives no confident words is doubtful: a human must look.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer import ocr
from anonymizer.ocr import Layout, OcrTimeError, Word
from anonymizer.pixels.strokes import Box, Candidate, candidates, drawn_shades, merged

Grey = NDArray[np.uint8]
#: From here on words are taken for what was written, below it nothing is known but that something stands there.
CONFIDENT = 60.0
_WHOLE_PIXELS = 700_000  # what is read as a whole; larger frames are reduced for this reading only
_DETECTED_PIXELS = 16_000_000
_EDGE, _MOST_INK = 75, 0.2  # grey levels around a drawn shade; share of a frame that ink may take
_LETTER = 36  # height in pixels at which letters are read best
_ENOUGH = 0.65  # of a stretch, read with confidence: spaces between words are not read
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


@dataclass(frozen=True, slots=True)
class Line:
    """Words that stand side by side, as read, with the box of each in pixels of the frame."""

    words: tuple[str, ...]
    boxes: tuple[Box, ...]
    confidence: float
    upright: bool = True

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def box(self) -> Box:
        whole = self.boxes[0]
        for box in self.boxes[1:]:
            whole = whole.joined(box)
        return whole


@dataclass(slots=True)
class Reading:
    """What one frame says: lines that were read, and boxes that look like print and were not."""

    lines: list[Line] = field(default_factory=list)
    doubts: list[Box] = field(default_factory=list)

    def reduced(self, factor: int) -> Reading:
        """The same in pixels of a frame that was enlarged by a factor."""
        lines = [replace(line, boxes=tuple(box.reduced(factor) for box in line.boxes)) for line in self.lines]
        return Reading(lines, [box.reduced(factor) for box in self.doubts])


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
    return found


def _crossed(box: Box, others: list[Box]) -> float:
    """Which share of a box lies under others; columns of upright lines look like turned ones."""
    return sum(box.overlap(other) for other in others)


def _turned(grey: Grey, found: Reading, budget: Budget, upright: list[Candidate]) -> None:
    """Text written upwards: the frame is turned, and what was read upright already is not asked again."""
    turned = np.ascontiguousarray(np.rot90(grey, -1))  # upwards becomes left to right
    rows = grey.shape[0]
    seen = [box for line in found.lines if line.confidence >= CONFIDENT for box in line.boxes]
    strong = [one for one in candidates(turned) if one.strong and one.box.width > 3 * one.box.height]
    # (row, column) of the turned frame is (rows - 1 - column, row) of the frame.
    seen += [one.box for one in upright if one.strong]
    fresh = [one for one in strong if _crossed(_back(one.box, rows), seen) < 0.3]
    inner = Reading()
    _stretches(turned, fresh, inner, budget, turned=2)
    for line in inner.lines:
        if line.confidence >= CONFIDENT:
            boxes = tuple(_back(box, rows) for box in line.boxes)
            found.lines.append(Line(line.words, boxes, line.confidence, upright=False))


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


def in_lines(words: tuple[Word, ...], scale: float, origin: tuple[int, int]) -> list[Line]:
    """Words of one line, parted where the gap is wider than two letters are high; boxes back in the frame's pixels."""
    lines: list[list[Word]] = []
    for word in words:
        held = lines[-1] if lines else None
        if held and held[-1].line == word.line:
            tall = max(word.height, held[-1].height)
            if word.left - (held[-1].left + held[-1].width) <= 2.0 * tall:
                held.append(word)
                continue
        lines.append([word])
    return [_line(line, scale, origin) for line in lines]


def _line(words: list[Word], scale: float, origin: tuple[int, int]) -> Line:
    boxes = tuple(
        Box(
            origin[0] + int(word.left / scale),
            origin[1] + int(word.top / scale),
            max(round(word.width / scale), 1),
            max(round(word.height / scale), 1),
        )
        for word in words
    )
    letters = [max(len(word.text), 1) for word in words]
    mean = sum(word.confidence * many for word, many in zip(words, letters, strict=True)) / sum(letters)
    return Line(tuple(word.text for word in words), boxes, mean)


def _stretches(grey: Grey, asked: list[Candidate], found: Reading, budget: Budget, *, turned: int) -> None:
    """Read each stretch that no confident line covers; clear print that stays unread is doubtful."""
    weak = 0
    whole = list(found.lines)
    for number, one in enumerate(asked):
        if _read_share(one.box, whole) > _ENOUGH:
            continue
        weak += not one.strong
        if number >= _MOST_CROPS or weak > _MOST_WEAK:
            if one.strong:
                raise OutOfTimeError
            break
        lines = _read_stretch(grey, one, budget, turned)
        found.lines += lines
        if _read_share(one.box, [*whole, *lines]) <= _ENOUGH and _is_telling(one, lines):
            found.doubts.append(one.box)
    found.doubts = merged(found.doubts)


def _read_share(box: Box, lines: list[Line]) -> float:
    """Which share of a stretch's columns was read with confidence; a sign at its end is not the stretch."""
    columns = np.zeros(box.width, np.bool_)
    for line in lines:
        over = line.box
        high = min(box.bottom, over.bottom) - max(box.top, over.top)
        if line.confidence >= CONFIDENT and high >= 0.5 * min(box.height, over.height):
            columns[max(over.left - box.left, 0) : max(over.right - box.left, 0)] = True
    return float(columns.mean())


def _is_telling(one: Candidate, lines: list[Line]) -> bool:
    """Whether a stretch that was not read may be writing: long ones by themselves, short ones where OCR saw letters."""
    wide = one.box.width / one.box.height
    return wide > 6 or (one.strong and (wide > 4 or any(map(_says_something, lines))))


def _says_something(line: Line) -> bool:
    return sum(sign.isalnum() for sign in line.text) >= 2 and line.confidence >= 15


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
        moved = [_moved(found, box, 12 / scale, turn) for found in lines]
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


def _moved(line: Line, crop: Box, padding: float, turn: int) -> Line:
    """A line of a stretch, in the frame's pixels."""

    def moved(box: Box) -> Box:
        left, top = box.left - padding, box.top - padding
        if turn:
            left, top = crop.width - left - box.width, crop.height - top - box.height
        return Box(max(int(crop.left + left), 0), max(int(crop.top + top), 0), box.width, box.height)

    return Line(line.words, tuple(moved(box) for box in line.boxes), line.confidence)
