"""What `make crash` found, gathered from its tests and written into docs/reliability.md between two markers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

BEGIN, END = "<!-- make crash: begin -->", "<!-- make crash: end -->"
WHERE = "CONSILIUM_CRASH_REPORT"


def report(what: str, **figures: object) -> None:
    """Print the figures of a test, and keep them where ``CONSILIUM_CRASH_REPORT`` names a file."""
    told = {"what": what, **figures}
    print(json.dumps(told))
    if where := os.environ.get(WHERE):
        with Path(where).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")


def write(found: list[dict[str, object]], page: Path) -> None:
    """Put a table in place of the last one."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    rows = [f"Run of {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {os.cpu_count()} cores.", ""]
    rows += ["| What was done | Points | Violations | What came of it |", "|---|---|---|---|"]
    for one in found:
        rest = "; ".join(f"{k}: {v}" for k, v in one.items() if k not in {"what", "points", "violations"})
        rows.append(f"| {one['what']} | {one['points']} | {one['violations']} | {rest} |")
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text("\n".join([head + BEGIN, *rows, END + tail]), encoding="utf-8")


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    write([json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()], target)
