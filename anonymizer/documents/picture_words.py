"""Reads the words in one decoded picture, covers those that identify, and says what a human must still look at.

A photograph that is no page always waits for a human (decision 12). A picture of a page need not when all its words were
read surely and no other ink is left on it (decision 64).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from anonymizer.documents.judged import judge_words
from anonymizer.documents.judges import Judges
from anonymizer.documents.page_ink import unread
from anonymizer.documents.paint import cover_words
from anonymizer.documents.reading import SURE, Box, Budget, Reading, box_of, can_read, read_page
from anonymizer.documents.values import NotCleanable
from anonymizer.ocr import OcrTimeError, Word

#: A page: at least so many words, and so much of the picture as light as paper.
_PAGE_WORDS, _PAPER_SHARE = 12, 0.55
#: A page's words are sure when this share of their letters was read with this confidence.
_SURE_WORD, _SURE_SHARE = 60.0, 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPicture:
    """A picture whose identifying words are covered; ``looks`` are codes of `values.DOCUMENT_LOOKS`."""

    picture: Image.Image
    text: str = ""
    looks: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    read: bool = False
    page: bool = False


def clean_words(picture: Image.Image, judges: Judges, budget: Budget, *, text: str = "") -> CleanPicture:
    """Cover what identifies; ``text`` is what stands around the picture.

    A picture in which nothing is covered keeps its very pixels. Raises `NotCleanable`.
    """
    if not can_read():
        return CleanPicture(picture=picture, looks=("picture_unread",))
    try:
        reading = read_page(visible(picture), budget, text=text)
    except OcrTimeError:
        return CleanPicture(picture=picture, looks=("picture_unread",))
    judged = judge_words(reading.words, judges.scrubber, judges.plain, judges.misread)
    if not judged.sure:
        raise NotCleanable("unlocated")
    page = _is_page(reading)
    shown = picture
    covered = []
    if judged.covers or (page and reading.turned):
        shown = reading.picture.copy()
        covered = list(cover_words(shown, reading.words, judged.covers).values())
    read = [*covered, *(box_of(word) for word in reading.words if word.confidence > SURE)]
    left = [word for index, word in enumerate(reading.words) if index not in judged.covers]
    looks = _looks(reading, left, read) if page else ("photograph",)
    if judged.unsure:
        looks = (*looks, "unsure")
    return CleanPicture(
        picture=shown, text=judged.text, looks=looks, counts=judged.counts, read=True, page=page
    )


def visible(picture: Image.Image) -> Image.Image:
    """A picture in eight bits of grey or colour, as it is read."""
    return eight_bits(picture).convert("L" if picture.mode in ("1", "L", "I", "I;16", "F") else "RGB")


def eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of deep greys stretched over 256 of them, so that it can be looked at and read."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    low, high = picture.getextrema()
    span = max(float(high) - float(low), 1.0)  # type: ignore[arg-type]  # one band has one pair
    return picture.convert("F").point(lambda value: (value - float(low)) * 255 / span).convert("L")  # type: ignore[arg-type]


def _is_page(reading: Reading) -> bool:
    words = [word for word in reading.words if len(word.text) > 1 and word.confidence > SURE]
    if len(words) < _PAGE_WORDS:
        return False
    grey = np.asarray(reading.picture.convert("L"))
    return float((grey > 0.75 * np.percentile(grey, 95)).mean()) > _PAPER_SHARE


def _looks(reading: Reading, left: list[Word], read: list[Box]) -> tuple[str, ...]:
    """What of a page's picture a human must still look at; ``left`` are the words that stay."""
    looks = []
    letters = sum(len(word.text) for word in left)
    sure = sum(len(word.text) for word in left if word.confidence >= _SURE_WORD)
    if reading.poor or sure < _SURE_SHARE * letters:
        looks.append("picture_poor")
    if unread(np.asarray(reading.picture.convert("L")), read):
        looks.append("picture_ink")
    return tuple(looks)
