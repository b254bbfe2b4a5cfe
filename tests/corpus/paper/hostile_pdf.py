"""PDF files that are made to break whoever opens them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

from pikepdf import Array, Dictionary, Encryption, Name, Pdf, Stream, String

from tests.corpus.paper.sly import NAME, NUMBER, changed, one_page


def _stream_object(data: bytes, **keys: object) -> Callable[[Pdf], None]:
    """Replaces the first page's content by this coded stream."""

    def change(pdf: Pdf) -> None:
        stream = Stream(pdf, b"")
        stream.write(data, filter=keys.get("filters", Name.FlateDecode))
        pdf.pages[0].obj.Contents = pdf.make_indirect(stream)

    return change


def spaces(size: int, level: int = 9) -> bytes:
    """So many spaces packed: one packed block over and over, since packing gigabytes takes its time."""
    block = b" " * 1_000_000
    packer = zlib.compressobj(level)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    count = size // len(block)
    check = 1
    for _ in range(count):
        check = zlib.adler32(block, check)
    return first + again * (count - 1) + packer.flush()[:-4] + check.to_bytes(4, "big")


def pdf_stream_bomb() -> bytes:
    """A page whose content unfolds twice, to 2 GB of spaces."""
    twice = zlib.compress(spaces(2_000_000_000), 9)
    return changed(
        one_page(lambda canvas: None),
        _stream_object(twice, filters=Array([Name.FlateDecode, Name.FlateDecode])),
    )


def pdf_picture_bomb() -> bytes:
    """A page with a picture of 30 000 by 30 000."""

    def change(pdf: Pdf) -> None:
        picture = Stream(
            pdf,
            b"",
            Type=Name.XObject,
            Subtype=Name.Image,
            Width=30000,
            Height=30000,
            ColorSpace=Name.DeviceGray,
            BitsPerComponent=8,
        )
        picture.write(spaces(900_000_000), filter=Name.FlateDecode)
        pdf.pages[0].obj.Resources.XObject = Dictionary(I1=pdf.make_indirect(picture))
        pdf.pages[0].contents_add(b"q 500 0 0 500 50 50 cm /I1 Do Q")

    return changed(one_page(lambda canvas: None), change)


def pdf_wide(side: float, unit: float = 1) -> Callable[[], bytes]:
    """A page of absurd size."""

    def change(pdf: Pdf) -> None:
        pdf.pages[0].obj.MediaBox = Array([0, 0, side, side])
        pdf.pages[0].obj.UserUnit = unit

    return lambda: changed(one_page(lambda canvas: None), change)


def pdf_pages(count: int) -> Callable[[], bytes]:
    """Very many pages."""

    def change(pdf: Pdf) -> None:
        first = pdf.pages[0].obj
        kids = [pdf.make_indirect(Dictionary(dict(first.items()))) for _ in range(count)]
        pdf.Root.Pages.Kids, pdf.Root.Pages.Count = Array(kids), count

    return lambda: changed(one_page(lambda canvas: None), change)


def pdf_loop() -> bytes:
    """A page tree that is its own child."""
    out = io.BytesIO()
    with Pdf.open(io.BytesIO(one_page(lambda canvas: None))) as pdf:
        pdf.save(out, static_id=True, object_stream_mode=0)
    made = out.getvalue()
    pages = next(
        n for n in range(1, 30) if b"/Type /Pages" in made.split(b"\n%d 0 obj" % n)[-1].split(b"endobj")[0]
    )
    start = made.index(b"/Kids [")
    end = made.index(b"]", start)
    inside = b"/Kids [ %d 0 R" % pages
    return made[:start] + inside.ljust(end - start) + made[end:]


def pdf_laughs() -> bytes:
    """Ten levels of forms, each drawing the next ten times."""

    def change(pdf: Pdf) -> None:
        box = Array([0, 0, 500, 500])
        inner = pdf.make_indirect(
            Stream(pdf, b"0 0 10 10 re f", Type=Name.XObject, Subtype=Name.Form, BBox=box)
        )
        for _ in range(9):
            inner = pdf.make_indirect(
                Stream(
                    pdf,
                    b"/F Do " * 10,
                    Type=Name.XObject,
                    Subtype=Name.Form,
                    BBox=box,
                    Resources=Dictionary(XObject=Dictionary(F=inner)),
                )
            )
        pdf.pages[0].obj.Resources.XObject = Dictionary(F=inner)
        pdf.pages[0].contents_add(b"/F Do")

    return changed(one_page(lambda canvas: None), change)


def pdf_self_form() -> bytes:
    """A form that draws itself."""

    def change(pdf: Pdf) -> None:
        form = pdf.make_indirect(
            Stream(pdf, b"/F Do", Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 500, 500]))
        )
        form.Resources = Dictionary(XObject=Dictionary(F=form))
        pdf.pages[0].obj.Resources.XObject = Dictionary(F=form)
        pdf.pages[0].contents_add(b"/F Do")

    return changed(one_page(lambda canvas: None), change)


def pdf_deep() -> bytes:
    """Arrays nested a hundred thousand deep."""
    return one_page(lambda canvas: None).replace(
        b"/Type /Catalog", b"/Type /Catalog /X " + b"[" * 100_000 + b"]" * 100_000
    )


def pdf_paths() -> bytes:
    """Three million strokes."""
    return changed(
        one_page(lambda canvas: None),
        lambda pdf: pdf.pages[0].contents_add(b"0 0 m 500 700 l S\n" * 3_000_000),
    )


def pdf_words() -> bytes:
    """A million words on one page."""
    return changed(
        one_page(lambda canvas: None),
        lambda pdf: pdf.pages[0].contents_add(b"BT /F1 9 Tf 50 50 Td " + b"(Anna ) Tj " * 1_000_000 + b"ET"),
    )


def named() -> bytes:
    return one_page(lambda canvas: canvas.drawString(60, 650, f"{NAME} {NUMBER}"))


def pdf_locked(user: str) -> Callable[[], bytes]:
    """Encrypted; with an empty user password every viewer opens it."""

    def make() -> bytes:
        out = io.BytesIO()
        with Pdf.open(io.BytesIO(named())) as pdf:
            pdf.save(out, encryption=Encryption(owner="owner", user=user, R=6))
        return out.getvalue()

    return make


def pdf_xfa() -> bytes:
    """A form whose content is XML that only one viewer shows."""

    def change(pdf: Pdf) -> None:
        xml = pdf.make_indirect(
            Stream(
                pdf, f"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><data>{NAME}</data></xdp:xdp>".encode()
            )
        )
        pdf.Root.AcroForm = Dictionary(XFA=Array([String("datasets"), xml]), Fields=Array([]))

    return changed(one_page(lambda canvas: None), change)


def pdf_portfolio() -> bytes:
    """A cover page and a folder of files."""

    def change(pdf: Pdf) -> None:
        pdf.attachments["letter.pdf"] = named()
        pdf.Root.Collection = Dictionary(Type=Name.Collection, View=Name.T)

    return changed(one_page(lambda canvas: None), change)


BREAKING_PDF: dict[str, Callable[[], bytes]] = {
    "stream-bomb.pdf": pdf_stream_bomb,
    "picture-bomb.pdf": pdf_picture_bomb,
    "wide.pdf": pdf_wide(14_000),
    "wider.pdf": pdf_wide(1e9),
    "unit.pdf": pdf_wide(800, 75_000),
    "flat.pdf": pdf_wide(0),
    "pages.pdf": pdf_pages(30_000),
    "some-pages.pdf": pdf_pages(60),
    "loop.pdf": pdf_loop,
    "laughs.pdf": pdf_laughs,
    "self.pdf": pdf_self_form,
    "deep.pdf": pdf_deep,
    "paths.pdf": pdf_paths,
    "words.pdf": pdf_words,
    "locked.pdf": pdf_locked("secret"),
    "owner-locked.pdf": pdf_locked(""),
    "xfa.pdf": pdf_xfa,
    "portfolio.pdf": pdf_portfolio,
    "cut.pdf": lambda: named()[:-400],
}
