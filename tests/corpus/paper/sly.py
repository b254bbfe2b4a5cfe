"""Documents that show a name to a person but not to a naive cleaner: each is about one made-up patient.

Every maker returns a file in which `NAME` can be read by somebody who looks at it, or dug out by somebody who opens it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from pikepdf import Array, Dictionary, Name, Pdf, Stream
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.corpus.paper import pdfs, scans

FAMILY, GIVEN = "Lindqvist", "Annika"
NAME = f"{GIVEN} {FAMILY}"
NUMBER = "19620417-2388"
KNOWN = {"names": [f"{FAMILY}^{GIVEN}"], "identifiers": [NUMBER], "birth_date": "1962-04-17"}
CLINICAL = "Morbus Parkinson, Madopark 100 mg"


def one_page(draw: Callable[[Canvas], None]) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setFont("Helvetica", 12)
    canvas.drawString(60, 760, CLINICAL)
    draw(canvas)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def changed(content: bytes, change: Callable[[Pdf], None]) -> bytes:
    out = io.BytesIO()
    with Pdf.open(io.BytesIO(content)) as pdf:
        change(pdf)
        pdf.save(out, static_id=True)
    return out.getvalue()


def drawn(
    text: str, *, size: int = 40, mode: str = "L", ink: int = 0, paper: int = 255, font: str = scans.FONT
) -> Image.Image:
    picture = Image.new(mode, (34 + size * len(text) * 2 // 3, size * 2), paper)
    ImageDraw.Draw(picture).text((15, size // 3), text, fill=ink, font=ImageFont.truetype(font, size))
    return picture


def _pictured(picture: Image.Image, *, width: float = 300) -> bytes:
    height = width * picture.height / picture.width
    return one_page(
        lambda canvas: canvas.drawImage(ImageReader(picture), 60, 600, width, height, mask="auto")
    )


def outlines() -> bytes:
    """The name as filled shapes, as a program writes that turns text into paths."""
    picture = drawn(f"{NAME} {NUMBER}", size=44)
    shapes: list[str] = []
    for top in range(picture.height):
        row, left = picture.crop((0, top, picture.width, top + 1)).tobytes(), 0
        while left < len(row):
            right = left
            while right < len(row) and row[right] < 128:
                right += 1
            if right > left:
                shapes.append(f"{60 + left / 2} {650 - top / 2} {(right - left) / 2} .5 re")
            left = right + 1
    return changed(
        one_page(lambda canvas: None),
        lambda pdf: pdf.pages[0].contents_add(("\n".join(shapes) + " f").encode()),
    )


def lying_unicode() -> bytes:
    """The glyphs show the name, the text layer (ToUnicode) says x."""
    plain = one_page(
        lambda canvas: (canvas.setFont(pdfs.FONT, 14), canvas.drawString(60, 650, f"{NAME} {NUMBER}"))
    )

    def lie(pdf: Pdf) -> None:
        for thing in pdf.objects:
            if isinstance(thing, Dictionary) and "/ToUnicode" in thing:
                cmap = thing.ToUnicode.read_bytes().decode("latin-1")
                head, _, rest = cmap.partition("beginbfrange")
                thing.ToUnicode.write(
                    (
                        head.rsplit("\n", 1)[0]
                        + "\n1 beginbfrange\n<00> <FF> <0078>\nendbfrange\n"
                        + rest.partition("endbfrange")[2]
                    ).encode()
                )

    return changed(plain, lie)


def wrong_text_layer() -> bytes:
    """A scan of the name under an invisible text layer that says something harmless."""

    def draw(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(drawn(f"{NAME} {NUMBER}")), 60, 640, 400, 40)
        words = canvas.beginText(60, 650)
        words.setTextRenderMode(3)
        words.textOut("Kontroll om sex veckor utan anmärkning")
        canvas.drawText(words)

    return one_page(draw)


def turned_margin() -> bytes:
    """The name up the margin, as archives stamp it, and upside down at the foot."""

    def draw(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.translate(30, 300)
        canvas.rotate(90)
        canvas.drawImage(ImageReader(drawn(f"{NAME} {NUMBER}")), 0, 0, 300, 24)
        canvas.restoreState()
        canvas.translate(400, 100)
        canvas.rotate(180)
        canvas.drawImage(ImageReader(drawn(NAME)), 0, 0, 200, 30)

    return one_page(draw)


def strips() -> bytes:
    """A scan in strips that cut every line of text in two, as some scanners store pages."""
    picture = drawn(f"{NAME} {NUMBER}", size=44)

    def draw(canvas: Canvas) -> None:
        for top in range(0, picture.height, 11):
            strip = picture.crop((0, top, picture.width, min(top + 11, picture.height)))
            canvas.drawImage(
                ImageReader(strip), 60, 650 - (top + strip.height) / 2, picture.width / 2, strip.height / 2
            )

    return one_page(draw)


def inverted() -> bytes:
    """White on black."""
    return _pictured(drawn(f"{NAME} {NUMBER}", ink=255, paper=0))


def pale() -> bytes:
    """Light grey on white: faint to the eye, plain to anybody who turns up the contrast."""
    return _pictured(drawn(f"{NAME} {NUMBER}", ink=236))


def in_alpha() -> bytes:
    """A picture that is all black; the name stands in its mask."""
    picture = drawn(f"{NAME} {NUMBER}", ink=255, paper=0)
    return _pictured(Image.merge("RGBA", (*[Image.new("L", picture.size, 0)] * 3, picture)))


def stencil() -> bytes:
    """An inline image mask painted with ink: neither text nor an image object."""
    picture = drawn(NAME, size=60, mode="1", ink=1, paper=0)
    rows = picture.tobytes().hex().encode()
    mask = b"q 300 0 0 60 60 600 cm BI /W %d /H %d /BPC 1 /IM true /D [1 0] /F /AHx ID %s> EI Q" % (
        picture.width,
        picture.height,
        rows,
    )
    return changed(one_page(lambda canvas: None), lambda pdf: pdf.pages[0].contents_add(mask))


def type3() -> bytes:
    """A Type 3 font whose single glyph is the picture of the name; its text is the letter a."""
    picture = drawn(NAME, size=60, mode="1", ink=1, paper=0)
    proc = b"1000 0 0 0 1000 200 d1 q 1000 0 0 200 0 0 cm BI /W %d /H %d /BPC 1 /IM true /D [1 0] /F /AHx ID %s> EI Q"

    def change(pdf: Pdf) -> None:
        glyph = pdf.make_indirect(
            Stream(pdf, proc % (picture.width, picture.height, picture.tobytes().hex().encode()))
        )
        font = Dictionary(
            Type=Name.Font, Subtype=Name.Type3, FontBBox=Array([0, 0, 1000, 200]), FontMatrix=Array([0.001, 0, 0, 0.001, 0, 0]),
            FirstChar=97, LastChar=97, Widths=Array([1000]), CharProcs=Dictionary(a=glyph),
            Encoding=Dictionary(Type=Name.Encoding, Differences=Array([97, Name("/a")])), Resources=Dictionary(),
        )  # fmt: skip
        pdf.pages[0].obj.Resources.Font.T3 = pdf.make_indirect(font)
        pdf.pages[0].contents_add(b"BT /T3 300 Tf 60 600 Td (a) Tj ET")

    return changed(one_page(lambda canvas: None), change)


def pattern() -> bytes:
    """The name as real text inside a tiling pattern that fills a rectangle."""

    def change(pdf: Pdf) -> None:
        font = next(iter(pdf.pages[0].obj.Resources.Font.values()))
        tile = Stream(
            pdf, f"BT /F1 12 Tf 5 10 Td ({NAME}) Tj ET".encode(), Type=Name.Pattern, PatternType=1, PaintType=1, TilingType=1,
            BBox=Array([0, 0, 150, 30]), XStep=150, YStep=30, Resources=Dictionary(Font=Dictionary(F1=font)),
        )  # fmt: skip
        pdf.pages[0].obj.Resources.Pattern = Dictionary(P1=pdf.make_indirect(tile))
        pdf.pages[0].contents_add(b"/Pattern cs /P1 scn 60 500 300 90 re f")

    return changed(one_page(lambda canvas: None), change)


def outside_crop() -> bytes:
    """Text between CropBox and MediaBox, which no viewer shows."""
    made = one_page(lambda canvas: canvas.drawString(60, 30, f"{NAME} {NUMBER}"))
    return changed(made, lambda pdf: setattr(pdf.pages[0].obj, "CropBox", Array([0, 60, 595, 842])))


def stamp_appearance() -> bytes:
    """The name only in the appearance stream of a stamp."""

    def change(pdf: Pdf) -> None:
        font = next(iter(pdf.pages[0].obj.Resources.Font.values()))
        look = Stream(
            pdf, f"BT /F1 14 Tf 2 6 Td ({NAME}) Tj ET".encode(), Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 200, 24]),
            Resources=Dictionary(Font=Dictionary(F1=font)),
        )  # fmt: skip
        note = Dictionary(
            Type=Name.Annot,
            Subtype=Name.Stamp,
            Rect=Array([60, 500, 260, 524]),
            F=4,
            AP=Dictionary(N=pdf.make_indirect(look)),
        )
        pdf.pages[0].obj.Annots = Array([pdf.make_indirect(note)])

    return changed(one_page(lambda canvas: None), change)


def tiny() -> bytes:
    """A scan at a resolution at which people can read and OCR cannot."""
    return _pictured(drawn(f"{NAME} {NUMBER}", size=9), width=160)


def handwritten() -> bytes:
    """A signature in a chancery hand."""
    font = "/usr/share/fonts/opentype/urw-base35/Z003-MediumItalic.otf"
    return _pictured(drawn(NAME, size=60, font=font))


def on_pattern() -> bytes:
    """The name over stripes, as forms with a guilloche print it."""
    picture = drawn(f"{NAME} {NUMBER}", size=44)
    draw = ImageDraw.Draw(picture)
    for left in range(0, picture.width * 2, 9):
        draw.line((left, 0, left - picture.height, picture.height), fill=150)
    return _pictured(picture)


def coloured() -> bytes:
    """Red on green of the same lightness: gone in grey, plain in colour."""
    picture = Image.new("RGB", (800, 90), (0, 128, 0))
    ImageDraw.Draw(picture).text(
        (15, 20), f"{NAME} {NUMBER}", fill=(251, 0, 0), font=ImageFont.truetype(scans.FONT, 40)
    )
    return scans.encoded(picture, "PNG")


def second_frame() -> bytes:
    """An animated PNG: the name is on its second picture."""
    blank, named = drawn(CLINICAL), drawn(CLINICAL)
    ImageDraw.Draw(named).text((15, 50), NAME, fill=0, font=ImageFont.truetype(scans.FONT, 24))
    return scans.encoded(blank, "PNG", save_all=True, append_images=[named], default_image=False)


def png_in_alpha() -> bytes:
    """A PNG whose colours are all white, the name in its transparency."""
    picture = drawn(f"{NAME} {NUMBER}", ink=255, paper=40)
    return scans.encoded(Image.merge("RGBA", (*[Image.new("L", picture.size, 0)] * 3, picture)), "PNG")


def deep_grey() -> bytes:
    """A PNG of 16 bits whose top eighth holds everything."""
    picture = drawn(f"{NAME} {NUMBER}", size=40).convert("I").point(lambda value: value * 8 + 60000)
    return scans.encoded(picture.convert("I;16"), "PNG")


SLY_PAGES: dict[str, Callable[[], bytes]] = {
    "outlines.pdf": outlines,
    "lying-unicode.pdf": lying_unicode,
    "wrong-text-layer.pdf": wrong_text_layer,
    "turned-margin.pdf": turned_margin,
    "strips.pdf": strips,
    "inverted.pdf": inverted,
    "pale.pdf": pale,
    "in-alpha.pdf": in_alpha,
    "stencil.pdf": stencil,
    "type3.pdf": type3,
    "pattern.pdf": pattern,
    "outside-crop.pdf": outside_crop,
    "stamp.pdf": stamp_appearance,
    "tiny.pdf": tiny,
    "handwritten.pdf": handwritten,
    "on-pattern.pdf": on_pattern,
    "coloured.png": coloured,
    "second-frame.png": second_frame,
    "in-alpha.png": png_in_alpha,
    "deep-grey.png": deep_grey,
}
