"""Byte ranges (RFC 9110, section 14): at most one, decided before anything is read; a list of them is refused (F13)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"^bytes=\s*(\d{0,15})-(\d{0,15})\s*$", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """The part of ``size`` bytes that is answered; ``partial`` tells 206 from 200."""

    start: int
    length: int
    size: int
    partial: bool

    @property
    def content_range(self) -> str:
        """Return the value of the Content-Range header."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


class UnsatisfiableRangeError(Exception):
    """The range lies outside of what there is, or more than one was asked for: 416."""


def wanted_range(header: str | None, *, size: int, etag: str, if_range: str | None = None) -> ByteRange:
    """Work out which bytes to send.

    A ``Range`` that cannot be read is ignored, as the RFC asks; an ``If-Range`` that does not name the present
    strong ETag makes it the whole again (13.1.5), since what the visitor holds may be another version.

    Raises
    ------
    UnsatisfiableRangeError
        Nothing of the range exists, or the header lists several.
    """
    whole = ByteRange(start=0, length=size, size=size, partial=False)
    if header is None or (if_range is not None and if_range.strip() != etag):
        return whole
    if header.lower().startswith("bytes=") and "," in header:
        raise UnsatisfiableRangeError
    match = _ONE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return whole
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise UnsatisfiableRangeError
        return ByteRange(start=size - length, length=length, size=size, partial=True)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return whole
    if start >= size:
        raise UnsatisfiableRangeError
    return ByteRange(start=start, length=end - start + 1, size=size, partial=True)
