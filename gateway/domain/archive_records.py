"""The records of a ZIP file, decoded one by one: the end, the directory's, the extra fields; each checked by itself.

Structures after PKWARE APPNOTE 6.3.10. How the records must agree with one another is told in ``archive``.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.archive_names import decode_name
from gateway.domain.archive_refusal import ArchiveRefusedError

_END = struct.Struct("<IHHHHIIH")  # APPNOTE 4.3.16
_END_64 = struct.Struct("<IQHHIIQQQQ")  # 4.3.14
_LOCATOR_64 = struct.Struct("<IIQI")  # 4.3.15
_CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")  # 4.3.12, time and date as one
_END_MARK, _LOCATOR_MARK, _LOCAL_MARK = b"PK\5\6", b"PK\6\7", b"PK\3\4"
_LIMIT_16, _LIMIT_32 = 0xFFFF, 0xFFFFFFFF
ENCRYPTED, STREAMED, PATCHED, UTF8 = 0x2041, 0x0008, 0x0020, 0x0800  # 4.4.4: bits 0, 6 and 13; 3; 5; 11
STORED, DEFLATED = 0, 8  # 4.4.5
_AES = 99
_VERSION = 63  # 4.4.3.2: the newest there is; the upper byte is of no meaning here
_ZIP64_EXTRA, _PKWARE_UNIX, _ASI_UNIX = 0x0001, 0x000D, 0x756E
_PKWARE_UNIX_FIXED, _ASI_FIXED = 12, 14
Extras = list[tuple[int, bytes]]


class SeekableFile(Protocol):
    """What is read from: any binary file, in memory, on disk or sealed."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True, kw_only=True)
class ListedEntry:
    """One record of the directory, before its name was checked and its local header read."""

    number: int
    name: str
    raw_name: bytes
    is_directory: bool
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    offset: int


def read_at(file: SeekableFile, offset: int, length: int) -> bytes:
    file.seek(offset)
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            raise ArchiveRefusedError("cut_short")
        data += more
    return data


def find_directory(file: SeekableFile, size: int) -> tuple[int, int, int]:
    """Return the number of entries, and where the directory lies and how long it is."""
    if size < _END.size:
        raise ArchiveRefusedError("not_an_archive")
    tail_start = max(0, size - _END.size - _LIMIT_16)
    tail = read_at(file, tail_start, size - tail_start)
    end = tail_start + _find_end(tail, starts_as_archive=read_at(file, 0, 4) == _LOCAL_MARK)
    _, disk, start_disk, here, count, length, start, _ = _END.unpack_from(tail, end - tail_start)
    directory_end = end
    locator_at = end - _LOCATOR_64.size
    locator = read_at(file, locator_at, _LOCATOR_64.size) if locator_at >= _END_64.size else b""
    if locator[:4] == _LOCATOR_MARK:
        directory_end = locator_at - _END_64.size
        wide = _read_end_64(read_at(file, directory_end, _END_64.size), locator, directory_end)
        limits_of_fields = (_LIMIT_16, _LIMIT_16, _LIMIT_32, _LIMIT_32)
        for narrow, full, limit in zip((here, count, length, start), wide, limits_of_fields, strict=True):
            if narrow not in {full, limit}:
                raise ArchiveRefusedError("zip64")
        here, count, length, start = wide
    elif count == _LIMIT_16 or _LIMIT_32 in (length, start):
        raise ArchiveRefusedError("zip64")
    if disk not in {0, _LIMIT_16} or start_disk not in {0, _LIMIT_16} or here != count:
        raise ArchiveRefusedError("split")
    if start + length != directory_end:
        raise ArchiveRefusedError("bytes_in_front" if start + length < directory_end else "broken")
    if count == 0:
        raise ArchiveRefusedError("bytes_in_front" if start else "empty")
    return count, start, length


def _find_end(tail: bytes, *, starts_as_archive: bool) -> int:
    """Return where the end record stands in the last 64 KiB: the one whose comment reaches the file's last byte."""
    found, marks = [], []
    place = tail.find(_END_MARK)
    while place >= 0:
        marks.append(place)
        if place + _END.size <= len(tail):
            comment = int.from_bytes(tail[place + 20 : place + 22], "little")
            if place + _END.size + comment == len(tail):
                found.append(place)
        place = tail.find(_END_MARK, place + 1)
    if not found:
        if marks:
            raise ArchiveRefusedError("bytes_behind")
        raise ArchiveRefusedError("cut_short" if starts_as_archive else "not_an_archive")
    if len(found) > 1 or marks[-1] != found[0]:
        raise ArchiveRefusedError("two_ends")
    return found[0]


def _read_end_64(record: bytes, locator: bytes, place: int) -> tuple[int, int, int, int]:
    _, locator_disk, offset, disks = _LOCATOR_64.unpack(locator)
    mark, length, _, _, disk, start_disk, here, count, directory_bytes, start = _END_64.unpack(record)
    # 4.3.14.1: the length leaves out the first 12 bytes; more than that is data that some programs skip.
    if mark != 0x06064B50 or length != _END_64.size - 12 or offset != place:
        raise ArchiveRefusedError("zip64")
    if locator_disk or disk or start_disk or disks > 1:
        raise ArchiveRefusedError("split")
    return here, count, directory_bytes, start


def read_record(directory: bytes, place: int, number: int) -> tuple[ListedEntry, int]:
    """Return one record of the directory (4.3.12) and where the next one begins."""
    if place + _CENTRAL.size > len(directory):
        raise ArchiveRefusedError("broken", entry_number=number)
    (mark, _, version, flags, method, _, crc, packed, size, name_bytes, extra_bytes, comment_bytes, disk, _, attributes,
     offset) = _CENTRAL.unpack_from(directory, place)  # fmt: skip
    name_at = place + _CENTRAL.size
    extra_at = name_at + name_bytes
    following = extra_at + extra_bytes + comment_bytes
    if mark != 0x02014B50 or following > len(directory):
        raise ArchiveRefusedError("broken", entry_number=number)
    extras = read_extras(directory[extra_at : extra_at + extra_bytes], number)
    size, packed, offset = widen(extras, (size, packed, offset), number)
    if flags & ENCRYPTED or method == _AES:
        raise ArchiveRefusedError("encrypted", entry_number=number)
    if method not in {STORED, DEFLATED} or flags & PATCHED or version & 0xFF > _VERSION:
        raise ArchiveRefusedError("method", entry_number=number)
    if disk:
        raise ArchiveRefusedError("split", entry_number=number)
    raw_name = directory[name_at:extra_at]
    name = decode_name(raw_name, flags, extras)
    is_directory = raw_name.endswith(b"/")
    _refuse_links(attributes >> 16, extras, is_directory=is_directory, number=number)
    record = ListedEntry(
        number=number,
        name=name,
        raw_name=raw_name,
        is_directory=is_directory,
        flags=flags,
        method=method,
        crc32=crc,
        compressed_bytes=packed,
        size_bytes=size,
        offset=offset,
    )
    return record, following


def read_extras(block: bytes, number: int) -> Extras:
    """Return the extra fields (4.5.1), which must fill their block to the last byte."""
    extras: Extras = []
    place = 0
    while place < len(block):
        if place + 4 > len(block):
            raise ArchiveRefusedError("broken", entry_number=number)
        kind, length = struct.unpack_from("<HH", block, place)
        place += 4 + length
        if place > len(block):
            raise ArchiveRefusedError("broken", entry_number=number)
        extras.append((kind, block[place - length : place]))
    return extras


def widen(extras: Extras, fields: Sequence[int], number: int) -> Sequence[int]:
    """Return the fields with those that do not fit in 32 bits taken from the ZIP64 extra field (4.5.3)."""
    if not extras and _LIMIT_32 not in fields:
        return fields
    wide = [data for kind, data in extras if kind == _ZIP64_EXTRA]
    missing = [index for index, value in enumerate(fields) if value == _LIMIT_32]
    if not wide and not missing:
        return fields
    if len(wide) != 1 or len(wide[0]) != 8 * len(missing):
        raise ArchiveRefusedError("zip64", entry_number=number)
    widened = list(fields)
    for index, value in zip(missing, struct.unpack(f"<{len(missing)}Q", wide[0]), strict=True):
        widened[index] = value
    return widened


def _refuse_links(mode: int, extras: Extras, *, is_directory: bool, number: int) -> None:
    kind = stat.S_IFMT(mode)
    expected = stat.S_IFDIR if is_directory else stat.S_IFREG
    if kind not in {0, expected}:
        raise ArchiveRefusedError("link", entry_number=number)
    for extra, data in extras:
        # Both hold the target of a link behind their fixed part (APPNOTE 4.5.7; Info-ZIP extrafld.txt).
        if extra == _PKWARE_UNIX and len(data) > _PKWARE_UNIX_FIXED:
            raise ArchiveRefusedError("link", entry_number=number)
        if extra == _ASI_UNIX and (
            len(data) > _ASI_FIXED or stat.S_ISLNK(int.from_bytes(data[4:6], "little"))
        ):
            raise ArchiveRefusedError("link", entry_number=number)
