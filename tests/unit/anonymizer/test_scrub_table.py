"""A table of attacks on the scrubber: each row marks with «…» what must go; every other sign must stay as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from anonymizer.known import Known
from anonymizer.text import Scrubber

_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\xad": "\u00ad", "\\xa0": "\u00a0", "\\x85": "\x85"}


def _read() -> dict[str, tuple[dict[str, Any], list[str]]]:
    cases: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for file in sorted((Path(__file__).parent / "rows").glob("*.txt")):
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line.startswith("== "):
                name, _, known = line[3:].partition(": ")
                rows = cases.setdefault(name, (json.loads(known), []))[1]
            elif line and not line.startswith("#"):
                rows.append(re.sub(r"\\(?:x..|.)", lambda found: _ESCAPES[found.group()], line))
    return cases


CASES = _read()
_GONE = r"\s*(?:\[[a-z_]+\][\s,.;:^_/|\\'’-]*)+\s*"


def _rows() -> Iterator[tuple[str, str]]:
    for case, (_, texts) in CASES.items():
        for text in texts:
            yield case, text


@cache
def scrubber(case: str) -> Scrubber:
    return Scrubber(Known.from_json(CASES[case][0]))


def fits(marked: str, cleaned: str) -> bool:
    """Whether every marked stretch became a placeholder and all else stayed."""
    pieces = [re.escape(piece.strip()) for piece in re.split(r"«[^»]*»", marked)]
    return re.fullmatch(_GONE.join(pieces), cleaned.strip()) is not None


@pytest.mark.parametrize(("case", "marked"), list(_rows()))
def test_what_is_marked_goes_and_the_rest_stays(case: str, marked: str) -> None:
    text = re.sub("[«»]", "", marked)
    cleaned = scrubber(case).clean(text).text
    assert fits(marked, cleaned), cleaned
    assert scrubber(case).clean(cleaned).text == cleaned


def test_the_table_is_large_and_marks_most_of_its_rows() -> None:
    rows = list(_rows())
    assert len(rows) > 800
    assert sum("«" in text for _, text in rows) > 450
    assert not fits("«Anna» kom", "Anna kom")
    assert not fits("«Anna» kom", "[name]")
