"""Cleans every file of a folder, each in a process of its own with limits, and tells what it took.

``python -m tests.abuse.document_cell IN OUT``: prints one JSON object per file (verdict, seconds of CPU, MiB of memory).
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from anonymizer.documents import DeidentifiedDocument, deidentify_document
from anonymizer.known import Known
from tests.corpus.paper.sly import KNOWN

CPU_S = 40
ADDRESSES = 6 << 30
"""More than a document may take, so that what is too much is measured and not only killed."""


def _clean(path: Path, out: Path) -> None:
    """In the child: clean one file, write the copy and the verdict."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    made = deidentify_document(
        path.read_bytes(),
        media_type="application/octet-stream",
        known=Known.from_json(KNOWN),
        pseudonyms_shift_days=-700,
    )
    told: dict[str, object]
    if isinstance(made, DeidentifiedDocument):
        (out / path.name).write_bytes(made.content)
        told = {"code": "", "reason": "", "look": list(made.look), "extension": made.extension}
    else:
        told = {"code": made.code, "reason": made.reason, "look": [], "extension": ""}
    (out / f"{path.name}.json").write_text(json.dumps(told))


def main() -> None:
    """Clean them all."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    for path in sorted(folder.iterdir()):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _clean(path, out)
                status = 0
            finally:
                os._exit(status)
        _, status, usage = os.wait4(child, 0)
        verdict = out / f"{path.name}.json"
        told = json.loads(verdict.read_text()) if verdict.exists() else {}
        told |= {
            "name": path.name,
            "broke": status != 0,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "memory_mib": usage.ru_maxrss // 1024,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
