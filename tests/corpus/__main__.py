"""python -m tests.corpus make | deidentify | score: the corpus from the command line."""

import argparse
import json
import sys
from pathlib import Path

from tests.corpus.make import make
from tests.corpus.run import deidentify
from tests.corpus.score import score
from tests.corpus.table import table


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("make", help="write the corpus")
    one.add_argument("out", type=Path)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--objects", type=int, default=240, help="how many at least, where no cases are named")
    one.add_argument("--only", default="", help="bundles, by comma")
    one.add_argument("--cases", default="", help="codes of cases to take, each once, by comma")
    one.add_argument(
        "--pydicom", action="store_true", help="add pydicom's test objects as a case without plants"
    )
    one = commands.add_parser("deidentify", help="run consilium deidentify on each case")
    one.add_argument("corpus", type=Path)
    one.add_argument("out", type=Path)
    one = commands.add_parser("score", help="tell what was left and what was lost")
    one.add_argument("corpus", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("report", type=Path)
    one.add_argument("--json", action="store_true", help="print the report rather than the table")
    one.add_argument("--no-dciodvfy", action="store_true")
    one.add_argument("--worst", type=int, default=40, help="how many misses are listed")
    told = parser.parse_args()
    if told.command == "make":
        counts = make(
            told.out,
            seed=told.seed,
            objects=1 if told.cases else told.objects,
            only=_list(told.only),
            people=_list(told.cases),
            pydicom_files=told.pydicom,
            whole_round=bool(told.cases),
        )
        print(f"{sum(counts.values())} objects in {len(counts)} cases")
    elif told.command == "deidentify":
        print(deidentify(told.corpus, told.out))
    else:
        report = score(told.corpus, told.out, iods=not told.no_dciodvfy)
        text = json.dumps(report, ensure_ascii=False, indent=1)
        told.report.write_text(text, encoding="utf-8")
        print(text if told.json else table(report, worst=told.worst))
    return 0


if __name__ == "__main__":
    sys.exit(main())
