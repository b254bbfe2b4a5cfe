"""Drops one rule of the engine at a time, in a copy of the program, and asks the judge whether it notices.

A mutation is data: elements that pass `untouched`, or code appended to a module that replaces a rule by nothing. One that
no longer fits the program ("needs") is stale and counts as a survivor, so that the list is kept true.
"""

import json
import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.corpus.bars import failed
from tests.corpus.make import make
from tests.corpus.people import cases
from tests.corpus.run import deidentify
from tests.corpus.score import score

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("anonymizer", "gateway", "dicom_node", "storage")
SHORT = {
    "the text of report items is left as typed",
    "relatives and staff are not harvested",
    "the preamble stays",
}
UNTOUCHED = """
_walked = Walk._standard
def _passed(self, element, rule, result, charset, parent, path):
    if element.tag in {%s}:
        result.elements[element.tag] = element
    else:
        _walked(self, element, rule, result, charset, parent, path)
Walk._standard = _passed
"""


@lru_cache
def mutations() -> tuple[dict[str, str], ...]:
    told = json.loads(Path(__file__).with_name("mutations.json").read_text(encoding="utf-8"))
    found = list(told["appended"])
    for row in told["untouched"]:
        tags = ", ".join(f"0x{tag}" for tag in row["tags"].split())
        found.append(
            {**row, "file": "anonymizer/walk.py", "needs": "def _standard", "code": UNTOUCHED % tags}
        )
    assert len({m["name"] for m in found}) == len(found)
    return tuple(found)


def _person(mutation: dict[str, str]) -> str:
    """The first case that has the mutation's kind of objects, or the one it asks for."""
    asked = mutation.get("people")
    return asked or next(case.code for case in cases() if mutation["slice"] in case.bundles)


def _program(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def _judged(program: Path, corpus: Path, out: Path) -> dict[str, Any]:
    shutil.rmtree(out, ignore_errors=True)
    deidentify(corpus, out, cwd=program, python=sys.executable)
    return score(corpus, out)


class Bench:
    """A copy of the program and, per slice of the corpus, what the whole engine makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = _program(folder / "program")
        self.whole: dict[str, dict[str, Any]] = {}

    def corpus(self, mutation: dict[str, str]) -> Path:
        person = _person(mutation)
        where = self.folder / f"corpus_{mutation['slice']}_{person}"
        if not where.exists():
            make(where, only=[mutation["slice"]], people=[person], whole_round=True, objects=1)
        return where

    def survives(self, mutation: dict[str, str]) -> str:
        """Why nothing was noticed, or an empty text when the gate failed as it must."""
        path = self.program / mutation["file"]
        source = path.read_text(encoding="utf-8")
        if mutation["needs"] not in source:
            return "stale: the program has no such rule any more"
        corpus = self.corpus(mutation)
        if corpus.name not in self.whole:
            self.whole[corpus.name] = _judged(self.program, corpus, self.folder / "out")
        try:
            path.write_text(f"{source}\n\n{mutation['code']}\n", encoding="utf-8")
            report = _judged(self.program, corpus, self.folder / "out")
        finally:
            path.write_text(source, encoding="utf-8")
        before, after = failed(self.whole[corpus.name]), failed(report)
        worse = [bar for bar, missed in after.items() if missed > before.get(bar, 0)]
        return "" if worse else "the gate did not notice"


def survivors(chosen: list[dict[str, str]], folder: Path, *, say: bool = False) -> list[str]:
    """The names of the mutations that the gate lets pass."""
    bench, found = Bench(folder), []
    for mutation in chosen:
        why = bench.survives(mutation)
        if why:
            found.append(f"{mutation['name']}: {why}")
        if say:
            print(
                f"{'SURVIVED' if why else 'noticed ':<10}{mutation['name']}{f' ({why})' if why else ''}",
                flush=True,
            )
    return found


def main() -> int:
    asked = sys.argv[1:]
    chosen = [m for m in mutations() if not asked or any(a in m["name"] for a in asked)]
    with tempfile.TemporaryDirectory() as folder:
        left = survivors(chosen, Path(folder), say=True)
    print(f"{len(chosen)} rules dropped, {len(left)} survived")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main())
