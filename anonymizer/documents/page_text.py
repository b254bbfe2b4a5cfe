"""Reads the characters of one PDF page and where each stands in the drawn picture; it draws nothing."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium_c

from anonymizer.documents.values import NotCleanable

#: Left, top, right, bottom in pixels of the drawn page.
Box = tuple[int, int, int, int]
MAX_LETTERS = 100_000
_HYPHENS = (0x02, 0xFFFE)


class PageText:
    """The characters of one page and where each stands in the drawn picture."""

    def __init__(self, page: Any, size: tuple[int, int]) -> None:
        self._page = page
        self._text_page = page.get_textpage()
        self._size = size
        self.unmapped = 0
        signs: list[str] = []
        hyphen = False
        raw = self._text_page.raw
        count = pdfium_c.FPDFText_CountChars(raw)
        if count > MAX_LETTERS:
            raise NotCleanable("too_large")
        for index in range(count):
            code = pdfium_c.FPDFText_GetUnicode(raw, index)
            if code in _HYPHENS:
                hyphen = True
                signs.append("\u00ad")
                continue
            if hyphen and code in (10, 13, 32):
                signs.append("\u00ad")  # a word parted at the line's end is one word
                continue
            hyphen = False
            if (
                code == 0
                or 0xD800 <= code <= 0xF8FF
                or code > 0x10FFFF
                or pdfium_c.FPDFText_HasUnicodeMapError(raw, index) == 1
            ):
                self.unmapped += 1
                code = code if 0xE000 <= code <= 0xF8FF else 0xFFFD
            signs.append(chr(code))
        self.text = "".join(signs)

    def close(self) -> None:
        self._text_page.close()

    def box(self, index: int) -> Box | None:
        """Where a character stands in the picture: left, top, right, bottom."""
        raw = self._text_page.raw
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        edges: list[tuple[float, float, float, float]] = []
        if pdfium_c.FPDFText_GetCharBox(raw, index, left, right, bottom, top) and right.value > left.value:
            edges.append((left.value, bottom.value, right.value, top.value))
        loose = pdfium_c.FS_RECTF()
        if (
            pdfium_c.FPDFText_GetLooseCharBox(raw, index, loose)
            and loose.right > loose.left
            and loose.top > loose.bottom
        ):
            edges.append((loose.left, loose.bottom, loose.right, loose.top))
        if not edges:
            return None
        corners = [
            self._device(x, y)
            for one in edges
            for x, y in ((one[0], one[1]), (one[2], one[3]), (one[0], one[3]), (one[2], one[1]))
        ]
        return (
            min(x for x, _ in corners), min(y for _, y in corners), max(x for x, _ in corners), max(y for _, y in corners)
        )  # fmt: skip

    def _device(self, x: float, y: float) -> tuple[int, int]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(self._page, 0, 0, *self._size, 0, x, y, across, down)
        return across.value, down.value

    def boxes(self, start: int, end: int) -> list[Box]:
        """The boxes that cover a stretch of text, one a line."""
        lines: list[Box] = []
        for index in range(start, end):
            if self.text[index].isspace() or self.text[index] == "\u00ad":
                continue
            box = self.box(index)
            if box is None:
                if (
                    pdfium_c.FPDFText_IsGenerated(self._text_page.raw, index) == 1
                    or not self.text[index].isalnum()
                ):
                    continue
                raise NotCleanable("unlocated")
            if lines and _one_line(lines[-1], box):
                last = lines[-1]
                lines[-1] = (
                    min(last[0], box[0]),
                    min(last[1], box[1]),
                    max(last[2], box[2]),
                    max(last[3], box[3]),
                )
            else:
                lines.append(box)
        return lines


def _one_line(line: Box, box: Box) -> bool:
    """Whether a character goes on in the line: it overlaps it in height and stands near its end."""
    height = max(line[3] - line[1], box[3] - box[1], 1)
    overlap = min(line[3], box[3]) - max(line[1], box[1])
    return overlap > 0 and -height <= box[0] - line[2] <= 3 * height
