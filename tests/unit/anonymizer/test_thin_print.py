"""Soft and less bright letters upon slices are found, and slices as scanners make them are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder

from anonymizer.documents.fonts import drawing_font
from anonymizer.pixels.packed_slices import drawn_upon_packed
from anonymizer.pixels.slices import drawn_in, drawn_upon
from anonymizer.pixels.thin import thin_print
from anonymizer.reader import read_part10
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import CT, NAME, RLE, cleaned, picture


def head(side: int = 512, *, grain: float = 8, seed: int = 3):
    """A head as CT shows it: bone around tissue, brighter islands in it, grain in the air."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(down / 0.84, across / 0.7)
    values = np.where(radius < 1, 1040.0, 0.0)
    values[(radius > 0.88) & (radius < 1)] = 2700
    for _ in range(12):
        middle, reach = rng.uniform(-0.4, 0.4, 2), rng.uniform(0.02, 0.12)
        values[np.hypot(down - middle[0], across - middle[1]) < reach] += rng.uniform(-200, 1500)
    blurred = sum(np.roll(values, shift, (0, 1)) for shift in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))) / 5
    return np.clip(blurred + rng.normal(0, grain, values.shape), 0, 4095).astype("<u2")


def written(values, text=NAME, *, size=14, ink=2500, at=(12, 10), soft=True):
    page = Image.new("L" if soft else "1", values.shape[::-1])
    ImageDraw.Draw(page).text(at, text, fill=255 if soft else 1, font=ImageFont.load_default(size))
    share = np.asarray(page).astype(float) / (255 if soft else 1)
    return (values * (1 - share) + ink * share).astype(values.dtype)


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
@pytest.mark.parametrize("ink", [4095, 2500, 1900])
@pytest.mark.parametrize("size", [12, 14, 16, 20, 24])
def test_letters_are_found_whatever_their_size_and_brightness(size, ink, soft):
    assert drawn_in(written(head(), size=size, ink=ink, soft=soft))


@pytest.mark.parametrize("at", [(12, 480), (150, 250), (300, 12)], ids=["below", "over tissue", "right"])
def test_letters_are_found_wherever_they_stand(at):
    assert drawn_in(written(head(), size=16, ink=3600, at=at))


def test_letters_are_found_beside_metal_a_hot_spot_and_padding():
    metal = head()
    metal[250:262, 240:256] = 32000
    padded = head().astype("<i2")
    padded[np.hypot(*(axis - 255.5 for axis in np.mgrid[:512, :512])) > 255] = -2000
    assert drawn_in(written(metal))
    assert drawn_in(written(padded, at=(185, 20)))


@pytest.mark.parametrize("size", [14, 20])
def test_letters_are_found_where_the_rest_is_nothing_but_grain(size):
    grain = np.random.default_rng(4).normal(1000, 40, (512, 512)).astype("<u2")
    assert not drawn_in(grain)
    assert drawn_in(written(grain, size=size, ink=3000))


def test_small_letters_that_are_nothing_but_soft_edges_are_found_where_they_are_long():
    page = Image.new("L", (512, 512))
    ImageDraw.Draw(page).text((10, 10), "Sigrid Björkqvist", fill=255, font=drawing_font(14))
    share = np.asarray(page) / 255.0
    assert drawn_in((head() * (1 - share) + 4095 * share).astype("<u2"))


def clean_slices():
    for seed in range(12):
        yield f"head {seed}", head(grain=4 * seed, seed=seed)
        yield f"small {seed}", head(256, grain=15, seed=seed) // 3
    rng = np.random.default_rng(5)
    down, across = np.mgrid[-1:1:512j, -1:1:512j]
    rings = 1000 + 900 * np.cos(12 * np.hypot(down, across))
    yield "rings", (rings + rng.normal(0, 30, rings.shape)).astype("<u2")
    yield "noise", np.abs(rng.normal(0, 200, (512, 512))).astype("<u2")
    yield "small noise", np.abs(rng.normal(0, 15, (128, 128))).astype("<u2")
    yield "nothing", np.zeros((512, 512), "<u2")
    yield "bits", np.tile(np.array([0, 65535], "<u2"), (128, 64))
    signed = head().astype("<i2") - 1024
    signed[np.hypot(down, across) > 1] = -2000
    yield "padding", signed
    yield "widest", np.where(signed > 0, 32767, -32768).astype("<i2")
    metal = head()
    for place in range(120, 400, 60):
        metal[place : place + 9, place : place + 14] = 4095
    yield "metal", metal
    hot = rng.poisson(30, (128, 128)).astype("<u2")
    hot[60:63, 60:64] = 32000
    yield "hot spot", hot
    grid = np.zeros((256, 256), "<u2")
    grid[40:216, 40:216] = 800
    grid[60:200:16], grid[:, 60:200:16] = 100, 100
    yield "grid", grid
    for name in ("CT_small.dcm", "MR_small.dcm", "693_UNCR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm"):
        if path := get_testdata_file(name, download=False):
            yield name, np.ascontiguousarray(dcmread(path).pixel_array)


@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in clean_slices()])
def test_slices_as_scanners_make_them_are_not_taken_for_print(values):
    assert not thin_print(values)
    assert not drawn_in(values)


def test_a_soft_name_below_the_brightest_value_is_masked():
    plain = picture(head(), CT, "CT", bits=12)
    assert not drawn_upon(read_part10(made.encoded(plain)).dataset)
    ds = picture(written(head(), size=16, ink=2500), CT, "CT", bits=12)
    assert drawn_upon(read_part10(made.encoded(ds)).dataset)
    result, after = cleaned(ds)
    assert np.ptp(after[14:22, 16:60]) == 0 or result.look
    assert any(box["state"] == "masked" for box in result.boxes)


@pytest.mark.parametrize("ink", [None, 2500])
def test_compressed_slices_are_asked_the_same(ink):
    values = head() if ink is None else written(head(), size=16, ink=ink)
    ds = picture(values, CT, "CT", bits=12, syntax=RLE)
    frame = get_encoder(RLE).encode(values.tobytes(), rows=512, columns=512, samples_per_pixel=1, bits_allocated=16,
                                    bits_stored=12, pixel_representation=0, photometric_interpretation="MONOCHROME2",
                                    number_of_frames=1)  # fmt: skip
    ds.PixelData = encapsulate([frame])
    assert drawn_upon_packed(read_part10(made.encoded(ds)).dataset, RLE) is (ink is not None)
