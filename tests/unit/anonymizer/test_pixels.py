from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array

from anonymizer.errors import PreviewError
from anonymizer.frames import strip_frame, strip_frames
from anonymizer.pixels import pixel_risk, render_preview
from anonymizer.reader import read_part10
from tests.unit.anonymizer import made

JPEG, JPEG_LS, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"


def jpeg(**options: object) -> bytes:
    out = io.BytesIO()
    picture = Image.effect_noise((16, 16), 60).convert("RGB")
    picture.save(out, format="JPEG", quality=90, **options)
    return out.getvalue()


def with_segments(data: bytes) -> bytes:
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 16) + b"SECRET comment 1"
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 18) + b"Exif\0\0SECRET exif "
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"
    return data[:2] + comment + adobe + exif + data[2:] + b"SECRET after the end"


@pytest.mark.parametrize("progressive", [False, True])
def test_comments_exif_and_tails_leave_the_frame_and_pixels_stay(progressive):
    plain = jpeg(progressive=progressive)
    clean, removed = strip_frame(with_segments(plain), JPEG)
    assert removed == 3
    assert b"SECRET" not in clean
    assert b"Adobe" in clean
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(clean))), np.asarray(Image.open(io.BytesIO(with_segments(plain))))
    )


def test_a_comment_between_scans_is_found():
    plain = jpeg(progressive=True)
    at = plain.rindex(b"\xff\xda")
    clean, removed = strip_frame(plain[:at] + b"\xff\xfe\x00\x08SECRET" + plain[at:], JPEG)
    assert removed == 1
    assert clean == plain


def test_a_clean_frame_is_not_touched():
    fragments = [b"", jpeg()]
    assert strip_frames(fragments, JPEG, 1) is None
    assert strip_frames([b"", b"\0" * 10], "1.2.840.10008.1.2.5", 1) is None


def test_photograph_with_exif_loses_it_and_keeps_its_pixels():
    made_jpeg = jpeg()
    dirty = made.photo(with_segments(made_jpeg))
    result = made.deidentified(dirty)
    assert b"SECRET" not in result.content
    out = made.reread(result)
    assert next(generate_frames(out.PixelData, number_of_frames=1)).startswith(b"\xff\xd8")
    assert np.array_equal(pixel_array(out), pixel_array(dcmread(io.BytesIO(made.encoded(dirty)))))
    assert {"photograph"} <= {look.code for look in result.look}


def test_offset_table_follows_when_frames_shrink():
    frames = [with_segments(jpeg()), jpeg(), with_segments(jpeg())]
    ds = made.photo(frames[0])
    ds.NumberOfFrames = 3
    ds.PixelData = encapsulate(frames, has_bot=True)
    ds["PixelData"].is_undefined_length = True
    result = made.deidentified(ds)
    out = made.reread(result)
    kept = list(generate_frames(out.PixelData, number_of_frames=3))
    assert [frame.rstrip(b"\0") for frame in kept] == [
        strip_frame(frames[0], JPEG)[0], frames[1], strip_frame(frames[2], JPEG)[0],
    ]  # fmt: skip
    assert made.deidentified(result.content).content == result.content


def test_a_frame_over_several_fragments_is_cleaned_as_one():
    dirty = with_segments(jpeg())
    parts = [dirty[:20], dirty[20:300], dirty[300:]]
    cleaned = strip_frames([b"", *parts], JPEG, 1)
    assert cleaned is not None
    assert b"SECRET" not in b"".join(cleaned.fragments)


def test_jpeg_ls_and_jpeg_2000_comments_go():
    ls = dcmread(made_file("MR_small_jpeg_ls_lossless.dcm"))
    frame = next(generate_frames(ls.PixelData, number_of_frames=1))
    assert strip_frame(frame[:2] + b"\xff\xfe\x00\x08SECRET" + frame[2:], JPEG_LS) == (frame.rstrip(b"\0"), 1)
    j2k = dcmread(made_file("MR_small_jp2klossless.dcm"))
    frame = next(generate_frames(j2k.PixelData, number_of_frames=1))
    once, _ = strip_frame(frame, J2K)
    at = once.index(b"\xff\x52")
    again, removed = strip_frame(once[:at] + b"\xff\x64\x00\x0a\x00\x01SECRET" + once[at:], J2K)
    assert removed == 1
    assert b"SECRET" not in again


def made_file(name: str) -> str:
    from pydicom.data import get_testdata_file

    return str(get_testdata_file(name))


def test_an_overlay_drawn_in_an_unused_bit_is_cleared_and_the_picture_kept():
    ds = made.ct()
    values = np.frombuffer(ds.PixelData, "<u2").copy()
    drawn = values | np.where(np.arange(values.size) % 3 == 0, 0x8000, 0).astype("<u2")
    ds.PixelData = drawn.tobytes()
    result = made.deidentified(ds)
    assert np.array_equal(np.frombuffer(made.reread(result).PixelData, "<u2"), values)
    assert "(7FE0,0010)" in {entry.place for entry in result.report.entries}


def test_sign_extension_and_padding_are_left_as_they_are():
    ds = made.ct()
    ds.PixelRepresentation = 1
    ds.PixelData = np.arange(-128, 128, dtype="<i2").tobytes()
    assert made.reread(made.deidentified(ds)).PixelData == ds.PixelData
    padded = made.ct()
    values = np.full(256, 100, dtype="<u2")
    values[:8] = 63536
    padded.PixelData = values.tobytes()
    padded.PixelPaddingValue = 63536
    padded["PixelPaddingValue"].VR = "US"
    assert made.reread(made.deidentified(padded)).PixelData == padded.PixelData


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, set()),
        ({"BurnedInAnnotation": "NO"}, set()),
        ({"BurnedInAnnotation": "YES"}, {"burned_in"}),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, {"screen_save"}),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, {"capture"}),
        ({"Modality": "US"}, {"ultrasound"}),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, {"ultrasound"}),
        ({"Modality": "XA"}, {"projection"}),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": ""}, {"picture"}),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1", "Modality": "EC"}, {"picture"}),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}, set()),
        ({"Modality": "XA", "BurnedInAnnotation": "NO"}, set()),
        ({"ConversionType": "WSD"}, {"capture"}),
        ({"ConversionType": "SD"}, {"scanned"}),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, {"capture"}),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, {"screen_save"}),
    ],
)
def test_risk_rules(change, codes):
    ds = made.ct()
    for name, value in change.items():
        setattr(ds, name, value)
    assert {look.code for look in pixel_risk(read_part10(made.encoded(ds)).dataset)} == codes


def test_a_picture_packed_against_its_encoding_is_held():
    content = made.encoded(made.photo(jpeg()))
    native = content.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1\0\0\0")
    assert made.refused(native).code == "damaged"
    packed = made.encoded(made.ct()).replace(b"1.2.840.10008.1.2.1\0\x02", b"1.2.840.10008.1.2.5\0\x02")
    assert made.refused(packed).code == "damaged"


def test_a_picture_inside_a_sequence_is_removed():
    ds, inner = made.ct(), made.ct()
    ds.SourceImageSequence = [made.reference(ds.SOPClassUID, "1.2.3.4.5.6")]
    ds.SourceImageSequence[0].PixelData = inner.PixelData
    ds.SourceImageSequence[0]["PixelData"].VR = "OW"
    assert "PixelData" not in made.reread(made.deidentified(ds)).SourceImageSequence[0]


def test_an_object_without_a_picture_needs_no_look():
    ds = made.report()
    assert made.deidentified(ds).look == ()


def test_a_head_that_shows_a_face_says_so():
    assert made.reread(made.deidentified(made.mr())).RecognizableVisualFeatures == "YES"
    assert "RecognizableVisualFeatures" not in made.reread(made.deidentified(made.ct()))


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "examples_rgb_color.dcm",
        "examples_palette.dcm",
        "examples_jpeg2k.dcm",
        "MR_small_RLE.dcm",
    ],
)
def test_a_human_can_look(name):
    with open(made_file(name), "rb") as stream:  # noqa: PTH123 - a test file
        content = stream.read()
    shown = Image.open(io.BytesIO(render_preview(content, max_side=100)))
    assert shown.format == "PNG"
    assert max(shown.size) == 100 or max(shown.size) == 64
    low, high = shown.convert("L").getextrema()
    assert high - low > 60


def test_what_cannot_be_shown_says_so_without_a_value():
    with pytest.raises(PreviewError, match="cannot be shown"):
        render_preview(made.encoded(made.report()))
    with pytest.raises(PreviewError):
        render_preview(b"Krasheninnikova")


def test_a_cleaned_picture_that_cannot_be_read_again_is_told(monkeypatch):
    from anonymizer.known import Known
    from anonymizer.ocr import OcrTimeError
    from anonymizer.pixels import check

    def too_slow(*_args, **_more):
        raise OcrTimeError

    ds = made.photo(jpeg())
    ds.Modality, ds.BurnedInAnnotation = "US", "NO"
    ds.SourceImageSequence = [made.reference(ds.SOPClassUID, f"1.2.3.4.5.{n}") for n in range(1200)]
    known = Known.from_json({"names": ["Krasheninnikova^Irina"]})
    assert check.read_again(made.encoded(ds), known) == ()
    monkeypatch.setattr(check.ocr, "read_words", too_slow)
    assert check.read_again(made.encoded(ds), known) == (check.UNREAD,)
    ds.BurnedInAnnotation = "YES"  # somebody looks at it in any case
    assert check.read_again(made.encoded(ds), known) == ()
