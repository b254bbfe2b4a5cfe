"""Reads a cleaned picture again, otherwise than it was cleaned, and names the frames in which a known identifier is left.

Other settings: the file is parsed by pydicom, frames are read as pages at another scale and threshold, light and dark, with
more languages. An object that carries no risk is not decoded.
"""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer import ocr
from anonymizer.attribute_types import load_table
from anonymizer.known import Known
from anonymizer.ocr import OcrMissingError, OcrTimeError
from anonymizer.pixels.judge import judge_for
from anonymizer.pixels.preview import shown
from anonymizer.pixels.reading import Budget, OutOfTimeError

READING_S = 25.0
#: Read where their packs are there: more than the cleaning reads.
LANGUAGES = ("eng", "swe", "deu", "fra", "spa", "pol", "fin")
_MOST_FRAMES = 12
_MOST_PIXELS = 1_600_000
_SURE = 45.0
_MOST_FILE = 512 << 20
_HEAD = 64 << 10
_ASKED = ["Modality", "SOPClassUID", "SamplesPerPixel", "BitsAllocated", "BurnedInAnnotation", "Rows"]


def read_again(content: bytes | memoryview, known: Known) -> tuple[str, ...]:
    """Places ("frame 3") where a known identifier can still be read; () for objects without risk.

    Frames are taken evenly where there are many. What cannot be decoded or read in time says nothing here: such objects wait
    for a human already.
    """
    from pydicom import dcmread

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values in what it logs
    if not known or len(content) > _MOST_FILE or not ocr.languages():
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The words first: a slice without risk is told from its head alone.
            if not _is_risky(dcmread(io.BytesIO(content[:_HEAD]), specific_tags=_ASKED, force=True)):
                return ()
            return tuple(_places(dcmread(io.BytesIO(content)), known))
    except (OcrMissingError, OcrTimeError, OutOfTimeError):
        return ()
    except Exception:  # noqa: BLE001 - decoders raise what they like; the cleaning has told of what cannot be decoded
        return ()


def _is_risky(dataset: Any) -> bool:
    if "Rows" not in dataset:
        return False
    table = load_table("pixel_risk.json")
    modality = str(dataset.get("Modality", ""))
    sop_class = str(dataset.get("SOPClassUID", ""))
    coloured = int(dataset.get("SamplesPerPixel", 1)) > 1 or int(dataset.get("BitsAllocated", 16)) == 8
    return (
        any(modality in row["modalities"].split() for row in table["rows"])
        or any(sop_class.startswith(prefix) for prefix in table["sop_prefixes"])
        or str(dataset.get("BurnedInAnnotation", "")) in {"YES", "NO"}
        or (coloured and modality in {"CT", "MR", "PT"})
    )


def _places(dataset: Any, known: Known) -> list[str]:
    from pydicom.pixels import pixel_array

    judge, budget = judge_for(known, strict=False), Budget(READING_S)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    chosen = sorted({round(step * (frames - 1) / max(_MOST_FRAMES - 1, 1)) for step in range(_MOST_FRAMES)})
    met: set[bytes] = set()
    found = []
    for frame in chosen:
        picture = shown(np.asarray(pixel_array(dataset, index=frame)), dataset)
        digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
        if digest in met:
            continue
        met.add(digest)
        if _has_known(picture, judge, budget):
            found.append(f"frame {frame + 1}")
    return found


def _has_known(picture: NDArray[np.uint8], judge: Any, budget: Budget) -> bool:
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    scale = min(1.5, (_MOST_PIXELS / grey.size) ** 0.5)
    size = max(int(grey.shape[1] * scale), 1), max(int(grey.shape[0] * scale), 1)
    larger = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS))
    for view in (larger, 255 - larger):
        words = ocr.read_words(view, layout="page", only=LANGUAGES, limit_s=min(budget.left_s(), 8.0))
        lines: dict[int, list[str]] = {}
        for word in words:
            if word.confidence >= _SURE:
                lines.setdefault(word.line, []).append(word.text)
        if any(judge.known_in(" ".join(line)) for line in lines.values()):
            return True
    return False
