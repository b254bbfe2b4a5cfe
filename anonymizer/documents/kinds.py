"""Tells what a file is by its content alone; never by its name, and without expanding anything.

DICOM is asked first: a Part 10 file with a TIFF preamble (PS3.10 7.1) is a DICOM object, and libmagic calls it a picture.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

from anonymizer.documents.clinical_xml import CDA_KIND
from anonymizer.documents.plain import decoded

OCTETS = "application/octet-stream"
DICOM = "application/dicom"
_OOXML = "application/vnd.openxmlformats-officedocument."
_VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)


def _is_dicom(content: bytes) -> bool:
    if content[128:132] == b"DICM":
        return True
    # A data set without preamble: the first element is of group 0002 or 0008, and its length is plausible (PS3.5 7.1).
    head = content[:12]
    if len(head) < 12:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (2, 8) or element > 0x0100:
            continue
        if head[4:6] in _VRS:
            return True
        length = int.from_bytes(head[4:8], order)
        if order == "little" and length % 2 == 0 and length <= 1024 and length + 8 < len(content):
            return True
    return False


def _zip_kind(content: bytes) -> str:
    """Look at an archive's list of contents only."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {info.filename for info in archive.infolist()[:5000]}
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, UnicodeError):
        return "application/zip"
    if "[Content_Types].xml" in names:
        for folder, kind in (
            ("word/", "wordprocessingml.document"),
            ("xl/", "spreadsheetml.sheet"),
            ("ppt/", "presentationml.presentation"),
        ):
            if any(name.startswith(folder) for name in names):
                return _OOXML + kind
    if "mimetype" in names and "content.xml" in names:
        return "application/vnd.oasis.opendocument.text"
    if "META-INF/container.xml" in names:
        return "application/epub+zip"
    return "application/zip"


_HEIF = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})


def _box_kind(content: bytes) -> str:
    """ISO base media (ISO/IEC 14496-12): pictures by their brands, else film."""
    brands = {content[at : at + 4] for at in range(8, min(64, int.from_bytes(content[:4], "big")), 4)}
    if brands & {b"avif", b"avis"}:
        return "image/avif"
    return "image/heic" if brands & _HEIF else "video/mp4"


#: A row per kind: where its mark stands, the mark, what it is (or who looks closer).
_MARKS: tuple[tuple[int, bytes, str | Callable[[bytes], str]], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (4, b"ftyp", _box_kind),
    (0, b"PK\x03\x04", _zip_kind),
    (0, b"PK\x05\x06", _zip_kind),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (257, b"ustar", "application/x-tar"),
    (0x8001, b"CD001", "application/x-iso9660-image"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"MSH|^~\\&", "x-application/hl7-v2+er7"),
)
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype|<!--|<[a-z][\w:.\-]*[\s>/])", re.IGNORECASE)
_MAIL = re.compile(
    r"(?:(?:From|To|Subject|Date|Received|Return-Path|Delivered-To|Message-ID|MIME-Version|Content-Type|X-[\w\-]+): [^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)
_BMP = re.compile(rb"BM.{8}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)


def kind_of(content: bytes) -> str:
    """The media type of a file's content; ``application/octet-stream`` when it cannot be told."""
    content = bytes(content[: 1 << 20]) if not isinstance(content, bytes) else content
    if _is_dicom(content):
        return DICOM
    if b"%PDF-" in content[:1024]:
        return "application/pdf"
    for at, mark, kind in _MARKS:
        if content[at : at + len(mark)] == mark:
            return kind if isinstance(kind, str) else kind(content)
    if _BMP.match(content):
        return "image/bmp"
    return _text_kind(content)


def _text_kind(content: bytes) -> str:
    text = decoded(content[:65536], cut=True)
    if text is None:
        return OCTETS
    start = text.text[:4096].lstrip("\ufeff")
    if start.startswith("MSH|"):
        return "x-application/hl7-v2+er7"
    if _MARKUP.match(start):
        low = start.lower()
        if "<html" in low or "<!doctype html" in low:
            return "text/html"
        if "<clinicaldocument" in low or ":clinicaldocument" in low:
            return CDA_KIND
        return "image/svg+xml" if "<svg" in low else "text/xml"
    if _MAIL.match(start.replace("\r\n", "\n")):
        return "message/rfc822"
    return "text/plain"
