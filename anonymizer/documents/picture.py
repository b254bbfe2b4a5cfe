"""Cleans a picture file: turned upright, decoded, its words read and those that identify covered, its pixels encoded anew.

What is not pixels (EXIF, XMP, IPTC, ICC text, comments, thumbnails, further pictures, trailing bytes) is never copied.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pi_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from anonymizer.documents.judges import Judges
from anonymizer.documents.picture_words import CleanPicture, clean_words, eight_bits
from anonymizer.documents.reading import Budget
from anonymizer.documents.values import DOCUMENT_LOOKS, DeidentifiedDocument, DocumentReport, NotCleanable

pi_heif.options.DECODE_THREADS = 1
MAX_PIXELS = 200_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
MAX_FRAMES = 200
READING_S = 100.0
#: Which reader may open which kind: Pillow guesses no further than this.
_READERS = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/tiff": ("TIFF",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
    "image/jp2": ("JPEG2000",),
    "image/heic": (),
}
PICTURES = frozenset(_READERS)
_BROKEN = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    RuntimeError,
)


@contextmanager
def opened_picture(content: bytes, media_type: str) -> Iterator[Image.Image]:
    """Open a picture with the one reader of its kind; every way to be broken is one verdict."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if media_type == "image/heic":
                yield _heic(content)
                return
            with Image.open(io.BytesIO(content), formats=_READERS[media_type]) as picture:
                yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotCleanable("too_large") from error
    except NotCleanable:
        raise
    except _BROKEN as error:
        raise NotCleanable("unreadable") from error


def _heic(content: bytes) -> Image.Image:
    """The first picture of a HEIC file: libheif turns it upright itself (ISO/IEC 23008-12 6.5.10)."""
    if not _threads_may_start():  # libde265 breaks the process down where it cannot have its own
        raise NotCleanable("heic")
    held = pi_heif.open_heif(content, convert_hdr_to_8bit=True)
    width, height = held.size
    if width * height > MAX_PIXELS:
        raise NotCleanable("too_large")
    picture = held.to_pillow()
    for key in ("exif", "xmp"):
        picture.info.pop(key, None)
    return picture


def _threads_may_start() -> bool:
    probe = threading.Thread(target=int)
    try:
        probe.start()
    except RuntimeError:
        return False
    probe.join()
    return True


def clean_picture(content: bytes, media_type: str, judges: Judges) -> DeidentifiedDocument:
    """The same pixels in a new file, without the words in them that identify."""
    budget = Budget(READING_S)
    pages = [clean_words(bare, judges, budget) for bare in frames_of(content, media_type)]
    encoded, kind, extension = _encoded([page.picture for page in pages], media_type)
    counts: dict[str, int] = {}
    for page in pages:
        for name, number in page.counts.items():
            counts[name] = counts.get(name, 0) + number
    looks = dict.fromkeys(look for page in pages for look in page.looks)
    read = any(page.read for page in pages)
    return DeidentifiedDocument(
        content=encoded,
        media_type=kind,
        extension=extension,
        text="\f".join(page.text for page in pages),
        pages=len(pages),
        report=DocumentReport(
            methods=(
                "turned upright",
                *(("read by OCR", "identifying text painted over") if read else ()),
                "decoded and encoded anew",
                "metadata not copied",
            ),
            counts=counts,
        ),
        look=tuple(DOCUMENT_LOOKS[look] for look in looks),
    )


def clean_embedded(
    content: bytes, media_type: str, judges: Judges, budget: Budget, *, text: str
) -> CleanPicture:
    """A picture that stands in another document, whose ``text`` tells its language: its first frame, cleaned."""
    for bare in frames_of(content, media_type):
        return clean_words(bare, judges, budget, text=text)
    raise NotCleanable("empty")


def frames_of(content: bytes, media_type: str) -> Iterator[Image.Image]:
    """Each picture of a file, upright and bare. Raises `NotCleanable`."""
    with opened_picture(content, media_type) as picture:
        frames = getattr(picture, "n_frames", 1)
        if picture.format == "MPO":  # a phone's second picture (depth, gain map) is not the photograph
            frames = 1
        if frames > 1 and media_type != "image/tiff":
            raise NotCleanable("moving")
        if frames > MAX_FRAMES:
            raise NotCleanable("too_long")
        pixels = 0
        for index in range(frames):
            if frames > 1:
                picture.seek(index)
            pixels += picture.width * picture.height
            if pixels > MAX_PIXELS:
                raise NotCleanable("too_large")
            yield _bare(picture)


def _bare(picture: Image.Image) -> Image.Image:
    """The pixels alone, upright, in a colour space that every viewer assumes."""
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    coloured = _opaque(_in_srgb(upright))
    bare = Image.new(coloured.mode, coloured.size)
    if coloured.mode == "P":
        palette = coloured.getpalette("RGB")
        if palette:
            bare.putpalette(palette, "RGB")
    bare.paste(coloured)
    return bare


def _opaque(picture: Image.Image) -> Image.Image:
    """Lay a transparent picture on white: what lies under transparent pixels cannot be seen and must not leave."""
    if picture.mode not in ("RGBA", "LA"):
        return picture
    paper = Image.new("RGBA", picture.size, "white")
    laid = Image.alpha_composite(paper, picture.convert("RGBA"))
    return laid.convert("L" if picture.mode == "LA" else "RGB")


def _in_srgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "RGBA", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = "L" if picture.mode == "L" else "RGBA" if picture.mode == "RGBA" else "RGB"
            if picture.mode != "L":
                converted = ImageCms.profileToProfile(
                    picture, source, ImageCms.createProfile("sRGB"), outputMode=target
                )
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile says nothing about colours: the pixels stand for themselves
    if picture.mode == "P" and "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "PA", "La", "RGBa"):
        return picture.convert("RGBA" if picture.mode in ("PA", "La", "RGBa") else "RGB")
    return picture


def _encoded(frames: list[Image.Image], media_type: str) -> tuple[bytes, str, str]:
    out = io.BytesIO()
    first = frames[0]
    if media_type in ("image/jpeg", "image/heic"):
        first.convert("L" if first.mode == "L" else "RGB").save(out, "JPEG", quality=92, subsampling=0)
        return out.getvalue(), "image/jpeg", ".jpg"
    if media_type == "image/tiff":
        options: dict[str, Any] = {"compression": "tiff_adobe_deflate"}
        if len(frames) > 1:
            options |= {"save_all": True, "append_images": frames[1:]}
        first.save(out, "TIFF", **options)
        return out.getvalue(), "image/tiff", ".tif"
    if first.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        first = first.convert("RGB")
    first.save(out, "PNG", compress_level=4)
    return out.getvalue(), "image/png", ".png"


def picture_preview(content: bytes, media_type: str, page: int, max_side: int) -> bytes:
    """A PNG of one picture, no side longer than ``max_side``."""
    with opened_picture(content, media_type) as picture:
        if page and getattr(picture, "n_frames", 1) > page:
            picture.seek(page)
        if picture.width * picture.height > MAX_PIXELS:
            raise NotCleanable("too_large")
        shown = eight_bits(_bare(picture)).convert("RGB")
        shown.thumbnail((max_side, max_side))
        out = io.BytesIO()
        shown.save(out, "PNG")
        return out.getvalue()
