"""Renders one frame of an object for a human's eye; the object is read by pydicom and changed nowhere."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer.errors import PreviewError

MAX_PREVIEW_PIXELS = 64_000_000


_COLOURS = {"masked": (230, 60, 60), "kept": (60, 200, 90), "doubtful": (250, 210, 40)}


def render_preview(
    content: bytes, *, frame: int = 0, max_side: int = 1024, boxes: Sequence[Mapping[str, Any]] = ()
) -> bytes:
    """One frame as PNG, windowed as the object asks; raises `PreviewError` when it cannot be decoded here.

    ``boxes`` are those of `Deidentified.boxes`: the frame's own are drawn, red where text was blanked, green where it was
    kept, yellow where a human must look.
    """
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values in what it logs
    try:
        dataset = dcmread(io.BytesIO(content), force=True)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        array = pixel_array(dataset, index=frame) if rows * columns <= MAX_PREVIEW_PIXELS else None
        picture = Image.fromarray(shown(np.asarray(array), dataset))
    except Exception:  # noqa: BLE001 - decoders raise what they like, and their text may quote the object
        raise PreviewError(PreviewError.__doc__) from None
    if boxes:
        picture = _drawn(picture, [box for box in boxes if box.get("frame") == frame])
    picture.thumbnail((max_side, max_side))
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


def _drawn(picture: Image.Image, boxes: Sequence[Mapping[str, Any]]) -> Image.Image:
    from PIL import ImageDraw

    coloured = picture.convert("RGB")
    pen = ImageDraw.Draw(coloured)
    for box in boxes:
        left, top = int(box["left"]) - 1, int(box["top"]) - 1
        edges = (left, top, left + int(box["width"]) + 1, top + int(box["height"]) + 1)
        pen.rectangle(edges, outline=_COLOURS[str(box["state"])], width=max(coloured.width // 600, 1))
    return coloured


def shown(array: NDArray[np.generic], dataset: object) -> NDArray[np.uint8]:
    """Grey values through rescale and window (or the full range) to 8 bits; colour as it is."""
    from pydicom.pixels import apply_color_lut

    interpretation = str(getattr(dataset, "PhotometricInterpretation", ""))
    if interpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
    if array.ndim == 3:
        return scaled(array.astype(np.float64), full=array.dtype.itemsize == 1)
    shown = scaled(np.asarray(_windowed(array, dataset), dtype=np.float64), full=False)
    return 255 - shown if interpretation == "MONOCHROME1" else shown


def _windowed(array: NDArray[np.generic], dataset: object) -> NDArray[np.generic]:
    """The values through the object's own tables; as stored where these are incomplete, for the picture is there all the same."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    try:
        return np.asarray(apply_voi_lut(apply_modality_lut(array, dataset), dataset))
    except (AttributeError, LookupError, TypeError, ValueError, NotImplementedError):
        return array


def scaled(values: NDArray[np.float64], *, full: bool) -> NDArray[np.uint8]:
    low, high = (0.0, 255.0) if full else (float(values.min()), float(values.max()))
    span = high - low or 1.0
    return np.clip((values - low) * (255.0 / span), 0, 255).astype(np.uint8)
