"""Runs the real command, `consilium deidentify`, on every case of a corpus."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def deidentify(corpus: Path, out: Path, *, python: str = sys.executable, cwd: Path | None = None) -> str:
    """One run per case into `out`/<case>, with its report beside it as <case>.report.json; how each ended, as text.

    A case is too small to be worth a pool of its own: as many cases as there are cores run side by side.
    """
    out.mkdir(parents=True, exist_ok=True)

    def one(case: Path) -> str:
        told = [
            "--known",
            case / "KNOWN.json",
            "--report",
            out / f"{case.name}.report.json",
            "--workers",
            "1",
        ]
        done = subprocess.run(
            [python, "-m", "gateway.cli.main", "deidentify", case / "objects", out / case.name, *told],
            capture_output=True,
            text=True,
            timeout=3000,
            check=False,
            cwd=cwd,
        )
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        return f"{case.name}: {done.returncode} {' '.join(last)}"

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return "\n".join(pool.map(one, sorted((corpus / "cases").iterdir())))
