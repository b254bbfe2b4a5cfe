"""Reads a cleaned picture again, otherwise than it was cleaned, and names the frames in which a known identifier is left.

Other settings: the file is parsed by pydicom, frames are read as pages at another scale and threshold, light and dark, with
more languages. An object that carries no risk is not decoded.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import pixel_array

from anonymizer import ocr
from anonymizer.attribute_types import load_table
from anonymizer.known import Known
from anonymizer.mapped import as_file, let_go
from anonymizer.pixels.judge import judge_for
from anonymizer.pixels.preview import scaled, shown
from anonymizer.pixels.reading import Budget
from anonymizer.pixels.risk import SLICES, is_slice_class

# pydicom quotes values in what it logs.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
READING_S = 60.0
UNREAD = "not read again"
#: Read where their packs are there: more than the cleaning reads.
LANGUAGES = ("eng", "swe", "deu", "fra", "spa", "pol", "fin")
_MOST_FRAMES = 12
_MOST_PIXELS = 1_600_000
_SURE = 45.0
_HEAD = 64 << 10
_ASKED = [
    "Modality",
    "SOPClassUID",
    "SamplesPerPixel",
    "BitsAllocated",
    "BurnedInAnnotation",
    "Rows",
    "DerivationDescription",
]


def read_again(content: bytes | memoryview, known: Known, parsed: Any = None) -> tuple[str, ...]:
    """Places where a known identifier can still be read ("frame 3"), or that were not read again; () for no risk.

    Frames are taken evenly where there are many. A picture for which nobody is asked to look (Burned In Annotation NO) must
    be read again to its end, else it is told; for the others somebody looks in any case. ``parsed`` is the same copy as
    pydicom read it, where the caller has it.
    """
    if not known or not ocr.languages():
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = _head(content) if parsed is None else parsed
        if head is None or "Rows" not in head or not _is_risky(head):
            return ()
        found: list[str] = []
        try:
            for place in _places(content, known):
                found.append(place)  # noqa: PERF402 - what was found before a fault stays found
        except Exception:  # noqa: BLE001 - decoders raise what they like
            if found or _said(head, 0x00280301) == "NO":
                found.append(UNREAD)
    return tuple(found)


def _head(content: bytes | memoryview) -> Any:
    """The words that tell the risk: from the beginning alone where they stand there; None where there is no picture."""
    head = None
    with contextlib.suppress(
        Exception
    ):  # a sequence that crosses the edge; what is told is read in full below
        head = dcmread(io.BytesIO(content[:_HEAD]), specific_tags=_ASKED, force=True)
    if head is None or ("Rows" not in head and len(content) > _HEAD):
        head = dcmread(io.BytesIO(content), specific_tags=_ASKED, force=True, stop_before_pixels=True)
    return head if "Rows" in head else None


def _is_risky(head: Any) -> bool:
    """As the cleaning judges it, from the copy: every picture but a slice in 16 bits that nothing was blanked in."""
    table = load_table("pixel_risk.json")
    sop_class, modality = _said(head, 0x00080016), _said(head, 0x00080060)
    coloured = _number(head, 0x00280002, 1) > 1 or _number(head, 0x00280100, 16) == 8
    blanked = "blanked" in _said(head, 0x00082111)
    return (
        blanked
        or not is_slice_class(sop_class)
        or any(modality in row["modalities"].split() for row in table["rows"])
        or (coloured and modality in SLICES)
    )


def _said(head: Any, tag: int) -> str:
    """A word as it stands in the file: to convert all that is asked here takes longer than to read the file."""
    value = head.get_item(tag).value if tag in head else b""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0")


def _number(head: Any, tag: int, default: int) -> int:
    value = head.get_item(tag).value if tag in head else None
    return (int.from_bytes(value, "little") if isinstance(value, bytes) else int(value or 0)) or default


def _places(content: bytes | memoryview, known: Known) -> Iterator[str]:
    stream = as_file(content)
    dataset = dcmread(stream, stop_before_pixels=True)
    judge, budget = judge_for(known, strict=False), Budget(READING_S)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    chosen = sorted({round(step * (frames - 1) / max(_MOST_FRAMES - 1, 1)) for step in range(_MOST_FRAMES)})
    met: set[bytes] = set()
    for frame in chosen:
        stream.seek(0)
        picture = _visible(np.asarray(pixel_array(stream, index=frame)), dataset)
        let_go(content)
        digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
        if digest in met:
            continue
        met.add(digest)
        if _has_known(picture, judge, budget):
            yield f"frame {frame + 1}"


def _visible(array: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:
    """As the object asks to be shown; by its whole range of values where its tables cannot be applied."""
    try:
        return shown(array, dataset)
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on tables without their parts
        return scaled(np.asarray(array, dtype=np.float64), full=array.dtype.itemsize == 1)


def _has_known(picture: NDArray[np.uint8], judge: Any, budget: Budget) -> bool:
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    if grey.min() == grey.max():
        return False
    scale = min(1.5, (_MOST_PIXELS / grey.size) ** 0.5)
    size = max(int(grey.shape[1] * scale), 1), max(int(grey.shape[0] * scale), 1)
    larger = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS))
    for view in (larger, 255 - larger):
        words = ocr.read_words(view, layout="page", only=LANGUAGES, limit_s=min(budget.left_s(), 20.0))
        lines: dict[int, list[str]] = {}
        for word in words:
            if word.confidence >= _SURE:
                lines.setdefault(word.line, []).append(word.text)
        if any(judge.known_in(" ".join(line)) for line in lines.values()):
            return True
    return False
