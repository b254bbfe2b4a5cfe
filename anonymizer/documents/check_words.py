"""Reads the words that can be seen in a finished picture or page with other settings than its maker's, and looks for known ones.

It is bounded in time, and what it could not read again in time is told as a place of its own, never passed over. It is
silent only where OCR is not installed: then the maker has asked a human to look.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageSequence

from anonymizer.documents.judges import Judges
from anonymizer.ocr import Word, languages, read_words

#: Computing time for a document, where a sandboxed task has some 150 s in all: a page takes two to six. And the time of one
#: page by the clock on the wall, which runs faster than that on a busy machine.
_LIMIT_S = 120.0
_ONE_S = 60.0
_SIDE = 1750
#: From this length on a near miss of a known name counts, too; shorter ones are near too many other words, and numbers are
#: near other numbers of the same ward.
_NEAR = 8
_LEAST_CONFIDENCE = 30.0


class Clock:
    """The computing time that reading a whole document again may take."""

    def __init__(self) -> None:
        self._end = time.process_time() + _LIMIT_S

    def left_s(self) -> float:
        return max(0.0, self._end - time.process_time())

    def over(self) -> bool:
        return self.left_s() < 1.0


#: What is told of a picture: a known identifier can be read in it, or nobody can tell.
FOUND, UNREAD = "words in the picture", "not read again"


def shown_words_left(picture: Image.Image, judges: Judges, clock: Clock, *, text: str = "") -> str:
    """`FOUND`, `UNREAD` where time or the reader failed, "" where nothing is left. ``text`` tells the script."""
    if not languages():
        return ""
    if clock.over():
        return UNREAD
    try:
        return FOUND if _known_is_shown(picture, judges, clock, text) else ""
    except MemoryError:
        raise  # the sandbox tells it by its own name
    except Exception:  # noqa: BLE001 - fail closed: a reader that breaks has read nothing
        return UNREAD


def _known_is_shown(picture: Image.Image, judges: Judges, clock: Clock, text: str) -> bool:
    """Raises `OcrTimeError`, and whatever a broken picture makes the reader raise."""
    longest = max(picture.size)
    scale = _SIDE / longest if longest > _SIDE or longest < _SIDE // 2 else 1.0
    grey = picture.convert("L")
    if scale != 1.0:
        size = max(1, int(grey.width * scale)), max(1, int(grey.height * scale))
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    only = next(
        (
            (code,)
            for code, first, last in (("rus", "\u0400", "\u04ff"), ("ara", "\u0600", "\u06ff"))
            if _mostly(text, first, last)
        ),
        (),
    )
    words = read_words(np.asarray(grey), layout="sparse", only=only, limit_s=min(_ONE_S, clock.left_s()))
    said = _lines([word for word in words if word.confidence > _LEAST_CONFIDENCE])
    near = (
        span
        for span in judges.misread.spans(said)
        if span.known and span.kind in ("name", "address") and span.end - span.start >= _NEAR
    )
    return judges.plain.known_left(said) or next(near, None) is not None


def _mostly(text: str, first: str, last: str) -> bool:
    letters = [sign for sign in text if sign.isalpha()]
    return sum(first <= sign <= last for sign in letters) * 2 > len(letters)


def _lines(words: list[Word]) -> str:
    lines: dict[int, list[str]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word.text)
    return "\n".join(" ".join(line) for line in lines.values())


def picture_words_places(output: bytes, judges: Judges) -> Iterator[str]:
    """Places in a picture file where a known identifier can be read."""
    clock = Clock()
    try:
        with Image.open(io.BytesIO(output), formats=("JPEG", "PNG", "TIFF")) as picture:
            for number, frame in enumerate(ImageSequence.Iterator(picture), start=1):
                deep = frame.mode.startswith(("I", "F"))
                shown = frame.convert("F").point(lambda value: value / 257).convert("L") if deep else frame
                if place := shown_words_left(shown, judges, clock):
                    yield f"picture {number}: {place}"
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, Image.DecompressionBombError):
        yield "picture: cannot be read back"
