"""Synthetic pictures: noise and shapes with text burned in, and the stroke masks that a judge compares with."""

import base64
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FONTS = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf")
FOLDERS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu", "/usr/share/fonts/TTF")


@lru_cache
def font(size: int, face: int = 0) -> Any:
    for folder in FOLDERS:
        path = Path(folder) / FONTS[face % len(FONTS)]
        if path.exists():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def tissue(rng: random.Random, rows: int, columns: int, bits: int = 12) -> NDArray[np.uint16]:
    """A round body on air with organs and noise, (rows, columns), the highest value below 70 % of the range."""
    chance = np.random.default_rng(rng.randrange(2**32))
    y, x = np.mgrid[0:rows, 0:columns]
    top = (1 << bits) - 1
    body = ((y - rows / 2) / (rows * 0.38)) ** 2 + ((x - columns / 2) / (columns * 0.42)) ** 2 < 1
    picture = np.where(body, top * 0.3, top * 0.02)
    for _ in range(6):
        cy, cx = rng.uniform(0.3, 0.7) * rows, rng.uniform(0.3, 0.7) * columns
        size = rng.uniform(0.04, 0.14) * rows
        picture += np.where((y - cy) ** 2 + (x - cx) ** 2 < size**2, top * rng.uniform(-0.1, 0.2), 0) * body
    picture += chance.normal(0, top * 0.012, (rows, columns))
    return np.clip(picture, 0, top * 0.7).astype(np.uint16)


def fan(rng: random.Random, rows: int, columns: int) -> NDArray[np.uint8]:
    """An ultrasound sector with speckle in grey RGB, (rows, columns, 3), black outside it."""
    chance = np.random.default_rng(rng.randrange(2**32))
    y, x = np.mgrid[0:rows, 0:columns]
    angle = np.arctan2(x - columns / 2, y - rows * 0.12)
    radius = np.hypot(x - columns / 2, y - rows * 0.12)
    sector = (np.abs(angle) < 0.6) & (radius > rows * 0.08) & (radius < rows * 0.78)
    grey = np.where(sector, chance.rayleigh(32, (rows, columns)), 0)
    return np.repeat(np.clip(grey, 0, 160).astype(np.uint8)[..., None], 3, axis=2)


def page(rows: int, columns: int) -> NDArray[np.uint8]:
    """A white screenshot with a grey bar, (rows, columns, 3)."""
    white = np.full((rows, columns, 3), 255, np.uint8)
    white[: rows // 16] = (208, 214, 224)
    return white


def strokes(text: str, size: int, face: int = 0) -> NDArray[np.bool_]:
    """The pixels that `text` covers in a tight box of its own, (height, width)."""
    left, top, right, bottom = font(size, face).getbbox(text)
    picture = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2), 0)
    ImageDraw.Draw(picture).text((1 - left, 1 - top), text, fill=255, font=font(size, face))
    return np.asarray(picture) > 127


def burn(
    frame: NDArray[Any], text: str, at: tuple[int, int], size: int, value: Any, face: int = 0
) -> dict[str, Any]:
    """Write `text` into `frame` in place, its top left corner `at` (x, y); the box and mask for the key."""
    mask = strokes(text, size, face)
    x, y = at
    mask = mask[: frame.shape[0] - y, : frame.shape[1] - x]
    frame[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = value
    packed = base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")
    return {"left": x, "top": y, "width": mask.shape[1], "height": mask.shape[0], "mask": packed}


def unpacked(box: dict[str, Any]) -> NDArray[np.bool_]:
    """The stroke mask of a box of the key, (height, width)."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(box["mask"]), np.uint8))
    return bits[: box["height"] * box["width"]].reshape(box["height"], box["width"]).astype(bool)
