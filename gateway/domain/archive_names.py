"""What a name inside a received archive may be: a label to show, never a path to write; deceiving ones are refused.

The rules are those of every desktop at once (POSIX, Windows, macOS), so that a name which is safe here stays safe
where a reviewer unpacks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from zlib import crc32

_UTF8_FLAG = 0x0800  # APPNOTE 4.4.4, bit 11
_UNICODE_PATH = 0x7075  # APPNOTE 4.6.9
_UNICODE_PATH_HEAD = 5  # version and CRC-32 of the plain name
NAME_BYTES = 1024
PART_BYTES = 255
DEPTH = 32
FOLDERS = 50_000
FOREIGN_CHARACTERS = 3_000_000  # in all names beyond ASCII together: composing them is what costs
_ACCENTS_IN_A_ROW = 8  # no script needs more; to compose a row costs its square (UAX #15, D4 allows 30)
_MARKS_BEGIN, _MARKS_END = 0x0300, 0x10000  # those beyond take four bytes each: a part cannot hold many

# Control signs, separators of lines, the backslash, and what turns a line round: «fdp.exe» is shown as «exe.pdf».
_UNSIGHTLY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\\\\\u202a-\u202e\u2066-\u2069]")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE_BEGINS = frozenset(("con", "prn", "aux", "nul", "clo", "com", "lpt"))
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:[.:].*)?",
    re.IGNORECASE,
)


@cache
def _accents() -> re.Pattern[str]:
    marks = "".join(chr(sign) for sign in range(_MARKS_BEGIN, _MARKS_END) if unicodedata.combining(chr(sign)))
    return re.compile(f"(?:^|[^{marks}])[{marks}]{{{_ACCENTS_IN_A_ROW + 1}}}")


class NameRefusedError(ValueError):
    """The name may not stand in an archive; the one argument is the code of the reason."""


def decode_name(raw: bytes, flags: int, extras: Iterable[tuple[int, bytes]]) -> str:
    """Return the name that the sender's desktop showed.

    UTF-8 where the flag says so; else the Info-ZIP Unicode path if its checksum fits; else UTF-8 where the bytes are
    that (macOS does not set the flag), and CP437 (APPNOTE D.1) for the rest.
    """
    if raw.isascii():
        return raw.decode("ascii")
    try:
        if flags & _UTF8_FLAG:
            return raw.decode("utf-8")
        for kind, data in extras:
            if kind == _UNICODE_PATH and data[:1] == b"\1" and data[1:5] == crc32(raw).to_bytes(4, "little"):
                return data[_UNICODE_PATH_HEAD:].decode("utf-8")
    except UnicodeDecodeError:
        raise NameRefusedError("name_encoding") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def checked_name(name: str) -> str:
    """Return the name composed (NFC) and without a folder's closing slash, or refuse it."""
    bare = name.removesuffix("/")
    sign = _UNSIGHTLY.search(bare)
    if sign:
        raise NameRefusedError(_reason_of(sign.group()))
    if name.startswith("/"):
        raise NameRefusedError("name_absolute")
    if _DRIVE.match(bare):
        raise NameRefusedError("name_drive")
    parts = bare.split("/")
    if len(parts) > DEPTH or len(bare) > NAME_BYTES or len(bare.encode()) > NAME_BYTES:
        raise NameRefusedError("name_long")
    for part in parts:
        kept = part.strip(". ")
        if not kept:  # «.», «..», «.. » (Windows drops blanks and dots at the end), and nothing at all
            raise NameRefusedError("name_climbing")
        if kept[:3].lower() in _DEVICE_BEGINS and _DEVICE.fullmatch(part.lstrip(" ")):
            raise NameRefusedError("name_device")
        if len(part) > PART_BYTES // 4 and len(part.encode()) > PART_BYTES:
            raise NameRefusedError("name_long")
    if bare.isascii():
        return bare
    if _accents().search(bare):
        raise NameRefusedError("name_accents")
    return unicodedata.normalize("NFC", bare)


def _reason_of(sign: str) -> str:
    if sign == "\\":
        return "name_backslash"
    return "name_turned" if sign in _TURNING else "name_control"


def folded(name: str) -> str:
    """Return what a desktop compares of a composed name: no case, no blanks and dots at the end of a part."""
    key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    if "./" in key or " /" in key or key[-1] in ". ":
        return "/".join(part.rstrip(". ") for part in key.split("/"))
    return key


class NameBook:
    """The names of one archive so far; refuses the second of two that a desktop takes for one."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._listed_folders: set[str] = set()
        self._folders: set[str] = set()
        self._foreign = 0

    def add(self, name: str, *, is_directory: bool) -> str:
        """Check a name, note it and return it as ``checked_name`` does."""
        if not name.isascii():
            self._foreign += len(name)
            if self._foreign > FOREIGN_CHARACTERS:
                raise NameRefusedError("name_long")
        name = checked_name(name)
        key = folded(name)
        if key in self._files or key in (self._listed_folders if is_directory else self._folders):
            raise NameRefusedError("name_twice")
        if is_directory:
            self._listed_folders.add(key)
            self._folders.add(key)
        else:
            self._files.add(key)
        parent = key.rpartition("/")[0]
        while parent and parent not in self._folders:
            if parent in self._files:
                raise NameRefusedError("name_twice")
            if len(self._folders) == FOLDERS:
                raise NameRefusedError("too_many")
            self._folders.add(parent)
            parent = parent.rpartition("/")[0]
        return name
