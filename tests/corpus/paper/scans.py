"""Pictures of letters: a page as a scanner or a telephone sees it, and a label of a folder."""

from __future__ import annotations

import io
import random
import textwrap
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.corpus.paper.letters import Letter

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
SERIF = "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"
PAGE = (1240, 1754)
"""A4 at 150 dots per inch, in pixels (width, height)."""
CHARACTERS = 84
"""Signs per line at which a page wraps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What went wrong when the page was taken."""

    angle: float = 0
    noise: float = 0
    ink: int = 15
    paper: int = 250
    quarter_turns: int = 0
    blur: float = 0


CLEAN = Fault()
SKEWED = Fault(angle=2, paper=246)
NOISY = Fault(noise=14, paper=238, blur=0.4)
FAINT = Fault(ink=150, paper=222)
TURNED = Fault(quarter_turns=1)
PHOTO = Fault(angle=-0.8, noise=5, paper=232, blur=0.5)


def page(letter: Letter, fault: Fault = CLEAN, *, points: int = 21, serif: bool = False) -> Image.Image:
    """The letter on a page, in grey, with the faults of its taking."""
    picture = Image.new("L", PAGE, fault.paper)
    draw = ImageDraw.Draw(picture)
    rightwards = letter.language != "ar"
    top = 80
    for line in letter.lines:
        size = points + 7 if line.heading else points
        font = ImageFont.truetype(SERIF if serif else FONT, size)
        for part in textwrap.wrap(line.text, CHARACTERS) or [""]:
            if rightwards:
                draw.text((90, top), part, fill=fault.ink, font=font)
            else:
                draw.text(
                    (PAGE[0] - 90, top),
                    part,
                    fill=fault.ink,
                    font=font,
                    anchor="ra",
                    direction="rtl",
                    language="ar",
                )
            top += round(size * 1.45)
    return spoil(picture, fault)


def spoil(picture: Image.Image, fault: Fault) -> Image.Image:
    """Turn, blur and roughen a picture; the same fault gives the same picture."""
    if fault.angle:
        picture = picture.rotate(fault.angle, Image.Resampling.BICUBIC, expand=False, fillcolor=fault.paper)
    if fault.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(fault.blur))
    if fault.noise:
        seeded = np.random.default_rng(round(fault.noise * 100))
        grey = np.asarray(picture, dtype=np.float64) + seeded.normal(0, fault.noise, picture.size[::-1])
        picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    return picture.rotate(90 * fault.quarter_turns, expand=True) if fault.quarter_turns else picture


def label(letter: Letter) -> Image.Image:
    """A sticker on a grey folder: the labelled lines only, in colour."""
    picture = Image.new("RGB", (1400, 900), (126, 131, 138))
    draw = ImageDraw.Draw(picture)
    told = [line.text for line in letter.lines if line.labelled][:9]
    draw.rectangle(
        (130, 110, 1270, 170 + 58 * len(told)), fill=(250, 249, 240), outline=(40, 40, 60), width=3
    )
    for row, text in enumerate(told):
        draw.text((165, 140 + 58 * row), text, fill=(20, 20, 45), font=ImageFont.truetype(FONT, 32))
    rough = random.Random(7)
    for _ in range(900):
        x, y = rough.randrange(1400), rough.randrange(900)
        draw.point((x, y), fill=(rough.randrange(90, 160),) * 3)
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture's bytes."""
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 88} if kind == "JPEG" else {}) | options)
    return out.getvalue()
