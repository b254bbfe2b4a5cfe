"""``make bench-storage``: sealed storage beside the bare work in one sitting; it measures and judges nothing.

Within each repetition ours and the bare work run in turn, the first a different one every time. Medians of the repetitions;
ratios pair by pair. A part is a function from `Sitting` to figures, and one line of `PARTS`; it leaves its folder as it likes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.documents import write_between
from tests.benchmarks.processes import ROOT, load, machine
from tests.benchmarks.storage_cipher import cipher
from tests.benchmarks.storage_figures import Figure, as_json, as_markdown, as_table
from tests.benchmarks.storage_house import forgetting, rotation
from tests.benchmarks.storage_parts import buffers, publish, ranges, verify
from tests.benchmarks.storage_sitting import Sitting

DOCUMENT = ROOT / "docs" / "benchmarks.md"
BUSY = 1.5
PARTS: dict[str, tuple[str, Callable[[Sitting], Iterator[Figure]]]] = {
    "cipher": ("Seal and open", cipher),
    "ranges": ("Ranges of 64 KiB on disk", ranges),
    "publish": ("Durable publish", publish),
    "verify": ("Verification of whole objects, one process", verify),
    "buffers": ("Where a buffer begins", buffers),
    "rotation": ("Rotation of the master key", rotation),
    "forget": ("Forgetting", forgetting),
}
screen = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and show it."""
    given = _arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began_s, load_before = time.monotonic(), load()
    found: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-storage-", dir=given.folder) as folder:
        here = machine(Path(folder))
        screen.print(f"{here.sentence()}; load average {load_before:.2f}")
        if load_before > BUSY:
            screen.print("[yellow]This machine is busy: ratios mean something, absolute figures do not.[/]")
        for name in given.only:
            title, part = PARTS[name]
            place = Path(folder) / name
            place.mkdir(mode=0o700)
            sitting = Sitting(
                folder=place,
                runs=given.runs,
                quick=given.quick,
                content_bytes=(4 if given.quick else 64) << 20,
                passes=1 if given.quick else 4,
                publishes=4 if given.quick else 100,
                ranges=50 if given.quick else 2000,
            )
            found[title] = []
            for figure in part(sitting):
                found[title].append(figure)
                screen.print(f"{name:<9}{figure.words}")
    took_s = time.monotonic() - began_s
    Console(width=None if sys.stdout.isatty() else 190).print(as_table(found))
    screen.print(f"{took_s:.0f} s, {given.runs} repetitions; {here.sentence()}")
    if given.json:
        told = as_json(found, here, runs=given.runs, load_before=load_before, took_s=took_s)
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if given.write:
        text = as_markdown(found, here, runs=given.runs, quick=given.quick, load_before=load_before)
        write_between(DOCUMENT, "bench-storage", text)
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.storage", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="repetitions of everything (7)")
    parser.add_argument(
        "--only",
        default=list(PARTS),
        type=lambda text: text.split(","),
        metavar="A,B",
        help=", ".join(PARTS),
    )
    parser.add_argument("--json", type=Path, help="write every value to this file")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="one repetition of little")
    parser.add_argument("--folder", type=Path, help="where the objects lie (the temporary folder)")
    given = parser.parse_args(arguments)
    if unknown := set(given.only) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    if given.quick:
        given.runs = 1
    return given


if __name__ == "__main__":
    sys.exit(main())
