"""Writing that was once overlooked: pale in grain, on its side under other words, small, or at the end of a clear line."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.encaps import encapsulate

from anonymizer.known import Known
from anonymizer.pixels import clean
from anonymizer.pixels.find import Findings, Seen, _met, _Stretch
from anonymizer.pixels.judge import TextJudge
from anonymizer.pixels.lines import Line
from anonymizer.pixels.picture import NotDecodableError
from anonymizer.pixels.reading import _is_read, _unread
from anonymizer.pixels.strokes import Box, Candidate, candidates
from tests.corpus.pictures import font as plain
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import (
    CR,
    JPEG,
    NAME_AT,
    US_CINE,
    cleaned,
    font,
    is_gone,
    page,
    picture,
)

NAME = "Krasheninnikova"


def grainy(seed: int, deviation: float = 22) -> np.ndarray:
    return np.random.default_rng(seed).normal(90, deviation, (320, 420)).clip(0, 255).astype(np.uint8)


def write(
    ground: np.ndarray, text: str, at: tuple[int, int], size: int, ink: int, *, mode: str = "L"
) -> np.ndarray:
    drawn = Image.fromarray(ground)
    pen = ImageDraw.Draw(drawn)
    pen.fontmode = mode
    pen.text(at, text, fill=ink, font=font(size))
    return np.asarray(drawn)


def told(frame: np.ndarray) -> tuple[bool, np.ndarray]:
    """Whether a human must look, and what is left."""
    result, after = cleaned(picture(frame, CR, "DX", BurnedInAnnotation="NO"))
    return bool(result.look), after


@pytest.mark.parametrize(("size", "ink"), [(34, 128), (26, 130)])
@pytest.mark.parametrize("seed", [1, 2])
def test_pale_writing_in_grain_is_masked_or_held(seed: int, size: int, ink: int) -> None:
    before = write(grainy(seed), NAME, (20, 120), size, ink)
    held, after = told(before)
    assert held or (after[125:150, 25:200] != before[125:150, 25:200]).mean() > 0.8


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_grain_alone_is_left_alone_and_nobody_looks(seed: int) -> None:
    before = grainy(seed)
    held, after = told(before)
    assert not held
    assert np.array_equal(after, before)


@pytest.mark.parametrize("turns", [1, 3])
def test_writing_on_its_side_across_a_clear_line_is_masked_or_held(turns: int) -> None:
    ground = np.random.default_rng(6).normal(90, 3, (420, 420)).clip(0, 255).astype(np.uint8)
    sideways = np.rot90(write(np.rot90(ground, turns).copy(), "19650312-2380", (120, 60), 18, 255), -turns)
    before = write(np.ascontiguousarray(sideways), "120 kV 200 mAs", (20, 220), 18, 255)
    held, after = told(before)
    ink = sideways == 255
    assert held or (after[ink] == 255).mean() < 0.1


@pytest.mark.parametrize(("text", "at"), [("Dr Fagerstrand", (343, 161)), ("Lindqvist Anna", (343, 161))])
def test_small_soft_letters_on_a_quiet_ground_are_print(text: str, at: tuple[int, int]) -> None:
    ramp = np.tile(np.linspace(60, 200, 640), (300, 1)) + np.random.default_rng(7).normal(0, 4, (300, 640))
    drawn = Image.fromarray(ramp.clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(drawn).text(at, text, fill=0, font=plain(9, 1))
    found = candidates(np.asarray(drawn))
    assert any(one.strong and one.box.left < at[0] + 10 and one.box.right > at[0] + 50 for one in found)


def test_a_clear_line_with_something_unread_at_its_end_is_not_read() -> None:
    one = Candidate(Box(20, 60, 300, 30), strong=True)
    clear = [Line(("RIGHT", "MLO"), (Box(22, 60, 120, 30), Box(150, 60, 80, 30)), 92.0)]
    assert not _is_read(one, clear)
    assert _unread(one.box, clear) == Box(230, 60, 90, 30)
    assert _is_read(Candidate(Box(20, 60, 230, 30), strong=True), clear)


JUDGE = TextJudge(made.KNOWN)


@pytest.mark.parametrize("words", [("Left", "kid", "ney"), ("Abdo", "men"), ("licm",), ("Depth", "l5.2cm")])
def test_a_devices_words_that_something_crosses_are_kept(words: tuple[str, ...]) -> None:
    assert JUDGE.judge(words, 90, printed=True).verdict == "keep"


@pytest.mark.parametrize("words", [("RIGH",), ("Left", "<idney")])
def test_what_resembles_a_devices_word_and_was_read_poorly_is_for_a_human(words: tuple[str, ...]) -> None:
    assert JUDGE.judge(words, 75, printed=True).verdict == "doubt"
    assert JUDGE.judge(words, 92, printed=True).verdict == "mask"


@pytest.mark.parametrize("words", [("Bergman,", "Karin"), ("Fagerstrand",), ("Kid", "Bergman"), ("Oilmann",)])
@pytest.mark.parametrize("confidence", [72, 95])
def test_a_strangers_name_is_masked_as_before(words: tuple[str, ...], confidence: float) -> None:
    assert JUDGE.judge(words, confidence, printed=True).verdict == "mask"


@pytest.mark.parametrize("words", [("Tor", "Ax"), ("Ab", "Domen"), ("Vent", "Rikel"), ("TOR", "AX")])
def test_two_names_that_make_a_harmless_word_are_no_parted_word(words: tuple[str, ...]) -> None:
    assert JUDGE.judge(words, 95, printed=True, gaps=(0.4,)).verdict == "mask"


@pytest.mark.parametrize(("words", "gap"), [(("Abdo", "men"), 0.5), (("ABDO", "MEN"), 0.1)])
def test_a_word_is_parted_by_a_narrow_gap_only(words: tuple[str, ...], gap: float) -> None:
    assert JUDGE.judge(words, 95, printed=True, gaps=(gap,)).verdict == "keep"
    assert JUDGE.judge(words, 95, printed=True, gaps=(1.5,)).verdict == "mask"


def test_two_names_in_a_picture_that_make_a_harmless_word_are_masked() -> None:
    before = write(np.full((120, 460), 20, np.uint8), "Tor Ax", (20, 40), 20, 235)
    _, after = told(before)
    assert (after[before > 150] > 150).mean() < 0.1


def test_what_is_known_is_masked_however_it_was_read() -> None:
    judge = TextJudge(Known.from_json({"names": ["Righ^Kidne"]}))
    assert judge.judge(("RIGH",), 72, printed=True).known
    assert judge.judge(("Left", "kidne"), 72, printed=True).known


# -- a name behind a line that was seen before --------------------------------------------------------------------
LINE = "Gain 40 dB  MI 0.8  Depth 12"


def cine_line(text: str, seed: int) -> np.ndarray:
    ground = np.random.default_rng(seed).normal(40, 3, (120, 460)).clip(0, 255).astype(np.uint8)
    return write(ground, text, (12, 20), 20, 235)


def test_a_name_behind_a_line_that_was_seen_before_is_masked_or_held() -> None:
    frames = [cine_line(f"{LINE} E. Berg" if number in {7, 8} else LINE, number) for number in range(30)]
    shown = picture(np.stack(frames), US_CINE, "US", frames=30)
    result, after = cleaned(shown, known=Known.from_json({"names": ["Berg^Eva"]}))
    right = max(np.nonzero((frames[0] > 150).any(axis=0))[0]) + 6
    for number in (7, 8):
        assert (
            result.look
            or (after[number][:, right:] > 150).sum() < 0.1 * (frames[number][:, right:] > 150).sum()
        )


@pytest.mark.parametrize("at", ["before", "behind"])
def test_a_stretch_that_reaches_beyond_a_known_one_is_met_only_where_that_was_as_it_is(at: str) -> None:
    held, longer = Box(100, 18, 250, 26), Box(100 if at == "behind" else 60, 18, 290, 26)
    plain_frame = cine_line("", 1).copy()
    plain_frame[24:40:4, 110:340:3] = 235
    stretch = _Stretch.of(plain_frame, held)
    assert _met(Candidate(longer, strong=True), [stretch], plain_frame)
    other = plain_frame.copy()
    other[22:40, 352:386:5] = other[22:40, 64:96:5] = 235
    assert not _met(Candidate(longer, strong=True), [stretch], other)
    assert _met(Candidate(held, strong=True), [stretch], other)


# -- the second look ----------------------------------------------------------------------------------------------
def look_again_finds(monkeypatch: pytest.MonkeyPatch, *later: tuple[list[Seen], str] | Exception) -> None:
    """The first reading is a true one; those after the masks find what is told here."""
    real, answers = clean._read, iter(later)
    begun: list[bool] = []

    def read(*arguments):  # type: ignore[no-untyped-def]
        if not begun:
            begun.append(True)
            return real(*arguments)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return Findings(seen=list(answer[0])), answer[1]

    monkeypatch.setattr(clean, "_read", read)


PALE = Box(100, 150, 80, 20)  # where the page shows tissue


def test_what_the_second_look_found_before_its_time_ran_out_is_blanked_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_again_finds(monkeypatch, ([Seen(0, PALE, "masked")], "too_much_to_read"))
    result, after = cleaned(picture(page()))
    assert not after[150:170, 100:180].any()
    assert "too_much_to_read" in [look.code for look in result.look]
    assert "BurnedInAnnotation" not in made.reread(result)


@pytest.mark.parametrize(("place", "told"), [(PALE, True), (Box(36, 16, 100, 24), False)])
def test_a_doubt_of_the_second_look_is_for_a_human_but_not_about_what_is_blanked(
    monkeypatch: pytest.MonkeyPatch, place: Box, told: bool
) -> None:
    look_again_finds(monkeypatch, ([Seen(0, place, "doubtful")], ""))
    result, _ = cleaned(picture(page()))
    assert ("doubtful_text" in [look.code for look in result.look]) is told


def test_what_nobody_read_after_the_last_round_is_for_a_human(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Box(200, 200, 60, 20)
    look_again_finds(monkeypatch, ([Seen(0, PALE, "masked")], ""), ([Seen(0, other, "masked")], ""))
    result, after = cleaned(picture(page()))
    assert not after[200:220, 200:260].any()
    assert "doubtful_text" in [look.code for look in result.look]


@pytest.mark.parametrize("missing", [True, False])
def test_an_error_of_the_second_look_leaves_the_first_ones_masks_described(
    monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    before, stored = page().copy(), io.BytesIO()
    Image.fromarray(before).save(stored, "JPEG", quality=92)
    lossy = picture(before)
    lossy.file_meta.TransferSyntaxUID = JPEG
    lossy.PixelData = encapsulate([stored.getvalue()])
    lossy["PixelData"].VR = "OB"
    look_again_finds(monkeypatch, NotDecodableError(missing=missing))
    result, after = cleaned(lossy)
    assert is_gone(after, before, NAME_AT)
    copy = made.reread(result)
    assert copy.LossyImageCompression == "01"
    assert "blanked" in copy.DerivationDescription
    assert result.masked
    assert "not_decodable" in [look.code for look in result.look]
