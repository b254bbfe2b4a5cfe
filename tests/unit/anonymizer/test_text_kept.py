"""Words that a human judged not to identify stay everywhere, and nothing else stays with them."""

from __future__ import annotations

import pytest

from anonymizer.known import Known
from anonymizer.pixels.judge import TextJudge
from anonymizer.text import Scrubber

CASE = {
    "names": ["Lindqvist^Anna Maria", "Müllertz^Jörgen"],
    "identifiers": ["771122334455", "AB-123456"],
    "birth_date": "1985-03-12",
    "institutions": ["Ekbacka Klinik"],
}


def _scrubber(*kept: str) -> Scrubber:
    return Scrubber(Known.from_json({**CASE, "kept": list(kept)}), shift_days=7)


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ("Lindqvist", "CT Lindqvist phantom"),
        ("lindqvist", "CT LINDQVIST phantom"),
        ("Müllertz", "MULLERTZ grid"),
        ("Mullertz", "Müllertz grid"),
        ("Lindqvist sign", "positive Lindqvist sign"),
        ("771122334455", "serial 771122334455"),
        ("AB-123456", "plate ab-123456"),
        ("Ekbacka Klinik", "Ekbacka Klinik protocol"),
        ("1985-03-12", "mould of 1985-03-12"),
    ],
)
def test_a_kept_word_stays_and_is_not_reported(kept: str, text: str) -> None:
    assert _scrubber().clean(text).text != text, "the row would prove nothing"
    scrubber = _scrubber(kept)
    assert scrubber.clean(text).text == text
    assert not scrubber.known_left(text)
    assert not scrubber.finds(text)
    assert not scrubber.unsure(text)


@pytest.mark.parametrize(
    ("kept", "text", "clean"),
    [
        ("Lindqvist", "Anna Lindqvist, Lindqvist", "[name]"),
        ("Lindqvist", "Anna Lindqvist said; the Lindqvist grid", "[name] said; the Lindqvist grid"),
        ("Lindqvist sign", "Lindqvist sign seen by Lindqvist", "Lindqvist sign seen by [name]"),
        ("Anna", "Lindqvist phantom", "[name] phantom"),
        ("2024-03-20", "CT 2024-03-20", "CT 2024-03-27"),
    ],
)
def test_what_is_longer_or_elsewhere_still_goes_and_dates_still_move(
    kept: str, text: str, clean: str
) -> None:
    assert _scrubber(kept).clean(text).text == clean


def test_a_kept_word_is_no_needle_and_every_other_one_is() -> None:
    before, after = set(_scrubber().byte_needles()), set(_scrubber("LINDQVIST").byte_needles())
    assert b"Lindqvist" in before
    assert not after & {b"Lindqvist", b"LINDQVIST", b"lindqvist"}
    assert {b"Lindqvist^Anna Maria", b"771122334455"} <= after


def test_two_readings_of_one_case_keep_the_words_of_both() -> None:
    both = Known(kept=("Berg",)).merged(Known(kept=("Lund", "Berg")))
    assert both.kept == ("Berg", "Lund")
    assert not both, "a kept word identifies nobody"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Lindqvist sign", False),
        ("LINDQVIST SIGN:", False),
        ("Lindqvist", True),
        ("Lindquist", True),
        ("Lindqwst", True),
        ("Anna Lindqvist", True),
        ("Lindqvist sign Lindquist", True),
        ("Lindqvist signed", True),
    ],
)
def test_a_kept_phrase_keeps_none_of_its_words_elsewhere_in_a_picture(line: str, masked: bool) -> None:
    judge = TextJudge(Known.from_json({**CASE, "kept": ["Lindqvist sign"]}))
    assert TextJudge(Known.from_json(CASE)).judge(tuple(line.split()), 95, printed=True).verdict == "mask"
    verdict = judge.judge(tuple(line.split()), 95, printed=True)
    assert (verdict.verdict == "mask") is masked
    assert judge.known_in(line) is masked
