"""Measures what the packed streams of a PDF unfold to, before any reader unfolds them into memory; it keeps nothing of them.

The dictionaries are not asked, since they may lie or stand in a packed stream themselves: each stream that begins as
zlib's do is unfolded in small pieces, and what comes out again, if that begins so, too.

References
----------
ISO 32000-2 7.3.8 (streams), 7.4.4 (FlateDecode); RFC 1950.
"""

from __future__ import annotations

import base64
import re
import zlib

from anonymizer.documents.values import NotCleanable

#: A page of A4 in colours at 600 dots an inch takes 104 MB; qpdf and pdfium hold a stream whole, and more than once.
MOST_BYTES = 320 << 20
_PIECE = 1 << 20
_MOST_WITHIN = 4
_START = re.compile(rb"stream[ \t]*[\r\n]{1,4}")
_ASCII_85 = re.compile(rb"(?:<~)?[!-uz\s]{40}")
_HEX = re.compile(rb"[0-9A-Fa-f\s]{40}")
_OVERLAP = 4
_FIRST = 1 << 14


def refuse_bombs(content: bytes) -> None:
    """Raise `NotCleanable` for a stream that unfolds to more than a page of a true document can hold."""
    # Streams do not overlap: files in which each swallows the rest of the file cost time without end.
    left = _OVERLAP * len(content) + MOST_BYTES
    end = 0
    for found in _START.finditer(content):
        start = found.end()
        if _is_zlib(content[start : start + 2]):
            left -= _measure(memoryview(content)[start:])
        elif end >= 0 and _ASCII_85.match(content, start):
            mark, unpacked = (b">", _from_hex) if _HEX.match(content, start) else (b"~>", _from_ascii)
            end = end if end > start else content.find(mark, start)
            left -= max(end - start, 0)
            if end > 0 <= left and _is_zlib((plain := unpacked(content[start:end]))[:2]):
                _measure(memoryview(plain))
        if left < 0:
            raise NotCleanable("too_large")


def _from_ascii(text: bytes) -> bytes:
    try:
        return base64.a85decode(text.removeprefix(b"<~"), adobe=False)
    except ValueError:
        return b""


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return b""


def _is_zlib(head: bytes) -> bool:
    """Deflate, and the two bytes a multiple of 31 (RFC 1950 2.2)."""
    return len(head) == 2 and head[0] & 15 == 8 and head[0] >> 4 < 8 and int.from_bytes(head, "big") % 31 == 0


class _Unfolding:
    """One layer of packing, fed in pieces; what comes out goes to the next layer if it is packed again."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._stream = zlib.decompressobj()
        self._within: _Unfolding | None = None
        self._bytes = 0
        self._head = b""
        self.over = False
        self.unused = 0

    def feed(self, piece: bytes | memoryview) -> None:
        rest: bytes | memoryview = piece
        while len(rest) and not self.over:
            try:
                plain = self._stream.decompress(rest, _PIECE)
            except zlib.error:
                self.over = True  # damaged, or no packing at all: readers unfold no further
                return
            rest = self._stream.unconsumed_tail
            if len(self._head) < 2:  # the first piece may be a single byte
                self._head += plain[: 2 - len(self._head)]
                if _is_zlib(self._head) and self._depth < _MOST_WITHIN:
                    self._within = _Unfolding(self._depth + 1)
                    plain = self._head[: self._bytes] + plain
            self._bytes += len(plain)
            if self._bytes > MOST_BYTES:
                raise NotCleanable("too_large")
            if self._within is not None:
                self._within.feed(plain)
            self.over = self._stream.eof
            self.unused = len(self._stream.unused_data)
            if not plain and not len(rest):
                return


def _measure(packed: memoryview) -> int:
    """Unfold it all, layer by layer; how many bytes of it were read."""
    unfolding = _Unfolding(0)
    at, size = 0, _FIRST
    while at < len(packed) and not unfolding.over:
        unfolding.feed(packed[at : at + size])
        at, size = at + size, min(size * 2, _PIECE)
    return min(at, len(packed)) - unfolding.unused
