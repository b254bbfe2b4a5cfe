"""Lines of words as they were read in a frame, with the box of each word; it reads nothing and judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from anonymizer.ocr import Word
from anonymizer.pixels.strokes import Box

_SIGN_HEIGHT = 9  # pixels; lower signs of other letters nobody can read


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
    def gaps(self) -> tuple[float, ...]:
        """Between each word and the next, in heights of the higher one."""
        return tuple(
            (after.left - box.right) / max(box.height, after.height)
            for box, after in zip(self.boxes, self.boxes[1:], strict=False)
        )

    @property
    def box(self) -> Box:
        whole = self.boxes[0]
        for box in self.boxes[1:]:
            whole = whole.joined(box)
        return whole


@dataclass(slots=True)
class Reading:
    """What one frame says: lines that were read, and boxes that look like print and were not.

    ``printed`` are stretches that look like print otherwise than upright in the frame as it is.
    """

    lines: list[Line] = field(default_factory=list)
    doubts: list[Box] = field(default_factory=list)
    printed: list[Box] = field(default_factory=list)

    def reduced(self, factor: int) -> Reading:
        """The same in pixels of a frame that was enlarged by a factor."""
        lines = [replace(line, boxes=tuple(box.reduced(factor) for box in line.boxes)) for line in self.lines]
        doubts, printed = ([box.reduced(factor) for box in boxes] for boxes in (self.doubts, self.printed))
        return Reading(lines, doubts, printed)


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


def moved_line(line: Line, crop: Box, padding: float, turn: int) -> Line:
    """A line of a stretch, in the frame's pixels."""

    def moved(box: Box) -> Box:
        left, top = box.left - padding, box.top - padding
        if turn:
            left, top = crop.width - left - box.width, crop.height - top - box.height
        return Box(max(int(crop.left + left), 0), max(int(crop.top + top), 0), box.width, box.height)

    return Line(line.words, tuple(moved(box) for box in line.boxes), line.confidence)


def may_be_misread(line: Line) -> bool:
    """Whether a few Latin letters, read halfway surely, may be others: a name of two signs is read so, in Hangul or in Han."""
    signs = sum(sign.isalnum() for sign in line.text)
    short = max(map(len, line.words)) <= 3 and not any(sign.isdigit() for sign in line.text)
    return short and 2 <= signs <= 6 and 60 <= line.confidence < 88 and line.box.height >= _SIGN_HEIGHT


def grains_of(line: Line) -> set[int]:
    """Signs without a letter or digit that are far lower than the words beside them: OCR reads them into grain."""
    tall = max(
        (box.height for word, box in zip(line.words, line.boxes, strict=True) if _is_word(word)), default=0
    )
    return {
        index
        for index, (word, box) in enumerate(zip(line.words, line.boxes, strict=True))
        if not _is_word(word) and box.height < 0.4 * tall
    }


def _is_word(text: str) -> bool:
    return any(sign.isalnum() for sign in text)
