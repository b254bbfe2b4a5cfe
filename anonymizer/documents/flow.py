"""Cleans the blocks of a written document as the one text that they are, and has them set as a new PDF.

A name may begin in one run and end in the next, a label may stand in one cell and its value in another: so the blocks are
judged together, each by itself, and each cell of a table with its row's and its column's head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL import Image

from anonymizer.documents.blocks import MAX_LETTERS, Block, Picture, Script, Table, Text, pieces_of
from anonymizer.documents.judges import Judges
from anonymizer.documents.parted import joined
from anonymizer.documents.picture import PICTURES, clean_embedded
from anonymizer.documents.reading import Budget
from anonymizer.documents.typeset import typeset
from anonymizer.documents.values import DOCUMENT_LOOKS, DeidentifiedDocument, DocumentReport, NotCleanable
from anonymizer.text import DATE, Scrubber, Span

_READING_S = 90.0
_ROUNDS = 4
Counts = dict[str, int]
KindOf = Callable[[bytes], str]


def clean_script(
    script: Script, judges: Judges, *, kind_of: KindOf, methods: tuple[str, ...]
) -> DeidentifiedDocument:
    """The document set anew from its cleaned blocks. Raises `NotCleanable`."""
    if not any(isinstance(block, Picture) or "".join(pieces_of([block])).strip() for block in script.blocks):
        raise NotCleanable("empty")
    counts: Counts = {}
    blocks = clean_blocks(script.blocks, judges, counts)
    text = "\n".join(pieces_of(blocks))
    looks: dict[str, None] = dict.fromkeys(["left_out"] if script.left_out else [])
    placed: list[Block | Image.Image] = []
    budget = Budget(_READING_S)
    for block in blocks:
        if not isinstance(block, Picture):
            placed.append(block)
            continue
        kind = kind_of(block.content)
        if kind not in PICTURES:
            looks["left_out"] = None
            continue
        try:
            clean = clean_embedded(block.content, kind, judges, budget, text=text)
        except NotCleanable:
            looks["left_out"] = None
            continue
        placed.append(clean.picture)
        for name, number in clean.counts.items():
            counts[name] = counts.get(name, 0) + number
        if clean.looks:
            looks["pictures_inside"] = None
    if judges.plain.unsure(text):
        looks["unsure"] = None
    made = typeset(placed)
    if made.missing:
        looks["letters"] = None
    return DeidentifiedDocument(
        content=made.content,
        media_type="application/pdf",
        extension=".pdf",
        text=text,
        pages=made.pages,
        report=DocumentReport(
            methods=(*methods, "text cleaned", "set anew", "written as PDF/A-2b"), counts=counts
        ),
        look=tuple(DOCUMENT_LOOKS[look] for look in looks),
    )


def clean_blocks(blocks: Sequence[Block], judges: Judges, counts: Counts) -> list[Block]:
    """The same blocks with their texts cleaned; what is known to identify is in none of them, nor in all together."""
    pieces = _Pieces(blocks)
    pieces.texts = [joined(text, judges.plain) for text in pieces.texts]
    if sum(map(len, pieces.texts)) > MAX_LETTERS:
        raise NotCleanable("too_large")
    pieces.clean(judges.scrubber, counts)
    for block, first in pieces.tables():
        _by_heads(block, first, pieces, judges.plain, counts)
    for _ in range(_ROUNDS):
        if not pieces.clean(judges.plain, counts):
            break
    for index, text in enumerate(pieces.texts):
        for span in reversed([span for span in judges.plain.spans(text) if span.known]):
            pieces.cut(index, span.start, span.end, span.replacement)
            counts[span.kind] = counts.get(span.kind, 0) + 1
    if judges.plain.known_left(pieces.joined()):
        raise NotCleanable("unlocated")
    return pieces.back()


class _Pieces:
    """The paragraphs and cells of a document in reading order, as a list of texts that can be changed."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self.texts: list[str] = []
        self._ends: list[str] = []  # what stands between a piece and the next when they are read together
        for block in blocks:
            if isinstance(block, Text):
                self._note(block.text, "\n")
            elif isinstance(block, Table):
                for row in block.rows:
                    for index, cell in enumerate(row):
                        self._note(cell, "\n" if index == len(row) - 1 else "\t")

    def _note(self, text: str, end: str) -> None:
        self.texts.append(text)
        self._ends.append(end)

    def joined(self) -> str:
        return "".join(text + end for text, end in zip(self.texts, self._ends, strict=True))

    def tables(self) -> list[tuple[Table, int]]:
        """Each table and the number of its first cell."""
        found, at = [], 0
        for block in self._blocks:
            if isinstance(block, Text):
                at += 1
            elif isinstance(block, Table):
                found.append((block, at))
                at += sum(map(len, block.rows))
        return found

    def clean(self, scrubber: Scrubber, counts: Counts) -> bool:
        """Replace what the scrubber finds in all pieces read together; true if there was anything."""
        spans = scrubber.spans(self.joined())
        starts, at = [], 0
        for text, end in zip(self.texts, self._ends, strict=True):
            starts.append(at)
            at += len(text) + len(end)
        index = len(self.texts) - 1
        for span in reversed(spans):
            counts[span.kind] = counts.get(span.kind, 0) + 1
            while index and starts[index] >= span.end:
                index -= 1
            last = index
            while last and starts[last] > span.start:
                self.cut(last, 0, span.end - starts[last], "")
                last -= 1
            self.cut(last, span.start - starts[last], span.end - starts[last], span.replacement)
        return bool(spans)

    def cut(self, index: int, start: int, end: int, replacement: str) -> None:
        text = self.texts[index]
        self.texts[index] = text[: max(start, 0)] + replacement + text[min(end, len(text)) :]

    def back(self) -> list[Block]:
        """The blocks with the texts as they are now."""
        at = 0
        made: list[Block] = []
        for block in self._blocks:
            if isinstance(block, Text):
                made.append(replace(block, text=self.texts[at]))
                at += 1
            elif isinstance(block, Table):
                rows = []
                for row in block.rows:
                    rows.append(tuple(self.texts[at : at + len(row)]))
                    at += len(row)
                made.append(Table(tuple(rows), block.head))
            else:
                made.append(block)
        return made


def _by_heads(table: Table, first: int, pieces: _Pieces, plain: Scrubber, counts: Counts) -> None:
    """Judge each cell behind the cell before it and below the head of its column, as labelled values."""
    at = first
    heads: list[str] = []
    for number, row in enumerate(table.rows):
        before = ""
        for column in range(len(row)):
            for label in (before, heads[column] if column < len(heads) else ""):
                value = pieces.texts[at]
                if not label or not value or "\n" in label or len(label) > 60:
                    continue
                lead = label.rstrip(" :.") + ": "
                for span in reversed(_behind(plain.spans(lead + value), len(lead))):
                    pieces.cut(at, span.start - len(lead), span.end - len(lead), span.replacement)
                    counts[span.kind] = counts.get(span.kind, 0) + 1
            before = pieces.texts[at]
            at += 1
        # A first row in which nothing was found holds no value: it may head its columns.
        if number == 0 and (table.head or pieces.texts[first:at] == list(row)):
            heads = pieces.texts[first:at]


def _behind(spans: list[Span], at: int) -> list[Span]:
    return [span for span in spans if span.start >= at and span.kind != DATE]
