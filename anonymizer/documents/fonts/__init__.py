"""The typeface that clean documents are set in, carried along so that a bare computer sets the same pages."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib import resources

from PIL import ImageFont

REGULAR, BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"


@lru_cache(maxsize=2)
def font_bytes(name: str) -> bytes:
    return (resources.files(__package__ or "") / name).read_bytes()


@lru_cache(maxsize=256)
def drawing_font(size: int) -> ImageFont.FreeTypeFont:
    """The regular face for painting words into a picture, ``size`` pixels high."""
    return ImageFont.truetype(io.BytesIO(font_bytes(REGULAR)), size, layout_engine=ImageFont.Layout.BASIC)
