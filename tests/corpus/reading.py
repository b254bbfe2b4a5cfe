"""Reads one file as a judge does: all its decoded text, the bytes beneath, what is deflated inside, and its frames."""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.corpus.people import dense, folded

BULK = {
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "WaveformData",
    "SpectroscopyData",
    "EncapsulatedDocument",
}
ENCODINGS = (
    "utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6",
    "iso8859_7", "iso8859_8", "iso8859_9", "shift_jis", "euc_kr", "gb18030", "iso2022_jp",
)  # fmt: skip


@dataclass
class Read:
    """A file of the input or of the output."""

    path: Path

    @cached_property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def ds(self) -> Dataset:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(io.BytesIO(self.content), force=True)
            for _ in ds.iterall():
                pass
            if not hasattr(ds, "file_meta"):
                ds.file_meta = FileMetaDataset()
            if "TransferSyntaxUID" not in ds.file_meta:
                implicit, little = ds.original_encoding
                ds.file_meta.TransferSyntaxUID = (
                    ImplicitVRLittleEndian
                    if implicit
                    else ExplicitVRLittleEndian
                    if little
                    else ExplicitVRBigEndian
                )
            return ds

    @cached_property
    def texts(self) -> list[tuple[str, str, str]]:
        """(place, VR, text) of every element that can be read as text."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = list(told(self.ds.file_meta, "")) if hasattr(self.ds, "file_meta") else []
            return [*meta, *told(self.ds, "")]

    @cached_property
    def deflated(self) -> bytes:
        """What zlib streams inside hold; for a deflated transfer syntax the data set itself."""
        parts = [_document_streams(self.ds)]
        syntax = getattr(getattr(self.ds, "file_meta", None), "TransferSyntaxUID", None)
        if syntax is not None and UID(syntax).is_deflated:
            parts += list(_raw_deflate(self.content))
        return b"\n".join(parts)

    @cached_property
    def shown(self) -> str:
        """The text of an encapsulated document as its reader sees it."""
        held = bytes(self.ds.get("EncapsulatedDocument", b""))
        if not held.startswith(b"%PDF"):
            return held.decode("utf-8", "replace")
        with pypdfium2.PdfDocument(held) as pdf:
            return "\n".join(page.get_textpage().get_text_range() for page in pdf)

    @cached_property
    def document(self) -> str:
        """The same with its streams and attachments."""
        return f"{self.shown}\n{_document_streams(self.ds).decode('latin-1')}"

    @cached_property
    def frames(self) -> NDArray[Any] | None:
        """(frames, rows, columns[, samples]), or None where no codec of ours reads it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array = self.ds.pixel_array
        except Exception:
            return None
        single = int(self.ds.get("NumberOfFrames", 1) or 1) == 1
        return array[None] if single and array.ndim == (2 if self.ds.SamplesPerPixel == 1 else 3) else array

    @property
    def encoded(self) -> list[bytes]:
        if not UID(self.ds.file_meta.TransferSyntaxUID).is_encapsulated:
            return [bytes(self.ds.PixelData)]
        return [
            bytes(f)
            for f in generate_frames(
                self.ds.PixelData, number_of_frames=int(self.ds.get("NumberOfFrames", 1) or 1)
            )
        ]


def told(ds: Dataset, place: str) -> Iterator[tuple[str, str, str]]:
    for element in ds:
        here = (
            f"{place}/{element.keyword or f'{element.tag:08x}'}"
            if place
            else (element.keyword or f"{element.tag:08x}")
        )
        if element.VR == "SQ":
            for i, item in enumerate(element.value):
                yield from told(item, f"{here}[{i}]")
        elif element.keyword not in BULK:
            yield from ((here, element.VR, text) for text in texts_of(element.value))


def texts_of(value: Any) -> list[str]:
    """The text of an element's value; bytes are tried in the usual encodings."""
    if value is None:
        return []
    if isinstance(value, bytes):
        if len(value) > 200_000:
            return []
        codecs = ("latin-1",) if value.isascii() else ENCODINGS if len(value) < 4096 else ENCODINGS[:3]
        return [text for text in {value.decode(codec, "ignore") for codec in codecs} if text]
    if isinstance(value, str):
        return [value, *_repaired(value)]
    if isinstance(value, Dataset):
        return [t for _, _, t in told(value, "")]
    if (
        hasattr(value, "__iter__")
        and not hasattr(value, "original_string")
        and not hasattr(value, "components")
    ):
        return [t for v in value for t in texts_of(v)]
    return [str(value), *_repaired(str(value))]


def _repaired(text: str) -> list[str]:
    """UTF-8 that was read as Latin-1 on the way, as its reader will repair it in the head."""
    if text.isascii():
        return []
    for codec in ("latin-1", "cp1252"):
        try:
            return [text.encode(codec).decode("utf-8")]
        except UnicodeError:
            continue
    return []


def _document_streams(ds: Dataset) -> bytes:
    held = bytes(ds.get("EncapsulatedDocument", b"") or b"")
    if not held.startswith(b"%PDF"):
        return b""
    parts = [held]
    try:
        with pikepdf.open(io.BytesIO(held)) as pdf:
            for thing in pdf.objects:
                if isinstance(thing, pikepdf.Stream):
                    parts.append(_stream(thing))
                else:
                    parts.append(str(thing).encode("utf-8", "replace"))
            parts += [bytes(a.get_file().read_bytes()) for a in pdf.attachments.values()]
    except pikepdf.PdfError:
        pass
    return b"\n".join(parts)


def _stream(thing: Any) -> bytes:
    try:
        return bytes(thing.read_bytes())
    except pikepdf.PdfError:
        return bytes(thing.read_raw_bytes())


def _raw_deflate(content: bytes) -> Iterator[bytes]:
    start = 132
    if content[128:132] == b"DICM":
        length = int.from_bytes(content[140:144], "little")
        start = 144 + length
    try:
        yield zlib.decompressobj(-15).decompress(content[start:])
    except zlib.error:
        return


def holds(text: str, form: str) -> bool:
    """Whether `form` can be read in `text`: numbers with any separators, short names as words, others anywhere."""
    digits = "".join(c for c in form if c.isdigit())
    if len(digits) >= 6 and len(digits) * 2 > len(dense(form)):
        return dense(folded(form)) in dense(folded(text))
    plain, words = folded(text), folded(form)
    if len(words) <= 3:
        return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", plain) is not None
    return words in plain
