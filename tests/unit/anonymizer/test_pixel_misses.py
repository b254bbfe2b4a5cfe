"""Writing that was once overlooked: pale in grain, on its side under other words, small, or at the end of a clear line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from anonymizer.known import Known
from anonymizer.pixels.judge import TextJudge
from anonymizer.pixels.lines import Line
from anonymizer.pixels.reading import _is_read, _unread
from anonymizer.pixels.strokes import Box, Candidate, candidates
from tests.corpus.pictures import font as plain
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import CR, cleaned, font, picture

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


def test_what_is_known_is_masked_however_it_was_read() -> None:
    judge = TextJudge(Known.from_json({"names": ["Righ^Kidne"]}))
    assert judge.judge(("RIGH",), 72, printed=True).known
    assert judge.judge(("Left", "kidne"), 72, printed=True).known
