"""Writes a constant over boxes of frames, in the encoding that the object has where that is possible without loss.

Uncompressed and RLE, JPEG-LS and JPEG 2000 without loss stay what they are and only the frames concerned are encoded anew.
Any other encoding is decoded as it is shown and stored without loss: nothing beside the boxes changes a second time.

References
----------
PS3.15 E.3.1 (pixel values are overwritten); PS3.3 C.7.6.1.1.5 (lossy image compression), C.7.6.3.1.2 (photometric
interpretation), PS3.5 8.2, A.4; PS3.16 CID 7203 (image derivation).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anonymizer.elements import PIXEL_DATA, DataSet, Element, Raw
from anonymizer.frames import offset_table, strip_frame
from anonymizer.pixels.picture import LOSSY, NotDecodableError, Picture, Pixels
from anonymizer.pixels.strokes import Box

EXPLICIT_LE = "1.2.840.10008.1.2.1"
RLE, JPEG_LS, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
#: Encoded anew in the same syntax; what is not here becomes JPEG-LS or JPEG 2000 without loss.
_SAME = frozenset({RLE, JPEG_LS, J2K})
_BECOMES_J2K = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (91, 201, 202, 203))
#: Their encoders sign what they make with a comment, which a second pass would take away.
_SIGNED = frozenset({JPEG_LS, J2K})
_EXTENDED = (0x7FE00001, 0x7FE00002)


@dataclass(frozen=True, slots=True)
class Written:
    """How the picture is encoded now, and whether a lossy encoding had to be left."""

    syntax: str
    left_lossy: bool = False


def write_masks(picture: Picture, boxes: Mapping[int, list[Box]], *, clear_unused: bool = False) -> Written:
    """Blank the boxes of each frame (by number) in the data set's pixel data.

    ``clear_unused`` also clears the bits beyond Bits Stored of every encapsulated frame, where overlays used to lie.
    Raises `NotDecodableError` where a frame cannot be decoded or stored again.
    """
    if not picture.encapsulated:
        _write_native(picture, boxes)
        return Written(picture.syntax)
    if picture.syntax in _SAME:
        return _write_same(picture, boxes, clear_unused)
    return _write_other(picture, boxes, clear_unused)


def blank_value(picture: Picture, values: Pixels) -> int | tuple[int, int, int]:
    """The darkest value that the picture's interpretation has: nothing can be read from it."""
    if values.ndim == 3:
        half = 1 << (picture.stored - 1)
        is_rgb = picture.encapsulated and picture.syntax in LOSSY
        if picture.photometric in {"YBR_FULL", "YBR_FULL_422"} and not is_rgb:
            return (0, half, half)
        return (0, 0, 0)
    if picture.photometric == "PALETTE COLOR":
        return _darkest_index(picture, values)
    if picture.signed:
        return int(values.max() if picture.photometric == "MONOCHROME1" else values.min())
    return (1 << picture.stored) - 1 if picture.photometric == "MONOCHROME1" else 0


def _darkest_index(picture: Picture, values: Pixels) -> int:
    """Of the indices that the frame uses, the one whose colour is darkest."""
    from anonymizer.pixels.picture import views

    grey = next(iter(views(picture, values)))
    return int(values.ravel()[int(np.argmin(grey))])


def _blanked(picture: Picture, values: Pixels, boxes: list[Box]) -> Pixels:
    changed = values.copy()
    blank = blank_value(picture, values)
    for box in boxes:
        part = np.s_[box.top : box.bottom, box.left : box.right]
        if changed.ndim == 3:
            for channel in range(changed.shape[2]):
                changed[part][..., channel] = (
                    blank[channel] if isinstance(blank, tuple) and channel < 3 else 0
                )
        else:
            changed[part] = blank
    return changed


def _write_native(picture: Picture, boxes: Mapping[int, list[Box]]) -> None:
    element = picture.dataset.elements[PIXEL_DATA]
    whole = bytearray(element.value)
    if picture.allocated == 1:
        _write_bits(picture, boxes, whole)
    else:
        for index, here in boxes.items():
            values = _blanked(picture, picture.stored_values(index), _even(here, picture))
            start = index * picture.frame_bytes
            whole[start : start + picture.frame_bytes] = _laid_out(picture, values)
    element.value = bytes(whole)


def _write_bits(picture: Picture, boxes: Mapping[int, list[Box]], whole: bytearray) -> None:
    bits = np.unpackbits(np.frombuffer(bytes(whole), np.uint8), bitorder="little")
    size = picture.rows * picture.columns
    for index, here in boxes.items():
        values = _blanked(picture, picture.stored_values(index), here)
        bits[index * size : (index + 1) * size] = values.ravel()
    whole[:] = np.packbits(bits, bitorder="little").tobytes()[: len(whole)]


def _even(boxes: list[Box], picture: Picture) -> list[Box]:
    """With 4:2:2 two pixels share their colours: boxes begin and end between pairs."""
    if not picture.subsampled:
        return boxes
    return [
        Box(
            left := box.left - box.left % 2,
            box.top,
            min(box.right + box.right % 2, picture.columns) - left,
            box.height,
        )
        for box in boxes
    ]


def _laid_out(picture: Picture, values: Pixels) -> bytes:
    """A frame's values as the object lays them out: by plane, by pixel, or with shared colours."""
    if picture.subsampled:
        pairs = values.reshape(-1, 2, 3)
        return np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1).tobytes()
    if values.ndim == 3 and picture.planar:
        return np.moveaxis(values, -1, 0).tobytes()
    return values.tobytes()


def _write_same(picture: Picture, boxes: Mapping[int, list[Box]], clear_unused: bool) -> Written:
    """Frames without a box keep the bytes they have."""
    frames: list[Raw] = []
    for index in range(picture.frames):
        here = boxes.get(index, [])
        if not here and not clear_unused:
            frames.append(picture.raw(index))
            continue
        values = picture.stored_values(index)
        if clear_unused:
            values = _cleared(picture, values)
        frames.append(_encoded(picture, _blanked(picture, values, here), picture.syntax, picture.photometric))
    _put_frames(picture.dataset, frames)
    return Written(picture.syntax)


def _write_other(picture: Picture, boxes: Mapping[int, list[Box]], clear_unused: bool) -> Written:
    syntax = J2K if picture.syntax in _BECOMES_J2K else JPEG_LS
    in_colour = (
        "YBR_RCT" if syntax == J2K else "RGB"
    )  # PS3.5 8.2.4: what JPEG 2000 without loss calls its colours
    photometric = in_colour if picture.samples > 1 else picture.photometric
    frames: list[Raw] = []
    for index in range(picture.frames):
        values = picture.stored_values(index)
        if clear_unused:
            values = _cleared(picture, values)
        changed = _blanked(picture, values, boxes.get(index, []))
        frames.append(_encoded(picture, changed, syntax, photometric))
    if picture.samples > 1:
        _put(picture.dataset, 0x00280004, "CS", photometric)
        _number(picture.dataset, 0x00280006, 0)
    _put_frames(picture.dataset, frames)
    return Written(syntax, left_lossy=picture.syntax in LOSSY)


def _cleared(picture: Picture, values: Pixels) -> Pixels:
    """Values without bits beyond Bits Stored; the sign goes on in them where values have one."""
    unused = picture.allocated - picture.stored
    if unused <= 0:
        return values
    if not picture.signed:
        return values & values.dtype.type((1 << picture.stored) - 1)
    return (values << unused) >> unused


def _encoded(picture: Picture, values: Pixels, syntax: str, photometric: str) -> bytes:
    from pydicom.pixels import get_encoder
    from pydicom.uid import UID

    layout = {
        "rows": picture.rows,
        "columns": picture.columns,
        "samples_per_pixel": picture.samples,
        "photometric_interpretation": photometric,
        "bits_allocated": picture.allocated,
        "bits_stored": picture.stored,
        "pixel_representation": int(picture.signed),
        "number_of_frames": 1,
    }
    if picture.samples > 1:
        layout["planar_configuration"] = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = get_encoder(UID(syntax)).encode(np.ascontiguousarray(values), **layout)
    except Exception:  # noqa: BLE001 - encoders raise what they like
        raise NotDecodableError(missing=True) from None
    return (strip_frame(frame, syntax)[0] if syntax in _SIGNED else b"") or bytes(frame)


def _put_frames(dataset: DataSet, frames: list[Raw]) -> None:
    lengths = [len(frame) + (len(frame) & 1) + 8 for frame in frames]
    for tag in _EXTENDED:
        dataset.drop(tag)
    dataset.put(Element(PIXEL_DATA, "OB", fragments=[offset_table(lengths), *frames]))


def _put(dataset: DataSet, tag: int, vr: str, value: str) -> None:
    dataset.put(Element(tag, vr, value.encode("ascii")))


def _number(dataset: DataSet, tag: int, value: int) -> None:
    dataset.put(Element(tag, "US", value.to_bytes(2, "little")))
