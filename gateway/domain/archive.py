"""Reading a received ZIP without trusting it: every structure is checked against every other before a byte is inflated.

Implements PKWARE APPNOTE 6.3.10 for what desktops write (stored, deflated, ZIP64, data descriptors) and refuses the
rest. The rule behind the checks: local headers, members, descriptors, directory and end must tile the file from its
first byte to its last with no gap and no overlap, and the directory must say what the local headers say, so that no
two programs can see two different archives in one file. Names are labels (``archive_names``); nothing is written.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.domain.archive_names import NameBook, NameRefusedError
from gateway.domain.archive_records import (
    DEFLATED,
    ENCRYPTED,
    PATCHED,
    STORED,
    STREAMED,
    UTF8,
    ListedEntry,
    SeekableFile,
    find_directory,
    read_at,
    read_extras,
    read_record,
    widen,
)
from gateway.domain.archive_refusal import REASONS, ArchiveRefusedError

__all__ = [
    "LIMITS",
    "REASONS",
    "Archive",
    "ArchiveEntry",
    "ArchiveLimits",
    "ArchiveRefusedError",
    "SeekableFile",
    "open_entry",
    "read_directory",
]

_LOCAL = struct.Struct("<IHHHIIIIHH")  # APPNOTE 4.3.7, time and date as one
_DESCRIPTORS = {
    12: "<III",
    16: "<4xIII",
    20: "<IQQ",
    24: "<4xIQQ",
}  # 4.3.9: with or without mark, 32 or 64 bits
_DESCRIPTOR_MARK = b"PK\7\10"
_MARKED_DESCRIPTORS = (16, 24)
_COMPARED_FLAGS = ENCRYPTED | STREAMED | PATCHED | UTF8
_DEFLATE_AT_MOST = 1040  # DEFLATE cannot do better than 1,032 to 1
_EMPTY_DEFLATE_BYTES = 2
_GUESS_BYTES = 64
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much is taken (security requirement F2, F3).

    The ratio is asked of a member from ``ratio_from_bytes`` on, and of all members together from
    ``total_ratio_from_bytes`` on: an empty slice of half a megabyte deflates by 1,000 and is no bomb.
    """

    entries: int = 50_000
    entry_bytes: int = 4 * 1024**3
    total_bytes: int = 20 * 1024**3
    ratio: int = 200
    ratio_from_bytes: int = 1024**2
    total_ratio_from_bytes: int = 16 * 1024**2
    directory_bytes: int = 16 * 1024**2
    depth: int = 2


LIMITS = ArchiveLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One member whose headers agree; the name is a label and is kept out of representations."""

    number: int
    name: str = field(repr=False)
    size_bytes: int
    is_directory: bool
    compressed_bytes: int
    deflated: bool
    crc32: int
    data_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The checked list of contents, in the order of the directory."""

    entries: tuple[ArchiveEntry, ...]

    @property
    def total_bytes(self) -> int:
        """The size of everything unpacked."""
        return sum(entry.size_bytes for entry in self.entries)


def read_directory(file: SeekableFile, *, limits: ArchiveLimits = LIMITS, depth: int = 1) -> Archive:
    """Check the whole structure and return what the archive holds.

    Parameters
    ----------
    file
        Binary and seekable; read only.
    limits
        What is taken at most.
    depth
        1 for what a person sent, 2 for an archive found in it.

    Raises
    ------
    ArchiveRefusedError
        With a code from ``REASONS``.
    """
    if depth > limits.depth:
        raise ArchiveRefusedError("too_deep")
    size = file.seek(0, 2)
    count, start, length = find_directory(file, size)  # (1) one end, no bytes behind it
    if count > limits.entries or length > limits.directory_bytes:
        raise ArchiveRefusedError("too_many")
    listed = _read_records(read_at(file, start, length), count, limits)  # (2) the list, by itself
    by_offset = sorted(listed, key=lambda record: record.offset)
    edges = [record.offset for record in by_offset] + [start]
    _refuse_overlaps(by_offset, edges)  # (3) from the list alone, before any member is visited
    entries = [  # (4) every local header, and that nothing lies between
        _match_local(file, record, following) for record, following in zip(by_offset, edges[1:], strict=True)
    ]
    return Archive(entries=tuple(sorted(entries, key=lambda entry: entry.number)))


def open_entry(file: SeekableFile, entry: ArchiveEntry) -> Iterator[bytes]:
    """Yield the member's bytes in pieces of at most 64 KiB, counting them as they come.

    The last piece is given only after the whole was found to have the size and the CRC-32 that the archive says.

    Raises
    ------
    ArchiveRefusedError
        ``sizes_differ``, ``damaged`` or ``cut_short``; what was yielded before must then be thrown away.
    """
    if entry.is_directory:
        return
    count, checksum, held = 0, 0, b""
    for piece in _inflated(file, entry) if entry.deflated else _stored(file, entry):
        count += len(piece)
        if count > entry.size_bytes:
            raise ArchiveRefusedError("sizes_differ", entry_number=entry.number)
        checksum = zlib.crc32(piece, checksum)
        if held:
            yield held
        held = piece
    if count != entry.size_bytes:
        raise ArchiveRefusedError("sizes_differ", entry_number=entry.number)
    if checksum != entry.crc32:
        raise ArchiveRefusedError("damaged", entry_number=entry.number)
    if held:
        yield held


def _stored(file: SeekableFile, entry: ArchiveEntry) -> Iterator[bytes]:
    for offset in range(0, entry.compressed_bytes, _CHUNK_BYTES):
        length = min(_CHUNK_BYTES, entry.compressed_bytes - offset)
        yield read_at(file, entry.data_offset + offset, length)


def _inflated(file: SeekableFile, entry: ArchiveEntry) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    place, end = entry.data_offset, entry.data_offset + entry.compressed_bytes
    pending = b""
    while not inflater.eof:
        if not pending and place < end:
            pending = read_at(file, place, min(_CHUNK_BYTES, end - place))
            place += len(pending)
        try:
            piece = inflater.decompress(pending, _CHUNK_BYTES)
        except zlib.error:
            raise ArchiveRefusedError("damaged", entry_number=entry.number) from None
        pending = inflater.unconsumed_tail
        if piece:
            yield piece
        elif not pending and place == end and not inflater.eof:
            raise ArchiveRefusedError("damaged", entry_number=entry.number)
    if inflater.unused_data or place < end:
        raise ArchiveRefusedError("gap", entry_number=entry.number)


def _read_records(directory: bytes, count: int, limits: ArchiveLimits) -> list[ListedEntry]:
    names, records, place, total, packed = NameBook(), [], 0, 0, 0
    for number in range(1, count + 1):
        try:
            record, place = read_record(directory, place, number)
            record.name = names.add(record.name, is_directory=record.is_directory)
        except NameRefusedError as refused:
            raise ArchiveRefusedError(str(refused), entry_number=number) from None
        total += record.size_bytes
        packed += record.compressed_bytes
        _check_sizes(record, limits)
        if total > limits.total_bytes:
            raise ArchiveRefusedError("too_large", entry_number=number)
        records.append(record)
    if place != len(directory):
        raise ArchiveRefusedError("broken")
    if total > limits.total_ratio_from_bytes and total > limits.ratio * packed:
        raise ArchiveRefusedError("ratio")
    return records


def _check_sizes(record: ListedEntry, limits: ArchiveLimits) -> None:
    size, packed = record.size_bytes, record.compressed_bytes
    if record.is_directory and (size or packed > _EMPTY_DEFLATE_BYTES):
        raise ArchiveRefusedError("folder_with_content", entry_number=record.number)
    if size > limits.entry_bytes:
        raise ArchiveRefusedError("entry_too_large", entry_number=record.number)
    if record.method == STORED and size != packed:
        raise ArchiveRefusedError("sizes_differ", entry_number=record.number)
    if size > limits.ratio_from_bytes and size > limits.ratio * packed:
        raise ArchiveRefusedError("ratio", entry_number=record.number)
    if size > _DEFLATE_AT_MOST * max(packed, 1):
        raise ArchiveRefusedError("ratio", entry_number=record.number)


def _refuse_overlaps(by_offset: Sequence[ListedEntry], edges: Sequence[int]) -> None:
    if edges[0] != 0:
        raise ArchiveRefusedError("bytes_in_front")
    for record, following in zip(by_offset, edges[1:], strict=True):
        if record.offset + _LOCAL.size + len(record.raw_name) + record.compressed_bytes > following:
            raise ArchiveRefusedError("overlap", entry_number=record.number)


def _match_local(file: SeekableFile, record: ListedEntry, following: int) -> ArchiveEntry:
    """Compare a local header with the directory, and see that the member ends where the next one begins."""
    number = record.number
    name_bytes = len(record.raw_name)
    head = read_at(
        file, record.offset, min(_LOCAL.size + name_bytes + _GUESS_BYTES, following - record.offset)
    )
    mark, _, flags, method, _, crc, packed, size, local_name_bytes, extra_bytes = _LOCAL.unpack_from(head)
    extra_at = _LOCAL.size + name_bytes
    same_name = local_name_bytes == name_bytes and head[_LOCAL.size : extra_at] == record.raw_name
    same_flags = flags & _COMPARED_FLAGS == record.flags & _COMPARED_FLAGS
    if mark != 0x04034B50 or not same_name or not same_flags or method != record.method:
        raise ArchiveRefusedError("headers_differ", entry_number=number)
    data_offset = record.offset + extra_at + extra_bytes
    data_end = data_offset + record.compressed_bytes
    if data_end > following:
        raise ArchiveRefusedError("overlap", entry_number=number)
    if extra_bytes > len(head) - extra_at:
        head = read_at(file, record.offset, extra_at + extra_bytes)
    size, packed = widen(read_extras(head[extra_at : extra_at + extra_bytes], number), (size, packed), number)
    truth = (record.crc32, record.compressed_bytes, record.size_bytes)
    if flags & STREAMED:
        # 4.4.4: zero here and true behind the data; some writers tell the truth in both places.
        if any(told not in {0, true} for told, true in zip((crc, packed, size), truth, strict=True)):
            raise ArchiveRefusedError("headers_differ", entry_number=number)
        _match_descriptor(file, data_end, following - data_end, truth, number)
    elif (crc, packed, size) != truth:
        raise ArchiveRefusedError("headers_differ", entry_number=number)
    elif data_end != following:
        raise ArchiveRefusedError("gap", entry_number=number)
    return ArchiveEntry(
        number=number,
        name=record.name,
        size_bytes=record.size_bytes,
        is_directory=record.is_directory,
        compressed_bytes=record.compressed_bytes,
        deflated=record.method == DEFLATED,
        crc32=record.crc32,
        data_offset=data_offset,
    )


def _match_descriptor(
    file: SeekableFile, place: int, length: int, truth: tuple[int, int, int], number: int
) -> None:
    if length not in _DESCRIPTORS:
        raise ArchiveRefusedError("gap", entry_number=number)
    data = read_at(file, place, length)
    if length in _MARKED_DESCRIPTORS and data[:4] != _DESCRIPTOR_MARK:
        raise ArchiveRefusedError("gap", entry_number=number)
    if struct.unpack(_DESCRIPTORS[length], data) != truth:
        raise ArchiveRefusedError("headers_differ", entry_number=number)
