"""Puts a corpus through the real command line, case by case; or copies it, to see the judge find everything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

CLI = (sys.executable, "-c", "from gateway.cli.main import run; run()")
TIMEOUT_S = 3000


def run(corpus: Path, result: Path, *, workers: int = 2) -> None:
    """``consilium deidentify`` for every case; a case whose command fails leaves an empty report, and so loses all."""
    for case in sorted(path for path in corpus.iterdir() if (path / "in").is_dir()):
        folder = result / case.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [
            *CLI, "deidentify", str(case / "in"), str(folder / "out"), "--known", str(case / "known.json"),
            "--report", str(folder / "report.json"), "--workers", str(workers),
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)
        if not (folder / "report.json").exists():
            sys.stderr.write(
                f"{case.name}: exit {done.returncode}\n{done.stderr.decode('utf-8', 'replace')[-2000:]}\n"
            )
            (folder / "report.json").write_text('{"files": []}', "utf-8")


def copy(corpus: Path, result: Path) -> None:
    """Every input as its own output, as a tool would leave it that does nothing."""
    for case in sorted(path for path in corpus.iterdir() if (path / "in").is_dir()):
        shutil.copytree(case / "in", result / case.name / "out", dirs_exist_ok=True)
        rows = [
            {"input": path.name, "output": path.name, "status": "deidentified", "reason": None}
            for path in sorted((case / "in").iterdir())
        ]
        (result / case.name / "report.json").write_text(json.dumps({"files": rows}), "utf-8")
