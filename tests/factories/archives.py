"""ZIP files forged byte by byte, honest unless told otherwise: for tests of everything that opens an archive."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

STORED, DEFLATED = 0, 8
UTF8, STREAMED, ENCRYPTED = 0x0800, 0x0008, 0x0001
_LOCAL = ("mark version flags method time date crc packed size name_length extra_length", "<IHHHHHIIIHH")
_CENTRAL_FIELDS = (
    "mark made version flags method time date crc packed size name_length extra_length comment_length disk internal "
    "external offset"
)
_CENTRAL = (_CENTRAL_FIELDS, "<IHHHHHHIIIHHHHHII")
_END = ("mark disk start_disk here count length start comment_length", "<IHHHHIIH")
_END_64 = ("mark record made version disk start_disk here count length start", "<IQHHIIQQQQ")
_LOCATOR = ("mark disk offset disks", "<IIQI")


def _pack(layout: tuple[str, str], values: Mapping[str, int], lies: Mapping[str, int]) -> bytes:
    names = layout[0].split()
    return struct.pack(layout[1], *(lies.get(name, values.get(name, 0)) for name in names))


def deflate(data: bytes) -> bytes:
    """Raw DEFLATE, as a ZIP member holds it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member; ``local`` and ``central`` hold the header fields that shall say something else."""

    name: bytes = b"a.txt"
    data: bytes = b"hello, desk"
    packed: bytes | None = None
    method: int = STORED
    flags: int = 0
    mode: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    descriptor: bytes = b""
    gap: bytes = b""
    local: Mapping[str, int] = field(default_factory=dict)
    central: Mapping[str, int] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes as they lie in the archive."""
        if self.packed is not None:
            return self.packed
        return deflate(self.data) if self.method == DEFLATED else self.data


def streamed(member: Member, layout: str = "<4sIII") -> Member:
    """The member as a writer leaves it that cannot seek: zeros in front, the truth behind."""
    truth = (zlib.crc32(member.data), len(member.body()), len(member.data))
    descriptor = struct.pack(layout, b"PK\7\10", *truth) if "s" in layout else struct.pack(layout, *truth)
    zeros = {"crc": 0, "packed": 0, "size": 0}
    return replace(
        member, flags=member.flags | STREAMED, descriptor=descriptor, local={**zeros, **member.local}
    )


def forge(
    members: Sequence[Member],
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    before_end: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
    zip64: bool = False,
    end: Mapping[str, int] | None = None,
    end_64: Mapping[str, int] | None = None,
    locator: Mapping[str, int] | None = None,
) -> bytes:
    """Lay members, directory and end one after another; what is given between them is put in as it is."""
    output = bytearray(prefix)
    directory = bytearray()
    for member in members:
        body = member.body()
        values: dict[str, Any] = {
            "version": 20, "flags": member.flags, "method": member.method, "date": 0x21,
            "crc": zlib.crc32(member.data), "packed": len(body), "size": len(member.data),
            "offset": len(output), "made": (3 << 8) | 20, "external": member.mode << 16,
        }  # fmt: skip
        name = member.name if member.local_name is None else member.local_name
        values |= {"mark": 0x04034B50, "name_length": len(name), "extra_length": len(member.local_extra)}
        output += _pack(_LOCAL, values, member.local) + name + member.local_extra
        output += body + member.descriptor + member.gap
        values |= {"mark": 0x02014B50, "name_length": len(member.name), "extra_length": len(member.extra)}
        directory += _pack(_CENTRAL, values, member.central) + member.name + member.extra
    output += before_directory
    values = {"count": len(members), "here": len(members), "length": len(directory), "start": len(output)}
    output += directory + before_end
    if zip64:
        wide = values | {"mark": 0x06064B50, "record": 44, "made": 45, "version": 45}
        offset = len(output)
        output += _pack(_END_64, wide, end_64 or {})
        output += _pack(_LOCATOR, {"mark": 0x07064B50, "offset": offset, "disks": 1}, locator or {})
    narrow = {
        name: min(value, 0xFFFF if name in {"count", "here"} else 0xFFFFFFFF)
        for name, value in values.items()
    }
    narrow |= {"mark": 0x06054B50, "comment_length": len(comment)}
    return bytes(output + _pack(_END, narrow, end or {}) + comment + suffix)


def zip64_extra(*values: int) -> bytes:
    """The ZIP64 extra field with these 64-bit values."""
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


def quoted_overlap(count: int, content: bytes) -> bytes:
    """Fifield's bomb: each member is a stored DEFLATE block that quotes the next one's header, all share one kernel."""
    kernel, kernel_bytes = deflate(content), len(content)
    crc = zlib.crc32(content)
    files = [(b"f%05d" % (count - 1), kernel, kernel_bytes)]
    stream, size, data = kernel, kernel_bytes, content
    locals_ = [struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 33, crc, len(kernel), kernel_bytes, 6, 0)]
    locals_[0] += files[0][0]
    whole = locals_[0] + kernel
    records = [(files[0][0], crc, len(stream), size, len(whole))]
    for number in range(count - 2, -1, -1):
        quoted = locals_[0]
        head = struct.pack("<BHH", 0, len(quoted), 0xFFFF ^ len(quoted)) + quoted
        stream, data = head + stream, quoted + data
        size = len(data)
        name = b"f%05d" % number
        local = (
            struct.pack(
                "<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 33, zlib.crc32(data), len(stream), size, len(name), 0
            )
            + name
        )
        locals_.insert(0, local)
        whole = local + struct.pack("<BHH", 0, len(quoted), 0xFFFF ^ len(quoted)) + whole
        records.insert(0, (name, zlib.crc32(data), len(stream), size, len(whole)))
    directory = b""
    for name, checksum, packed, unpacked, behind in records:
        directory += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 33, checksum, packed, unpacked, len(name), 0, 0, 0, 0, 0,
            len(whole) - behind,
        ) + name  # fmt: skip
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), len(whole), 0)
    return whole + directory + end
