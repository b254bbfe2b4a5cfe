"""Reads again, by other code than the engine's, what is about to leave, and names each leak by place and kind only.

Three looks: every decoded element (parsed by pydicom, not by `reader`), the raw bytes (original UIDs too), and the words in
pictures that may carry some.
An empty result is the only one that may be released.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from anonymizer.byte_scan import Needles, alone
from anonymizer.documents import verify_document
from anonymizer.known import Known
from anonymizer.mapped import as_file, blocks
from anonymizer.pixels.check import read_again
from anonymizer.text import Scrubber

# pydicom quotes values in what it logs.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
MAX_LEAKS = 200
LARGE = 64 << 10  # values beyond it are taken from the file's bytes, and pictures are not copied at all
MIN_UID_DOTS = 3  # "1.2.1" is a version number as often as a UID
CLEAN_PREAMBLE = bytes(128)
META = 132
#: No copy of ours is in these: implicit, deflated, big-endian, or unsaid.
OTHERWISE = frozenset({"", ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian})
#: Elements whose text is ours or is checked by a stricter rule than "no known identifier".
WORDY = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "AE", "UR", "DS", "IS", "AS", "UI"})
WHOLE = frozenset({"ST", "LT", "UT", "UR"})  # a backslash is a letter in these (PS3.5 6.2)
NUMBERS = {"UL": 4, "SL": 4, "UV": 8, "SV": 8}  # sizes in bytes; two bytes hold nobody's number
BYTES = frozenset({"OB", "UN"})
DOCUMENTS = frozenset({"application/pdf", "text/xml", "application/xml", "text/plain"})
PIXELS, DOCUMENT = 0x7FE0, 0x00420011  # both are read by what they are
FEW, LEAST_NUMBER, LEAST_DIGITS = 8, 100_000, 6
HIDDEN_BLOCK, SHORT = 1 << 20, 512
UID_BEGINNING, MAX_UID = 10, 80
METHOD = 0x00120063
_SEAL = re.compile(
    rb"seal [B-DF-HJ-NP-TV-Z]{24}"
)  # ours, another one in each object, and without a vowel nobody's name
_UID_RUN = re.compile(rb"\d+(?:\.\d+)*")
_UID_SIGNS = frozenset(b"%c" % sign for sign in b"0123456789.")
_PRINTABLE = re.compile(rb"[\t\n\r -~\xc0-\xff]{6,}")  # UTF-8 of other scripts is found by the byte scan


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
        self._judged = lru_cache(maxsize=50_000)(self._judge)

    def fault(self, tag: int, vr: str, value: Any) -> str:
        """What is wrong with a value; equal short values of equal attributes, as slices repeat them, are judged once."""
        if isinstance(value, bytes) and len(value) <= SHORT:
            return self._judged(tag, vr, value)
        return self._judge(tag, vr, value)

    def _judge(self, tag: int, vr: str, value: Any) -> str:
        return _fault(tag, vr, value, self.known_left)


class _Scan:
    """One pass over the raw bytes for the known identifiers and, by their beginnings, for the UIDs that may not leave."""

    def __init__(self, known: Needles, originals: frozenset[str]) -> None:
        self._known = frozenset(known.needles)
        self._uids = frozenset(
            uid.encode("ascii", "replace") for uid in originals if uid.count(".") >= MIN_UID_DOTS
        )
        self._longest = max(
            (MAX_UID, *(len(uid) + 1 for uid in self._uids))
        )  # longer ones than may be are sent
        self._needles = Needles(known.needles, {uid[:UID_BEGINNING] for uid in self._uids})

    def found(self, buffer: bytes | memoryview) -> Iterator[Leak]:
        for at, needle in self._needles.found(buffer):
            if needle in self._known and alone(buffer, at, needle):
                yield Leak(f"byte {at}", "known identifier in the bytes")
            if needle in self._needles.beginnings and self._is_uid(buffer, at):
                yield Leak(f"byte {at}", "original UID")

    def _is_uid(self, buffer: bytes | memoryview, at: int) -> bool:
        """Whether one stands alone there: neither a digit nor a further component beside it."""
        run = _UID_RUN.match(bytes(buffer[at : at + self._longest]))
        before = bytes(buffer[at - 1 : at]) if at else b""
        return before not in _UID_SIGNS and run is not None and run.group() in self._uids


@lru_cache(maxsize=4)
def _verifier(known: Known) -> _Verifier:
    return _Verifier(known)


@lru_cache(maxsize=4)
def _scan(known: Known, originals: frozenset[str]) -> _Scan:
    return _Scan(_verifier(known).needles, originals)


def verify_instance(
    output: bytes | memoryview, *, known: Known, original_uids: Iterable[str]
) -> tuple[Leak, ...]:
    """Every leak found in one de-identified object (bounded); () means that it may leave."""
    verifier = _verifier(known)
    originals = original_uids if isinstance(original_uids, frozenset) else frozenset(original_uids)
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
    dataset = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta, dataset = _parsed(output)
            # a DICOMDIR (PS3.3 F) names its instance in the File Meta alone
            if not dataset.get("SOPInstanceUID") and "DirectoryRecordSequence" not in dataset:
                yield Leak("data set", "cannot be read back")
            yield from _dataset(meta, "", verifier)  # (1) every decoded element
            yield from _dataset(dataset, "", verifier)
            yield from _packed(dataset, verifier)
    except Exception:  # noqa: BLE001 - whatever a parser raises, unread is unverified
        yield Leak("data set", "cannot be read back")
    known = verifier.scrubber.known
    yield from _scan(known, originals).found(
        output
    )  # (2) raw bytes, the picture's and original UIDs included
    for place in read_again(output, known, dataset):  # (3) words in pictures that may carry some
        yield Leak(place, "known identifier in the picture")


def _parsed(output: bytes | memoryview) -> tuple[Any, Any]:
    """File meta and data set as pydicom reads them, all but the picture, which would be copied and is scanned in place.

    A copy is in explicit little endian behind its file meta, and its two parts are read as that; what says otherwise is none.
    """
    stream = as_file(output)
    stream.seek(META)
    meta = read_dataset(stream, False, True, stop_when=_behind_meta)
    if meta.get("TransferSyntaxUID", "") in OTHERWISE:
        raise ValueError("not the encoding of a copy")
    dataset = read_dataset(stream, False, True, defer_size=LARGE)
    for raw in list(dataset.values()):
        if raw.value is None and raw.length and raw.tag.group != PIXELS:
            dataset[raw.tag] = raw._replace(value=bytes(output[raw.value_tell : raw.value_tell + raw.length]))
    return meta, dataset


def _behind_meta(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >> 16 != 2


def _packed(dataset: Any, verifier: _Verifier) -> Iterator[Leak]:
    """A document inside the object is read as a document, too (PS3.3 A.45, A.85)."""
    if "EncapsulatedDocument" not in dataset:
        return
    kind = str(dataset.get("MIMETypeOfEncapsulatedDocument", ""))
    content = bytes(dataset.EncapsulatedDocument)[: dataset.get("EncapsulatedDocumentLength")]
    if kind not in DOCUMENTS:
        if wrong := _hidden_text(content, verifier.known_left):
            yield Leak("(0042,0011)", wrong)
    else:
        for place in verify_document(content, media_type=kind, known=verifier.scrubber.known):
            yield Leak(f"(0042,0011) {place}", "in the document inside the object")


def _dataset(dataset: Any, path: str, verifier: _Verifier) -> Iterator[Leak]:
    waiting: list[tuple[Any, str]] = [(dataset, path)]
    while waiting:
        current, place = waiting.pop()
        for raw in current.values():  # not yet converted: most values need no more than their bytes
            vr, value = raw.VR, raw.value
            if vr == "SQ":
                here = place + _spelled(raw.tag)
                items = current[raw.tag].value or ()
                waiting.extend((item, f"{here}[{number}]") for number, item in enumerate(items))
            elif kind := verifier.fault(raw.tag, vr, value):
                yield Leak(place + _spelled(raw.tag), kind)


def _spelled(tag: Any) -> str:
    return f"({tag.group:04X},{tag.element:04X})"


def _fault(tag: int, vr: str, value: Any, known_left: Callable[[str], bool]) -> str:
    """What is wrong with one value, in words; "" for nothing."""
    group = tag >> 16
    if 0x5000 <= group <= 0x501F or 0x6000 <= group <= 0x601F:
        return "overlay or curve"
    if vr in WORDY:
        if tag == METHOD and isinstance(value, bytes):
            value = _SEAL.sub(b"", value)
        return _text(vr, value, known_left)
    if vr in NUMBERS:
        return _number(NUMBERS[vr], value, known_left)
    if group != PIXELS and tag != DOCUMENT and vr in BYTES:
        return _hidden_text(value, known_left)
    return ""


def _text(vr: str, value: Any, known_left: Callable[[str], bool]) -> str:
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8").rstrip(" \0")  # what leaves is in ISO_IR 192
        except UnicodeDecodeError:
            return "text that is not in the character set of a copy"
        texts = [text] if vr in WHOLE else text.split("\\")
    else:  # pydicom has converted it already, as it does with the character set
        many = value if isinstance(value, MultiValue | list) else [value]
        texts = [str(one) for one in many if one is not None]
    if vr == "UI":
        texts = [text for text in texts if not text.startswith(("2.25.", "1.2.840.10008."))]
    if vr == "CS":
        texts = [text for text in texts if len(text) > 2]  # CT, M, NO: terms, never a name of their own
    if vr in {"DS", "IS"}:  # 480.000000 is a measure: digits before the point make somebody's number
        texts = [text for text in texts if len(text.partition(".")[0].strip(" +-")) >= LEAST_DIGITS]
    if any(text and known_left(text) for text in texts):
        return "known identifier in a value"
    return "name in another script" if vr == "PN" and any("=" in text for text in texts) else ""


def _number(size: int, value: Any, known_left: Callable[[str], bool]) -> str:
    """A number long enough to be somebody's; long lists are measurements."""
    if isinstance(value, bytes):
        if len(value) > FEW * size:
            return ""
        value = [int.from_bytes(value[at : at + size], "little") for at in range(0, len(value), size)]
    many = value if isinstance(value, MultiValue | list) else [value]
    large = (one for one in many if isinstance(one, int) and one >= LEAST_NUMBER)
    return "known identifier in a number" if any(known_left(str(one)) for one in large) else ""


def _hidden_text(value: Any, known_left: Callable[[str], bool]) -> str:
    """Bytes that are mostly text, in one-byte or two-byte characters."""
    for _, block in (
        blocks(value, size_bytes=HIDDEN_BLOCK, overlap=MAX_UID) if isinstance(value, bytes) else ()
    ):
        for plain in (bytes(block), bytes(block[::2]), bytes(block[1::2])):
            runs = _PRINTABLE.findall(plain)
            if 5 * sum(map(len, runs)) < 4 * len(plain.strip(b"\0")):
                continue
            for run in runs:
                text = run.decode("utf-8", "replace")
                if known_left(text) or (not run.isascii() and known_left(run.decode("latin-1"))):
                    return "known identifier in bytes that are text"
    return ""
