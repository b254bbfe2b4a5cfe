"""The gate of the documents: planted letters in ten languages through the real command line, judged by an independent reader.

The slice of ``tests.corpus.paper.plan.QUICK``; with CONSILIUM_CORPUS=all every document of the plan.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.corpus.paper.make import make
from tests.corpus.paper.run import copy, run
from tests.corpus.paper.score import Mark, score, summed

EVERYTHING = os.environ.get("CONSILIUM_CORPUS") == "all"
PROGRAMS = ("tesseract", "pdftotext", "pdftoppm")
CLINICAL_KEPT = 0.99
HELD_SHARE = 0.10
DAYS_MOVED = 0.95
"""Dates that stand in the output as dates, all of a document moved by the same number of days."""

pytestmark = [
    pytest.mark.functional,
    pytest.mark.timeout(3600 if EVERYTHING else 300),
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    make(folder, quick=not EVERYTHING)
    return folder


@pytest.fixture(scope="module")
def marks(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Mark]:
    result = tmp_path_factory.mktemp("released")
    run(corpus, result)
    return score(corpus, result, looks=3 if EVERYTHING else 1)


def _told(marks: list[Mark], what: str) -> str:
    rows = [f"{mark.case}/{mark.file}: {getattr(mark, what)}" for mark in marks if getattr(mark, what)]
    return "\n".join(rows)


def test_nothing_that_identifies_is_left_in_any_document(marks: list[Mark]) -> None:
    assert not any(mark.leaks for mark in marks), _told(marks, "leaks")


def test_no_document_carries_anything_beside_its_pages(marks: list[Mark]) -> None:
    assert not any(mark.structure for mark in marks), _told(marks, "structure")


def test_what_a_reviewer_needs_is_still_there(marks: list[Mark]) -> None:
    assert any(mark.clinical for mark in marks if mark.output)
    assert summed(marks)["all"][""]["clinical_kept"] >= CLINICAL_KEPT, _told(marks, "missing")


def test_dates_are_moved_together(marks: list[Mark]) -> None:
    told = [
        f"{mark.case}/{mark.file}: {mark.moved} of {mark.days}" for mark in marks if mark.moved < mark.days
    ]
    assert summed(marks)["all"][""]["days_moved"] >= DAYS_MOVED, "\n".join(told)


def test_every_document_comes_out_or_is_held_with_a_reason(marks: list[Mark]) -> None:
    assert [f"{mark.case}/{mark.file}" for mark in marks if not mark.output and not mark.held] == []


def test_few_documents_are_held_and_no_text_is(marks: list[Mark]) -> None:
    figures = summed(marks)["all"][""]
    held = [f"{mark.case}/{mark.file}: {mark.reason}" for mark in marks if mark.held and not mark.may_be_held]
    assert figures["text_held"] == 0, "\n".join(held)
    assert figures["held_share"] <= HELD_SHARE, "\n".join(held)


def test_the_judge_finds_every_planted_string_in_untouched_copies(corpus: Path, tmp_path: Path) -> None:
    copy(corpus, tmp_path)
    untouched = score(corpus, tmp_path, looks=1)
    found = sum(len(mark.leaks) for mark in untouched) / sum(mark.planted for mark in untouched)
    assert all(mark.leaks for mark in untouched)
    assert found >= 0.98
    assert summed(untouched)["all"][""]["clinical_kept"] >= 0.99


def test_the_judge_calls_an_empty_folder_lost(corpus: Path, tmp_path: Path) -> None:
    copy(corpus, tmp_path)
    for case in tmp_path.iterdir():
        (case / "report.json").write_text('{"files": []}')
    assert all(not mark.output and not mark.held for mark in score(corpus, tmp_path, looks=1))
