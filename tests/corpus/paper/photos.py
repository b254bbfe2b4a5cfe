"""Photographs of letters and labels, with everything that cameras and programs write beside the picture."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, PngImagePlugin, TiffImagePlugin

from tests.corpus.paper import scans
from tests.corpus.paper.hidden import Hidden
from tests.corpus.paper.letters import Letter

HEIC_ENCODER = "heif-enc"
"""From Debian's libheif-examples; without it no HEIC is made, and `make` says so."""


def can_make_heic() -> bool:
    return shutil.which(HEIC_ENCODER) is not None


def exif(hidden: Hidden, *, orientation: int = 1) -> bytes:
    """Names, a serial number and the place where the picture was taken."""
    told = Image.Exif()
    told[0x010E], told[0x013B], told[0x8298] = (
        ascii(text) for text in (hidden.patient, hidden.author, hidden.relative)
    )
    told[0x0112] = orientation
    told[0x9C9B] = hidden.sentence.encode("utf-16-le")
    told[0x8769] = {
        0x9286: b"UNICODE\0" + hidden.sentence.encode("utf-16-le"),
        0xA430: ascii(hidden.author),
        0x927C: hidden.number.encode(),
    }
    north, east = hidden.person.place
    told[0x8825] = {
        1: "N",
        2: _degrees(north),
        3: "E" if east >= 0 else "W",
        4: _degrees(abs(east)),
        29: "2024:03:12",
    }
    return told.tobytes()


def _degrees(value: float) -> tuple[float, float, float]:
    whole = int(value)
    minutes = int((value - whole) * 60)
    return (float(whole), float(minutes), round((value - whole - minutes / 60) * 3600, 2))


def xmp(hidden: Hidden) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{hidden.sentence}</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _iptc(hidden: Hidden) -> bytes:
    """A Photoshop resource with IPTC caption and by-line."""
    lines = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(text.encode())) + text.encode()
        for number, text in ((120, hidden.sentence), (80, hidden.author), (90, hidden.street))
    )
    return (
        b"Photoshop 3.0\08BIM\x04\x04\0\0" + struct.pack(">I", len(lines)) + lines + b"\0" * (len(lines) % 2)
    )


def jpeg(letter: Letter, hidden: Hidden, *, orientation: int = 1, colour: bool = False) -> bytes:
    """A page photographed: EXIF with place and thumbnail, XMP, IPTC, a comment, and bytes after the end."""
    picture = scans.label(letter) if colour else scans.page(letter, scans.PHOTO)
    if orientation == 6:
        picture = picture.rotate(90, expand=True)
    plain = scans.encoded(picture, "JPEG", quality=85, exif=exif(hidden, orientation=orientation))
    small = scans.encoded(scans.page(letter).resize((310, 438)), "JPEG", quality=60)
    extra = (
        _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(hidden))
        + _segment(0xED, _iptc(hidden))
        + _segment(0xFE, hidden.sentence.encode())
        + _segment(0xE2, b"MPF\0" + small[:20000])
        + _segment(0xEF, hidden.sentence.encode("utf-16-le"))
    )
    return plain[:2] + extra + plain[2:] + small + hidden.sentence.encode()


def jpeg_turned(letter: Letter, hidden: Hidden) -> bytes:
    """A photograph that lies on its side, and EXIF says so."""
    return jpeg(letter, hidden, orientation=6)


def jpeg_label(letter: Letter, hidden: Hidden) -> bytes:
    """A photograph of a folder's label, in colour."""
    return jpeg(letter, hidden, colour=True)


def png(letter: Letter, hidden: Hidden) -> bytes:
    """A screenshot with text chunks of three kinds, EXIF and bytes after the end."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", hidden.author.encode("latin-1", "replace").decode("latin-1"))
    told.add_itxt("Title", hidden.sentence)
    told.add_itxt("XML:com.adobe.xmp", xmp(hidden).decode(), zip=True)
    told.add_text("Comment", hidden.sentence.encode("latin-1", "replace").decode("latin-1"), zip=True)
    picture = scans.page(letter, points=22)
    return scans.encoded(picture, "PNG", pnginfo=told, exif=exif(hidden)) + hidden.sentence.encode()


def tiff(letter: Letter, hidden: Hidden) -> bytes:
    """Two pages as a fax or scanner writes them, with descriptions in every tag that takes text."""
    told = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, text in (
        (269, hidden.sentence),
        (270, hidden.patient),
        (315, hidden.author),
        (316, hidden.street),
        (33432, hidden.relative),
    ):
        told[tag] = ascii(text)
    told[700] = xmp(hidden)
    told.tagtype[700] = 1
    pages = [scans.page(letter), scans.page(letter, scans.NOISY, serif=True)]
    out = io.BytesIO()
    pages[0].save(
        out, "TIFF", compression="tiff_deflate", save_all=True, append_images=pages[1:], tiffinfo=told
    )
    return out.getvalue()


def heic(letter: Letter, hidden: Hidden) -> bytes:
    """A telephone's photograph, with EXIF and XMP."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.jpg"), Path(folder, "a.heic")
        source.write_bytes(
            scans.encoded(
                scans.page(letter, scans.PHOTO), "JPEG", quality=92, exif=exif(hidden), xmp=xmp(hidden)
            )
        )
        subprocess.run(
            [HEIC_ENCODER, "-q", "70", "-o", str(target), str(source)],
            check=True,
            capture_output=True,
            timeout=120,
        )
        return target.read_bytes()
