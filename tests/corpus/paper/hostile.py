"""Documents that are made to break whoever opens them: bombs, loops, locks and chimeras."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image, TiffImagePlugin

from tests.corpus.paper import scans
from tests.corpus.paper.hostile_pdf import BREAKING_PDF, named, spaces
from tests.corpus.paper.sly import CLINICAL, NAME, NUMBER, drawn
from tests.corpus.paper.sly_text import page, rtf, text, word


def picture_bomb(side: int, kind: str = "PNG") -> Callable[[], bytes]:
    """A small file that unfolds to a huge picture."""

    def make() -> bytes:
        if kind != "PNG":
            return scans.encoded(Image.new("1", (side, side)), kind, compression="group4")
        packer = zlib.compressobj(9)
        row = b"\0" * (side // 8 + 1)
        data = b"".join([packer.compress(row) for _ in range(side)] + [packer.flush()])

        def chunk(name: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

        head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

    return make


def png_text_bomb() -> bytes:
    """A text chunk that unfolds to 1 GB."""
    made = scans.encoded(drawn(CLINICAL), "PNG")
    body = b"Comment\0\0" + spaces(1_000_000_000)
    return (
        made[:33]
        + struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
        + made[33:]
    )


def tiff_loop() -> bytes:
    """A TIFF whose next directory is the first one."""
    made = bytearray(scans.encoded(drawn(CLINICAL), "TIFF"))
    first = struct.unpack_from("<I", made, 4)[0]
    entries = struct.unpack_from("<H", made, first)[0]
    struct.pack_into("<I", made, first + 2 + 12 * entries, first)
    return bytes(made)


def tiff_pages(count: int) -> Callable[[], bytes]:
    """A TIFF of very many small pages."""

    def make() -> bytes:
        out = io.BytesIO()
        with TiffImagePlugin.AppendingTiffWriter(out, new=True) as writer:
            for _ in range(count):
                Image.new("1", (400, 300), 1).save(writer, "TIFF", compression="group4")
                writer.newFrame()
        return out.getvalue()

    return make


def zip_bomb(inside: str) -> Callable[[], bytes]:
    """An office file of which one part unfolds to 1 GB."""

    def make() -> bytes:
        out = io.BytesIO(word("")())
        with (
            zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
            archive.open(inside, "w", force_zip64=True) as part,
        ):
            block = b" " * 10_000_000
            for _ in range(100):
                part.write(block)
        return out.getvalue()

    return make


def zip_lying() -> bytes:
    """An office file whose directory says that its bomb is 100 bytes long."""
    made = bytearray(zip_bomb("word/media/x.png")())
    for signature, offset in ((b"PK\x01\x02", 24),):
        at = made.rfind(signature)
        struct.pack_into("<I", made, at + offset, 100)
    return bytes(made)


def zip_twice() -> bytes:
    """Two parts of one name: which one is the document?"""
    out = io.BytesIO(word("")())
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(out, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(
            "word/document.xml", archive.read("word/document.xml").replace(CLINICAL.encode(), NAME.encode())
        )
    return out.getvalue()


def zip_many() -> bytes:
    """An office file with a hundred thousand members."""
    out = io.BytesIO(word("")())
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(100_000):
            archive.writestr(f"word/media/{number}", b"")
    return out.getvalue()


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + "ha" * 50 + '">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)  # fmt: skip
OUTSIDE = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY j SYSTEM "file://{os.sep}etc/passwd">]>'


def _with_document(start: str, inner: str) -> Callable[[], bytes]:
    def make() -> bytes:
        source, out = zipfile.ZipFile(io.BytesIO(word("")())), io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for info in source.infolist():
                part = source.read(info)
                if info.filename == "word/document.xml":
                    text = part.decode().split("?>", 1)[1].replace(CLINICAL, inner)
                    part = (start + text).encode()
                archive.writestr(info.filename, part)
        return out.getvalue()

    return make


def cda(start: str, inner: str) -> Callable[[], bytes]:
    """A clinical document with this prologue and this narrative."""
    return (
        f'{start}<ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        f"<component><structuredBody><component><section><title>A</title><text>{inner}</text></section></component></structuredBody></component>"
        "</ClinicalDocument>"
    ).encode


def noise(size: int, start: bytes = b"") -> Callable[[], bytes]:
    """Bytes without meaning behind the first bytes of some kind."""
    return lambda: start + random.Random(size).randbytes(size)


def both(first: Callable[[], bytes], second: Callable[[], bytes]) -> Callable[[], bytes]:
    """Two files in one."""
    return lambda: first() + second()


def _jpeg() -> bytes:
    return scans.encoded(drawn(CLINICAL), "JPEG")


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{NAME}.txt", f"{NAME} {NUMBER}")
    return out.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = BREAKING_PDF | {
    "junk-before.pdf": both(noise(900), named),
    "noise.pdf": noise(50_000, b"%PDF-1.7\n"),
    "pdf-and-zip.pdf": both(named, _archive),
    "pdf-and-html.pdf": both(page(NAME), named),
    "jpeg-and-zip.jpg": both(_jpeg, _archive),
    "jpeg-and-pdf.jpg": both(_jpeg, named),
    "bomb.png": picture_bomb(60_000),
    "bomb.tif": picture_bomb(40_000, "TIFF"),
    "text-bomb.png": png_text_bomb,
    "loop.tif": tiff_loop,
    "pages.tif": tiff_pages(5_000),
    "cut.jpg": lambda: _jpeg()[:-900],
    "noise.png": noise(5_000, b"\x89PNG\r\n\x1a\n"),
    "noise.heic": noise(5_000, b"\0\0\0\x18ftypheic"),
    "bomb.docx": zip_bomb("word/media/x.png"),
    "story-bomb.docx": zip_bomb("word/comments.xml"),
    "lying.docx": zip_lying,
    "twice.docx": zip_twice,
    "many.docx": zip_many,
    "laughs.docx": _with_document(LAUGHS, "&j;"),
    "outside.docx": _with_document(OUTSIDE, "&j;"),
    "cut.docx": lambda: word("")()[:-300],
    "deep.docx": word("<w:p>" * 50_000 + "</w:p>" * 50_000),
    "long.docx": word("<w:p><w:r><w:t>Anna Lind 070-123 45 67 2024-03-12</w:t></w:r></w:p>" * 40_000),
    "laughs.xml": cda(LAUGHS, "&j;"),
    "outside.xml": cda(OUTSIDE, "&j;"),
    "deep.xml": cda("", "<content>" * 100_000 + "</content>" * 100_000),
    "utf16.xml": lambda: cda('<?xml version="1.0" encoding="UTF-16"?>', NAME)().decode().encode("utf-16"),
    "deep.html": page("<div>" * 200_000),
    "open.html": page("<b>" * 100_000 + NAME),
    "long.html": page(f"<p>{CLINICAL} 070-123 45 67</p>" * 50_000),
    "deep.rtf": rtf("{" * 100_000 + "}" * 100_000),
    "unclosed.rtf": rtf("{\\b " * 5_000),
    "binary.rtf": rtf("\\bin2000000000 x"),
    "long.rtf": rtf("\\par Anna 070-123 45 67" * 100_000),
    "hex.rtf": rtf("{\\pict\\pngblip " + "00" * 2_000_000 + "}"),
    "digits.txt": text("1" * 2_000_000),
    "dashes.txt": text("1-" * 1_000_000),
    "spaces.txt": text(" " * 3_000_000 + "x"),
    "at.txt": text("a@" * 250_000),
    "letters.txt": text("a" * 3_000_000),
    "labels.txt": text("Patient: " * 100_000),
    "lines.txt": text("\n" * 2_000_000),
    "capitals.txt": text("Anna " * 400_000),
    "dots.txt": text("1." * 1_000_000),
    "dates.txt": text("2024-03-12 " * 200_000),
    "marks.txt": text("e" + "\u0301" * 1_000_000),
    "nulls.txt": text("\0" * 5_000 + NAME),
    "brackets.txt": text("((((" * 300_000),
    "doctor.txt": text("Dr. " * 300_000),
    "picture.txt": _jpeg,
    "pdf.docx": named,
    "text.pdf": text(NAME),
    "empty.pdf": lambda: b"",
    "one.bin": lambda: b"\0",
}
