"""Documents with planted identifiers, made in memory: what the cleaning of documents is shown on."""

from __future__ import annotations

import io
from collections.abc import Callable

import pikepdf
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, PngImagePlugin

from anonymizer.known import Known

FAMILY, GIVEN, NUMBER, PHONE, MAIL = (
    "Krasheninnikova",
    "Ingegerd",
    "19850312-9876",
    "070-123 45 67",
    "ingegerd.k@example.se",
)
KNOWN = Known.from_json({
    "names": [f"{FAMILY}^{GIVEN}"],
    "identifiers": [{"type": "personnummer", "issuer": "SE", "value": NUMBER}],
    "birth_date": "1985-03-12",
    "phones": [PHONE],
    "emails": [MAIL],
})  # fmt: skip
PLANTED = (FAMILY, GIVEN, NUMBER, NUMBER.replace("-", ""), NUMBER[2:], PHONE, "0701234567", MAIL)
LINES = (
    "Remiss till onkologen",
    "Patient: {given} {family} {number}",
    "CT buk 2024-03-12: 12 mm lesion i levern, segment IV.",
    "Tel {phone}, {mail}",
    "Overvag MR. Crohn, Hodgkin.",
)
CLINICAL = ("Remiss till onkologen", "12 mm lesion i levern, segment IV", "Overvag MR. Crohn, Hodgkin.")


def lines(*, family: str = FAMILY, number: str = NUMBER) -> list[str]:
    return [line.format(given=GIVEN, family=family, number=number, phone=PHONE, mail=MAIL) for line in LINES]


def needles(texts: tuple[str, ...] = PLANTED) -> list[bytes]:
    """Every planted string in the encodings of a byte scan."""
    forms = {form for text in texts for form in (text, text.upper(), text.lower())}
    return sorted(
        {
            form.encode(encoding)
            for form in forms
            for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
        }
    )


def left_in(content: bytes) -> list[bytes]:
    """Planted strings in raw bytes and, for a PDF, in every decoded stream."""
    hay = [content]
    if content.startswith(b"%PDF-"):
        with pikepdf.open(io.BytesIO(content)) as pdf:
            for thing in pdf.objects:
                if isinstance(thing, pikepdf.Stream):
                    hay.append(thing.read_raw_bytes())
                    if thing.get("/Filter") != "/DCTDecode":
                        hay.append(thing.read_bytes())
                else:
                    hay.append(thing.unparse(resolved=True))
    return [needle for needle in needles() for stack in hay if needle in stack]


def _text(written: list[str], size: int = 12) -> bytes:
    shown = " ".join(f"({line.replace('(', '').replace(')', '')}) Tj T*" for line in written)
    return f"BT /F1 {size} Tf {size + 4} TL 72 760 Td {shown} ET\n".encode("latin-1")


class PdfBuilder:
    """A PDF with one font, page by page."""

    def __init__(self) -> None:
        self.pdf = pikepdf.Pdf.new()
        self.font = self.pdf.make_indirect(
            Dictionary(
                Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding
            )
        )

    def resources(self) -> Dictionary:
        return Dictionary(Font=Dictionary(F1=self.font))

    def page(self, content: bytes, **more: object) -> Dictionary:
        page = Dictionary(
            Type=Name.Page,
            MediaBox=Array([0, 0, 595, 842]),
            Resources=self.resources(),
            Contents=self.pdf.make_stream(content),
        )
        for key, value in more.items():
            page[f"/{key}"] = value
        self.pdf.pages.append(pikepdf.Page(self.pdf.make_indirect(page)))
        return self.pdf.pages[-1].obj

    def form(self, content: bytes, box: tuple[int, int, int, int]) -> pikepdf.Stream:
        stream = self.pdf.make_stream(content)
        stream.Type, stream.Subtype, stream.BBox, stream.Resources = (
            Name.XObject,
            Name.Form,
            Array(list(box)),
            self.resources(),
        )
        return stream

    def save(self, **options: object) -> bytes:
        out = io.BytesIO()
        self.pdf.save(out, **options)  # type: ignore[arg-type]
        return out.getvalue()


def plain_pdf(*, family: str = FAMILY, number: str = NUMBER) -> bytes:
    builder = PdfBuilder()
    builder.page(_text(lines(family=family, number=number)))
    return builder.save()


def _everywhere() -> bytes:
    """Names in every place that a PDF has beside its words."""
    builder = PdfBuilder()
    page = builder.page(_text(lines()))
    pdf = builder.pdf
    pdf.Root.OpenAction = Dictionary(S=Name.JavaScript, JS=String(f"app.alert('{FAMILY}')"))
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), DA=String(f"{GIVEN}"))
    pdf.Root.Outlines = pdf.make_indirect(Dictionary(Type=Name.Outlines, Title=String(FAMILY)))
    pdf.attachments["brev.txt"] = pikepdf.AttachedFileSpec(
        pdf, f"{GIVEN} {FAMILY}".encode(), filename=f"{FAMILY}.txt"
    )
    page.Annots = Array([
        Dictionary(Type=Name.Annot, Subtype=Name.Text, Rect=Array([10, 10, 30, 30]), Contents=String(f"ring {FAMILY}"), T=String(GIVEN)),
        Dictionary(
            Type=Name.Annot, Subtype=Name.FreeText, Rect=Array([72, 500, 372, 520]), Contents=String(FAMILY), F=4, DA=String("/F1 12 Tf"),
            AP=Dictionary(N=builder.form(f"BT /F1 12 Tf 2 5 Td (Ring {FAMILY} imorgon) Tj ET".encode(), (0, 0, 300, 20))),
        ),
    ])  # fmt: skip
    with pdf.open_metadata() as metadata:
        metadata["dc:title"] = f"Remiss {FAMILY}"
    pdf.docinfo["/Author"] = GIVEN
    return builder.save()


def _incremental() -> bytes:
    """A name in an earlier revision only."""
    first = plain_pdf()
    second = PdfBuilder()
    second.page(
        _text(["Remiss till onkologen", "12 mm lesion i levern, segment IV", "Overvag MR. Crohn, Hodgkin."])
    )
    return second.save() + b"\n" + first[first.index(b"\n") :]


def _black_box() -> bytes:
    builder = PdfBuilder()
    builder.page(_text(lines()) + b"0 0 0 rg 70 740 400 14 re f 70 705 400 16 re f\n")
    return builder.save()


def _hidden() -> bytes:
    """White, invisible and off-page text, and a layer that is switched off."""
    builder = PdfBuilder()
    secret = f"(Hemligt ord: {FAMILY} vaxel)"
    builder.page(
        _text(["Remiss till onkologen", "12 mm lesion i levern, segment IV", "Overvag MR. Crohn, Hodgkin."])
        + f"1 1 1 rg BT /F1 12 Tf 72 300 Td {secret} Tj ET BT /F1 12 Tf 3 Tr 72 250 Td {secret} Tj ET ".encode()
        + f"BT 0 Tr 0 0 0 rg /F1 12 Tf 72 2000 Td {secret} Tj ET".encode()
    )
    return builder.save()


def _nested() -> bytes:
    """Text in a form XObject, on a turned page with a shifted crop box, and letter by letter."""
    builder = PdfBuilder()
    form = builder.form(_text(lines()), (0, 0, 595, 842))
    page = builder.page(b"/Fm0 Do", Rotate=90, CropBox=Array([20, 30, 580, 800]))
    page.Resources.XObject = Dictionary(Fm0=form)
    letters = "".join(f"({letter}) Tj " for letter in f"{GIVEN} {FAMILY} 12 mm")
    builder.page(
        b"BT /F1 9 Tf 72 700 Td "
        + letters.encode()
        + b"ET q 0 1 -1 0 300 100 cm BT /F1 14 Tf ("
        + FAMILY.encode()
        + b") Tj ET Q"
    )
    return builder.save()


def _broken_word() -> bytes:
    builder = PdfBuilder()
    builder.page(
        _text(
            [
                "Remiss till onkologen for Krashenin-",
                "nikova. 12 mm lesion i levern, segment IV",
                "Overvag MR. Crohn, Hodgkin.",
            ]
        )
    )
    return builder.save()


def _scan() -> bytes:
    builder = PdfBuilder()
    page = builder.page(b"q 595 0 0 842 0 0 cm /Im0 Do Q")
    out = io.BytesIO()
    Image.radial_gradient("L").resize((300, 420)).save(out, "JPEG", comment=FAMILY.encode(), exif=_exif())
    image = builder.pdf.make_stream(out.getvalue())
    image.Type, image.Subtype, image.Filter = Name.XObject, Name.Image, Name.DCTDecode
    image.Width, image.Height, image.ColorSpace, image.BitsPerComponent = 300, 420, Name.DeviceGray, 8
    page.Resources.XObject = Dictionary(Im0=image)
    return builder.save()


PDFS: dict[str, Callable[[], bytes]] = {
    "plain": plain_pdf,
    "everywhere": _everywhere,
    "incremental": _incremental,
    "black box": _black_box,
    "hidden": _hidden,
    "nested": _nested,
    "broken word": _broken_word,
    "scan": _scan,
}


def xfa_pdf() -> bytes:
    builder = PdfBuilder()
    builder.page(_text(lines()))
    builder.pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=String("<xdp/>"))
    return builder.save()


def portfolio_pdf() -> bytes:
    builder = PdfBuilder()
    builder.page(_text(lines()))
    builder.pdf.Root.Collection = Dictionary(Type=Name.Collection)
    return builder.save()


def encrypted_pdf(user: str) -> bytes:
    builder = PdfBuilder()
    builder.page(_text(lines()))
    return builder.save(encryption=pikepdf.Encryption(owner="owner", user=user))


# -- pictures -----------------------------------------------------------------------------------------------------
def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x013B] = f"{GIVEN} {FAMILY}"
    exif[0x010E] = NUMBER
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (59.0, 51.0, 0.0), "E", (17.0, 38.0, 0.0)
    gps[29] = FAMILY
    return exif


def photograph(size: tuple[int, int] = (80, 48)) -> bytes:
    picture = Image.radial_gradient("L").resize(size).convert("RGB")
    out = io.BytesIO()
    picture.save(
        out, "JPEG", exif=_exif(), comment=f"by {FAMILY}".encode(), icc_profile=None, xmp=f"<x:xmpmeta>{MAIL}</x:xmpmeta>".encode()
    )  # fmt: skip
    app13 = b"Photoshop 3.0\0" + FAMILY.encode()
    whole = out.getvalue()
    return (
        whole[:2]
        + b"\xff\xed"
        + (len(app13) + 2).to_bytes(2, "big")
        + app13
        + whole[2:]
        + b"MPF trailer "
        + FAMILY.encode()
    )


def drawing() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", f"{GIVEN} {FAMILY}")
    info.add_itxt("Title", FAMILY)
    info.add_text("Comment", NUMBER * 20, zip=True)
    out = io.BytesIO()
    Image.radial_gradient("L").save(out, "PNG", pnginfo=info, exif=_exif())
    return out.getvalue() + FAMILY.encode()


def tiff_pages() -> bytes:
    out = io.BytesIO()
    first = Image.radial_gradient("L")
    first.save(
        out, "TIFF", save_all=True, append_images=[first.resize((100, 60)).convert("RGB")], tiffinfo={270: FAMILY, 315: GIVEN, 305: NUMBER}
    )  # fmt: skip
    return out.getvalue()


def webp() -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(out, "WEBP", exif=_exif().tobytes(), xmp=MAIL.encode())
    return out.getvalue()
