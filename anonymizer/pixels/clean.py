"""Cleans the picture of one object: which frames are read, what is blanked, and whether a human must still look.

1. Bits that no pixel uses are cleared. 2. Risk by the object's words; a slice without risk is asked for drawn strokes only.
3. Reviewed masks of its device are applied. 4. Its text is read and judged. 5. What identifies is blanked. 6. What nobody
could read, or no time was left for, waits for a human.

References
----------
PS3.15 E.3.1 (Clean Pixel Data Option), PS3.3 C.7.6.1.1.1 (derivation), decisions 0061 and 0062.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from anonymizer.attribute_types import load_table
from anonymizer.elements import PIXEL_DATA, DataSet, Element
from anonymizer.errors import Unfit
from anonymizer.known import Known
from anonymizer.ocr import OcrMissingError, Word, languages
from anonymizer.pixels.bits import mask_unused_bits
from anonymizer.pixels.find import Findings, Seen, read_picture, share_of
from anonymizer.pixels.judge import judge_for
from anonymizer.pixels.leftover import leftover_signs
from anonymizer.pixels.masking import write_masks
from anonymizer.pixels.masks import MaskRule, fingerprint
from anonymizer.pixels.packed_slices import drawn_upon_packed
from anonymizer.pixels.picture import NotDecodableError, Picture, views
from anonymizer.pixels.reading import Budget, OutOfTimeError
from anonymizer.pixels.risk import Look, embedded_overlay, is_read, pixel_risk
from anonymizer.pixels.slices import drawn_upon
from anonymizer.pixels.strokes import Box, merged
from anonymizer.report import Notebook

#: Processor time for reading one object; the rest of it waits for a human.
READING_S = 45.0
BURNED_IN, DERIVATION, LOSSY_DONE, MANUFACTURER, MODALITY = (
    0x00280301,
    0x00082111,
    0x00282110,
    0x00080070,
    0x00080060,
)
PLACE = "(7FE0,0010)"
_MOST_BOXES = 400
_LEFTOVER_FRAMES = 12
_MORE_ROUNDS = 2
_BLANKED = 0.6  # of a doubtful stretch: its edges look like strokes beside what was blanked
UNREADABLE = "The picture is damaged, so nobody can say what it shows. Ask the sender to send it again."
_REASONS = {
    "text_unread": "Text in pictures cannot be read on this computer (no language packs), so names may stand in this one.",
    "not_decodable": "No program here can open this picture's encoding, so its text was not read. Look with a viewer of your own.",
    "too_much_to_read": "There is more in this picture than could be read in the time allowed. Look through all of its frames.",
    "doubtful_text": "Something in the picture looks like writing that could not be read. Look at the marked places.",
    "drawn": "Something is drawn in this slice that looks like writing.",
}


@dataclass(slots=True)
class PixelOutcome:
    """What became of an object's picture; ``boxes`` hold coordinates and states, never a text."""

    syntax: str
    look: tuple[Look, ...] = ()
    boxes: tuple[dict[str, Any], ...] = ()
    layout: dict[str, str | int] = field(default_factory=dict)
    masked: int = 0


def clean_pixels(
    dataset: DataSet,
    syntax: str,
    *,
    known: Known,
    strict: bool,
    masks: tuple[MaskRule, ...],
    notes: Notebook,
) -> PixelOutcome:
    """Clean the picture in place; raises `Unfit` for a picture at risk that is damaged.

    Parameters
    ----------
    dataset
        As received; its pixel data and the attributes that describe them may change.
    syntax
        How the picture is encoded; the outcome tells how it is encoded then.
    strict
        Blank every text, clinical or not.
    """
    risk = pixel_risk(dataset)
    layout = fingerprint(dataset) if PIXEL_DATA in dataset else {}
    outcome = PixelOutcome(syntax, risk, layout=layout)
    if PIXEL_DATA not in dataset:
        return outcome
    if mask_unused_bits(dataset):
        notes.note(PLACE, "C", "bits outside the picture were cleared")
    overlay = embedded_overlay(dataset) and dataset.elements[PIXEL_DATA].fragments is not None
    read = overlay or is_read(dataset, risk)
    drawn = not read and (drawn_upon(dataset) or drawn_upon_packed(dataset, syntax))
    reviewed = any(rule.verdict == "mask" and rule.matches(dataset) for rule in masks)
    if not (read or drawn or reviewed):
        return outcome
    if drawn:
        outcome.look = (_look("drawn"),)
    _work(dataset, outcome, known, strict, masks, notes, overlay=overlay)
    return outcome


def _work(
    dataset: DataSet,
    outcome: PixelOutcome,
    known: Known,
    strict: bool,
    masks: tuple[MaskRule, ...],
    notes: Notebook,
    *,
    overlay: bool,
) -> None:
    rules = [rule for rule in masks if rule.matches(dataset)]
    findings, trouble, boxes = Findings(), "", dict[int, list[Box]]()
    try:
        picture = Picture.of(dataset, outcome.syntax)
        read: dict[bytes, tuple[Word, ...]] = {}
        findings, trouble = _read(picture, known, strict, dataset, read)
        boxes = _to_blank(picture, findings, rules)
        if boxes or overlay:
            written = write_masks(picture, boxes, clear_unused=overlay)
            left_lossy, outcome.syntax = written.left_lossy, written.syntax
            if findings.boxes("masked"):
                again = _look_again(dataset, outcome, known, strict, findings, boxes, read)
                trouble = trouble or again
            _describe(dataset, outcome, notes, boxes=boxes, overlay=overlay, left_lossy=left_lossy)
    except NotDecodableError as fault:
        if not fault.missing:
            raise Unfit("pixels_unreadable", UNREADABLE, PLACE) from None
        trouble = "not_decodable"
        boxes = {}
    outcome.boxes = _told(findings)
    outcome.look = _looks(outcome, findings, trouble, rules, blanked=bool(boxes), overlay=overlay)
    if not outcome.look and trouble == "":
        dataset.put(Element(BURNED_IN, "CS", b"NO"))


def _look_again(
    dataset: DataSet,
    outcome: PixelOutcome,
    known: Known,
    strict: bool,
    findings: Findings,
    boxes: dict[int, list[Box]],
    read: dict[bytes, tuple[Word, ...]],
) -> str:
    """Read what is left once the masks are on, until nothing more is to be blanked: a bright line hides a pale one.

    Returns the reason why a human must look through all of it, "" for none. What is new to this reading is added to
    ``findings`` and ``boxes``; what nobody has read after the last round is doubtful.
    """
    for rounds_left in reversed(range(_MORE_ROUNDS)):
        try:
            picture = Picture.of(dataset, outcome.syntax)
            more, trouble = _read(picture, known, strict, dataset, read)
            added = _to_blank(picture, more, [])
            if added:
                write_masks(picture, added)
        except NotDecodableError:
            return "not_decodable"
        for frame, found in added.items():
            boxes[frame] = [*boxes.get(frame, []), *found]
        masked = [one for one in more.seen if one.state == "masked"]
        doubts = [one for one in more.seen if one.state == "doubtful" and one not in findings.seen]
        doubts = [one for one in doubts if share_of(one.box, boxes.get(one.frame, [])) <= _BLANKED]
        findings.seen += masked + doubts
        if trouble or not masked:
            return trouble
        if not rounds_left:
            findings.seen += [Seen(one.frame, one.box, "doubtful") for one in masked]
    return ""


def _read(
    picture: Picture, known: Known, strict: bool, dataset: DataSet, read: dict[bytes, tuple[Word, ...]]
) -> tuple[Findings, str]:
    findings = Findings()
    if not languages():
        return findings, "text_unread"  # whatever the picture shows: nobody can say that there is no text
    try:
        budget = Budget(READING_S, read)
        read_picture(picture, judge_for(known, strict), budget, banners=banners(dataset), findings=findings)
    except OutOfTimeError:
        return findings, "too_much_to_read"
    except OcrMissingError:
        return findings, "text_unread"
    _doubt_what_is_left(picture, findings)
    return findings, ""


def _doubt_what_is_left(picture: Picture, findings: Findings) -> None:
    """Mark drawn signs that no line explains, such as oblique or stacked letters, in frames evenly chosen."""
    last = picture.frames - 1
    for frame in sorted({round(step * last / (_LEFTOVER_FRAMES - 1)) for step in range(_LEFTOVER_FRAMES)}):
        explained = [one.box for one in findings.seen if one.frame == frame]
        grey = next(iter(views(picture, picture.stored_values(frame))))
        findings.seen += [Seen(frame, box, "doubtful") for box in leftover_signs(grey, explained)]


def _to_blank(picture: Picture, findings: Findings, rules: list[MaskRule]) -> dict[int, list[Box]]:
    """Boxes to blank by frame: what was judged so, padded by a part of its height, and the reviewed rectangles."""
    boxes: dict[int, list[Box]] = {}
    for frame, found in findings.boxes("masked").items():
        grown = [
            box.grown(max(2, min(box.height, box.width) // 4), picture.rows, picture.columns) for box in found
        ]
        boxes[frame] = merged(grown)
    reviewed = [Box(*rectangle) for rule in rules if rule.verdict == "mask" for rectangle in rule.rectangles]
    inside = [box.grown(0, picture.rows, picture.columns) for box in reviewed]
    inside = [box for box in inside if box.left < picture.columns and box.top < picture.rows]
    if inside:
        boxes = {frame: [*boxes.get(frame, []), *inside] for frame in range(picture.frames)}
    return boxes


def _looks(
    outcome: PixelOutcome,
    findings: Findings,
    trouble: str,
    rules: list[MaskRule],
    *,
    blanked: bool,
    overlay: bool,
) -> tuple[Look, ...]:
    """Who decides: decision 0062.

    A human who judged this very picture has looked. Who judged its layout has seen another one: that tells where its device
    writes, and nothing of a face, of handwriting, or of what may be writing elsewhere.
    """
    if trouble:
        return (*outcome.look, _look(trouble))
    if any(rule.reach == "picture" for rule in rules):
        return ()
    looks = {look.code: look for look in outcome.look}
    if overlay:
        looks.pop("overlay_in_pixels", None)
    blank = [Box(*rectangle) for rule in rules if rule.verdict == "mask" for rectangle in rule.rectangles]
    doubt = any(one.state == "doubtful" and not _lies_in(one.box, blank) for one in findings.seen)
    if doubt:
        return (*looks.values(), _look("doubtful_text"))
    stay = {"photograph", "scanned"}  # faces and handwriting are no print
    if not blanked and not rules:
        stay |= {"burned_in"}  # the sender says that there is text, and none was found
    if not findings.seen and not rules:
        stay |= {"drawn"}
    return tuple(look for code, look in looks.items() if code in stay)


def _lies_in(box: Box, blank: list[Box]) -> bool:
    return any(
        held.left <= box.left
        and held.top <= box.top
        and box.right <= held.right
        and box.bottom <= held.bottom
        for held in blank
    )


def _look(code: str) -> Look:
    return Look(code, _REASONS[code])


def _told(findings: Findings) -> tuple[dict[str, Any], ...]:
    """Boxes for the desk, bounded; doubtful ones first, since somebody has to look at them."""
    order = {"doubtful": 0, "masked": 1, "kept": 2}
    first = sorted(findings.seen, key=lambda one: (order[one.state], one.frame, one.box.top, one.box.left))
    return tuple(
        {
            "frame": one.frame,
            "left": one.box.left,
            "top": one.box.top,
            "width": one.box.width,
            "height": one.box.height,
            "state": one.state,
        }
        for one in first[:_MOST_BOXES]
    )


def _describe(
    dataset: DataSet,
    outcome: PixelOutcome,
    notes: Notebook,
    *,
    boxes: dict[int, list[Box]],
    overlay: bool,
    left_lossy: bool,
) -> None:
    """Say in the object and in the report what was done to its picture."""
    outcome.masked = sum(len(found) for found in boxes.values())
    said = []
    if boxes:
        notes.note(PLACE, "C", f"text was blanked in {len(boxes)} frames ({outcome.masked} boxes)")
        said.append("Burned-in text blanked")
    if overlay:
        notes.note(PLACE, "C", "an overlay inside the encoded picture was cleared")
        said.append("Bits outside the picture cleared")
    if left_lossy:
        said.append("stored without further loss")
        dataset.put(Element(LOSSY_DONE, "CS", b"01"))
    before = dataset.get(DERIVATION)
    text = bytes(before.value).strip(b" \0") if before is not None and before.items is None else b""
    added = ", ".join(said).encode("ascii")
    whole = b"; ".join(part for part in (text, added) if part)
    dataset.put(Element(DERIVATION, "ST", whole if len(whole) <= 1000 else added))


def banners(dataset: DataSet) -> list[Box]:
    """Where this device writes about patient and examination: known layouts, and all that lies outside scan regions."""
    rows, columns = dataset.number(0x00280010), dataset.number(0x00280011)
    maker, modality = dataset.ascii(MANUFACTURER).upper(), dataset.ascii(MODALITY).upper()
    found: list[Box] = []
    for row in load_table("burned_in_regions.json")["rows"]:
        if modality == row["modality"] and row["manufacturer"] in maker:
            found += [
                Box(
                    int(left * columns),
                    int(top * rows),
                    int((right - left) * columns),
                    int((bottom - top) * rows),
                )
                for left, top, right, bottom in row["regions"]
            ]
            break
    scans = [
        tuple(region.number(tag) for tag in (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E))
        for region in dataset.items(0x00186011)
    ]
    scans = [scan for scan in scans if 0 <= scan[0] < scan[2] and 0 <= scan[1] < scan[3]]
    if scans:
        above, below = min(scan[1] for scan in scans), max(scan[3] for scan in scans) + 1
        left, right = min(scan[0] for scan in scans), max(scan[2] for scan in scans) + 1
        sides = [
            Box(0, 0, columns, above),
            Box(0, below, columns, rows - below),
            Box(0, 0, left, rows),
            Box(right, 0, columns - right, rows),
        ]
        found += [side for side in sides if side.width > 0 and side.height > 0]
    return [box for box in found if box.width > 0 and box.height > 0]
