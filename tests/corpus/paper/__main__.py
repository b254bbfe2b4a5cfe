"""``python -m tests.corpus.paper make|run|copy|score CORPUS [RESULT]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.corpus.paper.make import make
from tests.corpus.paper.run import copy, run
from tests.corpus.paper.score import score, table, to_json


def main() -> None:
    """Make a corpus, put it through the command line, and judge what came out."""
    asked = argparse.ArgumentParser(prog="python -m tests.corpus.paper", description=__doc__)
    asked.add_argument("what", choices=("make", "run", "copy", "score"))
    asked.add_argument("corpus", type=Path)
    asked.add_argument("result", type=Path, nargs="?")
    asked.add_argument("--quick", action="store_true", help="make: the slice that every change is judged by")
    asked.add_argument("--looks", type=int, default=3, help="score: how many OCR passes per page, 1 to 3")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--json", type=Path, help="score: where every mark is written")
    told = asked.parse_args()
    if told.what == "make":
        for line in make(told.corpus, quick=told.quick):
            print("not made:", line)
        return
    if told.result is None:
        asked.error("RESULT is missing")
    if told.what == "score":
        marks = score(told.corpus, told.result, looks=told.looks, workers=told.workers)
        print(table(marks))
        if told.json:
            told.json.write_text(json.dumps(to_json(marks), ensure_ascii=False, indent=1), "utf-8")
    elif told.what == "run":
        run(told.corpus, told.result, workers=told.workers)
    else:
        copy(told.corpus, told.result)


if __name__ == "__main__":
    main()
