"""Refuses a PDF that cannot be drawn whole or that draws more than a true one: before anything of it is drawn.

References
----------
deidentification.md section 6; ISO 32000-2 8.10 (form XObjects).
"""

from __future__ import annotations

import io
import re
from itertools import islice
from typing import Any

import pikepdf

from anonymizer.documents.pdf_unfolded import refuse_bombs
from anonymizer.documents.values import NotCleanable

MAX_PAGES = 500
#: A page of small print holds some ten thousand letters, a map a hundred thousand strokes.
MAX_OBJECTS = 150_000
_MOST_NESTED = 30
_DO = re.compile(rb"\bDo\b")


def refuse_unfit(content: bytes) -> None:
    """Raise for what cannot be drawn whole: locked files, XFA forms, portfolios (deidentification.md section 6)."""
    refuse_bombs(content)
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            if pdf.is_encrypted:
                raise NotCleanable("encrypted")
            root = pdf.Root
            form = root.get("/AcroForm")
            if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
                raise NotCleanable("xfa")
            if "/Collection" in root:
                raise NotCleanable("portfolio")
            count = len(pdf.pages)
            if count <= MAX_PAGES and any(_draws(page.obj) > MAX_OBJECTS for page in pdf.pages):
                raise NotCleanable("too_large")
    except pikepdf.PasswordError as error:
        raise NotCleanable("encrypted") from error
    except (
        pikepdf.PdfError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        RecursionError,
        AttributeError,
    ) as error:
        raise NotCleanable("unreadable") from error
    if not count:
        raise NotCleanable("empty")
    if count > MAX_PAGES:
        raise NotCleanable("too_long")


def _draws(holder: Any, seen: dict[tuple[int, int], int] | None = None, depth: int = 0) -> int:
    """At most how many forms a page or a form draws, those within forms counted each time; a bound, not a count."""
    seen = {} if seen is None else seen
    resources = holder.get("/Resources")
    named = resources.get("/XObject") if isinstance(resources, pikepdf.Dictionary) else None
    if not isinstance(named, pikepdf.Dictionary):
        return 1
    if depth > _MOST_NESTED:
        return MAX_OBJECTS + 1
    most = 0
    for form in named.values():
        if not isinstance(form, pikepdf.Stream) or form.get("/Subtype") != "/Form":
            continue
        if form.objgen not in seen:
            seen[form.objgen] = 1  # a form that draws itself is drawn once by every reader
            seen[form.objgen] = _draws(form, seen, depth + 1)
        most = max(most, seen[form.objgen])
    # Only forms within forms multiply: the content of a page with plain ones need not be read.
    return 1 + (len(_DO.findall(_content(holder))) if most > 1 else 1) * most if most else 1


def _content(holder: Any) -> bytes:
    if isinstance(holder, pikepdf.Stream):
        return holder.read_bytes()
    content = holder.get("/Contents")
    parts = list(content) if isinstance(content, pikepdf.Array) else [content]
    return b" ".join(part.read_bytes() for part in parts if isinstance(part, pikepdf.Stream))


def bounded_objects(page: Any) -> list[Any]:
    """The objects of a page that pdfium has opened, with those in its forms. Raises `NotCleanable` for too many."""
    things = list(islice(page.get_objects(max_depth=8), MAX_OBJECTS + 1))
    if len(things) > MAX_OBJECTS:
        raise NotCleanable("too_large")
    return things
