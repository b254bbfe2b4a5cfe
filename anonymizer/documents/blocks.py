"""The parts a written document is made of, whatever program wrote it: headings, paragraphs, items, tables, pictures.

Readers make them (`word`, `opentext`, `rich_text`, `web_page`, `clinical_xml`, `mail`), `flow` cleans them, `typeset` sets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from anonymizer.documents.values import NotCleanable

#: A true document stays far below these.
MAX_PIECES = 200_000
MAX_LETTERS = 20_000_000
MAX_PICTURES = 200
MAX_COLUMNS = 64
Style = Literal["heading", "plain", "item", "small"]


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph. ``level``: of a heading (1 to 6), or how deep an item stands; ``mark`` stands before an item."""

    text: str
    style: Style = "plain"
    level: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; a cell may hold several lines. ``head``: the first row names the columns."""

    rows: tuple[tuple[str, ...], ...]
    head: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of an embedded picture, as they came."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """A new page."""


Block = Text | Table | Picture | Break


@dataclass(slots=True)
class Script:
    """A document as it was read. ``left_out``: parts that are no text were met and not taken over."""

    blocks: list[Block] = field(default_factory=list)
    left_out: bool = False

    def add(self, text: str, style: Style = "plain", *, level: int = 0, mark: str = "") -> None:
        """Take in a paragraph; an empty one is dropped, line breaks inside it stay."""
        kept = tidy(text)
        if kept:
            self.blocks.append(Text(kept, style, level, mark))
            self._check()

    def add_table(self, rows: Iterable[Iterable[str]], *, head: bool = False) -> None:
        kept = tuple(tuple(tidy(cell) for cell in row)[:MAX_COLUMNS] for row in rows)
        kept = tuple(row for row in kept if any(row))
        if kept:
            self.blocks.append(Table(kept, head))
            self._check()

    def add_picture(self, content: bytes) -> None:
        if sum(isinstance(block, Picture) for block in self.blocks) >= MAX_PICTURES:
            raise NotCleanable("too_long")
        self.blocks.append(Picture(content))

    def _check(self) -> None:
        if len(self.blocks) > MAX_PIECES:
            raise NotCleanable("too_long")

    def extend(self, other: Script) -> None:
        self.blocks += other.blocks
        self.left_out = self.left_out or other.left_out
        self._check()

    @property
    def text(self) -> str:
        """All of it as plain text, cells parted by tabs."""
        return "\n".join(pieces_of(self.blocks))


def pieces_of(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Text):
            yield block.text
        elif isinstance(block, Table):
            yield from ("\t".join(row) for row in block.rows)


def tidy(text: str) -> str:
    """A text without control signs and outer space; runs of blanks become one, line breaks stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = "".join(
        sign
        for sign in text
        if sign == "\n" or sign.isprintable() or sign in "\u00ad\u200c\u200d\u200e\u200f\u00a0\u202f\u2009"
    )
    return "\n".join(" ".join(line.split(" ")).strip() for line in kept.split("\n")).strip()
