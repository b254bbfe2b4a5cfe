"""Covers stretches of a page's picture with paper and writes there what stands instead; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from anonymizer.documents.reading import Box, box_of
from anonymizer.ocr import Word

PAPER, INK = (236, 236, 236), (60, 60, 60)


def cover(picture: Image.Image, box: Box, text: str = "") -> None:
    """Paint over a box; nothing of what was there can be told from the result but its place and size."""
    draw = ImageDraw.Draw(picture)
    grey = picture.mode != "RGB"
    draw.rectangle(box, fill=PAPER[0] if grey else PAPER)
    text = " ".join(text.split())  # a date may run over the end of a line
    if not text:
        return
    width, height = box[2] - box[0], box[3] - box[1]
    font = ImageFont.load_default(max(6, int(height * 0.7)))
    length = draw.textlength(text, font=font)
    if length > width:
        font = ImageFont.load_default(max(6, int(height * 0.7 * width / max(length, 1))))
    draw.text(
        (box[0] + 1, (box[1] + box[3]) // 2), text, fill=INK[0] if grey else INK, font=font, anchor="lm"
    )


def padded(box: Box, size: tuple[int, int], by: int = 1) -> Box:
    left, top, right, bottom = (
        max(0, box[0] - by),
        max(0, box[1] - by),
        min(size[0] - 1, box[2] + by - 1),
        min(size[1] - 1, box[3] + by - 1),
    )
    return left, top, max(left, right), max(top, bottom)


def cover_words(picture: Image.Image, words: Sequence[Word], covers: Mapping[int, str]) -> dict[int, Box]:
    """Cover words that OCR read, and give the box that each was covered with; a replacement's reaches over all it replaces.

    OCR's boxes are tight and miss marks above letters: a fifth of the height is added on every side. A box reaches over
    the gap to the next covered word of its line, so that the gap does not tell how long the words were.
    """
    boxes: dict[int, Box] = {}
    for index in sorted(covers):
        box = box_of(words[index])
        box = padded(box, picture.size, max(2, (box[3] - box[1]) // 5))
        before = index - 1
        if before in covers and not covers[index] and words[before].line == words[index].line:
            held = boxes[before]
            if 0 <= box[0] - held[2] <= 2 * (box[3] - box[1]):
                box = held[2], min(box[1], held[1]), box[2], max(box[3], held[3])
        boxes[index] = box
    for box in boxes.values():
        cover(picture, box)
    rooms = {index: _room(index, words, covers, boxes) for index, text in covers.items() if text}
    for index, room in rooms.items():
        cover(picture, room, covers[index])
    return boxes | rooms


def _room(index: int, words: Sequence[Word], covers: Mapping[int, str], boxes: Mapping[int, Box]) -> Box:
    """Where a replacement may be written: over its own word and those that went with it, to the right on its line."""
    left, top, right, bottom = boxes[index]
    while covers.get(index + 1) == "" and words[index + 1].line == words[index].line:
        index += 1
        after = boxes[index]
        if after[0] > right:
            break
        top, right, bottom = min(top, after[1]), max(right, after[2]), max(bottom, after[3])
    return left, top, right, bottom
