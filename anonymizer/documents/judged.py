"""Decides which words that OCR read on a page must be covered, and what is written over them; it paints nothing.

The words are judged as a text three times: in the reader's order, in the rows of the page (a label and its value may
stand in two columns), and with letters forgiven that OCR confuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anonymizer.documents.misread import Misread
from anonymizer.documents.reading import Box, box_of
from anonymizer.ocr import Word
from anonymizer.text import DATE, Scrubber, Span

_ROUNDS = 3


@dataclass(slots=True)
class Judged:
    """Which of the words are covered, by index, and the text that stays, in reading order."""

    covers: dict[int, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    text: str = ""
    dates: set[int] = field(default_factory=set)
    unsure: bool = False
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Line:
    """A text made of words, and which word each of its letters is of."""

    text: str
    at: tuple[tuple[int, int, int], ...]

    def touched(self, span: Span) -> list[int]:
        return [index for start, end, index in self.at if start < span.end and span.start < end]


def judge_words(
    words: Sequence[Word],
    scrubber: Scrubber,
    plain: Scrubber,
    misread: Misread,
    *,
    settled: frozenset[int] = frozenset(),
) -> Judged:
    """Say what to cover. ``settled`` words were cleaned before by their text layer: they are context, and stay.

    ``plain`` is the scrubber without a day shift, for judging again what has been cleaned once.
    """
    judged = Judged()
    orders = [_in_order(words), _in_rows(words)]
    order = orders[0]
    for span in scrubber.spans(order.text):
        _cover(judged, order, span, settled)
    for line in orders:
        for span in (*plain.spans(line.text), *misread.spans(line.text)):
            _cover(judged, line, span, settled)
    for _ in range(_ROUNDS):
        left = _in_order(words, judged.covers)
        again = [span for span in plain.spans(left.text) if span.known]
        if not any(_cover(judged, left, span, settled, replaces=True) for span in again):
            break
    left = _in_order(words, judged.covers)
    judged.text = left.text.replace("\u00ad", "")
    judged.sure = not plain.known_left(left.text)
    judged.unsure = bool(plain.unsure(left.text))
    return judged


def _cover(
    judged: Judged, line: _Line, span: Span, settled: frozenset[int], *, replaces: bool = False
) -> bool:
    """Cover the words of a span; the first bears what is written instead. True if anything new was covered."""
    touched = [index for index in line.touched(span) if index not in settled]
    # A date that was only moved may turn out to be the date of birth, by a label in another column.
    fresh = [index for index in touched if index not in judged.covers or index in judged.dates or replaces]
    if not fresh or (span.kind == DATE and len(fresh) < len(touched)):
        return False
    taken = any(index in judged.covers and index not in judged.dates for index in touched)
    parts = span.replacement.split()
    each = span.kind == DATE and len(parts) == len(fresh)  # a date over several words, or lines, stays so
    for position, index in enumerate(fresh):
        judged.covers[index] = (
            parts[position] if each else span.replacement if position == 0 and not taken else ""
        )
    if span.kind == DATE:
        judged.dates.update(fresh)
    else:
        judged.dates.difference_update(fresh)
    judged.counts[span.kind] = judged.counts.get(span.kind, 0) + 1
    return True


def _in_order(words: Sequence[Word], covers: dict[int, str] | None = None) -> _Line:
    """The words as the reader gave them, a line a line; a word parted at a line's end is joined."""
    pieces: list[str] = []
    at: list[tuple[int, int, int]] = []
    length = 0
    before: Word | None = None
    for index, word in enumerate(words):
        text = word.text if covers is None or index not in covers else covers[index]
        if not text:
            continue
        gap = ""
        if before is not None:
            gap = " " if word.line == before.line else "\n"
            if (
                gap == "\n"
                and pieces[-1].endswith(("-", "\u2010"))
                and len(pieces[-1]) > 2
                and text[0].islower()
            ):
                pieces[-1] = pieces[-1][:-1] + "\u00ad"
                gap = "\u00ad"
        pieces += [gap, text] if gap else [text]
        length += len(gap)
        at.append((length, length + len(text), index))
        length += len(text)
        before = word
    return _Line("".join(pieces), tuple(at))


def _in_rows(words: Sequence[Word]) -> _Line:
    """The words by the rows of the page, from left to right, whatever column they stand in."""
    rows: list[tuple[Box, list[int]]] = []
    for index in sorted(range(len(words)), key=lambda number: words[number].top):
        box = box_of(words[index])
        for number in range(len(rows) - 1, max(-1, len(rows) - 8), -1):
            held, members = rows[number]
            height = min(held[3] - held[1], box[3] - box[1])
            if min(held[3], box[3]) - max(held[1], box[1]) > 0.5 * height:
                members.append(index)
                break
        else:
            rows.append((box, [index]))
    text: list[str] = []
    at: list[tuple[int, int, int]] = []
    length = 0
    for _, members in rows:
        for index in sorted(members, key=lambda number: words[number].left):
            at.append((length, length + len(words[index].text), index))
            text.append(words[index].text + " ")
            length += len(words[index].text) + 1
        text[-1] = text[-1][:-1] + "\n"
    return _Line("".join(text), tuple(at))
