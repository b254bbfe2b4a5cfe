"""Reads every frame of a picture that shows something new, and judges each line; frames that repeat cost a comparison."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels.judge import Judgement, TextJudge
from anonymizer.pixels.lines import Line, Reading, grains_of, may_be_misread
from anonymizer.pixels.picture import Picture, enlarged, views
from anonymizer.pixels.reading import Budget, read_frame
from anonymizer.pixels.strokes import Box, Candidate, candidates

Grey = NDArray[np.uint8]
State = Literal["masked", "kept", "doubtful"]
#: Frames of a cine that are read as a whole, evenly spread; of the others what looks like a new line is read.
_WHOLE_FRAMES = 6
_KEPT_FRAMES = 16  # of a mapped file, in memory at once
_ALIKE, _ALIKE_SHARE = (
    8.0,
    0.12,
)  # by which a block of a stretch may differ: grey levels, share of its contrast
_MET, _REACH = 0.7, 0.5  # of a stretch, in one that was looked at; what is kept beside that, by its own size
_BANNER_DOUBT = 0.6
_MOST_SAMPLES = 300  # kept stretches that are looked for in other frames
_READ_WELL, _READ_CLEARLY, _UNSURE = 70.0, 88.0, 60.0
_SETTLED = 0.6  # of a stretch that was judged: spaces between words are not


@dataclass(frozen=True, slots=True)
class Seen:
    """A stretch of one frame and what was decided of it."""

    frame: int
    box: Box
    state: State


@dataclass(slots=True)
class Findings:
    """All that was seen in a picture; ``read``: how many frames OCR was asked about."""

    seen: list[Seen] = field(default_factory=list)
    read: int = 0
    known: bool = False
    #: Frame, box and confidence of what was read well and is kept.
    harmless: list[tuple[int, Box, float]] = field(default_factory=list)

    def boxes(self, state: State) -> dict[int, list[Box]]:
        found: dict[int, list[Box]] = {}
        for one in self.seen:
            if one.state == state:
                found.setdefault(one.frame, []).append(one.box)
        return found


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Pixels of a stretch that was looked at, to know it again in another frame."""

    box: Box
    around: Box  # as far as a line may reach that is taken for this one
    pixels: Grey  # of ``around``
    limit: float

    @classmethod
    def of(cls, grey: Grey, box: Box) -> _Stretch:
        wide, high = int(_REACH * box.width), int(_REACH * box.height)
        around = Box(box.left - wide, box.top - high, box.width + 2 * wide, box.height + 2 * high)
        around = around.grown(0, *grey.shape)
        low, high_level = np.percentile(_part(grey, box), (5, 95))
        limit = max(_ALIKE, _ALIKE_SHARE * float(high_level - low))
        return cls(box, around, _part(grey, around).copy(), limit)

    def shown_in(self, grey: Grey, other: Box | None = None) -> bool:
        """Whether all of it, and of ``other``, is shown: a changed digit in a long line is next to nothing of the line's mean."""
        box = self.box if other is None else self.box.joined(other)
        if box.overlap(self.around) < 1:
            return False
        held = Box(box.left - self.around.left, box.top - self.around.top, box.width, box.height)
        apart = np.abs(_part(grey, box).astype(np.int16) - _part(self.pixels, held)).astype(np.float32)
        return _most_in_a_block(apart, max(self.box.height // 3, 4)) < self.limit


def _part(grey: Grey, box: Box) -> Grey:
    return grey[box.top : box.bottom, box.left : box.right]


def read_picture(
    picture: Picture, judge: TextJudge, budget: Budget, *, banners: list[Box], findings: Findings
) -> None:
    """Read and judge the frames into ``findings``, which hold what was found also where this raises.

    Raises `NotDecodableError`, `OutOfTimeError`, `OcrMissingError`.
    """
    digests: set[bytes] = set()
    step = max(picture.frames // _WHOLE_FRAMES, 1)
    looked_at: list[_Stretch] = []
    for index in range(picture.frames):
        if index % _KEPT_FRAMES == 0:
            picture.let_go()
        digest = hashlib.blake2b(picture.raw(index), digest_size=16).digest()
        if digest in digests:
            continue
        digests.add(digest)
        budget.left_s()
        whole = index % step == 0 or picture.frames <= _WHOLE_FRAMES
        asked = False
        for number, view in enumerate(views(picture, picture.stored_values(index))):
            if view.min() == view.max():
                continue
            grey, factor = enlarged(view)
            found = candidates(grey)
            new = [one for one in found if number or not _met(one, looked_at, grey)]
            if not number:
                looked_at += [_Stretch.of(grey, one.box) for one in new]
            if new or whole:
                reading = read_frame(
                    grey,
                    budget,
                    whole=whole and (number == 0 or (number == 1 and picture.samples == 1)),
                    known=new,
                )
                _judge(reading, found, (index, factor), judge, findings, banners)
                asked = True
            if not whole and number == 0 and picture.frames > 60:
                break  # in a long cine the first view finds what is new
        findings.read += asked
    _spread(picture, findings, budget)
    for number, one in enumerate(findings.seen):  # OCR may give boxes that reach beyond the frame
        inside = one.box.grown(0, picture.rows, picture.columns)
        findings.seen[number] = Seen(one.frame, inside, one.state)


def _most_in_a_block(values: NDArray[np.float32], side: int) -> float:
    """The greatest mean over squares of this side; what is left over at the edges counts as squares of its own."""
    rows, columns = (np.arange(0, length, side) for length in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    sizes = np.outer(
        *(
            np.diff(np.append(starts, length))
            for starts, length in zip((rows, columns), values.shape, strict=True)
        )
    )
    return float((sums / np.maximum(sizes, side * side / 2)).max())


def _met(one: Candidate, looked_at: list[_Stretch], grey: Grey) -> bool:
    """Whether a stretch was looked at with all that stands in it: a name may be written behind a line that was."""
    return any(one.box.overlap(held.box) > _MET and held.shown_in(grey, one.box) for held in looked_at)


def _judge(
    reading: Reading,
    found: list[Candidate],
    shown: tuple[int, int],
    judge: TextJudge,
    findings: Findings,
    banners: list[Box],
) -> None:
    """Judge what was read in a view of a frame; ``shown`` is the frame's number and how much larger the view is."""
    frame, factor = shown
    reading = reading.reduced(factor)
    strong = [*(one.box.reduced(factor) for one in found if one.strong), *reading.printed]
    long = [one.box.reduced(factor) for one in found if one.strong or one.box.width > 4 * one.box.height]
    together = _neighbours(reading.lines)
    judged = []
    for line in [*reading.lines, *together]:
        printed = any(line.box.overlap(box) > 0.3 or box.overlap(line.box) > 0.6 for box in strong)
        verdict = judge.judge(line.words, line.confidence, printed=printed, gaps=line.gaps)
        if judge.other_letters and verdict.verdict in ("noise", "keep") and may_be_misread(line):
            verdict = Judgement("doubt")
        if verdict.verdict == "keep" and line.confidence >= _READ_WELL:
            findings.harmless.append((frame, line.box, line.confidence))
        if verdict.verdict != "noise" and (verdict.known or line not in together):
            judged.append((line, verdict))
    for line, verdict in judged:
        findings.known |= verdict.known
        sure: list[Box] = []
        if verdict.stranger or verdict.verdict == "doubt":
            # Another reading of the same stretch, as good or better, gave harmless words only.
            sure = [box for at, box, mark in findings.harmless if at == frame and mark >= line.confidence - 5]
            if share_of(line.box, sure) > 0.7:
                continue
        clear = [box for at, box, mark in findings.harmless if at == frame and mark >= _READ_CLEARLY]
        masked = set(verdict.words) or set(range(len(line.words)))
        grains = grains_of(line)
        for index, box in enumerate(line.boxes):
            state: State = "doubtful" if verdict.verdict == "doubt" else "kept"
            if verdict.verdict == "mask" and index in masked and share_of(box, sure) <= 0.9:
                if index in grains:
                    continue
                # Grain that is read as a name goes with nothing that was read well: a view, a side.
                unsure = line.confidence < _UNSURE and any(one.overlap(box) > _MET for one in clear)
                state = "doubtful" if unsure else "masked"
            findings.seen.append(Seen(frame, box, state))
    for box in reading.doubts:
        findings.seen.append(Seen(frame, box, "doubtful"))
    _settle(frame, findings, long, banners)


def _neighbours(lines: list[Line]) -> list[Line]:
    """Lines side by side as one: a name may be parted from its given name by a wide gap."""
    joined: list[Line] = []
    for line in lines:
        for other in lines:
            if other is line or not (line.upright and other.upright):
                continue
            gap = other.box.left - line.box.right
            low, tall = sorted((line.box.height, other.box.height))
            level = (
                abs(other.box.top + other.box.height / 2 - line.box.top - line.box.height / 2) < 0.5 * tall
            )
            if level and tall < 2 * low and 0 <= gap < 4 * low and min(len(line.text), len(other.text)) <= 8:
                joined.append(
                    Line(
                        line.words + other.words,
                        line.boxes + other.boxes,
                        min(line.confidence, other.confidence),
                    )
                )
    return joined


def _settle(frame: int, findings: Findings, strong: list[Box], banners: list[Box]) -> None:
    """In one frame: what is masked covers the doubt about it, what was read well ends it, and a banner's doubt is masked."""
    here = [one for one in findings.seen if one.frame == frame]
    rest = [one for one in findings.seen if one.frame != frame]
    masked = [_line_of(one.box, strong) for one in here if one.state == "masked"]
    kept = [one.box for one in here if one.state == "kept"]
    masked += _rest_of_lines(masked, kept, strong)
    settled = dict.fromkeys(Seen(frame, box, "masked") for box in masked)
    for one in here:
        if one.state == "kept" and share_of(one.box, masked) < 0.5:
            settled[one] = None
        elif one.state == "doubtful" and share_of(one.box, [*masked, *kept]) <= _SETTLED:
            in_banner = share_of(one.box, banners) > _BANNER_DOUBT
            settled[Seen(frame, one.box, "masked" if in_banner else "doubtful")] = None
    findings.seen = rest + list(settled)


def _rest_of_lines(masked: list[Box], kept: list[Box], strong: list[Box]) -> list[Box]:
    """A line of print of which a part is masked goes as a whole, unless the rest of it was read well."""
    whole = []
    for line in strong:
        touched = any(box.overlap(line) > 0.5 and line.height <= 2.5 * box.height for box in masked)
        if touched and share_of(line, [*masked, *kept]) < 0.9:
            inside = [box for box in kept if box.overlap(line) > 0.5]
            whole += _without(line, inside)
    return whole


def _without(line: Box, kept: list[Box]) -> list[Box]:
    """What is left of a line beside boxes in it, from left to right."""
    left, parts = line.left, []
    for box in sorted(kept, key=lambda box: box.left):
        if box.left - left > line.height // 2:
            parts.append(Box(left, line.top, box.left - left, line.height))
        left = max(left, box.right)
    if line.right - left > line.height // 2:
        parts.append(Box(left, line.top, line.right - left, line.height))
    return parts


def _line_of(box: Box, strong: list[Box]) -> Box:
    """A word's box, made as high as the strokes of its line are: OCR cuts off accents and descenders."""
    for line in strong:
        if box.overlap(line) > 0.4 and line.height <= 2.5 * box.height:
            top, bottom = min(box.top, line.top), max(box.bottom, line.bottom)
            return Box(box.left, top, box.width, bottom - top)
    return box


def share_of(box: Box, others: list[Box]) -> float:
    """Which share of a box's columns others cover that lie at its height."""
    columns = np.zeros(box.width, np.bool_)
    for other in others:
        high = min(box.bottom, other.bottom) - max(box.top, other.top)
        if high >= 0.5 * min(box.height, other.height):
            columns[max(other.left - box.left, 0) : max(other.right - box.left, 0)] = True
    return float(columns.mean())


def _spread(picture: Picture, findings: Findings, budget: Budget) -> None:
    """Give every frame what it shows of what was judged in another: text that goes or stays there goes or stays here."""
    if picture.frames < 2:
        return
    samples: dict[tuple[State, Box], list[_Sample]] = {}
    grey_of: dict[int, NDArray[np.int16]] = {}
    for one in findings.seen:
        if one.state == "doubtful" or (len(samples) > _MOST_SAMPLES and one.state == "kept"):
            continue
        if one.frame not in grey_of:
            grey_of = {one.frame: _first_view(picture, one.frame)}
        sample = _Sample.of(grey_of[one.frame], one.box)
        alike = samples.setdefault((one.state, one.box), [])
        if sample is not None and not any(sample.shown_in(held.whole) for held in alike):
            alike.append(sample)
    have = {(one.frame, one.state, one.box) for one in findings.seen}
    for frame in range(picture.frames) if samples else ():
        budget.left_s()
        if frame % _KEPT_FRAMES == 0:
            picture.let_go()
        grey = _first_view(picture, frame)
        for (state, box), alike in samples.items():
            here = grey[box.top : box.bottom, box.left : box.right]
            if (frame, state, box) not in have and any(sample.shown_in(here) for sample in alike):
                findings.seen.append(Seen(frame, box, state))


def _first_view(picture: Picture, frame: int) -> NDArray[np.int16]:
    return next(iter(views(picture, picture.stored_values(frame)))).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The strokes of a stretch, by which it is known again in other frames."""

    whole: NDArray[np.int16]
    strokes: NDArray[np.bool_]
    contrast: float

    @classmethod
    def of(cls, grey: NDArray[np.int16], box: Box) -> _Sample | None:
        whole = grey[box.top : box.bottom, box.left : box.right].copy()
        if not whole.size:
            return None
        away = np.abs(whole - int(np.median(whole)))
        contrast = float(np.percentile(away, 95))
        strokes = away > 0.4 * contrast
        return cls(whole, strokes, max(contrast, 8.0)) if strokes.any() else None

    def shown_in(self, here: NDArray[np.int16]) -> bool:
        return float(np.median(np.abs(here - self.whole)[self.strokes])) < 0.35 * self.contrast
