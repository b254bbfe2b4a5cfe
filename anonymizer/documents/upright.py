"""Asks Tesseract's orientation data which way up a page stands and in which script it is written; it reads no word."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer.ocr import folders

_SURE = 1.5
_LEAST_SIDE = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """``turn``: by how many degrees clockwise the picture must be turned to stand upright; ``script`` as Unicode names it."""

    turn: int = 0
    sure: bool = False
    script: str = ""


@lru_cache(maxsize=1)
def _reader() -> Any:
    """Tesseract with its orientation data; None where it is not installed."""
    folder = next((place for place in folders() if (place / "osd.traineddata").exists()), None)
    if folder is None:
        return None
    import tesserocr

    with contextlib.suppress(RuntimeError):
        return tesserocr.PyTessBaseAPI(path=str(folder), lang="osd", psm=tesserocr.PSM.OSD_ONLY)
    return None


def quarter_turns(grey: NDArray[np.uint8]) -> Seen:
    """Which quarter turn stands a page upright; unsure where there is too little to tell it by."""
    reader = _reader()
    if reader is None or min(grey.shape) < _LEAST_SIDE:
        return Seen()
    reader.SetImage(Image.fromarray(grey))
    found = None
    with contextlib.suppress(RuntimeError):
        found = reader.DetectOrientationScript()
    reader.Clear()
    if not found:
        return Seen()
    turn = -int(found["orient_deg"]) % 360  # it tells how the page was turned; the way back is asked for
    script = found["script_name"] if float(found["script_conf"]) > _SURE else ""
    return Seen(turn, sure=float(found["orient_conf"]) > _SURE, script=str(script))
