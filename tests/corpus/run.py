"""Runs the real command, `consilium deidentify`, on every case of a corpus."""

import subprocess
import sys
from pathlib import Path


def deidentify(corpus: Path, out: Path, *, python: str = sys.executable, cwd: Path | None = None) -> str:
    """One run per case into `out`/<case>, with its report beside it as <case>.report.json; what went wrong, as text."""
    out.mkdir(parents=True, exist_ok=True)
    told = []
    for case in sorted((corpus / "cases").iterdir()):
        done = subprocess.run(
            [python, "-m", "gateway.cli.main", "deidentify", case / "objects", out / case.name, "--known", case / "KNOWN.json", "--report", out / f"{case.name}.report.json"],
            capture_output=True, text=True, timeout=3000, check=False, cwd=cwd,
        )  # fmt: skip
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        told.append(f"{case.name}: {done.returncode} {' '.join(last)}")
    return "\n".join(told)
