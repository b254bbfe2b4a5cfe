"""Pixels as a judge sees them: equal where nothing was drawn, no longer readable where something was."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from tests.corpus.pictures import unpacked

READABLE = 0.35  # correlation of a box with the strokes drawn in it, above which a person still reads it
EDGE = 8  # pixels around a planted text that a mask may take with it
SAME = 0.98


def _grey(frame: NDArray[Any]) -> NDArray[np.float64]:
    return frame.astype(np.float64).mean(axis=-1) if frame.ndim == 3 else frame.astype(np.float64)


def _cut(frame: NDArray[Any], box: dict[str, Any]) -> NDArray[np.float64]:
    return _grey(frame)[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]]


def legible(frame: NDArray[Any], box: dict[str, Any]) -> bool:
    """Whether the strokes still stand out from what surrounds them."""
    cut, mask = _cut(frame, box), unpacked(box)
    if cut.shape != mask.shape or cut.std() < 1e-9:
        return cut.shape != mask.shape
    # In thirds: half a name is a name.
    thirds = zip(np.array_split(cut, 3, axis=1), np.array_split(mask, 3, axis=1), strict=True)
    return any(
        part.std() > 1e-9
        and strokes.any()
        and not strokes.all()
        and abs(np.corrcoef(part.ravel(), strokes.ravel())[0, 1]) > READABLE
        for part, strokes in thirds
    )


def _same(check: dict[str, Any], pair: Any, frame: Any) -> Iterator[tuple[str, str, bool]]:
    if _readable(pair.before):
        yield "utility", check["category"], pair.after is not None and _equal(pair, check.get("bits"))


def _readable(read: Any) -> bool:
    """Whether there are frames to compare at all; a truncated test object has none."""
    try:
        return read.frames is not None or bool(read.encoded)
    except (ValueError, AttributeError, OSError):
        return False


def _equal(pair: Any, bits: int | None) -> bool:
    before, after = pair.before.frames, pair.after.frames
    if before is None or after is None:
        return bool(pair.before.encoded == pair.after.encoded)
    if bits is not None:
        before, after = before.astype(np.int64) & bits, after.astype(np.int64) & bits
    return before.shape == after.shape and bool(np.array_equal(before, after))


def _hidden(check: dict[str, Any], pair: Any, frame: Any) -> Iterator[tuple[str, str, bool]]:
    held = pair.after is None or bool(pair.told.get("look"))
    masked = pair.after is None or _masked(check, pair)
    yield "privacy", check["category"], masked or held
    yield "masked", check["category"], masked
    if pair.after is not None and masked:
        yield "utility", "pixels_around_masks", _around(check, pair)


def _masked(check: dict[str, Any], pair: Any) -> bool:
    frames = pair.after.frames
    if frames is None:
        return False
    return all(
        at >= len(frames) or not legible(frames[at], box) for at in check["frames"] for box in check["boxes"]
    )


def _around(check: dict[str, Any], pair: Any) -> bool:
    before, after = pair.before.frames, pair.after.frames
    if before is None or after is None or before.shape != after.shape:
        return False
    keep = np.ones(before.shape[1:3], bool)
    for box in check["boxes"]:
        keep[
            max(0, box["top"] - EDGE) : box["top"] + box["height"] + EDGE,
            max(0, box["left"] - EDGE) : box["left"] + box["width"] + EDGE,
        ] = False
    equal = before == after
    if equal.ndim == 4:
        equal = equal.all(axis=-1)
    return float(equal[:, keep].mean()) >= SAME


def _marks(check: dict[str, Any], pair: Any, frame: Any) -> Iterator[tuple[str, str, bool]]:
    passed = False
    if pair.after is not None and pair.after.frames is not None and pair.before.frames is not None:
        passed = all(
            np.abs(_cut(pair.before.frames[at], box) - _cut(pair.after.frames[at], box)).mean() < 1
            for at in check["frames"]
            for box in check["boxes"]
        )
    elif pair.after is not None:
        passed = pair.before.encoded == pair.after.encoded
    yield "utility", check["category"], passed


def _unused(check: dict[str, Any], pair: Any, frame: Any) -> Iterator[tuple[str, str, bool]]:
    passed = True
    if pair.after is not None:
        passed = not bool((_stored(pair.after) & check["bits"]).any())
    yield "privacy", check["category"], passed


def _stored(read: Any) -> NDArray[np.uint16]:
    """The words as they lie in the file, unused bits included."""
    if not read.ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return np.frombuffer(
            read.ds.PixelData, "<u2" if read.ds.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
        )
    assert read.ds.file_meta.TransferSyntaxUID == RLELossless
    return np.concatenate([_unpacked(frame) for frame in read.encoded])


def _unpacked(frame: bytes) -> NDArray[np.uint16]:
    """Two RLE segments as words (PS3.5 Annex G), since a decoder hides what no pixel uses."""
    starts = [*(int.from_bytes(frame[4 + 4 * i : 8 + 4 * i], "little") for i in range(2)), len(frame)]
    planes = []
    for start, stop in pairwise(starts):
        out, at = bytearray(), start
        while at < stop - 1:
            run = frame[at]
            if run < 128:
                out += frame[at + 1 : at + 2 + run]
                at += 2 + run
            else:
                out += frame[at + 1 : at + 2] * (257 - run) if run > 128 else b""
                at += 2
        planes.append(np.frombuffer(bytes(out), np.uint8).astype(np.uint16))
    size = min(len(plane) for plane in planes)
    return planes[0][:size] << 8 | planes[1][:size]


PIXEL_KINDS: dict[str, Callable[..., Iterator[tuple[str, str, bool]]]] = {
    "pixels_same": _same,
    "pixels_hidden": _hidden,
    "pixels_kept": _marks,
    "unused_bits": _unused,
}
