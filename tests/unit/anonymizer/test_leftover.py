"""Writing that stands in no upright line is masked or waits for a human, and what devices draw is taken for no writing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread

from anonymizer.pixels.leftover import leftover_signs
from anonymizer.pixels.strokes import Box
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import US, picture

WORDS = "Gunilla Brandström 450312"


def speckle(seed: int = 1) -> np.ndarray:
    rows, columns = np.mgrid[0:360, 0:480]
    fan = (np.hypot(rows, columns - 240) < 340) & (np.abs(columns - 240) < 0.8 * rows + 30)
    grain = np.random.default_rng(seed).gamma(2, 25, (360, 480))
    return np.where(fan, grain.clip(0, 230), 0).astype(np.uint8)


def written(angle: float, size: int = 20) -> np.ndarray:
    drawn = Image.fromarray(speckle())
    sign = Image.new("L", (480, 480), 0)
    ImageDraw.Draw(sign).text((90, 225), WORDS, fill=255, font=ImageFont.load_default(size))
    turned = sign.rotate(angle, resample=Image.Resampling.BICUBIC).crop((0, 60, 480, 420))
    drawn.paste(255, mask=turned)
    return np.asarray(drawn)


def stacked() -> np.ndarray:
    drawn = Image.fromarray(speckle())
    for place, letter in enumerate("BRANDSTRÖM"):
        ImageDraw.Draw(drawn).text((40, 20 + 30 * place), letter, fill=255, font=ImageFont.load_default(24))
    return np.asarray(drawn)


@pytest.mark.parametrize("angle", [12, 30, 45, 60, 75])
@pytest.mark.parametrize("size", [15, 24])
def test_oblique_writing_is_noticed(angle, size):
    assert leftover_signs(written(angle, size), [])


def test_stacked_letters_are_noticed_and_explained_ones_are_not():
    assert leftover_signs(stacked(), [])
    assert leftover_signs(stacked(), [Box(30, 10, 60, 340)]) == []


@pytest.mark.parametrize("seed", range(6))
def test_rulers_calipers_arrows_and_bars_are_no_writing(seed):
    drawn = Image.fromarray(speckle(seed))
    pen = ImageDraw.Draw(drawn)
    for depth in range(0, 360, 15):
        pen.line((460, depth, 468 if depth % 75 else 476, depth), fill=255)
    for x, y in np.random.default_rng(seed).integers(80, 300, (4, 2)):
        pen.line((x - 6, y, x + 6, y), fill=255)
        pen.line((x, y - 6, x, y + 6), fill=255)
    pen.polygon([(10, 10), (20, 10), (15, 20)], fill=255)
    pen.line((100, 100, 300, 250), fill=255)
    bar = np.repeat(np.linspace(255, 0, 150).astype(np.uint8)[:, None], 12, 1)
    drawn.paste(Image.fromarray(bar), (5, 60))
    assert leftover_signs(np.asarray(drawn), []) == []


@pytest.mark.parametrize("frame", [written(30), stacked()], ids=["oblique", "stacked"])
def test_a_picture_with_such_writing_waits_for_a_human_and_claims_nothing(frame):
    done = made.deidentified(picture(frame, US, "US"))
    assert done.look
    assert str(dcmread(io.BytesIO(done.content)).get("BurnedInAnnotation", "")) != "NO"
