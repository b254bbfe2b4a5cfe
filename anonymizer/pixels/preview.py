"""Renders one frame of an object for a human's eye; the object is read by pydicom and changed nowhere."""

from __future__ import annotations

import io
import logging

import numpy as np
from numpy.typing import NDArray

from anonymizer.errors import PreviewError

MAX_PREVIEW_PIXELS = 64_000_000


def render_preview(content: bytes, *, frame: int = 0, max_side: int = 1024) -> bytes:
    """One frame as PNG, windowed as the object asks; raises `PreviewError` when it cannot be decoded here."""
    from PIL import Image
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values in what it logs
    try:
        dataset = dcmread(io.BytesIO(content), force=True)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        array = pixel_array(dataset, index=frame) if rows * columns <= MAX_PREVIEW_PIXELS else None
        picture = Image.fromarray(_shown(np.asarray(array), dataset))
    except Exception:  # noqa: BLE001 - decoders raise what they like, and their text may quote the object
        raise PreviewError(PreviewError.__doc__) from None
    picture.thumbnail((max_side, max_side))
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


def _shown(array: NDArray[np.generic], dataset: object) -> NDArray[np.uint8]:
    """Grey values through rescale and window (or the full range) to 8 bits; colour as it is."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    interpretation = str(getattr(dataset, "PhotometricInterpretation", ""))
    if interpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
    if array.ndim == 3:
        return _scaled(array.astype(np.float64), full=array.dtype.itemsize == 1)
    grey = np.asarray(apply_voi_lut(apply_modality_lut(array, dataset), dataset), dtype=np.float64)
    shown = _scaled(grey, full=False)
    return 255 - shown if interpretation == "MONOCHROME1" else shown


def _scaled(values: NDArray[np.float64], *, full: bool) -> NDArray[np.uint8]:
    low, high = (0.0, 255.0) if full else (float(values.min()), float(values.max()))
    span = high - low or 1.0
    return np.clip((values - low) * (255.0 / span), 0, 255).astype(np.uint8)
