"""Covers in a drawn page what its text layer says identifies, and keeps the words that can be seen; it reads no pixels' words."""

from __future__ import annotations

import re

from PIL import Image

from anonymizer.documents.page_text import Box, PageText
from anonymizer.documents.paint import cover, padded
from anonymizer.documents.pdf_writer import Placed
from anonymizer.documents.values import NotCleanable
from anonymizer.text import Span

LEAST_CONTRAST = 24
_PIECES = re.compile(r"\s+|\S+")


def painted_by_text(picture: Image.Image, reader: PageText, spans: list[Span]) -> tuple[list[Placed], str]:
    """Cover every span in the picture and write there what replaces it; give the words that can still be seen."""
    places = [reader.boxes(span.start, span.end) for span in spans]
    placed: list[Placed] = []
    text: list[str] = []
    at = 0
    # (1) Words are looked at before anything is painted, since what cannot be seen must not go into the text layer.
    for span, boxes in zip(spans, places, strict=True):
        _keep(picture, reader, (at, span.start), placed, text)
        if boxes:
            placed.append(Placed(text=span.replacement, box=padded(boxes[0], picture.size), replaced=True))
        elif any(sign.isalnum() for sign in reader.text[span.start : span.end]):
            raise NotCleanable("unlocated")
        text.append(span.replacement)
        at = span.end
    _keep(picture, reader, (at, len(reader.text)), placed, text)
    # (2) Then every box of every span is covered.
    for span, boxes in zip(spans, places, strict=True):
        for index, box in enumerate(boxes):
            cover(picture, padded(box, picture.size), span.replacement if index == 0 else "")
    return placed, "".join(text)


def _keep(
    picture: Image.Image, reader: PageText, stretch: tuple[int, int], placed: list[Placed], text: list[str]
) -> None:
    """Place the words of a stretch that can be seen in the picture, and note them."""
    for piece in _PIECES.finditer(reader.text, *stretch):
        word = piece.group().replace("\u00ad", "")
        if not word or word.isspace():
            text.append(word)
            continue
        boxes = _soft_boxes(reader, piece.start(), piece.end())
        if any(_seen(picture, box) for box in boxes):
            placed.append(Placed(text=word, box=boxes[0]))
            text.append(word)


def _seen(picture: Image.Image, box: Box) -> bool:
    """Whether anything is drawn in a box: text under a black bar, white on white or off the page is not."""
    left, top, right, bottom = (
        max(0, box[0]),
        max(0, box[1]),
        min(picture.width, box[2]),
        min(picture.height, box[3]),
    )
    if right <= left or bottom <= top:
        return False
    bands = picture.crop((left, top, right, bottom)).getextrema()
    return any(high - low > LEAST_CONTRAST for low, high in bands)  # type: ignore[misc]  # RGB: a pair a band


def _soft_boxes(reader: PageText, start: int, end: int) -> list[Box]:
    try:
        return reader.boxes(start, end)
    except NotCleanable:  # a word that stays needs no exact place
        return []
