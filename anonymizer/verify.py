"""Reads again, by other code than the engine's, what is about to leave, and names each leak by place and kind only.

Three looks: the raw bytes, every decoded element (parsed by pydicom, not by `reader`), and the original UIDs.
An empty result is the only one that may be released.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydicom import dcmread
from pydicom.multival import MultiValue

from anonymizer.byte_scan import Needles
from anonymizer.known import Known
from anonymizer.text import Scrubber

# pydicom quotes values in what it logs.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
MAX_LEAKS = 200
LARGE = 64 << 20  # beyond it pydicom would copy the picture; the byte scan reads it in place
MIN_UID_DOTS = 3  # "1.2.1" is a version number as often as a UID
CLEAN_PREAMBLE = bytes(128)
#: Elements whose text is ours or is checked by a stricter rule than "no known identifier".
WORDY = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "AE", "UR", "DS", "IS", "AS", "UI"})


@dataclass(frozen=True, slots=True)
class Leak:
    """Where something identifying was found, and what kind of thing; never the thing."""

    place: str
    kind: str


class _Verifier:
    """The known identifiers of one case, prepared for many objects."""

    def __init__(self, known: Known) -> None:
        self.scrubber = Scrubber(known)
        self.needles = Needles(self.scrubber.byte_needles())
        self.known_left = lru_cache(maxsize=20_000)(self.scrubber.known_left)


@lru_cache(maxsize=4)
def _verifier(known: Known) -> _Verifier:
    return _Verifier(known)


def forget() -> None:
    """Drop what is remembered of every case: for a worker that has ended one."""
    _verifier.cache_clear()
    _uid_needles.cache_clear()


@lru_cache(maxsize=4)
def _uid_needles(originals: frozenset[str]) -> Needles:
    return Needles(uid.encode("ascii", "replace") for uid in originals if uid.count(".") >= MIN_UID_DOTS)


def verify_instance(
    output: bytes | memoryview, *, known: Known, original_uids: Iterable[str]
) -> tuple[Leak, ...]:
    """Every leak found in one de-identified object (bounded); () means that it may leave."""
    verifier = _verifier(known)
    originals = frozenset(uid for uid in original_uids if uid)
    leaks: dict[Leak, None] = {}
    for leak in _all(output, verifier, originals):
        leaks[leak] = None
        if len(leaks) >= MAX_LEAKS:
            break
    return tuple(leaks)


def verify_text(text: str, known: Known) -> tuple[Leak, ...]:
    """Lines of a document's text that still hold a known identifier."""
    verifier = _verifier(known)
    found = [
        Leak(f"line {number}", "known identifier")
        for number, line in enumerate(text.splitlines(), start=1)
        if verifier.known_left(line)
    ]
    if not found and verifier.scrubber.known_left(text):
        found.append(Leak("across lines", "known identifier"))
    return tuple(found[:MAX_LEAKS])


def verify_bytes(content: bytes, known: Known) -> tuple[Leak, ...]:
    """The shared byte scan: known identifiers in any encoding, anywhere in any file."""
    offsets = {offset for offset, _ in _verifier(known).needles.found(content)}
    return tuple(
        Leak(f"byte {offset}", "known identifier in the bytes") for offset in sorted(offsets)[:MAX_LEAKS]
    )


def _all(output: bytes | memoryview, verifier: _Verifier, originals: frozenset[str]) -> Iterator[Leak]:
    if output[:128] != CLEAN_PREAMBLE or output[128:132] != b"DICM":
        yield Leak("preamble", "not clean")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = io.BytesIO(output) if len(output) <= LARGE else io.BufferedReader(_Mapped(output))
            dataset = dcmread(stream, stop_before_pixels=len(output) > LARGE)
            # a DICOMDIR (PS3.3 F) names its instance in the File Meta alone
            if not dataset.get("SOPInstanceUID") and "DirectoryRecordSequence" not in dataset:
                yield Leak("data set", "cannot be read back")
            yield from _dataset(dataset.file_meta, "", verifier)  # (1) every decoded element
            yield from _dataset(dataset, "", verifier)
    except Exception:  # noqa: BLE001 - whatever a parser raises, unread is unverified
        yield Leak("data set", "cannot be read back")
    for offset, _ in verifier.needles.found(output):  # (2) raw bytes, the picture's included
        yield Leak(f"byte {offset}", "known identifier in the bytes")
    for offset, _ in _uid_needles(originals).found(output):  # (3) original UIDs, also inside text
        yield Leak(f"byte {offset}", "original UID")


class _Mapped(io.RawIOBase):
    """A buffer read as a file, so that a large one is not copied."""

    def __init__(self, buffer: bytes | memoryview) -> None:
        super().__init__()
        self._buffer = memoryview(buffer)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._buffer)}[whence]
        return self._at

    def readinto(self, into: Any) -> int:
        piece = self._buffer[self._at : self._at + len(into)]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _dataset(dataset: Any, path: str, verifier: _Verifier) -> Iterator[Leak]:
    waiting: list[tuple[Any, str]] = [(dataset, path)]
    while waiting:
        current, place = waiting.pop()
        for element in current:
            here = f"{place}({element.tag.group:04X},{element.tag.element:04X})"
            if element.VR == "SQ":
                waiting.extend((item, f"{here}[{number}]") for number, item in enumerate(element.value or ()))
            elif element.VR in WORDY:
                yield from _element(element, here, verifier)
            elif 0x5000 <= element.tag.group <= 0x501F or 0x6000 <= element.tag.group <= 0x601F:
                yield Leak(here, "overlay or curve")


def _element(element: Any, here: str, verifier: _Verifier) -> Iterator[Leak]:
    value = element.value
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    texts = [str(one) for one in values if one is not None and str(one)]
    if element.VR == "UI":
        texts = [text for text in texts if not text.startswith(("2.25.", "1.2.840.10008."))]
    if element.VR == "CS":
        texts = [text for text in texts if len(text) > 2]  # CT, M, NO: terms, never a name of their own
    if any(verifier.known_left(text) for text in texts):
        yield Leak(here, "known identifier in a value")
    elif element.VR == "PN" and any("=" in text for text in texts):
        yield Leak(here, "name in another script")
