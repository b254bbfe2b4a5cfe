"""What an independent reader sees on rendered pages: poppler renders, the ``tesseract`` program reads."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pi_heif
from PIL import Image, ImageOps, ImageSequence

from tests.corpus.paper.matching import Reading

PACKS = {
    "sv": "swe",
    "en": "eng",
    "de": "deu",
    "fr": "fra",
    "es": "spa",
    "pl": "pol",
    "fi": "fin",
    "ru": "rus",
    "tr": "tur",
    "ar": "ara",
}
LOOKS = (("6", 2.0), ("11", 2.0), ("3", 1.4))
"""Page segmentation modes of tesseract (one block, sparse, automatic) and enlargements."""
LONGEST = 4200
"""Pixels to which no side is enlarged beyond."""
LONG_SIDE = 1754
"""Pixels of a page as it is drawn: A4 at 150 dots per inch."""
TIMEOUT_S = 180
PALE = [255 if tone < 200 else min(255, (tone - 200) * 6) for tone in range(256)]
"""The tones from which paper is made, stretched; ink is taken off."""
WORD = re.compile(r"[^\W\d_]{5,}")
FEW_WORDS = 40
"""A page on which fewer words of five letters are read may lie on its side."""

pi_heif.register_heif_opener()


def pages_of_pdf(content: bytes, *, colour: bool = False) -> list[Image.Image]:
    """The pages as poppler draws them, at most eight."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "a.pdf")
        source.write_bytes(content)
        kind = [] if colour else ["-gray"]
        size = ["-scale-to", str(LONG_SIDE), "-l", "8", *kind]
        command = ["pdftoppm", *size, str(source), str(Path(folder, "p"))]
        subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)
        return [Image.open(io.BytesIO(page.read_bytes())) for page in sorted(Path(folder).glob("p*.p?m"))]


def picture_of(content: bytes) -> Image.Image:
    """The picture, without a word about segments that are planted to be odd."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(content))


def pages_of_picture(content: bytes) -> list[Image.Image]:
    """Every frame, upright as its EXIF says."""
    with picture_of(content) as picture:
        frames = [flat(ImageOps.exif_transpose(frame)) for frame in ImageSequence.Iterator(picture)]
        return [frame.convert("L") for frame in frames[:8]]


def flat(picture: Image.Image) -> Image.Image:
    """In colour on white paper, as a viewer shows what is transparent or deeper than eight bits."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture, dtype=np.float64)
        span = max(1.0, float(np.ptp(deep)))
        return Image.fromarray(((deep - deep.min()) * 255 / span).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return picture.convert("RGB")


def seen(pages: list[Image.Image], language: str, cache: Path, *, looks: int = 3) -> list[Reading]:
    """What is read on the pages, in every look; all four turns for a page on which an upright look reads little."""
    found: list[Reading] = []
    for number, page in enumerate(pages, 1):
        for mode, factor in LOOKS[:looks]:
            found.append(_read(page, number, language, mode, factor, cache))
        if sum(len(WORD.findall(one.text)) for one in found[-looks:]) < FEW_WORDS * looks:
            turned = (page.rotate(turn, expand=True) for turn in (90, 180, 270))
            found += [_read(one, number, language, "6", 1.4, cache) for one in turned]
    return found


def strained(content: bytes, suffix: str, language: str, cache: Path) -> list[Reading]:
    """What somebody reads who tries hard: each colour by itself, the palest tones stretched, upside down."""
    if suffix == ".pdf":
        pages = pages_of_pdf(content, colour=True)
    else:
        with picture_of(content) as picture:
            pages = [flat(picture)]
    found: list[Reading] = []
    for number, page in enumerate(pages, 1):
        grey = page.convert("L")
        ways = [*page.convert("RGB").split(), grey.point(PALE), ImageOps.invert(grey), grey.rotate(180)]
        found += [_read(way, number, language, "11", 2.0, cache) for way in ways]
    return found


def _read(page: Image.Image, number: int, language: str, mode: str, factor: float, cache: Path) -> Reading:
    grey = ImageOps.autocontrast(page.convert("L"), cutoff=1)
    factor = min(factor, LONGEST / max(grey.size))
    grey = grey.resize(
        (max(1, round(grey.width * factor)), max(1, round(grey.height * factor))), Image.Resampling.LANCZOS
    )
    out = io.BytesIO()
    grey.save(out, "PNG", compress_level=1)
    packs = "+".join(dict.fromkeys([PACKS[language], "eng"]))
    name = hashlib.sha256(grey.tobytes() + f"{grey.size} {packs} {mode}".encode()).hexdigest()
    kept = cache / f"{name}.txt"
    if not kept.exists():
        done = subprocess.run(
            ["tesseract", "stdin", "stdout", "-l", packs, "--psm", mode],
            input=out.getvalue(), check=False, capture_output=True, timeout=TIMEOUT_S,
            env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"tesseract cannot read: {done.stderr[-200:]!r}")
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(done.stdout)
    return Reading(
        place=f"page {number}, OCR mode {mode}", text=kept.read_text("utf-8", "replace"), seen=True
    )
