"""Judges by an object's own words how likely its picture shows identifying text; it looks at no pixel.

References
----------
PS3.15 E.3.1; PS3.3 C.7.6.1 (Image Type, Burned In Annotation, Recognizable Visual Features), C.8.5.6 (ultrasound).
"""

from __future__ import annotations

from dataclasses import dataclass

from anonymizer.attribute_types import load_table
from anonymizer.elements import PIXEL_DATA, PIXEL_TAGS, DataSet

MODALITY, SAMPLES, BITS = 0x00080060, 0x00280002, 0x00280100
SLICES = frozenset({"CT", "MR", "PT"})


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
    conversion = dataset.ascii(0x00080064).upper()
    if conversion in {"DF", "SD", "DRW"}:
        looks["scanned"] = "The picture was scanned from paper or film, or drawn: it may carry handwriting."
    elif conversion in {"DI", "SI", "SYN", "WSD", "DV"}:
        looks.setdefault("capture", "The picture was captured, not acquired.")
    if embedded_overlay(dataset) and PIXEL_DATA in dataset and _is_encapsulated(dataset):
        looks["overlay_in_pixels"] = "An overlay may lie inside the compressed picture."
    if dataset.ascii(MODALITY).upper() in SLICES and (
        dataset.number(SAMPLES, 1) > 1 or dataset.number(BITS, 16) == 8
    ):
        looks["capture"] = "A slice in colour or with 8 bits: usually a capture of a workstation's screen."
    return tuple(Look(code, reason) for code, reason in looks.items())


def is_read(dataset: DataSet, risk: tuple[Look, ...]) -> bool:
    """Whether the words in a picture of this risk are read: every kind that may carry them, whatever the sender says of it."""
    if not any(tag in dataset for tag in PIXEL_TAGS):
        return False
    return bool(risk) or _kind(dataset, load_table("pixel_risk.json")) is not None


def _kind(dataset: DataSet, table: dict[str, object]) -> tuple[str, str] | None:
    sop_class = dataset.ascii(0x00080016)
    prefixes = table["sop_prefixes"]
    for prefix, code in prefixes.items():  # type: ignore[attr-defined]  # JSON
        if sop_class == prefix or sop_class.startswith(prefix + "."):
            return code, _reason(code, table)
    modality = dataset.ascii(MODALITY).upper()
    for row in table["rows"]:  # type: ignore[attr-defined]  # JSON
        if modality in row["modalities"].split():
            return row["code"], row["reason"]
    return None if is_slice_class(sop_class) else ("picture", _reason("picture", table))


def _reason(code: str, table: dict[str, object]) -> str:
    return next(str(row["reason"]) for row in table["rows"] if row["code"] == code)  # type: ignore[attr-defined]  # JSON


def is_slice_class(sop_class: str) -> bool:
    """Whether pictures of this class are slices or maps that a machine computed, and no page, photograph or projection."""
    prefixes = load_table("pixel_risk.json")["slice_classes"]
    return any(sop_class == prefix or sop_class.startswith(f"{prefix}.") for prefix in prefixes)


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


def embedded_overlay(dataset: DataSet) -> bool:
    return any(
        0x6000 <= tag >> 16 <= 0x601E and tag & 0xFFFF == 0x0102 and dataset.number(tag) > 0
        for tag in dataset.elements
    )
