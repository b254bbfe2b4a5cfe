"""Documents made to break the cleaner, and documents that say a name where a cleaner does not look.

A slice; with CONSILIUM_CORPUS=all every file of tests/corpus/paper/{hostile,hostile_pdf,sly,sly_text}.py.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.paper import looking, opened
from tests.corpus.paper.hostile import HOSTILE
from tests.corpus.paper.letters import Planted
from tests.corpus.paper.matching import Reading, inside, left
from tests.corpus.paper.run import CLI
from tests.corpus.paper.score import pages_of
from tests.corpus.paper.sly import FAMILY, NUMBER, SLY_PAGES
from tests.corpus.paper.sly_text import SLY_TEXTS

EVERYTHING = os.environ.get("CONSILIUM_CORPUS") == "all"
MOST_S, MOST_MIB = 20, 1024
"""What one document may take."""
SLICE = ["stream-bomb.pdf", "picture-bomb.pdf", "wide.pdf", "wider.pdf", "pages.pdf", "loop.pdf", "laughs.pdf", "self.pdf", "deep.pdf", "paths.pdf", "words.pdf", "locked.pdf", "xfa.pdf", "portfolio.pdf", "noise.pdf", "pdf-and-zip.pdf", "jpeg-and-zip.jpg", "bomb.png", "bomb.tif", "text-bomb.png", "loop.tif", "cut.jpg", "noise.heic", "story-bomb.docx", "lying.docx", "twice.docx", "laughs.docx", "outside.docx", "deep.docx", "laughs.xml", "outside.xml", "deep.xml", "deep.html", "deep.rtf", "binary.rtf", "at.txt", "labels.txt", "marks.txt", "nulls.txt", "picture.txt", "pdf.docx", "text.pdf", "empty.pdf", "one.bin"]  # fmt: skip
SLY_SLICE = (
    "outlines.pdf",
    "wrong-text-layer.pdf",
    "turned-margin.pdf",
    "pale.pdf",
    "stencil.pdf",
    "coloured.png",
)
PAGES = SLY_PAGES if EVERYTHING else {name: SLY_PAGES[name] for name in SLY_SLICE}
PLANTED = (Planted(category="name", text=FAMILY), Planted(category="num", text=NUMBER))
MUST_BE_HELD = {
    "stream-bomb.pdf",
    "locked.pdf",
    "xfa.pdf",
    "portfolio.pdf",
    "noise.pdf",
    "empty.pdf",
    "laughs.xml",
    "laughs.docx",
}

pytestmark = [
    pytest.mark.abuse,
    pytest.mark.timeout(3600 if EVERYTHING else 600),
    pytest.mark.skipif(
        not all(map(shutil.which, ("tesseract", "pdftoppm"))), reason="needs tesseract, pdftoppm"
    ),
]


def _cleaned(makers: dict[str, Callable[[], bytes]], folder: Path) -> dict[str, dict[str, Any]]:
    """What the cell says of each file; its copies lie in ``folder/out``."""
    for name in ("in", "out"):
        (folder / name).mkdir()
    for name, make in makers.items():
        (folder / "in" / name).write_bytes(make())
    command = [sys.executable, "-m", "tests.abuse.document_cell", str(folder / "in"), str(folder / "out")]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_THREAD_LIMIT": "1"}
    )
    return {told["name"]: told for told in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    makers = HOSTILE if EVERYTHING else {name: HOSTILE[name] for name in SLICE}
    return _cleaned(makers, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def sly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("sly")
    return folder, _cleaned(PAGES | SLY_TEXTS, folder)


def _found(content: bytes, suffix: str, folder: Path) -> list[str]:
    """Where the name or the number can still be read, by somebody who tries hard."""
    cache = folder / ".read"
    readings = [*opened.texts(content, suffix, "sv")]
    if suffix == ".pdf" or suffix in opened.PICTURES:
        readings += looking.seen(pages_of(content, suffix), "sv", cache, looks=1)
        readings += looking.strained(content, suffix, "sv", cache)
    unseen: list[Reading] = [*opened.raw(content), *opened.inner(content, suffix)]
    told = [reading.place for one in PLANTED for reading in readings if left(one, reading)]
    return told + [reading.place for one in PLANTED for reading in unseen if inside(one, reading)]


def test_no_document_breaks_the_cleaner(broken: dict[str, dict[str, Any]]) -> None:
    assert [name for name, told in broken.items() if told["broke"]] == []


def test_no_document_takes_more_than_its_share(broken: dict[str, dict[str, Any]]) -> None:
    greedy = {
        name: (round(told["cpu_s"]), told["memory_mib"])
        for name, told in broken.items()
        if told["cpu_s"] > MOST_S or told["memory_mib"] > MOST_MIB
    }
    assert greedy == {}


def test_what_is_held_says_why(broken: dict[str, dict[str, Any]]) -> None:
    assert [
        name for name, told in broken.items() if told.get("code") and not told["reason"].endswith(".")
    ] == []


def test_what_cannot_be_seen_whole_is_held(broken: dict[str, dict[str, Any]]) -> None:
    assert [name for name in MUST_BE_HELD if not broken[name].get("code")] == []


def test_a_file_that_breaks_the_cleaner_costs_itself_and_not_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bomb.pdf").write_bytes(HOSTILE["laughs.pdf"]())
    (folder / "letter.txt").write_text("Morbus Crohn, 20 mg Prednisolon.\n")
    report = tmp_path / "report.json"
    command = [*CLI, "deidentify", str(folder), str(tmp_path / "out"), "--report", str(report)]
    subprocess.run(command, check=False, capture_output=True, timeout=500)
    told = {row["input"]: row for row in json.loads(report.read_text())["files"]}
    assert told["letter.txt"]["status"] == "deidentified"
    assert told["bomb.pdf"]["status"] == "quarantined"
    assert told["bomb.pdf"]["reason"]


@pytest.mark.parametrize("name", SLY_TEXTS)
def test_a_name_in_sly_text_is_gone(name: str, sly: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, told = sly
    verdict = told[name]
    assert not verdict["broke"]
    if not verdict["code"]:
        assert _found((folder / "out" / name).read_bytes(), verdict["extension"], folder) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_name_on_a_sly_page_is_gone_or_a_person_is_asked(
    name: str, sly: tuple[Path, dict[str, dict[str, Any]]]
) -> None:
    folder, told = sly
    verdict = told[name]
    assert not verdict["broke"]
    if not verdict["code"] and not verdict["look"]:
        assert _found((folder / "out" / name).read_bytes(), verdict["extension"], folder) == []


def test_the_judge_reads_the_name_on_most_sly_pages(sly: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, _ = sly
    unread = [
        name for name in PAGES if not _found((folder / "in" / name).read_bytes(), Path(name).suffix, folder)
    ]
    assert set(unread) <= {"tiny.pdf", "handwritten.pdf", "on-pattern.pdf", "second-frame.png"}
