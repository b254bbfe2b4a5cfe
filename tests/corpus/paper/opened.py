"""Everything that can be read in a file without looking at its pages: bytes, streams, text, and what should not be there."""

from __future__ import annotations

import base64
import binascii
import html
import io
import quopri
import re
import subprocess
import tempfile
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pypdfium2

from tests.corpus.paper.looking import picture_of
from tests.corpus.paper.matching import Reading

ENCODINGS = ("utf-8", "cp1252", "cp1250", "cp1251", "cp1254", "cp1256", "mac_roman", "utf-16-le", "utf-16-be")
TEXTUAL = frozenset({".txt", ".html", ".htm", ".xml", ".rtf", ".csv", ".md", ".json", ".eml", ".hl7"})
FORBIDDEN_IN_PDF = {
    "/Annots": "annotations", "/EmbeddedFiles": "attached files", "/EmbeddedFile": "attached files", "/AF": "associated files",
    "/JavaScript": "a script", "/JS": "a script", "/OpenAction": "an action", "/AA": "an action", "/AcroForm": "a form",
    "/OCProperties": "layers", "/OCG": "layers", "/Thumb": "a thumbnail", "/PieceInfo": "an application's private data",
    "/PageLabels": "page labels", "/Encrypt": "encryption", "/XFA": "a form", "/Launch": "an action",
}  # fmt: skip
OLD_PAGES = {"pl": "cp1250", "ru": "cp1251", "tr": "cp1254", "ar": "cp1256"}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".webp"})


def raw(content: bytes, place: str = "bytes") -> Iterator[Reading]:
    """The bytes in every encoding, and what base64, hexadecimal, percent and quoted-printable hide in them."""
    for encoding in ENCODINGS:
        yield Reading(place=f"{place} as {encoding}", text=content.decode(encoding, "ignore"))
    if content[1:2] != b"\0":
        yield Reading(place=f"{place} as utf-16-le, odd", text=content[1:].decode("utf-16-le", "ignore"))
    for run in re.findall(rb"[A-Za-z0-9+/\r\n]{32,}={0,2}", content[:4_000_000]):
        try:
            inner = base64.b64decode(re.sub(rb"\s", b"", run)[: len(run) // 4 * 4])
        except (binascii.Error, ValueError):
            continue
        yield Reading(place=f"{place}, base64", text=inner.decode("utf-8", "ignore"))
    for run in re.findall(rb"(?:[0-9A-Fa-f]{2}){8,}", content[:4_000_000]):
        inner = bytes.fromhex(run.decode())
        yield Reading(place=f"{place}, hexadecimal", text=inner.decode("utf-8", "ignore"))
        yield Reading(place=f"{place}, hexadecimal", text=inner.decode("utf-16-be", "ignore"))
    if b"%" in content[:100_000] or b"=" in content[:100_000]:
        start = content[:1_000_000]
        yield Reading(place=f"{place}, percent", text=urllib.parse.unquote(start.decode("latin-1")))
        yield Reading(
            place=f"{place}, quoted-printable", text=quopri.decodestring(start).decode("utf-8", "ignore")
        )


def text_of(content: bytes, suffix: str, language: str) -> str | None:
    """The text of a text file as a person reads it; None of other kinds."""
    if suffix not in TEXTUAL:
        return None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode(OLD_PAGES.get(language, "cp1252"), "replace")
    if suffix == ".rtf":
        text = re.sub(r"\\u(-?\d+)\??", lambda m: chr(int(m[1]) % 65536), text)
        text = re.sub(r"\\'([0-9a-fA-F]{2})", lambda m: bytes.fromhex(m[1]).decode("cp1252", "replace"), text)
        return re.sub(r"\\[a-z]+-?\d* ?|[{}]", "", text)
    if suffix in {".html", ".htm", ".xml"}:
        return (
            html.unescape(re.sub(r"<[^>]*>", "", text)) + "\n" + html.unescape(re.sub(r"<[^>]*>", " ", text))
        )
    return text


def texts(content: bytes, suffix: str, language: str) -> Iterator[Reading]:
    """The text layers, by two readers for PDF."""
    text = text_of(content, suffix, language)
    if text is not None:
        yield Reading(place="text", text=text)
    if suffix == ".pdf":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.pdf")
            path.write_bytes(content)
            for option in ("-raw", "-layout"):
                done = subprocess.run(
                    ["pdftotext", option, str(path), "-"], check=False, capture_output=True, timeout=60
                )
                yield Reading(place=f"pdftotext {option}", text=done.stdout.decode("utf-8", "replace"))
        pdf = pypdfium2.PdfDocument(content)
        try:
            for number, page in enumerate(pdf, 1):
                yield Reading(place=f"pdfium, page {number}", text=page.get_textpage().get_text_bounded())
        finally:
            pdf.close()
    if suffix in {".docx", ".odt"}:
        for place, part in _members(content):
            if place.endswith(".xml"):
                yield Reading(
                    place=f"text of {place}",
                    text=html.unescape(re.sub(r"<[^>]*>", "", part.decode("utf-8", "ignore"))),
                )


def inner(content: bytes, suffix: str) -> Iterator[Reading]:
    """What lies in the file packed: streams and strings of a PDF, members of an archive, chunks of a picture."""
    if suffix == ".pdf":
        yield from _pdf_inside(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        for place, part in _members(content):
            yield from raw(part, place)
    if suffix in PICTURES:
        with picture_of(content) as picture:
            for name, value in picture.info.items():
                held = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
                yield from raw(held, f"chunk {name}")


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield "archive comment", archive.comment
        yield "names", "\n".join(archive.namelist()).encode()
        for info in archive.infolist():
            if info.file_size < 50_000_000:
                yield info.filename, archive.read(info)


def _pdf_inside(content: bytes) -> Iterator[Reading]:
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for number, thing in enumerate(pdf.objects):
            if isinstance(thing, pikepdf.Stream):
                picture = thing.get("/Subtype") == "/Image"
                part = thing.read_raw_bytes() if picture else _stream(thing)
                yield from (
                    raw(part, f"object {number}") if not picture else _both(part, f"picture {number}")
                )
            yield Reading(place=f"object {number}, strings", text="\n".join(_strings(thing, 0)))
        yield Reading(place="trailer", text="\n".join(_strings(pdf.trailer, 0)))


def _both(part: bytes, place: str) -> Iterator[Reading]:
    for encoding in ("utf-8", "cp1252", "utf-16-le"):
        yield Reading(place=place, text=part.decode(encoding, "ignore"))


def _stream(thing: pikepdf.Stream) -> bytes:
    try:
        return thing.read_bytes()
    except pikepdf.PdfError:
        return thing.read_raw_bytes()


def _strings(thing: object, depth: int) -> Iterator[str]:
    if isinstance(thing, pikepdf.String):
        yield str(thing)
        yield bytes(thing).decode("utf-16-be", "ignore")
    elif isinstance(thing, pikepdf.Name):
        yield str(thing)
    elif depth < 6 and isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
        for name, value in thing.items():
            yield name
            if not getattr(value, "is_indirect", False):
                yield from _strings(value, depth + 1)
    elif depth < 6 and isinstance(thing, pikepdf.Array):
        for value in thing:
            if not getattr(value, "is_indirect", False):
                yield from _strings(value, depth + 1)


def structure(content: bytes, suffix: str) -> list[str]:
    """What should not be in a released file, whatever it says."""
    if suffix == ".pdf":
        return _pdf_structure(content)
    if suffix in PICTURES:
        return _picture_structure(content, suffix)
    if suffix in {".docx", ".odt"}:
        parts = {place for place, _ in _members(content)}
        kinds = ("comments", "customXml", "docProps/custom", "Thumbnails")
        wrong = sorted({kind for kind in kinds for part in parts if kind in part})
        everything = b"".join(part for _, part in _members(content))
        return wrong + [
            name
            for name in ("w:del ", "w:vanish", "text:tracked-changes", "office:annotation")
            if name.encode() in everything
        ]
    if suffix in {".html", ".htm", ".xml"}:
        text = content.decode("utf-8", "replace").lower()
        return [
            what
            for what in ("<script", "<!--", "data:image", "onload=", "<object", "<iframe")
            if what in text
        ]
    if suffix == ".rtf":
        return [
            what.decode()
            for what in (b"\\info", b"\\v ", b"\\object", b"\\annotation", b"\\deleted")
            if what in content
        ]
    return []


def _pdf_structure(content: bytes) -> list[str]:
    wrong: set[str] = set()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for thing in pdf.objects:
            if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
                wrong |= {
                    what
                    for name, what in FORBIDDEN_IN_PDF.items()
                    if name in thing or thing.get("/Type") == name
                }
        linear = any(isinstance(t, pikepdf.Dictionary) and "/Linearized" in t for t in pdf.objects)
    if content.count(b"startxref") > (2 if linear else 1):
        wrong.add("an older revision")
    if content.rstrip()[-5:] != b"%%EOF":
        wrong.add("bytes after the end")
    return sorted(wrong)


def _picture_structure(content: bytes, suffix: str) -> list[str]:
    with picture_of(content) as picture:
        told = (
            {tag for tag in picture.getexif() if tag not in {0x0112, 0x011A, 0x011B, 0x0128}}
            if suffix not in {".tif", ".tiff"}
            else set()
        )
        texts = getattr(picture, "text", {})
        place = bool(picture.getexif().get_ifd(0x8825))
        known = ("comment", "xmp", "photoshop", "XML:com.adobe.xmp", "mp", "mpoffset")
        named = [name for name in known if name in picture.info]
        tags = {269, 270, 285, 305, 315, 316, 700, 33432, 33723, 34377, 34665, 34853} & set(
            getattr(picture, "tag_v2", {})
        )
    wrong = (
        [f"chunk {name}" for name in named]
        + [f"text chunk {name}" for name in texts]
        + [f"tag {tag}" for tag in tags]
    )
    if told:
        wrong.append("EXIF")
    if place:
        wrong.append("a place of taking")
    end = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}.get(suffix)
    if end and not content.endswith(end):
        wrong.append("bytes after the end")
    return wrong
