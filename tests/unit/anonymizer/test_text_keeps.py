"""What is not lost: clinical sentences in twelve languages, cleaned for people whose names are words of every kind."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from anonymizer.harvest_text import harvest_text
from anonymizer.known import Known
from anonymizer.text import Scrubber
from anonymizer.words import spelled

FOLDER = Path(__file__).parent / "clinical"
WORD = re.compile(r"\w+")
PEOPLE = 8


def _lines(name: str) -> list[str]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _names(kind: str) -> list[str]:
    if kind == "common":
        return [word.capitalize() for line in _lines("names.txt") for word in line.split()]
    lists = ("everyday", "eponyms", "eponym_surnames")
    return sorted(word.capitalize() for name in lists for word in spelled(name) if len(word) > 1)


def _somebody(chance: random.Random, names: list[str]) -> Scrubber:
    def name() -> str:
        return f"{chance.choice(names)}^{chance.choice(names)}"

    known = Known.from_json({
        "names": [name()], "relatives": [{"name": name()}], "physicians": [name(), name()], "identifiers": [f"{chance.randrange(10**10):010d}"],
        "birth_date": f"19{chance.randrange(20, 99)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 28):02d}",
    })  # fmt: skip
    return Scrubber(known)


@pytest.mark.parametrize("kind", ["common", "word"])
@pytest.mark.parametrize(
    ("file", "upper"), [("sentences.txt", False), ("sentences.txt", True), ("tags.txt", False)]
)
def test_fewer_than_one_word_in_a_thousand_is_lost_to_somebodys_name(
    kind: str, file: str, upper: bool
) -> None:
    chance = random.Random(f"{kind} {file} {upper}")
    texts = [line.upper() if upper else line for line in _lines(file)]
    people = [_somebody(chance, _names(kind)) for _ in range(PEOPLE)]
    lost = sum(
        len(WORD.findall(text[span.start : span.end]))
        for one in people
        for text in texts
        for span in one.spans(text)
    )
    assert lost / (PEOPLE * sum(len(WORD.findall(text)) for text in texts)) < 0.001


def test_the_sentences_are_many() -> None:
    assert len(_lines("sentences.txt")) >= 300
    assert len(_lines("tags.txt")) >= 100


def test_nobody_is_harvested_from_clinical_sentences() -> None:
    for text in (*_lines("sentences.txt"), *_lines("tags.txt")):
        known = harvest_text(text)
        assert not known.names, text
        assert not known.people, text
        assert not known.institutions, text
        assert not known.identifiers, text


def test_a_name_in_each_sentence_goes_and_the_sentence_stays() -> None:
    """The same sentences prove nothing if nothing would be found in them."""
    scrubber = Scrubber(Known.from_json({"names": ["Zetterqvist^Ingela"]}))
    for text in _lines("sentences.txt"):
        assert scrubber.clean(f"{text} Zetterqvist, I.").text == f"{text} [name]", text
