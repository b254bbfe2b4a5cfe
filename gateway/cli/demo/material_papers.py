"""The patient's papers in the demo: a two-page PDF report, a photograph of a letter and a history in plain text."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter

from gateway.cli.demo.people import People

_PAGE_LINES = 44
PORTRAIT = (1200, 1600)
PAPER = (900, 1250)
_ORIENTATION_ROTATE_90_CW = 6  # CIPA DC-008 4.6.5.1.6
_PAGE = (
    b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
    b"/Resources <</Font <</F1 %d 0 R /F2 %d 0 R>>>>%s>>"
)
_FONT = b"<</Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding>>"


def _report_lines(people: People) -> tuple[list[str], list[str]]:
    number = people.personnummer.value
    swedish = [
        f"{people.hospital} – Klinisk patologi och radiologi",
        "",
        f"Patient: {people.patient.plain}",
        f"Personnr: {number}        Född: {people.birth_date.isoformat()}",
        f"Adress: {people.address}",
        f"Telefon: {people.phone}   E-post: {people.email}",
        f"Remittent: Dr {people.referring.plain}, {people.hospital}",
        f"Remiss-ID: {people.accession}",
        "",
        "UTLÅTANDE – PATOLOGI",
        f"Mellannålsbiopsi från vänster lunga på {people.patient.plain}.",
        "Fem preparat, 9 till 14 mm. Adenokarcinom, övervägande acinärt växtsätt.",
        "TTF-1 positiv, p40 negativ, PD-L1 TPS 45 %. EGFR exon 19-deletion påvisad.",
        "",
        "UTLÅTANDE – RADIOLOGI (DT thorax)",
        "Spikulerad 23 mm stor rundhärd i vänster ovanlob. Inga förstorade",
        "lymfkörtlar i mediastinum. Ingen pleuravätska. Binjurar utan anmärkning.",
        "",
        f"Granskat av {people.radiologist.plain}, specialistläkare",
    ]
    english = [
        "SUMMARY IN ENGLISH",
        "",
        f"Patient: {people.patient.plain}, personal identity number {number}",
        f"Passport ({people.passport.issuer}): {people.passport.value}",
        f"Date of birth: {people.birth_date.strftime('%d.%m.%Y')}",
        "",
        f"{people.patient.given} {people.patient.family} was examined for a nodule in the left lung.",
        "Core needle biopsy: adenocarcinoma, acinar predominant, EGFR exon 19 deletion,",
        "PD-L1 tumour proportion score 45 %. Clinical stage cT1c cN0 cM0.",
        "CT chest: spiculated nodule, 23 mm, left upper lobe. No enlarged lymph nodes.",
        "",
        f"The {people.relation}, {people.relative.plain}, phone {people.relative_phone}, has been informed.",
        "Question to the conference: surgery first, or targeted treatment before surgery?",
        "",
        f"Signed: {people.radiologist.plain}, {people.hospital}",
    ]
    return swedish, english


def _pdf_text(text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return escaped.encode("cp1252")


def _page_stream(lines: Sequence[str], footer: str) -> bytes:
    parts = [b"BT /F2 14 Tf 60 770 Td 16 TL (" + _pdf_text(lines[0]) + b") Tj T* /F1 11 Tf"]
    parts += [b"(" + _pdf_text(line) + b") Tj T*" for line in lines[1:_PAGE_LINES]]
    parts += [b"ET", b"0.5 w 60 52 m 535 52 l S", b"BT /F1 8 Tf 60 40 Td (" + _pdf_text(footer) + b") Tj ET"]
    return b"\n".join(parts)


def _stream(head: bytes, data: bytes) -> bytes:
    return b"<<" + head + b" /Length %d>>\nstream\n" % len(data) + data + b"\nendstream"


def _utf16(text: str) -> bytes:
    return b"<FEFF" + text.encode("utf-16-be").hex().encode() + b">"


def _xmp(people: People) -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator><rdf:Seq><rdf:li>'
        f"{people.radiologist.plain}</rdf:li></rdf:Seq></dc:creator><dc:title><rdf:Alt>"
        f'<rdf:li xml:lang="x-default">{people.patient.plain} {people.personnummer.value}</rdf:li></rdf:Alt>'
        '</dc:title></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def make_report_pdf(people: People) -> bytes:
    """Return a text PDF of two pages (ISO 32000-1): Helvetica in WinAnsi, Info, XMP and a note that name people."""
    footer = "{} – {} – {} – sida {} (2)"
    number = people.personnummer.value
    streams = [
        _page_stream(lines, footer.format(people.patient.plain, number, people.phone, page))
        for page, lines in enumerate(_report_lines(people), start=1)
    ]
    note = _utf16(f"Ring {people.relative.plain} {people.relative_phone}")
    objects = [
        b"<</Type /Catalog /Pages 2 0 R /Metadata 9 0 R /Lang (sv-SE)>>",
        b"<</Type /Pages /Kids [3 0 R 4 0 R] /Count 2>>",
        _PAGE % (5, 7, 8, b" /Annots [10 0 R]"),
        _PAGE % (6, 7, 8, b""),
        *(_stream(b"/Filter /FlateDecode", zlib.compress(stream)) for stream in streams),
        _FONT % b"Helvetica",
        _FONT % b"Helvetica-Bold",
        _stream(b"/Type /Metadata /Subtype /XML", _xmp(people)),
        b"<</Type /Annot /Subtype /Text /Rect [500 780 520 800] /Contents " + note + b">>",
        b"<</Title " + _utf16(f"Utlåtande {people.patient.plain}") + b" /Author " + _utf16(people.radiologist.plain)
        + b" /Subject (" + number.encode() + b") /Producer (Report writer 4) /CreationDate (D:%s120000Z)>>"
        % f"{people.study_date:%Y%m%d}".encode(),
    ]  # fmt: skip
    return _pdf_file(objects, info=len(objects))


def _pdf_file(objects: Sequence[bytes], *, info: int | None = None) -> bytes:
    """Join objects, the first of which is the catalogue, with the table that finds them (ISO 32000-1 7.5)."""
    output = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for index, body in enumerate(objects, start=1):
        offsets.append(len(output))
        output += b"%d 0 obj\n" % index + body + b"\nendobj\n"
    start = len(output)
    output += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    output += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    named = b"" if info is None else b" /Info %d 0 R" % info
    output += b"trailer\n<</Size %d /Root 1 0 R%s>>\n" % (len(objects) + 1, named)
    return bytes(output + b"startxref\n%d\n%%%%EOF\n" % start)


class _Exif:
    """A little-endian TIFF structure as a camera writes it (CIPA DC-008); Pillow does not write thumbnails."""

    def __init__(self) -> None:
        self._data = bytearray(b"II*\0\0\0\0\0")

    def directory(self, entries: Sequence[tuple[int, int, int, bytes]], *, link_at: int) -> int:
        """Append an IFD of (tag, type, count, value) and point to it; return where its next-IFD link lies."""
        start = len(self._data)
        struct.pack_into("<I", self._data, link_at, start)
        self._data += struct.pack("<H", len(entries)) + bytes(12 * len(entries) + 4)
        for index, (tag, kind, count, value) in enumerate(entries):
            place = start + 2 + 12 * index
            struct.pack_into("<HHI", self._data, place, tag, kind, count)
            if len(value) <= 4:
                self._data[place + 8 : place + 8 + len(value)] = value
            else:
                struct.pack_into("<I", self._data, place + 8, self.append(value))
        return start + 2 + 12 * len(entries)

    def value_at(self, link_at: int, index: int) -> int:
        """Return where the value field of an entry lies, to point a sub-directory from it."""
        start: int = struct.unpack_from("<I", self._data, link_at)[0]
        return start + 2 + 12 * index + 8

    def point(self, place: int, offset: int) -> None:
        """Set the value field at a place to an offset."""
        struct.pack_into("<I", self._data, place, offset)

    def append(self, value: bytes) -> int:
        """Add bytes on an even offset and return it."""
        if len(self._data) % 2:
            self._data += b"\0"
        self._data += value
        return len(self._data) - len(value)

    def app1(self) -> bytes:
        """Return the payload of the APP1 segment."""
        return b"Exif\0\0" + bytes(self._data)


def _ascii(tag: int, text: str) -> tuple[int, int, int, bytes]:
    value = text.encode("utf-8") + b"\0"
    return tag, 2, len(value), value


def _long(tag: int, value: int = 0) -> tuple[int, int, int, bytes]:
    return tag, 4, 1, struct.pack("<I", value)


def _degrees(tag: int, *parts: tuple[int, int]) -> tuple[int, int, int, bytes]:
    return tag, 5, len(parts), b"".join(struct.pack("<II", *part) for part in parts)


def make_exif(people: People, thumbnail: bytes) -> bytes:
    """Return EXIF with maker, owner, place, time, orientation 6 and a thumbnail (IFD 1)."""
    exif = _Exif()
    taken = f"{people.study_date:%Y:%m:%d} 18:22:07"
    first = [
        _ascii(0x010E, f"Brev {people.patient.plain}"),
        _ascii(0x010F, "Phonemaker"),
        _ascii(0x0110, "P-9 Pro"),
        (0x0112, 3, 1, struct.pack("<H", _ORIENTATION_ROTATE_90_CW)),
        _ascii(0x0132, taken),
        _ascii(0x013B, people.patient.plain),
        _long(0x8769),
        _long(0x8825),
    ]
    following = exif.directory(first, link_at=4)
    exif_link, gps_link = exif.value_at(4, 6), exif.value_at(4, 7)
    owner = [_ascii(0x9003, taken), _ascii(0xA430, people.patient.plain), _ascii(0xA431, "SN-88123-EKB")]
    exif.directory(owner, link_at=exif_link)
    place = [
        _ascii(0x0001, "N"),
        _degrees(0x0002, (58, 1), (35, 1), (1234, 100)),
        _ascii(0x0003, "E"),
        _degrees(0x0004, (16, 1), (11, 1), (4321, 100)),
    ]
    exif.directory(place, link_at=gps_link)
    small = [(0x0103, 3, 1, struct.pack("<H", 6)), _long(0x0201), _long(0x0202, len(thumbnail))]
    exif.directory(small, link_at=following)
    exif.point(exif.value_at(following, 1), exif.append(thumbnail))
    return exif.app1()


def _letter_lines(people: People) -> list[str]:
    return [
        people.hospital,
        "Lungkliniken",
        "",
        people.patient.plain,
        people.street,
        f"{people.postal_code} {people.city}",
        "",
        f"Personnummer {people.personnummer.value}",
        "",
        "Kallelse och svar",
        "",
        "Provsvaren visar adenokarcinom i",
        "vänster lunga, 23 mm. Vi vill träffa",
        "Dig och diskutera operation.",
        "",
        f"Ring {people.phone}",
        "",
        f"Med vänlig hälsning, {people.referring.plain}",
    ]


def _printed(lines: Sequence[str]) -> Image.Image:
    """Return a sheet of paper: the lines set by the PDF renderer, whose own Helvetica has the Swedish letters."""
    stream = b"BT /F1 20 Tf 50 770 Td 36 TL " + b"".join(
        b"(" + _pdf_text(line) + b") Tj T*\n" for line in lines
    )
    objects = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        _PAGE % (4, 5, 5, b""),
        _stream(b"", stream + b"ET"),
        _FONT % b"Helvetica",
    ]
    with pypdfium2.PdfDocument(_pdf_file(objects)) as document:
        ink: Image.Image = (
            document[0].render(scale=PAPER[0] / 595, grayscale=True).to_pil().convert("L").resize(PAPER)
        )
    return Image.composite(
        Image.new("RGB", PAPER, (246, 244, 238)), Image.new("RGB", PAPER, (28, 28, 34)), ink
    )


def make_letter_photo(people: People, *, seed: int) -> bytes:
    """Return a phone photograph of a letter on a table, stored on its side, with EXIF, XMP and a comment."""
    wide, tall = PORTRAIT
    paper = _printed(_letter_lines(people))
    # A quadrilateral of the photograph, seen from the paper: corners outside the paper show the table.
    corners = (-190, -150, -130, 1420, 1080, 1370, 1120, -210)
    tilted = paper.transform(PORTRAIT, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    mask = Image.new("L", paper.size, 255).transform(PORTRAIT, Image.Transform.QUAD, corners)
    rng = np.random.default_rng(seed)
    grain = np.linspace(0, 18, wide)[None, :] + 9 * np.sin(np.arange(tall) / 23)[:, None]
    table = np.stack([104 + grain, 74 + grain, 48 + grain], axis=-1).clip(0, 255).astype(np.uint8)
    scene = Image.composite(tilted, Image.fromarray(table), mask).filter(ImageFilter.GaussianBlur(0.6))
    light = np.linspace(1.05, 0.82, wide)[None, :, None] * np.linspace(1.0, 0.9, tall)[:, None, None]
    noisy = np.asarray(scene, dtype=np.float32) * light + rng.normal(0, 4, (tall, wide, 1))
    upright = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    thumbnail = BytesIO()
    stored.resize((160, 120)).save(thumbnail, "JPEG", quality=60)
    picture = BytesIO()
    stored.save(
        picture,
        "JPEG",
        quality=82,
        exif=make_exif(people, thumbnail.getvalue()),
        xmp=_xmp(people),
        comment=f"{people.patient.plain} {people.phone}".encode(),
    )
    return picture.getvalue()


def make_letter_text(people: People) -> bytes:
    """Return the patient's own history with the questions, UTF-8 as a phone or a desktop writes it."""
    lines = [
        f"Mitt namn är {people.patient.plain}, personnummer {people.personnummer.value}.",
        f"Jag bor på {people.address}. Telefon {people.phone}, e-post {people.email}.",
        f"Mitt pass ({people.passport.issuer}): {people.passport.value}.",
        "",
        "Historia",
        "I vintras hostade jag i sex veckor. Vårdcentralen skickade mig till röntgen, där man såg en",
        f"23 mm stor förändring i vänster lunga. Dr {people.referring.plain} på {people.hospital}",
        "tog ett prov som visade adenokarcinom med EGFR exon 19-deletion.",
        f"År tidigare gjorde jag en MR av hjärnan på {people.clinic} ({people.second_mrn.value}), den finns på skivan.",
        f"Min anhöriga {people.relative.plain} ({people.relative_phone}) får svara för mig.",
        "",
        "Questions",
        "1. Would you operate first, or treat with a tablet before the operation?",
        "2. Is there a trial that I could join?",
        "3. Is a PET-CT needed before the decision?",
        "",
        f"Hälsningar, {people.patient.given}",
    ]
    return "\n".join(lines).encode("utf-8")
