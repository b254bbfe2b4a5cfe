"""The byte layout of a case package: a ZIP whose length, tag and every range are known before a member is opened.

Members are stored, not compressed (images hardly shrink, and a stored member can be entered at any byte), so the
archive is a pure function of names, sizes and checksums. ZIP64 records (PKWARE APPNOTE 6.3.10, 4.3.14, 4.5.3) appear
only where a field would not fit, because the archive tools of desktops open plain ZIP everywhere and ZIP64 almost
everywhere. What the members hold, and whether they may be given away, is not known here.
"""

from __future__ import annotations

import hashlib
import struct
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.domain.errors import InvalidError, UnavailableError

_LIMIT_16 = 0xFFFF
_LIMIT_32 = 0xFFFFFFFF
_LOCAL = struct.Struct("<IHHHHHIIIHH")  # 4.3.7
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12
_END = struct.Struct("<IHHHHIIH")  # 4.3.16
_END_64 = struct.Struct("<IQHHIIQQQQ")  # 4.3.14
_LOCATOR_64 = struct.Struct("<IIQI")  # 4.3.15
_UTF8_NAMES = 0x0800  # 4.4.4, bit 11
_PLAIN, _ZIP64 = 20, 45  # 4.4.3.2
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE_0644 = 0o100644 << 16
_TIME, _DATE = 0, 0x0021  # 1 January 1980, the first day there is: the package says nothing of when
_NAME_BYTES = 1024

MemberOpener = Callable[[int, int, int], Iterator[bytes]]


class PackageError(InvalidError):
    """The package cannot be laid out from these members."""

    next_step = "Build the release again; if it happens twice, report the release number to the operator."


class MemberMismatchError(UnavailableError):
    """A member gave more or fewer bytes than the manifest says; the transfer was cut before a false byte."""

    next_step = "Start the download again; if it happens twice, the operator should run `consilium doctor`."


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageEntry:
    """One member: its name in the archive, its exact size and the CRC-32 of its bytes."""

    name: str
    size_bytes: int
    crc32: int

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if any(part in {"", ".", ".."} for part in parts) or any(
            c in "\\:\0" or ord(c) < 32 for c in self.name
        ):
            raise PackageError("a member's name is no plain relative path")
        if len(self.name.encode()) > _NAME_BYTES:
            raise PackageError(f"a member's name is longer than {_NAME_BYTES} bytes")
        if self.size_bytes < 0 or not 0 <= self.crc32 <= _LIMIT_32:
            raise PackageError("a member's size or checksum is out of range")


class PackageLayout:
    """Where every byte of the package comes from.

    Attributes
    ----------
    total_bytes : int
        The exact length: what ``Content-Length`` says.
    etag : str
        A strong validator (RFC 9110 8.8.3) with its quotes, from the names, sizes and checksums in their order.
    """

    def __init__(self, entries: Sequence[PackageEntry]) -> None:
        """Lay out the entries in the order given; two names that a desktop would take for one are refused."""
        self._entries = tuple(entries)
        _refuse_clashes(self._entries)
        tag = hashlib.sha256(b"consilium package 1\0")
        # Parts are numbered: a header and a body for each member, a directory record for each, and the end.
        self._local = array("Q")
        position = 0
        for entry in self._entries:
            self._local.append(position)
            position += len(_local_header(entry)) + entry.size_bytes
            name = entry.name.encode()
            tag.update(struct.pack("<IQI", len(name), entry.size_bytes, entry.crc32) + name)
        self._directory_start = position
        self._central = array("Q")
        for entry, offset in zip(self._entries, self._local, strict=True):
            self._central.append(position)
            position += len(_central_record(entry, offset))
        self._end_start = position
        self._end = _end_records(len(self._entries), self._directory_start, position - self._directory_start)
        self.total_bytes = position + len(self._end)
        self.etag = f'"{tag.hexdigest()}"'

    def read(self, start: int, end: int, open_member: MemberOpener) -> Iterator[bytes]:
        """Give the bytes from ``start`` up to, not including, ``end``.

        Only members that the range touches are opened, one after another; ``open_member(index, offset, length)``
        yields exactly those bytes of that member.

        Raises
        ------
        ValueError
            The range does not lie in the package (checked before the first byte).
        MemberMismatchError
            A member yields another number of bytes than was asked for.
        """
        if not 0 <= start <= end <= self.total_bytes:
            raise ValueError(f"bytes {start} to {end} do not lie in a package of {self.total_bytes}")
        return self._pieces(start, end, open_member)

    def _pieces(self, start: int, end: int, open_member: MemberOpener) -> Iterator[bytes]:
        yield from self._members(start, min(end, self._directory_start), open_member)
        yield from self._directory(start, min(end, self._end_start))
        if end > self._end_start:
            yield from _cut(self._end, self._end_start, start, end)

    def _members(self, start: int, end: int, open_member: MemberOpener) -> Iterator[bytes]:
        if start >= end:
            return
        for index in range(bisect_right(self._local, start) - 1, len(self._entries)):
            position = self._local[index]
            if position >= end:
                return
            entry = self._entries[index]
            header = _local_header(entry)
            yield from _cut(header, position, start, end)
            body = position + len(header)
            first, last = max(start, body), min(end, body + entry.size_bytes)
            if first < last:
                yield from _exactly(open_member(index, first - body, last - first), last - first)

    def _directory(self, start: int, end: int) -> Iterator[bytes]:
        first = max(start, self._directory_start)
        if first >= end:
            return
        for index in range(bisect_right(self._central, first) - 1, len(self._entries)):
            position = self._central[index]
            if position >= end:
                return
            yield from _cut(_central_record(self._entries[index], self._local[index]), position, start, end)


def _refuse_clashes(entries: Sequence[PackageEntry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        key = unicodedata.normalize("NFC", entry.name.casefold())
        if key in seen:
            raise PackageError("two members have names that a desktop takes for one")
        seen.add(key)


def _cut(record: bytes, position: int, start: int, end: int) -> Iterator[bytes]:
    piece = record[max(start - position, 0) : max(end - position, 0)]
    if piece:
        yield piece


def _exactly(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    left = length
    for chunk in chunks:
        if len(chunk) > left:
            raise MemberMismatchError
        left -= len(chunk)
        yield chunk
    if left:
        raise MemberMismatchError


def _local_header(entry: PackageEntry) -> bytes:
    name = entry.name.encode()
    large = entry.size_bytes >= _LIMIT_32
    # 4.5.3: in a local header both sizes stand in the extra field, or none.
    extra = struct.pack("<HHQQ", 1, 16, entry.size_bytes, entry.size_bytes) if large else b""
    size = _LIMIT_32 if large else entry.size_bytes
    version = _ZIP64 if large else _PLAIN
    fixed = _LOCAL.pack(
        0x04034B50, version, _UTF8_NAMES, 0, _TIME, _DATE, entry.crc32, size, size, len(name), len(extra)
    )
    return fixed + name + extra


def _central_record(entry: PackageEntry, offset: int) -> bytes:
    name = entry.name.encode()
    large, far = entry.size_bytes >= _LIMIT_32, offset >= _LIMIT_32
    values = [entry.size_bytes] * 2 * large + [offset] * far
    extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    size = _LIMIT_32 if large else entry.size_bytes
    version = _ZIP64 if values else _PLAIN
    fixed = _CENTRAL.pack(
        0x02014B50,
        _MADE_ON_UNIX | version,
        version,
        _UTF8_NAMES,
        0,
        _TIME,
        _DATE,
        entry.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _REGULAR_FILE_0644,
        _LIMIT_32 if far else offset,
    )
    return fixed + name + extra


def _end_records(count: int, start: int, size: int) -> bytes:
    records = b""
    if count >= _LIMIT_16 or start >= _LIMIT_32 or size >= _LIMIT_32:
        made_by = _MADE_ON_UNIX | _ZIP64
        records += _END_64.pack(0x06064B50, 44, made_by, _ZIP64, 0, 0, count, count, size, start)
        records += _LOCATOR_64.pack(0x07064B50, 0, start + size, 1)
    few = min(count, _LIMIT_16)
    return records + _END.pack(0x06054B50, 0, 0, few, few, min(size, _LIMIT_32), min(start, _LIMIT_32), 0)
