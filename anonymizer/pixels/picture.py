"""The frames of one object as arrays, decoded one at a time, and as 8-bit views in which text can be read.

References
----------
PS3.3 C.7.6.3 (image pixel), PS3.5 section 8 (pixel data), Annex A.4 (encapsulation).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.elements import PIXEL_DATA, DataSet, Raw
from anonymizer.frames import frames_of
from anonymizer.mapped import let_go

Pixels = NDArray[Any]
Grey = NDArray[np.uint8]
MAX_FRAME_PIXELS = 120_000_000
_PALETTES = (0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203)
_WINDOW_CENTER, _WINDOW_WIDTH = 0x00281050, 0x00281051
_COLOURFUL = 24  # how far channels must part for a channel to be worth a look of its own
_SMALL = 160_000  # pixels
_SUBSAMPLED = "YBR_FULL_422"


class NotDecodableError(Exception):
    """No decoder here reads this picture (``missing``), or it is damaged."""

    def __init__(self, *, missing: bool) -> None:
        super().__init__("missing decoder" if missing else "damaged")
        self.missing = missing


@dataclass(slots=True)
class Picture:
    """The layout of an object's picture, and its frames by number."""

    dataset: DataSet
    syntax: str
    rows: int
    columns: int
    samples: int
    planar: int
    photometric: str
    allocated: int
    stored: int
    signed: bool
    frames: int
    _encoded: list[list[Raw]] | None

    @classmethod
    def of(cls, dataset: DataSet, syntax: str) -> Picture:
        """Read the layout; raises `NotDecodableError` where it contradicts itself or the data."""
        element = dataset.get(PIXEL_DATA)
        samples, allocated = dataset.number(0x00280002, 1), dataset.number(0x00280100)
        picture = cls(
            dataset=dataset,
            syntax=syntax,
            rows=dataset.number(0x00280010),
            columns=dataset.number(0x00280011),
            samples=samples,
            planar=dataset.number(0x00280006) if samples > 1 else 0,
            photometric=dataset.ascii(0x00280004).upper(),
            allocated=allocated,
            stored=dataset.number(0x00280101, allocated),
            signed=dataset.number(0x00280103) == 1,
            frames=max(dataset.number(0x00280008, 1), 1),
            _encoded=None,
        )
        if element is None or picture.rows < 1 or picture.columns < 1 or samples not in {1, 3, 4}:
            raise NotDecodableError(missing=False)
        if picture.rows * picture.columns > MAX_FRAME_PIXELS or allocated not in {1, 8, 16, 32}:
            raise NotDecodableError(missing=True)
        if element.fragments is not None:
            picture._encoded = frames_of(element.fragments, picture.frames, syntax)
            if len(picture._encoded) != picture.frames:
                raise NotDecodableError(missing=False)
        elif allocated == 1:
            if len(element.value) * 8 < picture.frames * picture.rows * picture.columns:
                raise NotDecodableError(missing=False)
        elif len(element.value) < picture.frames * picture.frame_bytes:
            raise NotDecodableError(missing=False)
        return picture

    @property
    def encapsulated(self) -> bool:
        return self._encoded is not None

    @property
    def frame_bytes(self) -> int:
        """Length of an uncompressed frame; with 4:2:2 two pixels share their colours (PS3.3 C.7.6.3.1.2)."""
        per_pixel = 2 if self.subsampled else self.samples
        return self.rows * self.columns * per_pixel * (self.allocated // 8)

    @property
    def subsampled(self) -> bool:
        return self._encoded is None and self.photometric == _SUBSAMPLED and self.samples == 3

    def raw(self, index: int) -> Raw:
        """The bytes of one frame as they lie in the object."""
        if self._encoded is not None:
            parts = self._encoded[index]
            return parts[0] if len(parts) == 1 else b"".join(bytes(part) for part in parts)
        element = self.dataset.elements[PIXEL_DATA]
        if self.allocated == 1:
            return np.packbits(self.stored_values(index).ravel(), bitorder="little").tobytes()
        return memoryview(element.value)[index * self.frame_bytes : (index + 1) * self.frame_bytes]

    def let_go(self) -> None:
        """Forget the pages of the frames read so far, where the object is a mapped file: it may be larger than the memory."""
        let_go(self.dataset.elements[PIXEL_DATA].value)

    def stored_values(self, index: int) -> Pixels:
        """(rows, columns) or (rows, columns, samples), colours last, as the object means them: no colour is converted.

        Native pictures give a view on the object's own bytes where their layout allows it.
        """
        if self._encoded is not None:
            return decoded(self, index)
        value = self.dataset.elements[PIXEL_DATA].value
        if self.allocated == 1:
            size = self.rows * self.columns
            first = index * size
            octets = np.frombuffer(value, np.uint8)[first // 8 : (first + size + 7) // 8]
            bits = np.unpackbits(octets, bitorder="little")[first % 8 : first % 8 + size]
            return bits.reshape(self.rows, self.columns)
        kind = np.dtype(f"<{'i' if self.signed else 'u'}{self.allocated // 8}")
        count = self.frame_bytes // kind.itemsize
        flat = np.frombuffer(value, kind, count=count, offset=index * self.frame_bytes)
        if self.subsampled:
            pairs = flat.reshape(-1, 4)
            first_pixel, second = pairs[:, (0, 2, 3)], pairs[:, (1, 2, 3)]
            return np.stack([first_pixel, second], axis=1).reshape(self.rows, self.columns, 3)
        if self.samples == 1:
            return flat.reshape(self.rows, self.columns)
        if self.planar:
            return np.moveaxis(flat.reshape(self.samples, self.rows, self.columns), 0, -1)
        return flat.reshape(self.rows, self.columns, self.samples)


def decoded(picture: Picture, index: int) -> Pixels:
    """One encapsulated frame through pydicom's decoders; lossy colour comes as RGB, lossless as it was stored."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import UID

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values in what it logs
    try:
        if not get_decoder(UID(picture.syntax)).is_available:
            raise NotDecodableError(missing=True)
    except NotImplementedError:
        raise NotDecodableError(missing=True) from None
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(picture.syntax)
    made.Rows, made.Columns, made.SamplesPerPixel = picture.rows, picture.columns, picture.samples
    made.PhotometricInterpretation = picture.photometric
    made.BitsAllocated, made.BitsStored = picture.allocated, picture.stored
    made.HighBit, made.PixelRepresentation = picture.stored - 1, int(picture.signed)
    if picture.samples > 1:
        made.PlanarConfiguration = picture.planar
    frame = bytes(picture.raw(index))
    if not frame:
        raise NotDecodableError(missing=False)
    made.PixelData = encapsulate([frame])
    made["PixelData"].VR = "OB"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(pixel_array(made, index=0, raw=picture.syntax not in LOSSY))
    except NotDecodableError:
        raise
    except Exception as fault:  # noqa: BLE001 - decoders raise what they like, and their text may quote the object
        twelve_bit = picture.syntax == JPEG_EXTENDED and picture.stored > 8
        raise NotDecodableError(missing=twelve_bit or isinstance(fault, NotImplementedError)) from None


JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
#: JPEG Baseline and Extended, JPEG-LS near-lossless, JPEG 2000 and HTJ2K where loss is allowed.
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 203))


def enlarged(grey: Grey) -> tuple[Grey, int]:
    """A small frame at twice its size, and the factor: its letters are few pixels high."""
    from PIL import Image

    rows, columns = grey.shape
    if rows * columns > _SMALL:
        return grey, 1
    return np.asarray(Image.fromarray(grey).resize((2 * columns, 2 * rows), Image.Resampling.BICUBIC)), 2


def views(picture: Picture, values: Pixels) -> Iterator[Grey]:
    """8-bit grey pictures (rows, columns) of a frame, the likeliest to show text first; each shows something of its own."""
    if values.ndim == 3:
        yield from _of_colours(as_rgb(picture, values))
    elif picture.photometric == "PALETTE COLOR":
        yield from _of_colours(_through_palette(picture, values))
    elif values.dtype.itemsize == 1 and not picture.signed:
        yield (
            values
            if int(values.max(initial=0)) > 32
            else _window(values, 0, max(int(values.max(initial=1)), 1))
        )
    else:
        yield from _of_levels(picture, values)


def as_rgb(picture: Picture, values: Pixels) -> Grey:
    """RGB for the eye (and for text); the object's own values stay as they are."""
    from PIL import Image

    eight = values[..., :3]
    if eight.dtype != np.uint8:
        top = float(max(int(eight.max(initial=1)), 1))
        eight = (eight.astype(np.float32) * (255.0 / top)).astype(np.uint8)
    lossy_as_rgb = picture.encapsulated and picture.syntax in LOSSY
    if picture.photometric.startswith("YBR_FULL") and not lossy_as_rgb:
        return np.asarray(Image.fromarray(np.ascontiguousarray(eight), "YCbCr").convert("RGB"))
    return np.ascontiguousarray(eight)


def _of_colours(colours: Grey) -> Iterator[Grey]:
    wide = colours.astype(np.int16)
    luminance = ((wide[..., 0] * 77 + wide[..., 1] * 150 + wide[..., 2] * 29) >> 8).astype(np.uint8)
    yield luminance
    parted = wide.max(axis=2) - wide.min(axis=2) > _COLOURFUL
    if np.count_nonzero(parted) > 50:
        for channel in range(3):
            yield np.ascontiguousarray(colours[..., channel])


def _through_palette(picture: Picture, values: Pixels) -> Grey:
    """Red, green and blue of the palette (PS3.3 C.7.9.2) as 8 bits; indices as grey in three where it is unusable."""
    columns = []
    for describes, holds in zip(_PALETTES[:3], _PALETTES[3:], strict=True):
        described, table = picture.dataset.get(describes), picture.dataset.get(holds)
        if described is None or table is None or len(described.value) < 6 or not table.value:
            grey = _window(values, 0, max(int(values.max(initial=1)), 1))
            return np.stack([grey] * 3, axis=-1)
        entries, first, bits = np.frombuffer(bytes(described.value)[:6], "<u2").astype(np.int64)
        count = int(entries) or 65536
        raw = bytes(table.value)
        wide = bits > 8 or len(raw) >= 2 * count
        colours = np.frombuffer(raw[: len(raw) // 2 * 2] if wide else raw, "<u2" if wide else np.uint8)
        shift = 8 if wide and int(colours.max(initial=0)) > 255 else 0
        index = np.clip(values.astype(np.int64) - int(first), 0, min(count, len(colours)) - 1)
        columns.append((colours[index] >> shift).astype(np.uint8))
    return np.stack(columns, axis=-1)


def _of_levels(picture: Picture, values: Pixels) -> Iterator[Grey]:
    """Deep grey: everything, what lies between the ends, and the object's own window."""
    sample = values[:: max(values.shape[0] // 512, 1), :: max(values.shape[1] // 512, 1)]
    low, high = float(values.min()), float(values.max())
    ranges = [(low, high)]
    near_low, near_high = (float(level) for level in np.percentile(sample, (2, 98)))
    ranges.append((near_low, near_high))
    center, width = _first(picture.dataset, _WINDOW_CENTER), _first(picture.dataset, _WINDOW_WIDTH)
    if center is not None and width is not None and width > 1:
        slope, intercept = (
            _first(picture.dataset, 0x00281053) or 1.0,
            _first(picture.dataset, 0x00281052) or 0.0,
        )
        ends = sorted(((center + side * width / 2) - intercept) / slope for side in (-1, 1))
        ranges.append((ends[0], ends[1]))
    shown: list[tuple[float, float]] = []
    for start, end in ranges:
        span = end - start
        alike = any(abs(start - a) < 0.25 * (b - a) and abs(end - b) < 0.25 * (b - a) for a, b in shown)
        if span >= 1 and start < high and end > low and not alike:
            shown.append((start, end))
            yield _window(values, start, end)
    if not shown:  # one level everywhere
        yield np.zeros(values.shape, np.uint8)


def _first(dataset: DataSet, tag: int) -> float | None:
    try:
        return float(dataset.ascii(tag).split("\\")[0])
    except ValueError:
        return None


def _window(values: Pixels, low: float, high: float) -> Grey:
    scaled = (values.astype(np.float32) - low) * (255.0 / max(high - low, 1e-6))
    return np.clip(scaled, 0, 255).astype(np.uint8)
