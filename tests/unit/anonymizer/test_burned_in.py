"""Names drawn into pictures go, what the device writes stays, and what cannot be read waits for a human."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder, pixel_array

from anonymizer import ocr
from anonymizer.engine import deidentify_instance
from anonymizer.known import Known
from anonymizer.pixels import MaskRule, render_preview
from anonymizer.pixels.check import read_again
from anonymizer.pixels.clean import PixelOutcome, _looks
from anonymizer.pixels.find import Findings, Seen
from anonymizer.pixels.judge import TextJudge
from anonymizer.pixels.masks import MaskRuleError, fingerprint
from anonymizer.pixels.risk import Look
from anonymizer.pixels.slices import drawn_upon
from anonymizer.pixels.strokes import Box
from anonymizer.profile import load_profile
from anonymizer.pseudonyms import Pseudonyms
from anonymizer.reader import read_part10
from tests.unit.anonymizer import made

US, US_CINE = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
SC, CR, CT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.2"
RLE, JPEG, JPEG_LS, J2K = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
)
NAME, NUMBER, DEVICE = "KRASHENINNIKOVA ÅSA", "19650312-2380", "MI 1.2  TIs 0.4  15 cm"
#: Where `page` writes them: (left, top, right, bottom), the glyphs with a margin.
NAME_AT, NUMBER_AT, DEVICE_AT = (16, 12, 330, 44), (16, 52, 330, 80), (16, 250, 330, 280)


def font(size: int = 18):
    return ImageFont.load_default(size)


def page(*, name: str = NAME, number: str = NUMBER, ground: int = 12, ink: int = 235, colour: bool = False):
    """A frame of 300 x 400 with a name, a number and what a device writes, and tissue between them."""
    noise = np.random.default_rng(7).normal(90, 14, (60, 380)).clip(0, 190).astype(np.uint8)
    drawn = Image.new("L", (400, 300), ground)
    drawn.paste(Image.fromarray(noise), (10, 95))
    if colour:
        drawn = drawn.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    shade = (ink, ink, 40) if colour else ink
    pen.text((20, 16), name, fill=shade, font=font())
    pen.text((20, 54), number, fill=shade, font=font())
    pen.text((20, 255), DEVICE, fill=shade, font=font())
    return np.asarray(drawn)


def picture(array, sop_class=US, modality="US", *, frames=1, bits=8, syntax="1.2.840.10008.1.2.1", **changes):
    ds = made.base(sop_class, modality, syntax=syntax)
    one = array if frames == 1 else array[0]
    ds.Rows, ds.Columns = one.shape[:2]
    ds.SamplesPerPixel = 3 if one.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if one.ndim == 3 else "MONOCHROME2"
    if one.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    ds.PixelRepresentation = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.PixelData = array.tobytes()
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def cleaned(ds, **options):
    result = made.deidentified(ds, **options)
    return result, pixel_array(made.reread(result))


def part(array, place):
    left, top, right, bottom = place
    return array[top:bottom, left:right]


def is_gone(array, before, place):
    """Where something was written, and two pixels around each stroke, one value is left."""
    written, left = (part(one, place).astype(int) for one in (before, array))
    if written.ndim == 3:
        written, left = written.max(axis=2), left.max(axis=2)
    ink = np.abs(written - int(np.median(written))) > 0.3 * np.ptp(written)
    assert ink.sum() > 100
    around = np.asarray(Image.fromarray(ink).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    return np.ptp(left[around]) <= 2


def same(array, before, place):
    return np.array_equal(part(array, place), part(before, place))


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "yellow"])
@pytest.mark.parametrize(("sop_class", "modality"), [(US, "US"), (SC, "OT"), (CR, "CR")])
def test_name_and_number_go_and_the_devices_words_stay(sop_class, modality, colour):
    before = page(colour=colour)
    result, after = cleaned(picture(before, sop_class, modality))
    assert is_gone(after, before, NAME_AT)
    assert is_gone(after, before, NUMBER_AT)
    assert same(after, before, DEVICE_AT)
    assert same(after, before, (10, 95, 390, 235))
    assert result.look == ()
    assert made.reread(result).BurnedInAnnotation == "NO"
    assert "blanked" in made.reread(result).DerivationDescription
    assert read_again(result.content, made.KNOWN) == ()
    assert read_again(made.encoded(picture(before, sop_class, modality)), made.KNOWN) == ("frame 1",)


@pytest.mark.parametrize(("ground", "ink"), [(245, 10), (120, 255), (60, 190)])
def test_dark_on_light_and_low_contrast_are_read(ground, ink):
    result, after = cleaned(picture(page(ground=ground, ink=ink), SC, "OT"))
    assert is_gone(after, page(ground=ground, ink=ink), NAME_AT)
    assert is_gone(after, page(ground=ground, ink=ink), NUMBER_AT)
    assert read_again(result.content, made.KNOWN) == ()


def test_twelve_bit_planar_and_signed_pictures_are_masked_in_their_own_values():
    deep = page().astype("<u2") * 16
    result, after = cleaned(picture(deep, CR, "CR", bits=12))
    assert is_gone(after, deep, NAME_AT)
    assert same(after, deep, DEVICE_AT)
    signed = (page().astype("<i2") * 8) - 1000
    ds = picture(signed, CR, "CR", bits=12, PixelRepresentation=1)
    result, after = cleaned(ds)
    assert after.min() == signed.min()
    assert is_gone(after, signed, NAME_AT)
    colour = page(colour=True)
    ds = picture(np.moveaxis(colour, -1, 0).copy(), US, "US")
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 300, 400, 3
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 1
    result, after = cleaned(ds)
    assert made.reread(result).PlanarConfiguration == 1
    assert is_gone(after, colour, NAME_AT)
    assert same(after, colour, DEVICE_AT)


def test_inverted_grey_is_masked_with_its_own_black():
    before = 255 - page()
    _, after = cleaned(picture(before, CR, "CR", PhotometricInterpretation="MONOCHROME1"))
    assert is_gone(after, before, NAME_AT)
    assert int(part(after, (30, 20, 200, 34)).min()) == 255


def cine(shown_in=(2, 3), frames=6):
    """Each frame with tissue of its own; the name in some only, the device's words in all."""
    rng = np.random.default_rng(5)
    whole = []
    for number in range(frames):
        one = page(name=NAME if number in shown_in else "", number="").copy()
        one[95:155, 10:390] = rng.normal(90, 14, (60, 380)).clip(0, 190).astype(np.uint8)
        whole.append(one)
    return np.stack(whole)


@pytest.mark.parametrize("frames", [12])
def test_text_in_late_frames_of_a_cine_is_found_and_other_frames_are_untouched(frames):
    before = cine((frames - 3, frames - 2), frames)
    result, after = cleaned(picture(before, US_CINE, "US", frames=frames))
    for number in range(frames):
        if number in {frames - 3, frames - 2}:
            assert is_gone(after[number], before[number], NAME_AT)
            assert same(after[number], before[number], DEVICE_AT)
        else:
            assert np.array_equal(after[number], before[number])
    assert result.look == ()


def encoded_as(ds, syntax, frames):
    layout = {
        "rows": ds.Rows, "columns": ds.Columns, "samples_per_pixel": ds.SamplesPerPixel,
        "photometric_interpretation": ds.PhotometricInterpretation, "bits_allocated": ds.BitsAllocated,
        "bits_stored": ds.BitsStored, "pixel_representation": 0, "number_of_frames": 1,
    }  # fmt: skip
    if ds.SamplesPerPixel > 1:
        layout["planar_configuration"] = 0
    parts = [get_encoder(syntax).encode(np.ascontiguousarray(frame), **layout) for frame in frames]
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(parts)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_lossless_encodings_stay_what_they_are(syntax, colour):
    before = page(colour=colour)
    result, after = cleaned(encoded_as(picture(before), syntax, [before]))
    assert result.transfer_syntax == syntax
    assert is_gone(after, before, NAME_AT)
    assert same(after, before, DEVICE_AT)
    assert same(after, before, (10, 95, 390, 235))


def test_of_an_encoded_cine_only_frames_with_text_are_encoded_anew():
    before = cine((4,))
    ds = encoded_as(picture(before, US_CINE, "US", frames=6), JPEG_LS, list(before))
    fragments = read_part10(made.encoded(ds)).dataset.elements[0x7FE00010].fragments
    result, after = cleaned(ds)
    kept = read_part10(result.content).dataset.elements[0x7FE00010].fragments
    assert [bytes(kept[n + 1]) == bytes(fragments[n + 1]) for n in range(6)] == [n != 4 for n in range(6)]
    assert is_gone(after[4], before[4], NAME_AT)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_a_lossy_picture_is_stored_without_further_loss_and_says_so(colour):
    out = io.BytesIO()
    Image.fromarray(page(colour=colour)).save(out, "JPEG", quality=92)
    ds = picture(page(colour=colour))
    ds.file_meta.TransferSyntaxUID = JPEG
    ds.PixelData = encapsulate([out.getvalue()])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    if colour:
        ds.PhotometricInterpretation = "YBR_FULL_422"
    before = pixel_array(dcmread(io.BytesIO(made.encoded(ds))))
    result, after = cleaned(ds)
    told = made.reread(result)
    assert result.transfer_syntax == JPEG_LS
    assert told.LossyImageCompression == "01"
    assert told.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")
    assert is_gone(after, before, NAME_AT)
    assert same(after, before, DEVICE_AT)
    assert same(after, before, (10, 95, 390, 235))


def test_an_overlay_inside_an_encoded_picture_is_cleared_and_the_picture_kept():
    values = (page(name="", number="").astype("<u2") * 8) & 0x0FFF
    drawn = values | np.where(page(name="QX7734410", number="", ground=0) > 128, 0x8000, 0).astype("<u2")
    ds = picture(values, CT, "CT", bits=12)
    ds.BitsStored, ds.HighBit = 16, 15
    ds = encoded_as(ds, RLE, [drawn])
    ds.BitsStored, ds.HighBit = 12, 11
    ds.add_new(0x60000010, "US", 300)
    ds.add_new(0x60000011, "US", 400)
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", 15)
    result, after = cleaned(ds)
    assert np.array_equal(after, values)
    assert 0x60000102 not in made.reread(result)
    assert "overlay_in_pixels" not in {look.code for look in result.look}


def test_what_is_clean_passes_byte_for_byte():
    before = page(name="Abdomen", number="L")
    for syntax in (None, RLE, JPEG_LS):
        ds = picture(before)
        if syntax:
            ds = encoded_as(ds, syntax, [before])
        kept = bytes(ds.PixelData)
        result, _ = cleaned(ds)
        assert made.reread(result).PixelData == kept
        assert result.look == ()


@pytest.mark.parametrize("seed", range(2))
def test_speckle_and_noise_are_left_alone(seed):
    rng = np.random.default_rng(seed)
    noise = np.clip(rng.rayleigh(45, (240, 320)), 0, 255).astype(np.uint8)
    soft = np.asarray(Image.fromarray(noise).resize((480, 360), Image.Resampling.BICUBIC))
    for array in (noise, soft):
        _result, after = cleaned(picture(array))
        assert np.array_equal(after, array)


@pytest.mark.parametrize("text", ["Иванова Мария Петровна", "Ωμέγα Παπαδοπούλου"])
def test_letters_that_cannot_be_read_well_are_masked_or_held(text):
    before = page(name=text, number="")
    result, after = cleaned(picture(before, CR, "CR"))
    assert is_gone(after, before, NAME_AT) or result.look


def test_text_written_upwards_is_found():
    lying = Image.new("L", (300, 400), 12)
    ImageDraw.Draw(lying).text((30, 20), NAME, fill=235, font=font(20))
    before = np.asarray(lying.rotate(90, expand=True))
    result, after = cleaned(picture(before, SC, "OT"))
    assert (after != before).any() or result.look
    assert read_again(result.content, made.KNOWN) == ()


def test_a_strangers_name_and_a_date_go_too():
    before = page(name="Bergmark Sixten", number="2024-05-17")
    _, after = cleaned(picture(before))
    assert is_gone(after, before, NAME_AT)
    assert is_gone(after, before, NUMBER_AT)


def test_strict_blanks_every_text():
    _, after = cleaned(picture(page()), profile="strict")
    assert is_gone(after, page(), DEVICE_AT)


def test_a_photograph_and_a_scan_wait_for_a_human_even_when_they_read_clean():
    photo = picture(page(name="", number="", colour=True), "1.2.840.10008.5.1.4.1.1.77.1.4", "XC")
    assert {look.code for look in made.deidentified(photo).look} == {"photograph"}
    scan = picture(page(name="", number=""), SC, "OT", ConversionType="SD")
    assert {look.code for look in made.deidentified(scan).look} == {"scanned"}


def test_a_claim_of_burned_in_text_that_nobody_found_waits_for_a_human():
    blank = picture(np.full((64, 64), 9, np.uint8), US, "US", BurnedInAnnotation="YES")
    assert {look.code for look in made.deidentified(blank).look} == {"burned_in"}


def deidentify(ds, masks):
    return deidentify_instance(
        made.encoded(ds), profile=load_profile("mdt-default"), pseudonyms=Pseudonyms(made.KEY), known=made.KNOWN, masks=masks
    )  # fmt: skip


def test_a_reviewed_rule_blanks_its_rectangles_and_takes_the_place_of_the_look():
    ds = picture(page(name="", number="", colour=True), "1.2.840.10008.5.1.4.1.1.77.1.4", "XC")
    layout = made.deidentified(ds).layout
    rule = MaskRule(**layout, rectangles=((0, 0, 50, 40), (380, 280, 900, 900)), reach="picture")
    result = deidentify(ds, (MaskRule.from_json(json.loads(json.dumps(rule.to_json()))),))
    after = pixel_array(made.reread(result))
    assert not after[:40, :50].any()
    assert not after[280:, 380:].any()
    assert after[100:200, 100:200].any()
    assert result.look == ()
    other = MaskRule(**layout | {"columns": 401}, rectangles=((0, 0, 50, 40),))
    assert deidentify(ds, (other,)).look
    assert not MaskRule().matches(read_part10(made.encoded(ds)).dataset)


@pytest.mark.parametrize("verdict", ["mask", "clean"])
@pytest.mark.parametrize("reach", ["layout", "like"])
def test_a_rule_for_a_layout_leaves_the_look_at_what_nobody_has_seen(verdict, reach):
    photo = picture(page(name="", number="", colour=True), "1.2.840.10008.5.1.4.1.1.77.1.4", "XC")
    scan = picture(page(name="", number=""), SC, "OT", ConversionType="SD")
    for ds, code in ((photo, "photograph"), (scan, "scanned")):
        assert code in {look.code for look in made.deidentified(ds).look}
        layout = made.deidentified(ds).layout
        places = ((0, 0, 50, 40),) if verdict == "mask" else ()
        rule = MaskRule(**layout, rectangles=places, verdict=verdict, reach=reach)
        assert {look.code for look in deidentify(ds, (rule,)).look} == {code}


@pytest.mark.parametrize(("place", "codes"), [((0, 0, 50, 40), set()), ((0, 0, 49, 40), {"doubtful_text"})])
def test_doubtful_writing_is_settled_by_a_layouts_mask_only_where_all_of_it_is_blanked(place, codes):
    doubt = Findings(seen=[Seen(0, Box(10, 10, 40, 30), "doubtful")])
    outcome, rule = PixelOutcome("", (Look("burned_in", ""),)), MaskRule(rows=9, rectangles=(place,))
    told = _looks(outcome, doubt, "", [rule], blanked=True, overlay=False)
    assert {look.code for look in told} - {"burned_in"} == codes
    clean = _looks(outcome, doubt, "", [MaskRule(rows=9, verdict="clean")], blanked=False, overlay=False)
    assert "doubtful_text" in {look.code for look in clean}
    seen = MaskRule(rows=9, verdict="clean", reach="picture")
    assert _looks(outcome, doubt, "", [seen], blanked=False, overlay=False) == ()


def test_a_rule_for_a_layout_is_for_all_parts_of_it_and_an_empty_one_is_no_joker():
    named = read_part10(made.encoded(picture(page(), Manufacturer="Acme"))).dataset
    nameless = read_part10(made.encoded(picture(page(), Manufacturer=""))).dataset
    rule = MaskRule(**fingerprint(nameless), verdict="clean", reach="layout")
    assert rule.matches(nameless)
    assert not rule.matches(named)
    assert MaskRule(**fingerprint(nameless), verdict="clean").matches(named)


def test_a_rule_that_calls_a_layout_clean_does_not_stop_the_search_for_names():
    ds = picture(page())
    rule = MaskRule(**fingerprint(read_part10(made.encoded(ds)).dataset), verdict="clean")
    result = deidentify(ds, (rule,))
    assert is_gone(pixel_array(made.reread(result)), page(), NAME_AT)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"rows": "300"},
        {"rows": True},
        {"verdict": "maybe"},
        {"rectangles": [[1, 2, 3]]},
        {"rectangles": [[-1, 2, 3, 4]]},
        {"patient": "x"},
    ],
)
def test_a_rule_of_another_shape_is_refused(wrong):
    with pytest.raises(MaskRuleError):
        MaskRule.from_json(wrong)


def test_without_language_packs_pictures_at_risk_are_held_and_say_why(monkeypatch, tmp_path):
    monkeypatch.setattr(ocr, "folders", lambda: (tmp_path,))
    ocr._packs.cache_clear()
    try:
        held = made.deidentified(picture(page()))
        slice_ = made.deidentified(made.ct())
    finally:
        ocr._packs.cache_clear()
    assert {look.code for look in held.look} == {"ultrasound", "text_unread"}
    assert any("no language packs" in look.reason for look in held.look)
    assert slice_.look == ()


def test_a_damaged_picture_at_risk_is_quarantined_and_one_without_a_decoder_is_held():
    ds = picture(page())
    ds.file_meta.TransferSyntaxUID = JPEG_LS
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xf7 no picture"])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    assert made.refused(ds).code == "pixels_unreadable"
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    assert "not_decodable" in {look.code for look in made.deidentified(ds).look}


def test_the_time_for_one_picture_is_bounded(monkeypatch):
    monkeypatch.setattr("anonymizer.pixels.clean.READING_S", 0.0)
    assert "too_much_to_read" in {look.code for look in made.deidentified(picture(page())).look}


def test_boxes_tell_places_and_states_and_never_words():
    result = made.deidentified(picture(page()))
    assert {box["state"] for box in result.boxes} == {"masked", "kept"}
    assert all(set(box) == {"frame", "left", "top", "width", "height", "state"} for box in result.boxes)
    assert pickle.loads(pickle.dumps(result)).boxes == result.boxes  # noqa: S301 - our own
    plain = render_preview(result.content)
    drawn = render_preview(result.content, boxes=result.boxes)
    red = (np.asarray(Image.open(io.BytesIO(drawn))) == (230, 60, 60)).all(axis=-1)
    assert red.any()
    assert plain != drawn


def slice_of(drawn: bool):
    rng = np.random.default_rng(3)
    body = np.clip(rng.normal(1000, 180, (512, 512)), 0, 4000)
    body[200:230, 200:260] = 4095  # an implant: filled, not drawn
    if drawn:
        ink = Image.new("L", (512, 512), 0)
        ImageDraw.Draw(ink).text((30, 30), NAME, fill=255, font=font(20))
        body[np.asarray(ink) > 128] = 4095
    return picture(body.astype("<u2"), CT, "CT", bits=12, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])


def test_a_slice_is_decoded_only_where_something_is_drawn_on_it():
    plain, drawn = slice_of(False), slice_of(True)
    assert not drawn_upon(read_part10(made.encoded(plain)).dataset)
    assert drawn_upon(read_part10(made.encoded(drawn)).dataset)
    result, after = cleaned(plain)
    assert np.array_equal(after, pixel_array(plain))
    assert result.look == ()
    assert result.boxes == ()
    result, after = cleaned(drawn)
    assert result.look or not (after[30:50, 30:250] == 4095).any()


JUDGE = TextJudge(made.KNOWN)


@pytest.mark.parametrize(
    "text",
    ["Krasheninnikova", "KRASHENlNNIKOVA", "Krasheninikova", "KRASHEN INNIKOVA", "Krashenin", "Wallenstrale",
     "19650312-2380", "196503l2 238O", "650312-2380", "QX77344I0", "DOB 12.03.1965", "12 MAR 1965"],
)  # fmt: skip
def test_known_identifiers_are_known_however_they_are_read(text):
    assert JUDGE.judge(tuple(text.split()), 65, printed=True).known


@pytest.mark.parametrize(
    "text",
    [
        "Name:",
        "ID: 4455",
        "Dr Bergman",
        "Bergman",
        "4471902",
        "Acc 1234",
        "2024-05-01",
        "BAPTIST MED CTR",
    ],
)
def test_labels_dates_long_numbers_and_strangers_are_masked(text):
    assert JUDGE.judge(tuple(text.split()), 92, printed=True).verdict == "mask"


@pytest.mark.parametrize(
    "text",
    ["L", "R", "RIGHT MLO", "LT CC", "MI 1.2 TIs 0.4", "MI=0.8", "TIS<0.4", "15 cm", "1lcm", "120 kV 200 mAs", "Abdomen",
     "Total DLP 512.3 mGy*cm", "FR 43Hz", "C5-1", "12:33:10", "3/3/4", "SUPINE", "Left kidney", "PHILIPS", "081Y F"],
)  # fmt: skip
def test_what_devices_write_is_kept(text):
    assert JUDGE.judge(tuple(text.split()), 92, printed=True).verdict == "keep"


def test_noise_is_nothing_and_poor_print_is_a_doubt():
    assert JUDGE.judge(("ae", "SS"), 40, printed=False).verdict == "noise"
    assert JUDGE.judge(("Mapua", "UB"), 40, printed=True).verdict == "doubt"


def test_words_that_a_human_judged_harmless_are_kept():
    free = TextJudge(Known.from_json(made.KNOWN.to_json() | {"kept": ["Bergman"]}))
    assert JUDGE.judge(("Bergman",), 92, printed=True).verdict == "mask"
    assert free.judge(("Bergman",), 92, printed=True).verdict == "keep"
