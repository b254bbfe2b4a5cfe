"""Letters as PDF: real text in several forms, and what a PDF carries beside its pages."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable

from pikepdf import Array, Dictionary, Name, Pdf, Stream, String
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from tests.corpus.paper import plain, scans
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import Letter
from tests.corpus.paper.scans import Fault

FONT = "Sans"
pdfmetrics.registerFont(TTFont(FONT, scans.FONT))
CHARACTERS = 88


def _rows(letter: Letter) -> list[tuple[str, bool]]:
    return [
        (part, line.heading) for line in letter.lines for part in textwrap.wrap(line.text, CHARACTERS) or [""]
    ]


def _page(canvas: Canvas, letter: Letter, *, font: str = FONT, spread: bool = False) -> None:
    """One page of real text; ``spread`` places every sign by itself."""
    top = 800.0
    for text, heading in _rows(letter):
        size = 12 if heading else 9.5
        if spread:
            left = 50.0
            for sign in text:
                canvas.setFont(font, size)
                canvas.drawString(left, top, sign)
                left += pdfmetrics.stringWidth(sign, font, size)
        else:
            canvas.setFont(font, size)
            canvas.drawString(50, top, text)
        top -= size * 1.5
    canvas.setFont(font, 9.5)


def _made(draw: Callable[[Canvas], None], **options: object) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, **options)
    draw(canvas)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _saved(pdf: Pdf) -> bytes:
    out = io.BytesIO()
    pdf.save(out, static_id=True)
    return out.getvalue()


def text(letter: Letter, hidden: Hidden) -> bytes:
    """Text in a subset CID font, with Info, XMP, an outline, page labels and a thumbnail."""

    def draw(canvas: Canvas) -> None:
        _page(canvas, letter)
        canvas.setTitle(hidden.patient)
        canvas.setAuthor(hidden.author)
        canvas.setSubject(hidden.number)
        canvas.setKeywords([hidden.relative])
        canvas.bookmarkPage("p1")
        canvas.addOutlineEntry(hidden.sentence, "p1")

    with Pdf.open(io.BytesIO(_made(draw))) as pdf:
        with pdf.open_metadata(set_pikepdf_as_editor=False) as xmp:
            xmp["dc:creator"], xmp["dc:description"] = [hidden.author], hidden.sentence
        pdf.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(P=String(hidden.patient + " "))]))
        small = scans.page(letter).resize((212, 300))
        pdf.pages[0].obj.Thumb = pdf.make_indirect(
            Stream(
                pdf, small.tobytes(), Width=212, Height=300, ColorSpace=Name.DeviceGray, BitsPerComponent=8
            )
        )
        pdf.pages[0].obj.PieceInfo = Dictionary(
            App=Dictionary(Private=String(hidden.sentence), LastModified=String("D:2024"))
        )
        return _saved(pdf)


def forms(letter: Letter, hidden: Hidden) -> bytes:
    """Text in a base font, letterhead and half of the letter in a form XObject; western languages only."""

    def draw(canvas: Canvas) -> None:
        canvas.beginForm("letter")
        _page(canvas, letter, font="Helvetica")
        canvas.endForm()
        canvas.doForm("letter")

    return _made(draw, pageCompression=0)


def spread(letter: Letter, hidden: Hidden) -> bytes:
    """Every sign of the text placed by itself, in an order of its own per line."""
    return _made(lambda canvas: _page(canvas, letter, spread=True))


def annotated(letter: Letter, hidden: Hidden) -> bytes:
    """With notes, stamps, links, attached files, scripts and a filled form."""

    def draw(canvas: Canvas) -> None:
        _page(canvas, letter)
        form = canvas.acroForm
        form.textfield(
            name="pnr", value=hidden.number, tooltip=hidden.relative, x=300, y=20, width=200, height=18
        )

    with Pdf.open(io.BytesIO(_made(draw))) as pdf:
        page = pdf.pages[0].obj
        notes = [
            Dictionary(Type=Name.Annot, Subtype=Name.Text, Rect=[10, 10, 30, 30], Contents=String(hidden.sentence), T=String(hidden.author)),
            Dictionary(Type=Name.Annot, Subtype=Name.Popup, Rect=[10, 30, 60, 60], Contents=String(hidden.relative)),
            Dictionary(
                Type=Name.Annot, Subtype=Name.Link, Rect=[10, 60, 60, 80],
                A=Dictionary(S=Name.URI, URI=String("mailto:" + hidden.author.replace(" ", "."))),
            ),
            Dictionary(
                Type=Name.Annot, Subtype=Name.FreeText, Rect=[350, 780, 580, 830], Contents=String(hidden.patient), F=4,
                DA=String("/Helv 10 Tf 0 g"),
            ),
        ]  # fmt: skip
        page.Annots = Array([*page.get("/Annots", []), *(pdf.make_indirect(note) for note in notes)])
        script = Dictionary(S=Name.JavaScript, JS=String(f"app.alert('{hidden.sentence}')"))
        pdf.Root.OpenAction = script
        pdf.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String(hidden.relative), script])))
        page.AA = Dictionary(O=script)
        pdf.attachments[f"{hidden.relative}.txt"] = hidden.sentence.encode()
        return _saved(pdf)


def layered(letter: Letter, hidden: Hidden) -> bytes:
    """White text, invisible text, text off the page, text under a black box, and a layer that is switched off."""

    def draw(canvas: Canvas) -> None:
        _page(canvas, letter)
        canvas.setFillGray(1)
        canvas.drawString(50, 60, hidden.sentence)
        canvas.setFillGray(0)
        words = canvas.beginText(50, 45)
        words.setTextRenderMode(3)
        words.textOut(hidden.sentence)
        words.setTextRenderMode(0)
        canvas.drawText(words)
        canvas.drawString(-400, -60, hidden.relative)
        canvas.drawString(50, 30, hidden.patient + " " + hidden.number)
        canvas.rect(45, 24, 400, 18, fill=1, stroke=0)

    with Pdf.open(io.BytesIO(_made(draw))) as pdf:
        layer = pdf.make_indirect(Dictionary(Type=Name.OCG, Name=String(hidden.patient)))
        pdf.Root.OCProperties = Dictionary(
            OCGs=Array([layer]), D=Dictionary(OFF=Array([layer]), Order=Array([layer]))
        )
        page = pdf.pages[0]
        page.obj.Resources.Properties = Dictionary(L1=layer)
        font = next(iter(page.obj.Resources.Font.keys()))
        latin = hidden.author.encode("ascii", "replace").decode()
        pdf.pages[0].contents_add(f"/OC /L1 BDC BT {font} 9 Tf 50 15 Td ({latin}) Tj ET EMC".encode())
        return _saved(pdf)


def revised(letter: Letter, hidden: Hidden) -> bytes:
    """An incremental revision: the page was replaced, the old page with more on it lies below."""

    def old(canvas: Canvas) -> None:
        _page(canvas, letter)
        canvas.drawString(50, 40, hidden.sentence)

    first = _made(old, pageCompression=0)
    with Pdf.open(io.BytesIO(first)) as pdf:
        number, size = pdf.pages[0].obj.Contents.objgen[0], len(pdf.objects) + 1
        root = pdf.Root.objgen[0]
        content = pdf.pages[0].Contents.read_bytes()
    cut = content.rfind(b"BT 1 0 0 1 50 40")
    content = content[:cut] if cut > 0 else content
    start = int(first.rsplit(b"startxref", 1)[1].split()[0])
    body = first + b"\n" if not first.endswith(b"\n") else first
    at = len(body)
    body += (
        b"%d 0 obj\n<< /Length %d >>\nstream\n" % (number, len(content)) + content + b"\nendstream\nendobj\n"
    )
    xref = len(body)
    body += b"xref\n%d 1\n%010d 00000 n \n" % (number, at)
    return body + b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        root,
        start,
        xref,
    )


def carrying_cda(letter: Letter, hidden: Hidden) -> bytes:
    """With the same letter attached as a clinical document, as an associated file."""
    with Pdf.open(io.BytesIO(_made(lambda canvas: _page(canvas, letter)))) as pdf:
        pdf.attachments["document.xml"] = plain.cda(letter, hidden)
        pdf.Root.AF = Array([pdf.attachments["document.xml"].obj])
        return _saved(pdf)


def scanned(fault: Fault, *, page_turn: int = 0) -> Callable[[Letter, Hidden], bytes]:
    """A page that is a picture only; ``page_turn`` lets the viewer turn it (degrees)."""

    def write(letter: Letter, hidden: Hidden) -> bytes:
        picture = scans.page(letter, fault)

        def draw(canvas: Canvas) -> None:
            wide = picture.width > picture.height
            canvas.setPageSize((A4[1], A4[0]) if wide else A4)
            width, height = (A4[1], A4[0]) if wide else A4
            canvas.drawImage(ImageReader(picture), 0, 0, width, height)
            if page_turn:
                canvas.setPageRotation(page_turn)

        with Pdf.open(io.BytesIO(_made(draw))) as pdf:
            photo = pdf.pages[0].obj.Resources.XObject[next(iter(pdf.pages[0].obj.Resources.XObject.keys()))]
            photo.write(
                scans.encoded(picture, "JPEG", quality=82, comment=hidden.sentence.encode()),
                filter=Name.DCTDecode,
            )
            photo.ColorSpace = Name.DeviceGray
            return _saved(pdf)

    return write


def mixed(letter: Letter, hidden: Hidden) -> bytes:
    """A page of text, then a scanned page with the invisible text that a scanner's OCR laid over it."""

    def draw(canvas: Canvas) -> None:
        _page(canvas, letter)
        canvas.showPage()
        canvas.drawImage(ImageReader(scans.page(letter, scans.PHOTO, serif=True)), 0, 0, *A4)
        words = canvas.beginText(50, 800)
        words.setFont(FONT, 9)
        words.setTextRenderMode(3)
        for row, _ in _rows(letter):
            words.textLine(row)
        words.textLine(hidden.sentence)
        canvas.drawText(words)

    return _made(draw)
