"""Sets cleaned blocks as a readable PDF/A: A4, one Unicode typeface that is carried along, nothing of the old file.

References
----------
ISO 19005-2 6.2.11 (fonts embedded, mapped to Unicode).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pikepdf
from PIL import Image
from reportlab import rl_config
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from anonymizer.documents.archival import archived
from anonymizer.documents.blocks import Block, Break, Table, Text
from anonymizer.documents.fonts import BOLD, REGULAR, font_bytes
from anonymizer.documents.right_to_left import drawn_order, needs_shaping, reads_right_to_left
from anonymizer.documents.values import NotCleanable

rl_config.useA85 = 0  # streams as bytes: files are smaller, and a reader needs one filter less
PAPER = (595.0, 842.0)
MARGIN = 56.0
MAX_PAGES = 1000
_REGULAR, _BOLD = "ConsiliumSans", "ConsiliumSans-Bold"
_BODY, _SMALL, _CELL = 10.0, 8.0, 8.5
_HEADINGS = (15.0, 13.0, 11.5, 10.5, 10.0, 10.0)
_LEADING = 1.35
_BOX = "\u25a1"
#: A document of which more than this share of letters has no glyph cannot be read by anybody.
_MOST_MISSING = 0.1
_JPEG_QUALITY = 85
_PICTURE_DPI = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Typeset:
    """A finished file; ``missing``: how many letters have no glyph and are shown as boxes."""

    content: bytes
    pages: int
    missing: int


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Register the typeface; the code points that it can draw."""
    kept: list[set[int]] = []
    for name, file in ((_REGULAR, REGULAR), (_BOLD, BOLD)):
        font = TTFont(name, io.BytesIO(font_bytes(file)))
        pdfmetrics.registerFont(font)
        kept.append(set(font.face.charToGlyph))
    return frozenset(kept[0] & kept[1])


def typeset(blocks: Sequence[Block | Image.Image]) -> Typeset:
    """Set paragraphs, tables and pictures on pages. Raises `NotCleanable` when the letters cannot be drawn."""
    glyphs = _glyphs()
    setter = _Setter(glyphs)
    for block in blocks:
        setter.set(block)
    if setter.missing > _MOST_MISSING * max(setter.letters, 1):
        raise NotCleanable("script")
    raw, pages = setter.finished()
    with pikepdf.open(io.BytesIO(raw)) as pdf:
        for page in pdf.pages:
            for key in [key for key in page.obj.keys() if key in ("/Trans", "/Group", "/Annots")]:  # noqa: SIM118 - pikepdf
                del page.obj[key]
        return Typeset(content=archived(pdf), pages=pages, missing=setter.missing)


class _Setter:
    """A column of text that moves down the page and turns it when it is full."""

    def __init__(self, glyphs: frozenset[int]) -> None:
        self._glyphs = glyphs
        self._out = io.BytesIO()
        self._canvas = Canvas(
            self._out,
            pagesize=PAPER,
            invariant=1,
            pageCompression=1,
            initialFontName=_REGULAR,
            initialFontSize=_BODY,
        )
        self._top = PAPER[1] - MARGIN
        self._y = self._top
        self._pages = 1
        self.missing = 0
        self.letters = 0

    def finished(self) -> tuple[bytes, int]:
        self._canvas.showPage()
        self._canvas.save()
        return self._out.getvalue(), self._pages

    def set(self, block: Block | Image.Image) -> None:
        if isinstance(block, Text):
            self._text(block)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Image.Image):
            self._picture(block)
        elif isinstance(block, Break) and self._y < self._top:
            self._turn()

    def _turn(self) -> None:
        if self._pages >= MAX_PAGES:
            raise NotCleanable("too_long")
        self._canvas.showPage()
        self._pages += 1
        self._y = self._top

    def _room(self, height: float) -> None:
        if self._y - height < MARGIN and self._y < self._top:
            self._turn()

    def _drawable(self, text: str) -> str:
        self.letters += len(text)
        if all(ord(sign) in self._glyphs for sign in text):
            return text
        made = []
        for sign in text:
            if ord(sign) in self._glyphs:
                made.append(sign)
            elif sign.isprintable() and not sign.isspace():
                made.append(_BOX)
                self.missing += 1
            else:
                made.append(" " if sign.isspace() else "")
        return "".join(made)

    def _text(self, block: Text) -> None:
        heading = block.style == "heading"
        font = _BOLD if heading else _REGULAR
        size = (
            _HEADINGS[min(max(block.level, 1), 6) - 1]
            if heading
            else _SMALL
            if block.style == "small"
            else _BODY
        )
        indent = 14.0 * (min(block.level, 8) + 1) if block.style == "item" else 0.0
        self._y -= size * (0.8 if heading else 0.35)
        if heading:
            self._room(size * 4)
        first = True
        for paragraph in self._drawable(block.text).split("\n"):
            right = reads_right_to_left(paragraph)
            for line in _wrapped(paragraph, font, size, PAPER[0] - 2 * MARGIN - indent):
                self._room(size * _LEADING)
                self._y -= size * _LEADING
                if first and block.mark:
                    self._line(self._drawable(block.mark), MARGIN + indent - 14, font, size, right=False)
                first = False
                self._line(line, MARGIN + indent, font, size, right=right)

    def _line(
        self, line: str, left: float, font: str, size: float, *, right: bool, edge: float = 0.0
    ) -> None:
        shown = drawn_order(line, right=right) if needs_shaping(line) else line
        shown = "".join(sign for sign in shown if ord(sign) in self._glyphs)
        if right:
            left = (edge or PAPER[0] - MARGIN) - pdfmetrics.stringWidth(shown, font, size)
        self._canvas.setFont(font, size)
        self._canvas.drawString(left, self._y, shown)

    def _table(self, table: Table) -> None:
        columns = max(map(len, table.rows))
        rows = [[self._drawable(cell) for cell in (*row, *[""] * (columns - len(row)))] for row in table.rows]
        widths = _column_widths(rows, columns)
        self._y -= 4
        for number, row in enumerate(rows):
            font = _BOLD if table.head and number == 0 else _REGULAR
            cells = [
                [
                    (line, reads_right_to_left(part))
                    for part in cell.split("\n")
                    for line in _wrapped(part, font, _CELL, width - 6)
                ]
                for cell, width in zip(row, widths, strict=True)
            ]
            self._row(cells, widths, font)
        self._y -= 4

    def _row(self, cells: list[list[tuple[str, bool]]], widths: list[float], font: str) -> None:
        """One row; a row higher than what is left of the page is carried on, line by line."""
        step = _CELL * _LEADING
        at, lines = 0, max(1, *(len(cell) for cell in cells))
        while at < lines:
            fit = int((self._y - MARGIN - 4) / step)
            if fit < min(lines - at, 3):
                self._turn()
                fit = int((self._y - MARGIN - 4) / step)
            count = min(fit, lines - at)
            top, left = self._y, MARGIN
            for cell, width in zip(cells, widths, strict=True):
                for offset, (line, right) in enumerate(cell[at : at + count]):
                    self._y = top - 2 - step * (offset + 1)
                    self._line(line, left + 3, font, _CELL, right=right, edge=left + width - 3)
                left += width
            height = step * count + 6
            self._y = top - height
            self._canvas.setLineWidth(0.4)
            left = MARGIN
            for width in widths:
                self._canvas.rect(left, self._y, width, height, stroke=1, fill=0)
                left += width
            at += count

    def _picture(self, picture: Image.Image) -> None:
        wide, high = PAPER[0] - 2 * MARGIN, PAPER[1] - 2 * MARGIN
        scale = min(wide / picture.width, high / picture.height, 72 / 96)
        width, height = picture.width * scale, picture.height * scale
        most = _PICTURE_DPI / 72
        if picture.width > width * most * 1.2:
            size = max(1, int(width * most)), max(1, int(height * most))
            picture = picture.convert("L" if picture.mode in ("1", "L") else "RGB").resize(size)
        self._y -= 6
        self._room(height)
        held = io.BytesIO()
        picture.convert("L" if picture.mode in ("1", "L") else "RGB").save(
            held, "JPEG", quality=_JPEG_QUALITY
        )
        self._canvas.drawImage(ImageReader(held), MARGIN, self._y - height, width, height)
        self._y -= height + 6


def _wrapped(text: str, font: str, size: float, width: float) -> list[str]:
    """Lines no wider than ``width`` points; a word wider than a line is parted."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if pdfmetrics.stringWidth(longer, font, size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while len(line) > 1 and pdfmetrics.stringWidth(line, font, size) > width:
            cut = max(1, int(len(line) * width / pdfmetrics.stringWidth(line, font, size)))
            while cut > 1 and pdfmetrics.stringWidth(line[:cut], font, size) > width:
                cut -= 1
            lines.append(line[:cut])
            line = line[cut:]
    lines.append(line)
    return lines


def _column_widths(rows: list[list[str]], columns: int) -> list[float]:
    """Widths by what the columns hold: none below a part of its fair share, all together the page's width."""
    total = PAPER[0] - 2 * MARGIN
    wants = [
        max(
            min(pdfmetrics.stringWidth(line, _BOLD, _CELL) + 8, total)
            for row in rows
            for line in row[column].split("\n")
        )
        for column in range(columns)
    ]
    if sum(wants) <= total:
        return wants
    least = total / columns * 0.5
    spare = total - least * columns
    extra = [max(want - least, 0.0) for want in wants]
    return [least + spare * more / max(sum(extra), 1e-6) for more in extra]
