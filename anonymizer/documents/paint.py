"""Covers stretches of a page's picture with paper and writes there what stands instead; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from anonymizer.documents.fonts import drawing_font
from anonymizer.documents.reading import Box, box_of
from anonymizer.documents.right_to_left import drawn_order, needs_shaping, reads_right_to_left
from anonymizer.ocr import Word

PAPER, INK = (236, 236, 236), (20, 20, 20)
_DIGITS_HIGH, _LETTERS_HIGH = 0.92, 0.74


def cover(picture: Image.Image, box: Box, text: str = "") -> None:
    """Paint over a box; nothing of what was there can be told from the result but its place and size."""
    draw = ImageDraw.Draw(picture)
    grey = picture.mode != "RGB"
    draw.rectangle(box, fill=PAPER[0] if grey else PAPER)
    text = " ".join(text.split())  # a date may run over the end of a line
    if not text:
        return
    text = drawn_order(text, right=reads_right_to_left(text)) if needs_shaping(text) else text
    width, height = box[2] - box[0], box[3] - box[1]
    # As high as what stood there: a box of digits is lower than one of letters with their tails.
    size = height * (_DIGITS_HIGH if not any(sign.isalpha() for sign in text) else _LETTERS_HIGH)
    length = draw.textlength(text, font=drawing_font(max(6, int(size))))
    font = drawing_font(max(6, int(size * min(1.0, width / max(length, 1.0)))))
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
    """Where a replacement may be written: over its own word and those that went with it, beside it on its line."""
    left, top, right, bottom = boxes[index]
    while covers.get(index + 1) == "" and words[index + 1].line == words[index].line:
        index += 1
        after = boxes[index]
        if max(after[0] - right, left - after[2]) > 2 * (bottom - top):
            break
        left, top, right, bottom = (
            min(left, after[0]),
            min(top, after[1]),
            max(right, after[2]),
            max(bottom, after[3]),
        )
    return left, top, right, bottom
