"""Reads the words of a page's picture with OCR: turned upright, straightened, in the languages that it seems to be written in.

It judges nothing. What it could not read is told by `Reading.poor` and by `page_ink`.

References
----------
deidentification.md section 6 (OCR); decision 0063.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anonymizer.documents.page_light import darkened, has_pale_ink, whitened
from anonymizer.documents.page_skew import skew_degrees
from anonymizer.documents.upright import Seen, quarter_turns
from anonymizer.folding import fold
from anonymizer.ocr import OcrMissingError, OcrTimeError, Word, languages, read_words

Box = tuple[int, int, int, int]
#: The longest side a page is read at: A4 at 220 dots an inch. Small pictures are enlarged to the other bound.
MOST_SIDE, LEAST_SIDE = 2600, 1700
#: Below this mean confidence, weighted by letters, a page counts as poorly read.
GOOD = 75.0
SURE = 50.0
_LEAST_SKEW = 0.25
#: Confidence below which a loose word is no word; greys; shares of a picture's dark pixels.
_LEAST, _DARK, _DARK_GROUND, _ANY_INK = 30.0, 110, 0.01, 0.0004
#: Limits of one reading, by the clock on the wall: on a busy machine a page takes several times its computing time.
_ONE_PAGE_S = 40.0
_TRIAL_SIDE, _TRIAL_S, _REST_S = 1300, 15.0, 15.0
#: Words that tell a language, folded; the two read first need none.
_TELLING = {
    "deu": "der die das und mit nicht eine wurde keine bei ist im",
    "fra": "le les des une est dans avec pas du pour aucune",
    "spa": "el los las una del con para por se sin",
    "pol": "w z na i nie bez do sie jest oraz",
    "fin": "ja on ei ole oli sekä myös tai",
    "tur": "ve bir ile olarak icin yok saptandi hastanin bu",
}
_WORDS = {code: frozenset(words.split()) for code, words in _TELLING.items()}
_SCRIPTS = (("rus", "\u0400", "\u04ff"), ("ara", "\u0600", "\u06ff"))


class Budget:
    """The computing time one document's reading may take; what is over is left to a human, never passed in silence."""

    def __init__(self, seconds: float) -> None:
        self._end = time.process_time() + seconds

    @property
    def left_s(self) -> float:
        return self._end - time.process_time()

    def spent(self) -> bool:
        return self.left_s <= 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The words of one picture. ``picture`` is the given one turned upright; boxes are in its pixels."""

    picture: Image.Image
    words: tuple[Word, ...] = ()
    turned: bool = False
    script: str = ""
    unfinished: bool = False
    languages: tuple[str, ...] = field(default=())

    @property
    def confidence(self) -> float:
        """Mean confidence of the words, weighted by their letters."""
        weights = [(len(word.text), word.confidence) for word in self.words]
        total = sum(length for length, _ in weights)
        return sum(length * sure for length, sure in weights) / total if total else 0.0

    @property
    def poor(self) -> bool:
        return self.unfinished or self.confidence < GOOD or sum(len(word.text) > 1 for word in self.words) < 4

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def box_of(word: Word) -> Box:
    return word.left, word.top, word.left + word.width, word.top + word.height


def can_read() -> bool:
    return bool(languages())


def read_page(picture: Image.Image, budget: Budget, *, text: str = "") -> Reading:
    """Read a page or photograph of unknown orientation; ``text`` stands around it and tells its languages.

    Raises `OcrMissingError`, or `OcrTimeError` when the budget is spent.
    """
    if not can_read():
        raise OcrMissingError(OcrMissingError.__doc__)
    turned = False
    angle = skew_degrees(_grey(picture, 1000))
    if abs(angle) > _LEAST_SKEW:
        picture, turned = _rotated(picture, angle), True
    reading = _read(picture, _languages_of(text), budget)
    if reading.poor:
        seen = quarter_turns(_grey(picture, 2000))
        best = _better(reading, picture, seen, budget)
        turned = turned or best.picture is not picture
        reading = best
    wanted = _languages_of(reading.text)
    if wanted and wanted[0] in languages() and wanted != reading.languages:
        again = _read(reading.picture, wanted, budget)
        if again.confidence >= reading.confidence - 3:
            reading = again
    reading = _with_leftovers(reading, budget)
    return replace(reading, turned=turned)


def read_upright(picture: Image.Image, budget: Budget, *, text: str = "", quick: bool = False) -> Reading:
    """Read a page that is known to stand upright; ``text`` is what its text layer says, and tells the languages."""
    wanted = _languages_of(text) or (("eng",) if quick else ())
    reading = _read(picture, wanted, budget, most=1760 if quick else MOST_SIDE)
    return reading if quick and not has_pale_ink(_grey(picture, 1760)) else _with_leftovers(reading, budget)


def _better(reading: Reading, picture: Image.Image, seen: Seen, budget: Budget) -> Reading:
    """Try the way that the layout tells first, then the other quarter turns, in a small copy; read the best one whole."""
    wanted = {"Cyrillic": ("rus", "eng"), "Arabic": ("ara", "eng")}.get(seen.script, reading.languages)
    tried = {0: _trial(picture, wanted, budget)}
    for turn in (seen.turn,) if seen.sure else (90, 270, 180):
        if turn not in tried:
            shown = picture.rotate(-turn, expand=True)
            tried[turn] = _trial(shown, wanted, budget)
    turn = max(tried, key=tried.__getitem__)
    best = reading
    if wanted != reading.languages or (turn and tried[turn] > tried[0] * 1.15):
        shown = picture.rotate(-turn, expand=True) if turn and tried[turn] > tried[0] * 1.15 else picture
        whole = _read(shown, wanted, budget)
        best = whole if _score(whole) > _score(reading) else reading
    return replace(best, script=seen.script)


def _trial(picture: Image.Image, only: tuple[str, ...], budget: Budget) -> float:
    try:
        return _score(_read(picture, only, budget, most=_TRIAL_SIDE, limit_s=_TRIAL_S))
    except OcrTimeError:
        return 0.0  # noise, not letters


def _score(reading: Reading) -> float:
    return sum(len(word.text) * word.confidence for word in reading.words if word.confidence > SURE)


def _read(
    picture: Image.Image,
    only: tuple[str, ...],
    budget: Budget,
    *,
    most: int = MOST_SIDE,
    limit_s: float = _ONE_PAGE_S,
) -> Reading:
    if budget.spent():
        raise OcrTimeError(OcrTimeError.__doc__)
    scale = _scale(picture.size, most)
    grey = np.asarray(_shown(picture, scale))
    words = read_words(_bright(grey), only=only, limit_s=min(limit_s, budget.left_s))
    return Reading(picture=picture, words=tuple(_scaled(words, scale)), languages=only)


def _with_leftovers(reading: Reading, budget: Budget) -> Reading:
    """Read once more what the page's layout passed over: loose words, and light words on dark ground."""
    picture = reading.picture
    scale = _scale(picture.size, MOST_SIDE)
    shown = _bright(np.asarray(_shown(picture, scale)))
    sure = [word for word in reading.words if word.confidence > SURE]
    boxes = [tuple(int(edge * scale) for edge in box_of(word)) for word in sure]
    views = _views(_without(shown, boxes))
    if has_pale_ink(shown):
        views.append(_without(darkened(shown), boxes))
    found: list[Word] = []
    unfinished = False
    for view in views:
        if budget.spent():
            raise OcrTimeError(OcrTimeError.__doc__)
        try:
            more = read_words(
                np.ascontiguousarray(view),
                layout="sparse",
                only=reading.languages,
                limit_s=min(_REST_S, budget.left_s),
            )
        except OcrTimeError:
            unfinished = True
            continue
        last = max((word.line for word in (*reading.words, *found)), default=0) + 1
        found += [
            replace(word, line=word.line + last)
            for word in _scaled(more, scale)
            if word.confidence > _LEAST
            and any(sign.isalnum() for sign in word.text)
            and not _among(word, [*sure, *found])
        ]
    kept = [word for word in reading.words if word.confidence > SURE or not _among(word, found)]
    return replace(reading, words=(*kept, *found), unfinished=unfinished)


def _without(grey: NDArray[np.uint8], boxes: Iterable[tuple[int, ...]]) -> NDArray[np.uint8]:
    """The picture with the words that were read taken out."""
    rest = grey.copy()
    for left, top, right, bottom in boxes:
        rest[max(0, top - 2) : bottom + 3, max(0, left - 2) : right + 3] = 255
    return rest


def _views(grey: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The ways to look at what was not read: as it is, and light on dark."""
    dark = float((grey < _DARK).mean())
    views = [grey] if dark > _ANY_INK else []
    if dark > _DARK_GROUND:
        views.append((255 - grey).astype(np.uint8))
    return views


def _among(word: Word, others: Iterable[Word]) -> bool:
    return any(overlap(box_of(word), box_of(held)) > 0.5 for held in others)


def overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that both cover."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = [max((box[2] - box[0]) * (box[3] - box[1]), 1) for box in (one, other)]
    return across * down / min(areas)


def _languages_of(text: str) -> tuple[str, ...]:
    """What to read a page with, by its letters and its small words; () where the two common ones do."""
    letters = [sign for sign in text if sign.isalpha()]
    for code, first, last in _SCRIPTS:
        if sum(first <= sign <= last for sign in letters) * 3 > len(letters) > 0:
            return (code, "eng")
    words = [fold(word.strip(".,;:()")) for word in text.split()]
    counted = {code: sum(word in telling for word in words) for code, telling in _WORDS.items()}
    code = max(counted, key=counted.__getitem__)
    return (code, "eng") if counted[code] >= 4 and counted[code] * 14 > len(words) else ()


def _scale(size: tuple[int, int], most: int) -> float:
    longest = max(size)
    if longest > most:
        return most / longest
    return min(2.0, LEAST_SIDE / longest) if longest < LEAST_SIDE else 1.0


def _shown(picture: Image.Image, scale: float) -> Image.Image:
    grey = picture.convert("L")
    if scale == 1.0:
        return grey
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    return grey.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def _bright(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Dark ink on even, light ground: a dark picture is turned round, an unevenly lit one is evened."""
    if float(np.median(grey)) < 100:
        grey = (255 - grey).astype(np.uint8)
    return whitened(grey)


def _scaled(words: Iterable[Word], scale: float) -> list[Word]:
    if scale == 1.0:
        return list(words)
    return [
        replace(
            word,
            left=int(word.left / scale),
            top=int(word.top / scale),
            width=int(word.width / scale) + 1,
            height=int(word.height / scale) + 1,
        )
        for word in words
    ]


def _grey(picture: Image.Image, most: int) -> NDArray[np.uint8]:
    return np.asarray(_shown(picture, min(1.0, most / max(picture.size))))


def _rotated(picture: Image.Image, degrees: float) -> Image.Image:
    fill = 255 if picture.mode == "L" else (255, 255, 255)
    shown = picture if picture.mode in ("L", "RGB") else ImageOps.grayscale(picture)
    return shown.rotate(degrees, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
