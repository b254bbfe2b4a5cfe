"""Judges how likely a picture shows identifying text, masks bits no picture uses, and renders a preview for a human.

It does not read text in pictures: what is at risk is held for a look.

References
----------
PS3.15 E.3.1; PS3.3 C.7.6.1 (Image Type, Burned In Annotation, Recognizable Visual Features), C.9.2 (overlays),
C.8.5.6 (ultrasound), PS3.5 8.1.1 (unused bits).
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymizer.attribute_types import load_table
from anonymizer.elements import PIXEL_DATA, PIXEL_TAGS, DataSet, Element
from anonymizer.errors import PreviewError

MODALITY, SAMPLES, BITS = 0x00080060, 0x00280002, 0x00280100
SLICES = frozenset({"CT", "MR", "PT"})
MAX_PREVIEW_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """Why a human must look at this picture before it is released."""

    code: str
    reason: str


def pixel_risk(dataset: DataSet) -> tuple[Look, ...]:
    """Reasons to look, from the object's own words (as received); none for a primary CT, MR or PET slice."""
    if not any(tag in dataset for tag in PIXEL_TAGS):
        return ()
    table = load_table("pixel_risk.json")
    looks: dict[str, str] = {}
    burned = dataset.ascii(0x00280301).upper()
    if burned == "YES":
        looks["burned_in"] = "The sender states that text is burned into the picture."
    kind = _kind(dataset, table)
    if kind and (kind[0] in table["always_look"] or burned != "NO"):
        looks[kind[0]] = kind[1]
    image_type = [part.strip() for part in dataset.ascii(0x00080008).upper().split("\\")]
    if any(term == part for part in image_type for term in table["image_type_terms"]):
        looks["screen_save"] = "The picture is a saved screen or report page."
    if dataset.ascii(0x00080064).upper() in {"DF", "DI", "DRW", "SI", "SD", "SYN", "WSD", "DV"}:
        looks.setdefault("capture", "The picture was scanned, captured or drawn, not acquired.")
    if _embedded_overlay(dataset) and PIXEL_DATA in dataset and _is_encapsulated(dataset):
        looks["overlay_in_pixels"] = (
            "An overlay may lie inside the compressed picture, where it cannot be masked here."
        )
    if dataset.ascii(MODALITY).upper() in SLICES and (
        dataset.number(SAMPLES, 1) > 1 or dataset.number(BITS, 16) == 8
    ):
        looks["capture"] = "A slice in colour or with 8 bits: usually a capture of a workstation's screen."
    return tuple(Look(code, reason) for code, reason in looks.items())


def _kind(dataset: DataSet, table: dict[str, object]) -> tuple[str, str] | None:
    reasons = {row["code"]: row["reason"] for row in table["rows"]}  # type: ignore[attr-defined]  # JSON
    sop_class = dataset.ascii(0x00080016)
    prefixes = table["sop_prefixes"]
    for prefix, code in prefixes.items():  # type: ignore[attr-defined]  # JSON
        if sop_class == prefix or sop_class.startswith(prefix + "."):
            return code, reasons[code]
    modality = dataset.ascii(MODALITY).upper()
    for row in table["rows"]:  # type: ignore[attr-defined]  # JSON
        if modality in row["modalities"].split():
            return row["code"], row["reason"]
    return None


def shows_face(dataset: DataSet) -> bool:
    """A CT, MR or PET of the head from which a face can be rendered (PS3.15 E.3.2)."""
    if dataset.ascii(MODALITY) not in SLICES:
        return False
    words = f"{dataset.ascii(0x00180015)} {dataset.ascii(0x00081030)} {dataset.ascii(0x0008103E)}".upper()
    found = set("".join(sign if sign.isalnum() else " " for sign in words).split())
    return not found.isdisjoint(load_table("pixel_risk.json")["head_words"])


def _is_encapsulated(dataset: DataSet) -> bool:
    element = dataset.get(PIXEL_DATA)
    return element is not None and element.fragments is not None


def _embedded_overlay(dataset: DataSet) -> bool:
    return any(
        0x6000 <= tag >> 16 <= 0x601E and tag & 0xFFFF == 0x0102 and dataset.number(tag) > 0
        for tag in dataset.elements
    )


def mask_unused_bits(dataset: DataSet) -> int:
    """Clear bits outside Bits Stored that are no sign extension and no padding; returns how many pixels changed.

    Pictures without such bits are not copied.
    """
    element = dataset.get(PIXEL_DATA)
    allocated, stored = dataset.number(0x00280100), dataset.number(0x00280101)
    high = dataset.number(0x00280102, stored - 1)
    if (
        element is None
        or element.fragments is not None
        or not 0 < stored < allocated
        or allocated not in {8, 16, 32}
    ):
        return 0
    if high != stored - 1 or len(element.value) < allocated // 8:
        return 0
    size = allocated // 8
    pixels = np.frombuffer(element.value, dtype=f"<u{size}", count=len(element.value) // size)
    used = (1 << stored) - 1
    if not int(np.bitwise_or.reduce(pixels)) & ~used:
        return 0
    return _mask(element, pixels, dataset, stored, used)


def _mask(
    element: Element, pixels: NDArray[np.unsignedinteger], dataset: DataSet, stored: int, used: int
) -> int:
    right = pixels & pixels.dtype.type(used)
    if dataset.number(0x00280103) == 1:
        negative = (right >> pixels.dtype.type(stored - 1)).astype(np.bool_)
        unused = ((1 << 8 * pixels.dtype.itemsize) - 1) ^ used
        right = np.where(negative, right | pixels.dtype.type(unused), right)
    changed = right != pixels
    padding = dataset.get(0x00280120)
    if padding is not None and len(padding.value) == pixels.dtype.itemsize:
        changed &= pixels != pixels.dtype.type(int.from_bytes(padding.value, "little"))
    count = int(np.count_nonzero(changed))
    if count:
        whole = np.where(changed, right, pixels).astype(pixels.dtype).tobytes()
        element.value = whole + bytes(element.value[len(whole) :])
    return count


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
