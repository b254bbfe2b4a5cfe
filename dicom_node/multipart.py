"""A multipart/related body as parts that are read once, in constant memory; it knows neither HTTP nor what a part holds.

RFC 2046 5.1 (delimiters), RFC 2387 (multipart/related), PS3.18 8.6.1.2. Strict where two readers could differ: line ends
are CRLF, a delimiter's line holds nothing else, headers are not folded, and no part is encoded for transfer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dicom_node.errors import DicomNodeError, InstanceTooLarge, ProtocolViolation
from dicom_node.streams import ReadOnce

_CRLF, _BLANK_LINE, _DASHES = b"\r\n", b"\r\n\r\n", b"--"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 2046 allows 70 signs, and Orthanc's DICOMweb plugin writes 73.
_BOUNDARY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)"')
_BARE = re.compile(r"[^\s;\",\\\x00-\x1f\x7f]+")  # laxer than a token: senders write type=application/dicom
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_PADDING_BYTES = 256


class MediaTypeError(DicomNodeError):
    """The Content-Type cannot be understood: write it as multipart/related; type="application/dicom"; boundary=…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A media type with its parameters, names in lower case (RFC 9110 8.3.1)."""

    name: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How much of a body may be anything but the content of its parts."""

    max_parts: int = 50_000
    max_head_bytes: int = 8192
    max_head_lines: int = 32
    max_preamble_bytes: int = 65_536
    max_epilogue_bytes: int = 65_536


def media_type(text: str) -> MediaType:
    """Read a Content-Type; quoted and bare parameters are equal, one that is given twice is an error."""
    name, _, rest = text.partition(";")
    name = name.strip().lower()
    kind, slash, subtype = name.partition("/")
    if not (slash and _TOKEN.fullmatch(kind) and _TOKEN.fullmatch(subtype)):
        raise MediaTypeError
    found: dict[str, str] = {}
    at = 0
    while at < len(rest):
        if rest[at] in "; \t":
            at += 1
            continue
        token = _TOKEN.match(rest, at)
        if token is None or rest[token.end() : token.end() + 1] != "=":
            raise MediaTypeError
        key, at = token[0].lower(), token.end() + 1
        value = _QUOTED.match(rest, at) or _BARE.match(rest, at)
        if value is None or key in found:
            raise MediaTypeError
        found[key] = re.sub(r"\\(.)", r"\1", value[1]) if rest[at] == '"' else value[0]
        at = value.end()
        if at < len(rest) and rest[at] not in "; \t":
            raise MediaTypeError
    return MediaType(name=name, parameters=found)


def boundary_of(kind: MediaType) -> bytes:
    """Return the boundary of a multipart type: 1 to 128 printable signs, not ending in a space (RFC 2046 5.1.1)."""
    boundary = kind.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MediaTypeError("the boundary is missing, or is not 1 to 128 printable characters")
    return boundary.encode("ascii")


class PartStream(ReadOnce):
    """The content of one part; ``cap_bytes`` may be lowered before reading."""

    def __init__(self, some: Callable[[memoryview], int]) -> None:
        super().__init__()
        self._source = some
        self.cap_bytes: int | None = None

    def _some(self, target: memoryview, /) -> int:
        if self.ended:
            return 0
        got = self._source(target)
        self.ended = got == 0
        if self.cap_bytes is not None and self.received_bytes + got > self.cap_bytes:
            self.received_bytes += got
            raise InstanceTooLarge(f"the instance is larger than {self.cap_bytes} bytes")
        return got

    def drain(self) -> None:
        """Throw the rest away, an object that was too large included, so that the next part can be read."""
        self.cap_bytes = None
        if isinstance(self.broken, InstanceTooLarge):
            self.broken = None
        scrap = memoryview(bytearray(65_536))
        while not self.ended:
            self.readinto(scrap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its headers, names in lower case, and its content."""

    headers: Mapping[str, str]
    content: PartStream


class MultipartBody:
    """Reads one body; used by one thread.

    Parameters
    ----------
    source
        Gives the next bytes of the body, none at its end, and blocks until it has some. What it raises passes through.
    """

    def __init__(
        self, source: Callable[[], bytes], *, boundary: bytes, limits: BodyLimits | None = None
    ) -> None:
        self._source = source
        self._limits = limits or BodyLimits()
        self._delimiter = _CRLF + _DASHES + boundary
        # The first delimiter may stand at the very start, without a line end before it.
        self._held, self._at = _CRLF, 0
        self._clear, self._found = 0, False
        self._open: PartStream | None = None
        self.parts = 0
        self.closed = False

    def next_part(self) -> Part | None:
        """Return the next part, the one before it thrown away as far as it was not read; None behind the last.

        Raises
        ------
        ProtocolViolation
            The body is not well formed; nothing more can be read from it.
        """
        if self.closed:
            return None
        if self._open is None:
            self._skip_preamble()
        else:
            self._open.drain()
        self._at = self._clear + len(self._delimiter)
        if self._need(2) == _DASHES:
            self.closed = True
            return None
        self._end_of_delimiter_line()
        headers = self._headers()
        self.parts += 1
        if self.parts > self._limits.max_parts:
            raise ProtocolViolation(f"more than {self._limits.max_parts} parts")
        self._scan()
        self._open = PartStream(self._some)
        return Part(headers=headers, content=self._open)

    def skip_epilogue(self) -> None:
        """Read what stands behind the last delimiter, and refuse to read on and on."""
        left = self._limits.max_epilogue_bytes - (len(self._held) - self._at)
        while left >= 0 and (piece := self._source()):
            left -= len(piece)
        if left < 0:
            raise ProtocolViolation("too much stands behind the last part")

    def _skip_preamble(self) -> None:
        self._scan()
        passed = self._clear
        while not self._found and passed <= self._limits.max_preamble_bytes:
            self._at = self._clear
            self._more()
            self._scan()
            passed += self._clear
        if passed > self._limits.max_preamble_bytes + len(_CRLF):
            raise ProtocolViolation("the first delimiter does not come")

    def _some(self, target: memoryview) -> int:
        """Copy some bytes of the open part; 0 when its delimiter is reached."""
        while self._at == self._clear:
            if self._found:
                return 0
            self._more()
            self._scan()
        got = min(len(target), self._clear - self._at)
        target[:got] = memoryview(self._held)[self._at : self._at + got]
        self._at += got
        return got

    def _scan(self) -> None:
        """Find how far the held bytes are certainly content: up to the delimiter, or to what may become one."""
        held, delimiter = self._held, self._delimiter
        where = held.find(delimiter, self._at)
        self._found = where >= 0
        if where < 0:
            where = held.find(b"\r", max(self._at, len(held) - len(delimiter) + 1))
            while where >= 0 and not delimiter.startswith(held[where:]):
                where = held.find(b"\r", where + 1)
        self._clear = where if where >= 0 else len(held)

    def _more(self) -> None:
        piece = self._source()
        if not piece:
            raise ProtocolViolation("the body ends before its last delimiter")
        self._held = self._held[self._at :] + piece if self._at < len(self._held) else piece
        self._clear -= self._at
        self._at = 0

    def _need(self, size: int) -> bytes:
        while len(self._held) - self._at < size:
            self._more()
        return self._held[self._at : self._at + size]

    def _end_of_delimiter_line(self) -> None:
        padding = 0
        while self._need(1) in b" \t":
            padding += 1
            if padding > _PADDING_BYTES:
                raise ProtocolViolation("a delimiter's line is too long")
            self._at += 1
        if self._need(2) != _CRLF:
            raise ProtocolViolation("something stands behind a delimiter on its line")

    def _headers(self) -> dict[str, str]:
        """Read the lines up to the blank one; the line end of the delimiter is still held, so no line is needed."""
        while (end := self._held.find(_BLANK_LINE, self._at)) < 0:
            if len(self._held) - self._at > self._limits.max_head_bytes:
                raise ProtocolViolation("the headers of a part are too long")
            self._more()
        block = self._held[self._at + 2 : end]
        if end - self._at > self._limits.max_head_bytes or self._delimiter in self._held[self._at : end + 2]:
            raise ProtocolViolation("the headers of a part are too long, or hold a delimiter")
        # The line end of the blank line might begin a delimiter: some readers would see no content here, others this line.
        self._at = end + 2
        if self._need(len(self._delimiter)) == self._delimiter:
            raise ProtocolViolation("a part has no blank line before its delimiter")
        self._at += 2
        lines = block.split(_CRLF) if block else []
        if len(lines) > self._limits.max_head_lines:
            raise ProtocolViolation("a part has too many headers")
        found: dict[str, str] = {}
        for line in lines:
            header = _HEADER.fullmatch(line)
            if header is None:
                raise ProtocolViolation("a header of a part is not well formed")
            name = header[1].decode("ascii").lower()
            if name in found:
                raise ProtocolViolation("a header of a part is given twice")
            found[name] = header[2].decode("latin-1").strip()
        return found
