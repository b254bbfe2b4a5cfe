"""Writes a PDF of page pictures with an invisible text layer; it copies nothing from any other PDF.

The layer's font is a Type 3 font whose glyphs are empty (ISO 32000-2 9.6.4), so that the file needs no font program and
every letter of every script can be found and copied through its ToUnicode map.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
import pikepdf
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, ImageChops

from anonymizer.documents.archival import archived

JPEG_QUALITY = 85
#: Typeset pages are stored in so many greys: letters stay as smooth as on a screen, at half the size.
_GREYS = 16
#: A coloured page of at most so many colours is stored by a palette.
_COLOURS = 256
_GLYPH = b"500 0 0 0 500 1000 d1"
_CODES = 255  # a simple font's codes 1 to 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A word of the text layer and its box in the page's picture, in pixels; ``replaced`` if it stands for what went."""

    text: str
    box: tuple[int, int, int, int]
    replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: its picture, its size in points, its words."""

    picture: Image.Image
    width: float
    height: float
    photographic: bool
    words: list[Placed]


class _Letters:
    """The letters of one document, dealt out to fonts of 255 codes each."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}

    def place(self, letter: str) -> tuple[int, int]:
        held = self._places.get(letter)
        if held is None:
            font, code = divmod(len(self._places), _CODES)
            held = self._places[letter] = (font, code + 1)
        return held

    def fonts(self, pdf: pikepdf.Pdf) -> Dictionary:
        """The font resources, once all letters are known."""
        resources = Dictionary()
        if not self._places:
            return resources
        glyph = pdf.make_stream(_GLYPH)
        by_font: dict[int, dict[int, str]] = {}
        for letter, (font, code) in self._places.items():
            by_font.setdefault(font, {})[code] = letter
        for font, letters in by_font.items():
            resources[f"/F{font}"] = pdf.make_indirect(
                Dictionary(
                    Type=Name.Font,
                    Subtype=Name.Type3,
                    FontBBox=Array([0, 0, 500, 1000]),
                    FontMatrix=Array([0.001, 0, 0, 0.001, 0, 0]),
                    CharProcs=Dictionary({"/g": glyph}),
                    Encoding=Dictionary(
                        Type=Name.Encoding, Differences=Array([1, *([Name("/g")] * len(letters))])
                    ),
                    FirstChar=1,
                    LastChar=len(letters),
                    Widths=Array([500] * len(letters)),
                    Resources=Dictionary(),
                    ToUnicode=pdf.make_stream(_to_unicode(letters)),
                )
            )
        return resources


def _to_unicode(letters: dict[int, str]) -> bytes:
    lines = [
        f"<{code:02X}> <{letter.encode('utf-16-be').hex().upper()}>"
        for code, letter in sorted(letters.items())
    ]
    chunks = [lines[at : at + 100] for at in range(0, len(lines), 100)]
    body = "\n".join(f"{len(chunk)} beginbfchar\n" + "\n".join(chunk) + "\nendbfchar" for chunk in chunks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<00> <FF>\nendcodespacerange\n{body}\nendcmap\n"
        "CMapName currentdict /CMap defineresource pop\nend\nend"
    ).encode("ascii")


class PdfWriter:
    """Collects pages, then writes them."""

    def __init__(self) -> None:
        self._pdf = pikepdf.Pdf.new()
        self._letters = _Letters()
        self._resources: list[Dictionary] = []

    def add(self, page: Page) -> None:
        image = self._image(page)
        resources = Dictionary(XObject=Dictionary(Im0=image))
        content = f"q {page.width:.2f} 0 0 {page.height:.2f} 0 0 cm /Im0 Do Q\n".encode(
            "ascii"
        ) + self._layer(page)
        self._resources.append(resources)
        made = Dictionary(
            Type=Name.Page,
            MediaBox=Array([0, 0, round(page.width, 2), round(page.height, 2)]),
            Resources=resources,
            Contents=self._pdf.make_stream(content),
        )
        self._pdf.pages.append(pikepdf.Page(self._pdf.make_indirect(made)))

    def save(self) -> bytes:
        fonts = self._letters.fonts(self._pdf)
        for page in self._pdf.pages:
            page.obj.Resources.Font = fonts
        content = archived(self._pdf)
        self._pdf.close()
        return content

    def _image(self, page: Page) -> pikepdf.Object:
        picture = page.picture
        image: pikepdf.Object
        if picture.mode == "RGB":
            red, green, blue = picture.split()
            if (
                not ImageChops.difference(red, green).getbbox()
                and not ImageChops.difference(green, blue).getbbox()
            ):
                picture = red
        if page.photographic:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=JPEG_QUALITY)
            image = self._pdf.make_stream(out.getvalue())
            image.Filter = Name.DCTDecode
            image.ColorSpace = Name.DeviceGray if picture.mode == "L" else Name.DeviceRGB
            image.BitsPerComponent = 8
        else:
            image = self._typeset(picture)
        image.Type, image.Subtype = Name.XObject, Name.Image
        image.Width, image.Height = picture.size
        return image

    def _typeset(self, picture: Image.Image) -> pikepdf.Object:
        """A page of letters and lines: few greys, or a palette, without loss that an eye could see."""
        space: Name | Array
        if picture.mode == "L":
            levels = np.asarray(picture, dtype=np.uint16)
            packed = ((levels * (_GREYS - 1) + 127) // 255).astype(np.uint8)
            if packed.shape[1] % 2:
                packed = np.pad(packed, ((0, 0), (0, 1)))
            rows, depth, space = (packed[:, ::2] << 4) | packed[:, 1::2], 4, Name.DeviceGray
        else:
            few = picture.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            palette = bytes(few.getpalette("RGB") or ())
            rows, depth = np.asarray(few), 8
            space = Array([Name.Indexed, Name.DeviceRGB, len(palette) // 3 - 1, String(palette)])
        image = self._pdf.make_stream(zlib.compress(np.ascontiguousarray(rows).tobytes(), 9))
        image.Filter, image.BitsPerComponent, image.ColorSpace = Name.FlateDecode, depth, space
        return image

    def _layer(self, page: Page) -> bytes:
        """The invisible words: render mode 3, stretched to the width of the word's box (ISO 32000-2 9.3)."""
        across, down = page.width / page.picture.width, page.height / page.picture.height
        lines = ["BT 3 Tr"]
        for word in page.words:
            left, top, right, bottom = word.box
            size = max((bottom - top) * down, 1.0)
            text = word.text + " "
            stretch = max((right - left) * across, 0.5) / (len(word.text) * 0.5 * size) * 100
            lines.append(f"{stretch:.2f} Tz 1 0 0 1 {left * across:.2f} {page.height - bottom * down:.2f} Tm")
            font, codes = -1, ""
            for letter in text:
                place, code = self._letters.place(letter)
                if place != font:
                    if codes:
                        lines.append(f"<{codes}> Tj")
                    lines.append(f"/F{place} {size:.2f} Tf")
                    font, codes = place, ""
                codes += f"{code:02X}"
            lines.append(f"<{codes}> Tj")
        lines.append("ET")
        return "\n".join(lines).encode("ascii")
