"""Pass 1 of a folder: tells each file's kind and what it says of the patient; it cleans nothing.

It runs in the workers of `parallel.over`, so everything here is a plain value or a module-level function.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

from anonymizer.documents import MAX_BYTES, kind_of
from anonymizer.documents.harvest import harvest_document
from anonymizer.harvest import harvest_both
from anonymizer.known import Known

DICOM = "application/dicom"
MAX_FILE_BYTES = 8 << 30
#: Larger files are mapped instead of read: a multi-frame object may be larger than the memory.
MAPPED_BYTES = 64 << 20
_DICOMDIR = b"1.2.840.10008.1.3.10"
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What pass 1 found in one file; ``ignored`` and ``failed`` are codes of `report.SENTENCES`."""

    kind: str
    known: Known = field(default_factory=Known)
    uids: frozenset[str] = frozenset()
    ignored: str = ""
    failed: str = ""


def gather(path: str) -> Gathered:
    """Return one file's kind and what identifies in it; a defect of ours on one file is that file's failure."""
    try:
        return _gather(path)
    except MemoryError:
        return Gathered("", failed="too_large")
    except Exception:  # noqa: BLE001 - one file must not end the run, and its words must not be quoted
        return Gathered("", failed="crashed")


def _gather(path: str) -> Gathered:
    if os.path.islink(path) or not os.path.isfile(path):  # noqa: PTH114, PTH113 - a plain string crosses to the worker
        return Gathered("", ignored="not_a_file")
    content = read(path)
    if isinstance(content, str):
        return Gathered("", failed=content)
    if not content:
        return Gathered("", ignored="empty")
    head = bytes(content[:512])
    if head.startswith(_PROGRAMS):
        return Gathered("application/octet-stream", ignored="program")
    if head[:9].lower() == b"[autorun]":
        return Gathered("text/plain", ignored="program")
    kind = (
        DICOM if head[128:132] == b"DICM" else kind_of(bytes(content) if len(content) <= MAX_BYTES else head)
    )
    if kind != DICOM and len(content) > MAX_BYTES:  # told before the bytes are copied into memory
        return Gathered(kind, failed="too_large")
    if kind != DICOM:
        return Gathered(kind, harvest_document(bytes(content)))
    known, uids = harvest_both(content)
    return Gathered(kind, known, uids, "dicomdir" if _DICOMDIR in head else "")


class _Reading:
    """A buffer that one file after the other is read into: a new one for each would cost more than the reading.

    Not mapped as large files are: a disc with a scratch must be an error that can be told, and not end the process.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, path: str, size: int) -> memoryview | str:
        """The bytes of a file of ``size`` bytes, valid until the next is read; "unreadable" where it grows or shrinks."""
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        whole = memoryview(self._buffer)[:size]
        have = 0
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a plain string is what crosses to the worker
            while have < size and (more := stream.readinto(whole[have:])):
                have += more
            changes = have < size or stream.read(1) != b""  # it is still being copied, or written
        return "unreadable" if changes else whole.toreadonly()

    def forget(self) -> None:
        self._buffer = bytearray()


_READING = _Reading()


def forget() -> None:
    """Drop the bytes of the last file: in a process that lives on."""
    _READING.forget()


def read(path: str) -> memoryview | str:
    """The bytes of a file, valid until the next is read, mapped where it is large; or the code of why not."""
    try:
        size = os.path.getsize(path)  # noqa: PTH202 - a plain string is what crosses to the worker
        if size > MAX_FILE_BYTES:
            return "too_large"
        if size <= MAPPED_BYTES:
            return _READING.read(path, size)
        with Path(path).open("rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return "unreadable"
