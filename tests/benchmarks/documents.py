"""Where a benchmark's tables go in the documents, and which version of the code they were taken from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.benchmarks.processes import ROOT


def write_between(document: Path, mark: str, text: str) -> None:
    """Put the text between the document's markers of that name, at the end where there are none yet."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    whole = document.read_text(encoding="utf-8") if document.exists() else "# Figures\n"
    if begin not in whole:
        whole = f"{whole.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = whole.partition(begin)
    _, _, after = rest.partition(end)
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def commit() -> str:
    """Return what names the version of this checkout."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "a copy without its history"
