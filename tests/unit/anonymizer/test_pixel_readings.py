"""What a picture's reading costs and what it must not overlook: compressed slices, changed digits, heads cut in two."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from anonymizer import ocr
from anonymizer.elements import PIXEL_DATA, Element
from anonymizer.known import Known
from anonymizer.pixels.check import read_again
from anonymizer.pixels.find import _Stretch
from anonymizer.pixels.packed_slices import drawn_upon_packed
from anonymizer.pixels.picture import NotDecodableError, Picture
from anonymizer.pixels.strokes import Box
from anonymizer.reader import read_part10
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import (
    J2K,
    JPEG_LS,
    NAME,
    RLE,
    cleaned,
    encoded_as,
    font,
    page,
    picture,
    slice_of,
)


# -- compressed slices --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K])
def test_writing_on_a_compressed_slice_is_found_as_on_a_plain_one(syntax: str) -> None:
    drawn = slice_of(drawn=True)
    before = pixel_array(drawn)
    result, after = cleaned(encoded_as(drawn, syntax, [before]))
    assert [look.code for look in result.look] == ["drawn"] or not (after[30:50, 30:250] == 4095).any()
    assert result.boxes
    assert result.transfer_syntax == syntax


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K])
def test_a_plain_compressed_slice_is_left_alone(syntax: str) -> None:
    plain = slice_of(drawn=False)
    before = pixel_array(plain)
    result, after = cleaned(encoded_as(plain, syntax, [before]))
    assert np.array_equal(after, before)
    assert (result.look, result.boxes) == ((), ())


def test_writing_on_the_last_frame_of_a_compressed_stack_is_found() -> None:
    plain = pixel_array(slice_of(drawn=False))
    frames = [np.roll(plain, 60 * number, axis=1) for number in range(1, 5)]
    frames.append(pixel_array(slice_of(drawn=True)))
    stack = encoded_as(slice_of(drawn=False), RLE, frames)
    stack.NumberOfFrames = 5
    result, after = cleaned(stack)
    assert result.boxes
    assert result.look or not (after[4][30:50, 30:250] == 4095).any()
    assert all(np.mean(after[number] == frames[number]) > 0.99 for number in range(4))


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K])
@pytest.mark.parametrize("fragments", [[], [b""], [b"", b""]], ids=["none", "table", "empty"])
def test_a_compressed_slice_without_a_frame_is_no_reason_to_hold_it(
    syntax: str, fragments: list[bytes]
) -> None:
    plain = slice_of(drawn=False)
    dataset = read_part10(made.encoded(encoded_as(plain, syntax, [pixel_array(plain)]))).dataset
    dataset.put(Element(PIXEL_DATA, "OB", fragments=list(fragments)))
    assert not drawn_upon_packed(dataset, syntax)
    with pytest.raises(NotDecodableError):
        Picture.of(dataset, syntax).stored_values(0)


def test_what_a_decoder_raises_is_not_raised_further(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    drawn = slice_of(drawn=True)
    dataset = read_part10(made.encoded(encoded_as(drawn, RLE, [pixel_array(drawn)]))).dataset
    monkeypatch.setattr(Picture, "stored_values", broken)
    assert not drawn_upon_packed(dataset, RLE)


# -- a stretch that is met again ----------------------------------------------------------------------------------
def line(text: str, *, ink: int = 235, grain: float = 0.0, seed: int = 1) -> np.ndarray[Any, Any]:
    drawn = Image.new("L", (520, 30), 20)
    ImageDraw.Draw(drawn).text((6, 5), text, fill=ink, font=font(16))
    noisy = np.asarray(drawn) + np.random.default_rng(seed).normal(0, grain, (30, 520))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("ink", [235, 70])
@pytest.mark.parametrize("other", ["8", "2"])
def test_a_changed_digit_in_a_long_line_makes_another_line(ink: int, other: str) -> None:
    text = "RIGHT LOBE OF THE LIVER, LONG AXIS  19450312-123"
    stretch = _Stretch.of(line(text + "4", ink=ink), Box(4, 4, 500, 20))
    assert stretch.shown_in(line(text + "4", ink=ink))
    assert not stretch.shown_in(line(text + other, ink=ink))


def test_grain_makes_no_other_line() -> None:
    stretch = _Stretch.of(line(NAME, grain=4.0, seed=1), Box(4, 4, 300, 20))
    assert stretch.shown_in(line(NAME, grain=4.0, seed=2))


# -- no view is read twice ----------------------------------------------------------------------------------------
def test_what_is_left_is_read_again_without_reading_a_view_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    real = ocr.read_words

    def count(shown: np.ndarray[Any, Any], **more: Any) -> Any:
        told = f"{shown.shape} {more['layout']}".encode()
        read.append(hashlib.sha256(told + np.ascontiguousarray(shown).tobytes()).digest())
        return real(shown, **more)

    monkeypatch.setattr(ocr, "read_words", count)
    colour = np.repeat(page()[..., None], 3, axis=2)
    result, after = cleaned(picture(colour))
    assert result.masked
    assert len(read) == len(set(read))
    once = len(read)
    again, twice = cleaned(picture(after))
    assert np.array_equal(after, twice)
    assert again.masked == 0
    assert len(read) - once < once  # the second reading was part of the first pass


# -- the copy's head ----------------------------------------------------------------------------------------------
def test_a_sequence_across_the_edge_of_the_head_does_not_hide_the_picture() -> None:
    shown = picture(page(name="Fiktivsson Maja"), BurnedInAnnotation="NO")
    items = []
    for number in range(1200):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = shown.SOPClassUID, f"1.2.3.{number}"
        items.append(item)
    shown.ReferencedImageSequence = items
    content = made.encoded(shown)
    assert len(content) - len(shown.PixelData) > 64 << 10
    assert read_again(content, Known.from_json({"names": ["Fiktivsson^Maja"]})) == ("frame 1",)
    assert read_again(content, Known.from_json({"names": ["Annanström^Petronella"]})) == ()
