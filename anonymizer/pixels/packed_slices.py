"""Asks a few frames of a compressed CT, MR or PET slice whether something is drawn upon them.

A frame of 512 x 512 takes 1 ms from RLE, 6 ms from JPEG-LS and 33 ms from JPEG 2000 without loss: more than all else that is
done with a slice, and less than a name that was overlooked. Lossy encodings blur the one extreme value that is asked for.
"""

from __future__ import annotations

from anonymizer.elements import PIXEL_DATA, DataSet
from anonymizer.pixels.picture import Picture
from anonymizer.pixels.slices import drawn_in

#: How many frames are decoded, evenly spread, by transfer syntax.
FRAMES = {
    "1.2.840.10008.1.2.5": 3,
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81, 90, 201, 202)), 1),
}
_MOST_PIXELS = 1 << 20


def drawn_upon_packed(dataset: DataSet, syntax: str) -> bool:
    """Whether writing may stand in one of the frames that are asked; what cannot be decoded is not asked."""
    element = dataset.get(PIXEL_DATA)
    if element is None or element.fragments is None or syntax not in FRAMES:
        return False
    rows, columns = dataset.number(0x00280010), dataset.number(0x00280011)
    if dataset.number(0x00280002, 1) != 1 or not 4096 <= rows * columns <= _MOST_PIXELS:
        return False
    try:
        picture = Picture.of(dataset, syntax)
        last = picture.frames - 1
        steps = max(FRAMES[syntax] - 1, 1)
        asked = sorted({round(step * last / steps) for step in range(FRAMES[syntax])})
        return any(drawn_in(picture.stored_values(frame)) for frame in asked)
    except Exception:  # noqa: BLE001 - decoders raise what they like, and no slice is held for what shows nothing
        return False
