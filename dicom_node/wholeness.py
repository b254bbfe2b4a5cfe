"""Notices a data set that ends in the middle of an element while it streams by; it changes nothing and keeps nothing.

A sender that loses its disk or its patience may send the front of an object as if it were all of it (PS3.5 7.1 gives each value a
length). Success for that would have it deleted. What cannot be followed (an unknown encoding, damage of another kind) is let
pass unjudged: refusing odd objects is not the point, refusing half ones is.
"""

from __future__ import annotations

import struct

from dicom_node.contexts import encoding_of
from dicom_node.elements import ITEM_END, SEQUENCE_END, SHORT_VR, UNDEFINED
from dicom_node.errors import DataSetCut
from dicom_node.head import looks_explicit
from dicom_node.receiver import ReadableStream

_MAX_DEPTH = 64
_LITTLE = (struct.Struct("<HHI"), struct.Struct("<HH2sH"), struct.Struct("<I"))
_BIG = (struct.Struct(">HHI"), struct.Struct(">HH2sH"), struct.Struct(">I"))


class WholeDataSet:
    """A stream that raises `DataSetCut` instead of ending inside an element; reads like the stream that it wraps.

    Parameters
    ----------
    stream
        The data set from its first byte, as encoded in `transfer_syntax_uid`.
    """

    def __init__(self, stream: ReadableStream, transfer_syntax_uid: str) -> None:
        self._stream = stream
        encoding = encoding_of(transfer_syntax_uid)
        self._plain, self._typed, self._long = _BIG if encoding == "big" else _LITTLE
        self._follows = encoding != "deflated"
        self._skip = 0
        self._held = bytearray()  # a header that is not whole yet
        self._is_declared_explicit = encoding != "implicit"
        self._levels: list[bool] = []  # explicit or not: the data set, then each open sequence or item
        self._tag = 0

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill `buffer` as the stream does."""
        got = self._stream.readinto(buffer)
        self._pass(memoryview(buffer)[:got], wanted=len(buffer))
        return got

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes as the stream does."""
        piece = self._stream.read(size)
        self._pass(memoryview(piece), wanted=size if size >= 0 else len(piece) + 1)
        return piece

    def _pass(self, seen: memoryview, *, wanted: int) -> None:
        if self._follows:
            self._walk(seen)
        if len(seen) < wanted and self._follows and (self._skip or self._held or len(self._levels) > 1):
            raise DataSetCut(self._tag)

    def _walk(self, seen: memoryview) -> None:
        at, end = 0, len(seen)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            if not self._held and end - at >= 12:
                size = self._header(seen, at)
                at += size
            else:  # at the edge of two reads
                self._held.append(seen[at])
                at += 1
                size = self._header(self._held, 0) if len(self._held) >= 8 else 0
                if size:
                    self._held.clear()
            if not self._follows:
                return

    def _header(self, data: bytearray | memoryview, at: int) -> int:
        """Take one element header; return its length, or 0 where four more bytes are needed."""
        if not self._levels:  # some senders declare one VR encoding and write the other
            self._levels.append(looks_explicit(bytes(data[at : at + 8]), expected=self._is_declared_explicit))
        group, element, length = self._plain.unpack_from(data, at)
        tag, vr, size = group << 16 | element, b"", 8
        if self._levels[-1] and group != 0xFFFE:
            _, _, vr, length = self._typed.unpack_from(data, at)
            if vr not in SHORT_VR:
                if not (vr.isalpha() and vr.isupper()):
                    self._follows = False
                    return size
                if len(data) - at < 12:
                    return 0
                length, size = self._long.unpack_from(data, at + 8)[0], 12
        self._tag = tag
        if tag in (ITEM_END, SEQUENCE_END):
            self._close()
        elif length != UNDEFINED:
            self._skip = length
        elif len(self._levels) > _MAX_DEPTH:
            self._follows = False
        else:  # UN of undefined length holds implicit little endian (PS3.5 6.2.2 note 5)
            self._levels.append(self._levels[-1] and vr != b"UN")
        return size

    def _close(self) -> None:
        if len(self._levels) == 1:
            self._follows = False
        else:
            self._levels.pop()
