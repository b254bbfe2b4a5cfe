"""Cleans a photograph: turns it upright, decodes it and encodes the pixels anew; words visible in it are left to a human.

What is not pixels (EXIF, XMP, IPTC, ICC text, comments, thumbnails, further pictures, trailing bytes) is never copied.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from anonymizer.documents.values import DeidentifiedDocument, DocumentReport, NotCleanable

MAX_PIXELS = 200_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
MAX_FRAMES = 200
#: Which reader may open which kind: Pillow guesses no further than this.
_READERS = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/tiff": ("TIFF",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
    "image/jp2": ("JPEG2000",),
}
PICTURES = frozenset(_READERS)
LOOK = "It is a picture. Words that can be seen in it were not read by machine: look for names, numbers and faces."
_BROKEN = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    EOFError,
    IndexError,
)
_BROKEN_TOO = (KeyError, TypeError, OverflowError, MemoryError, AttributeError, NotImplementedError)


@contextmanager
def _opened(content: bytes, media_type: str) -> Iterator[Image.Image]:
    """Open a picture with the one reader of its kind; every way to be broken is one verdict."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_READERS[media_type]) as picture:
                yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotCleanable("too_large") from error
    except NotCleanable:
        raise
    except (*_BROKEN, *_BROKEN_TOO) as error:
        raise NotCleanable("unreadable") from error


def clean_picture(content: bytes, media_type: str) -> DeidentifiedDocument:
    """The same pixels in a new file."""
    with _opened(content, media_type) as picture:
        frames = getattr(picture, "n_frames", 1)
        if picture.format == "MPO":  # a phone's second picture (depth, gain map) is not the photograph
            frames = 1
        if frames > 1 and media_type != "image/tiff":
            raise NotCleanable("moving")
        if frames > MAX_FRAMES:
            raise NotCleanable("too_long")
        pixels = 0
        clean: list[Image.Image] = []
        for index in range(frames):
            if frames > 1:
                picture.seek(index)
            pixels += picture.width * picture.height
            if pixels > MAX_PIXELS:
                raise NotCleanable("too_large")
            clean.append(_bare(picture))
        encoded, kind, extension = _encoded(clean, media_type)
    return DeidentifiedDocument(
        content=encoded,
        media_type=kind,
        extension=extension,
        text="",
        pages=len(clean),
        report=DocumentReport(
            methods=("turned upright", "decoded and encoded anew", "metadata not copied"), counts={}
        ),
        look=(LOOK,),
    )


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
    if media_type == "image/jpeg":
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
    with _opened(content, media_type) as picture:
        if page and getattr(picture, "n_frames", 1) > page:
            picture.seek(page)
        if picture.width * picture.height > MAX_PIXELS:
            raise NotCleanable("too_large")
        upright = _bare(picture)
        if upright.mode.startswith(("I", "F")):
            low, high = upright.getextrema()
            span = max(float(high) - float(low), 1.0)  # type: ignore[arg-type]  # one band has one pair
            upright = upright.convert("F").point(lambda value: (value - float(low)) * 255 / span)  # type: ignore[arg-type]
        shown = upright.convert("RGB")
        shown.thumbnail((max_side, max_side))
        out = io.BytesIO()
        shown.save(out, "PNG")
        return out.getvalue()
