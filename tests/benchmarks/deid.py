"""``make bench-deid``: de-identification beside dicognito, gdcmanon and Orthanc over the same CT slices; it judges nothing.

Processor time for each object. Within each repetition all run in turn, the first a different one every time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.deid_objects import big_multiframe, ct_slices
from tests.benchmarks.documents import write_between
from tests.benchmarks.processes import ROOT, cpu_s, load, machine
from tests.benchmarks.storage_figures import Figure, as_json, as_markdown, as_table
from tests.fakes.orthanc import Orthanc

DOCUMENT = ROOT / "docs" / "benchmarks.md"
screen = Console(stderr=True, highlight=False)
BIG_BYTES = 4 << 30


class Bench:
    """The folder of one sitting and its contenders; each returns milliseconds of processor time for each object."""

    def __init__(self, folder: Path, *, objects: int, runs: int, big_bytes: int) -> None:
        self.folder = folder
        self.objects = objects
        self.runs = runs
        self.big_bytes = big_bytes
        self.slices = folder / "slices"
        ct_slices(self.slices, objects)
        self._made = 0

    def fresh(self) -> Path:
        self._made += 1
        made = self.folder / f"out{self._made}"
        made.mkdir()
        return made

    def python(self, name: str) -> Callable[[], float]:
        def measured() -> float:
            out = self.fresh()
            told = _worker(name, self.slices, out)
            shutil.rmtree(out)
            return 1e3 * float(told["cpu_s"]) / self.objects

        return measured

    def gdcmanon(self) -> float:
        """The whole program, its start included: it is C++ and takes none to speak of."""
        out, key, certificate = self.fresh(), self.folder / "gdcm.key", self.folder / "gdcm.pem"
        if not key.exists():
            _quiet("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
                   "-keyout", str(key), "-out", str(certificate))  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _quiet("gdcmanon", "-e", "-c", str(certificate), "-r", "-i", str(self.slices), "-o", str(out))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if len(list(out.rglob("*"))) < self.objects:
            raise RuntimeError("gdcmanon did not write everything")
        shutil.rmtree(out)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return 1e3 * spent / self.objects

    def orthanc(self) -> float:
        """Anonymize a study that it holds; its store takes the copies."""
        out = self.fresh()
        with Orthanc(out / "orthanc", ae_title="BENCH", modalities={}) as server:
            for path in sorted(self.slices.iterdir()):
                server.take(path.read_bytes())
            (study,) = server.http.get("/studies").json()
            pid = server._process.pid
            before = cpu_s(pid)
            answer = server.http.post(f"/studies/{study}/anonymize", json={}, timeout=600)
            answer.raise_for_status()
            spent = cpu_s(pid) - before
        shutil.rmtree(out)
        return 1e3 * spent / self.objects


def per_object(bench: Bench) -> Iterator[Figure]:
    """Ours with its verification beside each of the others, pair by pair."""
    contenders = {
        "ours": bench.python("ours"),
        "profile": bench.python("profile"),
        "dicognito": bench.python("dicognito"),
        "gdcmanon": bench.gdcmanon,
        "Orthanc": bench.orthanc,
    }
    names = list(contenders)
    found: dict[str, list[float]] = {name: [] for name in names}
    for repetition in range(bench.runs):
        for place in range(len(names)):
            name = names[(repetition + place) % len(names)]
            found[name].append(contenders[name]())
            screen.print(f"{name:<10}{found[name][-1]:8.2f} ms")
    wanted = {"dicognito": "≤ 1", "gdcmanon": "≤ 1.5, stretch", "Orthanc": "≤ 0.5"}
    for name in ("dicognito", "gdcmanon", "Orthanc"):
        yield Figure(
            words="Gather, clean, verify, write",
            unit="ms",
            ours=tuple(found["ours"]),
            beside=name,
            bare=tuple(found[name]),
            wanted=wanted[name],
        )
    for name in ("dicognito", "gdcmanon"):
        yield Figure(
            words="Clean and write only",
            unit="ms",
            ours=tuple(found["profile"]),
            beside=name,
            bare=tuple(found[name]),
        )


def big_object(bench: Bench) -> Iterator[Figure]:
    """The memory that one multi-frame object larger than any buffer takes, and how long."""
    folder = bench.folder / "big"
    big_multiframe(folder, bench.big_bytes)
    out = bench.fresh()
    before = time.perf_counter()
    told = _worker("ours", folder, out, rounds=1)
    took = time.perf_counter() - before
    size = f"{bench.big_bytes / (1 << 30):.3g} GiB"
    yield Figure(
        words=f"Highest memory for a multi-frame object of {size}",
        unit="MB",
        ours=(told["peak_bytes"] / 1e6,),
        wanted="≤ 200 MB",
    )
    yield Figure(words=f"Time for {size}, start included", unit="s", ours=(took,))
    shutil.rmtree(folder)
    shutil.rmtree(out)


def _worker(name: str, folder: Path, out: Path, *, rounds: int = 2) -> dict[str, float]:
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.deid_workers", name, str(folder), str(out), str(rounds)],
        cwd=ROOT,
        env=os.environ | {"OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return told


def _quiet(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and write where asked."""
    given = _arguments(arguments)
    load_before, began = load(), time.monotonic()
    found: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-deid-", dir=given.folder) as folder:
        here = machine(Path(folder))
        screen.print(f"{here.sentence()}; load average {load_before:.2f}")
        bench = Bench(
            Path(folder),
            objects=8 if given.quick else 200,
            runs=1 if given.quick else given.runs,
            big_bytes=(96 << 20) if given.quick else BIG_BYTES,
        )
        found["Processor time for a CT slice of 512 KiB"] = list(per_object(bench))
        found["A large object"] = list(big_object(bench))
    took = time.monotonic() - began
    Console(width=None if sys.stdout.isatty() else 190).print(as_table(found))
    screen.print(f"{took:.0f} s; {here.sentence()}")
    if given.json:
        told = as_json(found, here, runs=given.runs, load_before=load_before, took_s=took)
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if given.write:
        text = as_markdown(found, here, runs=given.runs, quick=given.quick, load_before=load_before)
        write_between(
            DOCUMENT, "bench-deid", text.replace("«ours ÷ bare»", "«ours ÷ bare» (lower is better)")
        )
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.deid", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="repetitions of everything (5)")
    parser.add_argument("--json", type=Path, help="write every value to this file")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="one repetition of little")
    parser.add_argument("--folder", type=Path, help="where the objects lie (the temporary folder)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
