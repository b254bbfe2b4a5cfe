"""The gate of de-identification: a planted corpus through the real command line, judged by the bars of issue 5.

A slice of the cases that holds every kind of object; with CONSILIUM_CORPUS=all every case and pydicom's own objects.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import bars, iod
from tests.corpus.make import make
from tests.corpus.mutate import SHORT, mutations, survivors
from tests.corpus.run import deidentify
from tests.corpus.score import score
from tests.corpus.table import share, table

EVERYTHING = os.environ.get("CONSILIUM_CORPUS") == "all"
SLICE = ("c02", "c03", "c06", "c10", "c14")

pytestmark = [
    pytest.mark.functional,
    pytest.mark.timeout(3600 if EVERYTHING else 600),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("corpus")
    if EVERYTHING:
        make(folder / "corpus", pydicom_files=True)
    else:
        make(folder / "corpus", objects=1, people=SLICE, whole_round=True)
    deidentify(folder / "corpus", folder / "out")
    return score(folder / "corpus", folder / "out")


def _worst(report: dict[str, Any]) -> str:
    return "\n" + table(report, worst=15)


def test_the_corpus_is_as_wide_as_the_issue_asks(report: dict[str, Any]) -> None:
    assert len(report["sop_classes"]) >= 25
    assert len(report["transfer_syntaxes"]) >= (10 if shutil.which("dcmcjpeg") else 9)
    assert report["files"] >= (240 if EVERYTHING else 70)
    assert len(report["character_sets"]) >= (12 if EVERYTHING else 5)


def test_nothing_planted_is_left(report: dict[str, Any]) -> None:
    assert (report["privacy"]["micro"], report["privacy"]["macro"]) == (100, 100), _worst(report)


def test_what_a_reviewer_needs_is_kept(report: dict[str, Any]) -> None:
    assert report["utility"]["micro"] >= 99, _worst(report)
    assert report["utility"]["macro"] >= 98.5, _worst(report)


def test_no_file_holds_a_known_identifier(report: dict[str, Any]) -> None:
    assert report["leaking_files"] == []


@pytest.mark.parametrize("category", bars.WHOLE)
def test_what_holds_a_case_together_is_whole(report: dict[str, Any], category: str) -> None:
    assert category in report["utility"]["by_category"]
    assert share(report, "utility", category) == 100, _worst(report)


def test_clean_pixels_are_untouched_and_burned_in_text_is_masked_or_held(report: dict[str, Any]) -> None:
    assert share(report, "utility", "pixels_clean") >= 98, _worst(report)
    assert len(bars.burned_in(report)) >= 5
    assert all(share(report, "privacy", kind) == 100 for kind in bars.burned_in(report)), _worst(report)


def test_no_object_is_lost_and_few_are_held(report: dict[str, Any]) -> None:
    assert report["lost"] == []
    assert len(bars.unexpected(report)) <= bars.LARGEST_HELD_SHARE * report["files"], bars.unexpected(report)


@pytest.mark.skipif(not iod.available(), reason="needs dciodvfy")
def test_no_output_has_an_error_that_its_input_had_not(report: dict[str, Any]) -> None:
    assert report["new_iod_errors"] == []


def test_the_judge_judges_itself(tmp_path: Path) -> None:
    """The input copied keeps all and hides nothing; an empty folder is the reverse (a copied picture is no mask either)."""
    make(tmp_path / "corpus", objects=1, people=("c04", "c14"), whole_round=True)
    for case in (tmp_path / "corpus" / "cases").iterdir():
        shutil.copytree(case / "objects", tmp_path / "copied" / case.name)
    copied = score(tmp_path / "corpus", tmp_path / "copied", iods=False)
    nothing = score(tmp_path / "corpus", tmp_path / "nothing", iods=False)
    assert copied["misses"] != []
    assert (copied["privacy"]["micro"], copied["utility"]["micro"]) == (0, 100), table(copied)
    assert (nothing["privacy"]["micro"], nothing["utility"]["micro"]) == (100, 0), table(nothing)
    assert len(copied["leaking_files"]) == copied["files"] == len(nothing["lost"])
    assert nothing["leaking_files"] == []
    assert copied["new_iod_errors"] == []


def test_a_dropped_rule_fails_the_gate(tmp_path: Path) -> None:
    """Three of `make corpus-mutations`: without one rule of the engine, the same judge must object."""
    chosen = [m for m in mutations() if m["name"] in SHORT]
    assert len(chosen) == 3
    assert survivors(chosen, tmp_path) == []
