"""One contender of ``make bench-deid`` in a process of its own: does its work over a folder and prints the processor time of it.

    python -m tests.benchmarks.deid_workers ours FOLDER OUT 2

The imports, the tables and a first round over the same files are not counted.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

Round = Callable[[Path, Path], None]


def ours_both(folder: Path, out: Path) -> None:
    """Gather, clean, verify and write, as `consilium deidentify` does it in one process."""
    from anonymizer.known import Known
    from anonymizer.offline import deidentify_folder

    report = deidentify_folder(
        folder, out, known=Known.from_json({"names": ["Provsdotter^Alma"]}), key=b"k" * 32, apart=False
    )
    if report.totals["deidentified"] != report.totals["files"]:
        raise SystemExit("not everything was de-identified")


def ours_profile(folder: Path, out: Path) -> None:
    """Read, clean and write; the verification is left out."""
    from anonymizer.engine import Deidentified, deidentify_instance
    from anonymizer.known import Known
    from anonymizer.profile import load_profile
    from anonymizer.pseudonyms import Pseudonyms

    known = Known.from_json({"names": ["Provsdotter^Alma"]})
    profile, pseudonyms = load_profile("mdt-default"), Pseudonyms(b"k" * 32)
    out.mkdir()
    for path in sorted(folder.iterdir()):
        made = deidentify_instance(path.read_bytes(), profile=profile, pseudonyms=pseudonyms, known=known)
        if not isinstance(made, Deidentified):
            raise SystemExit("not everything was de-identified")
        with (out / path.name).open("wb") as stream:
            stream.writelines(made.pieces)


def dicognito(folder: Path, out: Path) -> None:
    """Read, edit the attributes and write, as its command does."""
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    out.mkdir()
    worker = Anonymizer(seed="bench")
    for path in sorted(folder.iterdir()):
        dataset = dcmread(path)
        worker.anonymize(dataset)
        dataset.save_as(out / path.name)


ROUNDS: dict[str, Round] = {"ours": ours_both, "profile": ours_profile, "dicognito": dicognito}


def _peak_bytes() -> int:
    """Of this program alone: what `getrusage` tells counts who started it, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main(name: str, folder: Path, out: Path, rounds: int) -> None:
    """Do a round that does not count where there are two, then one that does."""
    if rounds > 1:
        ROUNDS[name](folder, out / "first")
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    ROUNDS[name](folder, out / "second")
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall_s": wall_s,
        "peak_bytes": _peak_bytes(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
