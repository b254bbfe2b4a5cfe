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
_ACCENTS_IN_A_ROW = 30  # UAX #15, D4: text in stream-safe form; composing more of them costs their square
_MARKS_BEGIN, _MARKS_END = 0x0300, 0x10000  # those beyond take four bytes each: a part cannot hold many

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")  # shows «fdp.exe» as «exe.pdf»
_DRIVE = re.compile(r"[A-Za-z]:")
# A part of dots and blanks only: «.», «..», «.. » (Windows drops blanks and dots at the end), and nothing at all.
_CLIMBING = re.compile(r"(?:^|/)[. ]*(?:/|$)")
_DEVICE = re.compile(
    r"(?:^|/) *(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:[.:][^/]*)?(?:/|$)",
    re.IGNORECASE,
)
_BLANK_ENDS = re.compile(r"[. ]+(?=/|$)")


@cache
def _accents() -> re.Pattern[str]:
    marks = (chr(sign) for sign in range(_MARKS_BEGIN, _MARKS_END) if unicodedata.combining(chr(sign)))
    return re.compile(f"[{''.join(marks)}]+")


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
    if _CONTROL.search(bare):
        raise NameRefusedError("name_control")
    if _TURNED.search(bare):
        raise NameRefusedError("name_turned")
    if "\\" in bare:
        raise NameRefusedError("name_backslash")
    if name.startswith("/"):
        raise NameRefusedError("name_absolute")
    if _DRIVE.match(bare):
        raise NameRefusedError("name_drive")
    if _CLIMBING.search(bare):
        raise NameRefusedError("name_climbing")
    if _DEVICE.search(bare):
        raise NameRefusedError("name_device")
    if len(bare.encode()) > NAME_BYTES or bare.count("/") >= DEPTH:
        raise NameRefusedError("name_long")
    if len(bare) > PART_BYTES // 4 and any(len(part.encode()) > PART_BYTES for part in bare.split("/")):
        raise NameRefusedError("name_long")
    if bare.isascii():
        return bare
    if any(row.end() - row.start() > _ACCENTS_IN_A_ROW for row in _accents().finditer(bare)):
        raise NameRefusedError("name_accents")
    return unicodedata.normalize("NFC", bare)


def folded(name: str) -> str:
    """Return what a desktop compares of a composed name: no case, no blanks and dots at the end of a part."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name.casefold())
    return _BLANK_ENDS.sub("", name.lower())


class NameBook:
    """The names of one archive so far; refuses the second of two that a desktop takes for one."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._listed_folders: set[str] = set()
        self._folders: set[str] = set()

    def add(self, name: str, *, is_directory: bool) -> None:
        """Note a name that ``checked_name`` returned."""
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
