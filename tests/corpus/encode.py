"""Part 10 bytes of what was made, in the transfer syntaxes of the field (PS3.5 Annex A, PS3.10 7.1)."""

import io
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import config, dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset, validate_file_meta
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.corpus.made import Made

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
GREY = (*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
COLOUR = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEG2000Lossless,
    JPEGLSLossless,
    ExplicitVRBigEndian,
)
LOSSY_GREY = (JPEG2000, JPEGLSNearLossless)
SEGMENTS = {
    JPEGBaseline8Bit: b"\xff\xfe",
    JPEGLSLossless: b"\xff\xfe",
    JPEGLSNearLossless: b"\xff\xfe",
    JPEGLosslessSV1: b"\xff\xfe",
}

config.settings.writing_validation_mode = config.IGNORE


def comment_inside(frame: bytes, text: str) -> bytes:
    """A JPEG frame with a COM and an APP1 «Exif» segment after SOI, or a JPEG 2000 one with COM after SIZ (T.81 B.2.4, T.800 A.9)."""
    said = text.encode("utf-8")
    if frame[:4] == b"\xff\x4f\xff\x51":
        end = 4 + int.from_bytes(frame[4:6], "big")
        return frame[:end] + b"\xff\x64" + (len(said) + 4).to_bytes(2, "big") + b"\0\1" + said + frame[end:]
    segments = b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x3b\0\2"
        + (len(said) + 1).to_bytes(4, "big")
        + b"\0\0\0\x1a\0\0\0\0"
        + said
        + b"\0"
    )
    segments += b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return frame[:2] + segments + frame[2:]


def jpeg(frame: NDArray[np.uint8], quality: int = 92) -> bytes:
    held = io.BytesIO()
    Image.fromarray(frame).save(held, "JPEG", quality=quality, subsampling=0)
    return held.getvalue()


def set_pixels(
    made: Made,
    frames: list[NDArray[Any]],
    *,
    stored: int = 12,
    photometric: str = "MONOCHROME2",
    signed: bool = False,
) -> None:
    """Write uncompressed frames and the Image Pixel module (PS3.3 C.7.6.3)."""
    ds, first = made.ds, frames[0]
    colour = first.ndim == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else photometric
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = first.shape[:2]
    ds.BitsAllocated = 8 if first.dtype == np.uint8 else 16
    ds.BitsStored = 8 if first.dtype == np.uint8 else stored
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(signed)
    if len(frames) > 1 or "NumberOfFrames" in ds:
        ds.NumberOfFrames = len(frames)
    raw = b"".join(frame.tobytes() for frame in frames)
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if first.dtype == np.uint8 else "OW"


def _compressed(made: Made, ds: FileDataset) -> None:
    syntax = made.syntax
    if syntax == JPEGBaseline8Bit:
        shape = (
            int(ds.get("NumberOfFrames", 1)),
            ds.Rows,
            ds.Columns,
            *((3,) if ds.SamplesPerPixel == 3 else ()),
        )
        frames = [
            jpeg(f) for f in np.frombuffer(ds.PixelData, np.uint8)[: int(np.prod(shape))].reshape(shape)
        ]
        if ds.SamplesPerPixel == 3:
            ds.PhotometricInterpretation = "YBR_FULL"
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "8"
        ds.LossyImageCompressionMethod = "ISO_10918_1"
        _put_frames(made, ds, frames)
    elif syntax == JPEGLosslessSV1:
        raw = _dcmcjpeg(_written(ds, ExplicitVRLittleEndian))
        _put_frames(
            made, ds, list(generate_frames(raw.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
        )
    else:
        extra = {JPEG2000: {"j2k_cr": [8]}, JPEGLSNearLossless: {"jls_error": 2}}.get(syntax, {})
        if syntax == RLELossless and ds.BitsAllocated == 16:
            frames = np.frombuffer(ds.PixelData, "<u2").reshape(int(ds.get("NumberOfFrames", 1)), -1)
            _put_frames(made, ds, [_run_length(frame) for frame in frames])
            return
        ds.compress(syntax, generate_instance_uid=False, **extra)
        _put_frames(
            made, ds, list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
        )


def _run_length(words: NDArray[np.uint16]) -> bytes:
    """One frame of words as RLE in literal runs, every bit as it is (PS3.5 Annex G); encoders drop unused ones."""
    segments = []
    for plane in ((words >> 8).astype(np.uint8).tobytes(), (words & 255).astype(np.uint8).tobytes()):
        runs = [plane[at : at + 128] for at in range(0, len(plane), 128)]
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    header = [2, 64, 64 + len(segments[0]), *[0] * 13]
    return b"".join(number.to_bytes(4, "little") for number in header) + b"".join(segments)


def _put_frames(made: Made, ds: Dataset, frames: list[bytes]) -> None:
    for change in made.frame_after:
        frames = [change(frame) for frame in frames]
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True


def _dcmcjpeg(content: bytes) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "a.dcm"), Path(folder, "b.dcm")
        plain.write_bytes(content)
        subprocess.run(["dcmcjpeg", "+e1", "+un", plain, packed], check=True, timeout=60, capture_output=True)
        return dcmread(packed, force=True)


def possible(syntax: str) -> bool:
    return syntax != JPEGLosslessSV1 or shutil.which("dcmcjpeg") is not None


def _written(ds: Dataset, syntax: str) -> bytes:
    held = io.BytesIO()
    ds.file_meta.FileMetaInformationGroupLength = 0
    validate_file_meta(ds.file_meta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(
            held, ds, force_encoding=True, implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian, overwrite=True,
        )  # fmt: skip
    return held.getvalue()


def part10(made: Made) -> bytes:
    """The file's bytes, with what is done to bytes afterwards (preamble, tail, lies) done."""
    if made.content is not None:
        return _after(made, made.content)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.ds.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = made.ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "1.2.826.0.1.3680043.8.498.1"
    meta.ImplementationVersionName = "CORPUS_1"
    for element in made.meta:
        meta[element.tag] = element
    ds = FileDataset("", made.ds, file_meta=meta, preamble=b"\0" * 128)
    charsets = made.case.charsets if not made.case.lying else ["ISO_IR 192"]
    if charsets != [""]:
        ds.SpecificCharacterSet = charsets if len(charsets) > 1 else charsets[0]
    if made.syntax in NATIVE:
        meta.TransferSyntaxUID = made.syntax
        if made.syntax == ExplicitVRBigEndian and "PixelData" in ds and ds.BitsAllocated > 8:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    else:
        _compressed(made, ds)
        meta.TransferSyntaxUID = made.syntax
    content = _written(ds, made.syntax)
    if made.case.lying:
        content = content.replace(b"ISO_IR 192", b"ISO_IR 100")
    return _after(made, content)


def _after(made: Made, content: bytes) -> bytes:
    for change in made.bytes_after:
        content = change(content)
    return content
