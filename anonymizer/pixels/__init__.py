"""The pixel workshop: which pictures may show identifying text, reading and masking it, and previews for a human."""

from __future__ import annotations

from anonymizer.pixels.bits import mask_unused_bits
from anonymizer.pixels.clean import PixelOutcome, clean_pixels
from anonymizer.pixels.masks import MaskRule, fingerprint
from anonymizer.pixels.preview import render_preview
from anonymizer.pixels.risk import Look, pixel_risk, shows_face

__all__ = [
    "Look",
    "MaskRule",
    "PixelOutcome",
    "clean_pixels",
    "fingerprint",
    "mask_unused_bits",
    "pixel_risk",
    "render_preview",
    "shows_face",
]
