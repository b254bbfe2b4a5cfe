"""Names of few letters go from pictures, and marks of a view or a side stay beside names that are hard to read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from anonymizer.known import Known
from anonymizer.pixels.find import Findings, _judge, _neighbours
from anonymizer.pixels.judge import TextJudge
from anonymizer.pixels.lines import Line, Reading
from anonymizer.pixels.strokes import Box, Candidate
from tests.unit.anonymizer import made
from tests.unit.anonymizer.test_burned_in import CR, SC, cleaned, picture

NAMED = Known.from_json(
    {"names": [{"family": "Li", "given": "Na"}, {"family": "Björkqvist", "given": "Sigrid"}]}
)
STRANGER = TextJudge(made.KNOWN)


@pytest.mark.parametrize("text", ["Li Na", "LI NA", "Na Li", "Li, Na", "LiNa", "Dr Li Na", "Ref: Li Na"])
def test_a_name_of_two_short_words_is_known(text):
    assert TextJudge(NAMED).judge(tuple(text.split()), 90, printed=True).known


@pytest.mark.parametrize("text", ["Na 140", "Li 0.8", "Na", "L R", "LIVER"])
def test_one_of_two_short_words_is_no_name(text):
    assert TextJudge(NAMED).judge(tuple(text.split()), 90, printed=True).verdict == "keep"
    assert not STRANGER.judge(("Li", "Na"), 90, printed=True).known


@pytest.mark.parametrize("text", ["Kum", "KIM", "Ngo"])
def test_a_strange_word_of_three_letters_alone_is_masked(text):
    assert STRANGER.judge((text,), 90, printed=True).verdict == "mask"
    assert STRANGER.judge((text,), 75, printed=True).verdict != "mask"


@pytest.mark.parametrize("text", ["lil", "III", "ttt", "MLO", "LAT", "RCC", "kum", "L-MLO", "R-CC"])
def test_marks_of_scales_and_views_are_no_short_names(text):
    assert STRANGER.judge((text,), 90, printed=True).verdict == "keep"


@pytest.mark.parametrize(("sop_class", "modality"), [(CR, "CR"), (SC, "OT")])
@pytest.mark.parametrize("size", [12, 20])
def test_a_short_name_is_blanked_in_a_picture(sop_class, modality, size):
    page = Image.new("L", (400, 300), 12)
    ImageDraw.Draw(page).text((20, 40), "Li Na", fill=250, font=ImageFont.load_default(size))
    array = np.asarray(page)
    ds = picture(array, sop_class, modality)
    ds.ReferringPhysicianName = "Li^Na"
    _, after = cleaned(ds, known=NAMED)
    inked = array > 150
    assert (after[inked] < 100).all()


MARK = Line(("L", "MLO"), (Box(604, 48, 18, 30), Box(638, 48, 80, 30)), 94.0)
MISREAD = Line(
    ("E", "Björkqvist", "Sigrid"), (Box(0, 0, 10, 59), Box(14, 0, 120, 59), Box(140, 0, 98, 59)), 48.0
)


def test_a_misread_name_is_not_joined_with_what_stands_far_away_or_is_of_another_size():
    far = Line(("EMO",), (Box(514, 24, 255, 76),), 39.0)
    grain = Line(("ee",), (Box(250, 27, 10, 6),), 30.0)
    near = Line(("Anna",), (Box(300, 2, 90, 55),), 80.0)
    assert _neighbours([MISREAD, far]) == []
    assert _neighbours([MISREAD, grain]) == []
    assert [line.words for line in _neighbours([MISREAD, near])] == [(*MISREAD.words, "Anna")]


@pytest.mark.parametrize(("sureness", "state"), [(39.0, "doubtful"), (80.0, "masked")])
def test_a_view_that_was_read_well_is_not_masked_for_grain_that_resembles_a_name(sureness, state):
    over = Line(("Sigrid", "Björkqvist"), (Box(500, 30, 90, 60), Box(595, 30, 140, 60)), sureness)
    findings = Findings()
    reading = Reading(lines=[MARK, over])
    found = [Candidate(MARK.box, strong=True), Candidate(over.box, strong=True)]
    _judge(reading, found, (0, 1), TextJudge(NAMED), findings, [])
    assert any(one.state == "masked" for one in findings.seen)
    covered = [one for one in findings.seen if one.state == "masked" and MARK.boxes[1].overlap(one.box) > 0.5]
    assert bool(covered) == (state == "masked")


def verdicts(words, sureness, known):
    findings = Findings()
    line = Line(words, tuple(Box(10 + 30 * place, 20, 24, 14) for place in range(len(words))), sureness)
    _judge(Reading(lines=[line]), [Candidate(line.box, strong=False)], (0, 1), TextJudge(known), findings, [])
    return {one.state for one in findings.seen}


KOREAN = Known.from_json({"names": [{"family": "김", "given": "민"}]})


@pytest.mark.parametrize(("words", "sureness"), [(("od",), 68.0), (("ER", "EF"), 63.0), (("ER", "EF"), 80.0)])
def test_in_a_case_of_other_letters_a_few_halfway_sure_ones_are_doubtful(words, sureness):
    assert verdicts(words, sureness, KOREAN) == {"doubtful"}
    assert "doubtful" not in verdicts(words, sureness, NAMED)


@pytest.mark.parametrize(
    ("words", "sureness"), [(("LAT",), 93.0), (("LIVER",), 80.0), (("L",), 75.0), (("12", "mm"), 75.0)]
)
def test_in_a_case_of_other_letters_what_is_read_clearly_stays(words, sureness):
    assert "doubtful" not in verdicts(words, sureness, KOREAN)
