"""``make bench-dicom``: our node beside Orthanc and DCMTK's storescp in one sitting; it measures and judges nothing.

Within each repetition the servers run in turn, each fresh on an empty folder, the first one a different one every time; all
receive the same objects from the same sender. Medians of the repetitions; ratios pair by pair.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.benchmarks.dicom_objects import KINDS, Kind, Load, make_load
from tests.benchmarks.dicom_servers import CALLING, SERVERS, Running, environment, make_template
from tests.benchmarks.dicom_tables import as_json, as_markdown, as_table, write_between_markers
from tests.benchmarks.figures import Series, Taken, fairness
from tests.benchmarks.processes import ROOT, Watch, load, machine, quiet_disk

DOCUMENT = ROOT / "docs" / "benchmarks.md"
STORESCU = "/usr/bin/storescu"
BUSY = 1.5
MOST_S = 600.0  # one run of one server; more means that it hangs
HUGE_BYTES = 0xFFFFFFFE  # the longest value of a defined length: 4 GiB less two bytes
PARTS = ("ct", "small", "big", "light", "shipped", "huge")
QUICK_COUNTS = {"ct": 20, "small": 40, "big": 1}
screen = Console(stderr=True, highlight=False)


class Sitting:
    """One sitting: where it works, what it compares, what it has found."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self.folder = folder
        self.runs: int = given.runs
        self.quick: bool = given.quick
        self.servers = [SERVERS[name] for name in given.servers if SERVERS[name].is_installed]
        self.series: list[Series] = []
        self.failed: list[str] = []

    def count(self, kind: Kind) -> int:
        return QUICK_COUNTS[kind.name] if self.quick else kind.count

    def measure(
        self,
        name: str,
        words: str,
        sent: Load,
        *,
        sender: str,
        nodelay: bool = True,
        without: Sequence[str] = (),
    ) -> None:
        """Run one series and keep it."""
        associations = len(sent.folders)
        series = Series(
            name=name,
            words=words,
            sender=sender,
            associations=associations,
            nodelay=nodelay,
            load_before=round(load(), 2),
        )
        try:
            self._repeat(series, sent, without=without)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.failed.append(f"{name}, {associations} associations: {error}")
            screen.print(f"[red]left out: {escape(self.failed[-1])}[/]")
            return
        self.series.append(series)

    def _repeat(self, series: Series, sent: Load, *, without: Sequence[str]) -> None:
        servers = [server for server in self.servers if server.name not in without]
        for repetition in range(self.runs):
            first = repetition % len(servers)
            for server in servers[first:] + servers[:first]:
                taken = self._run(server.name, sent, sender=series.sender, nodelay=series.nodelay)
                series.runs.setdefault(server.name, []).append(taken)
                screen.print(
                    f"{series.name:<8} {series.associations:>2} {series.sender:<8} {server.name:<9} {taken.mb_per_s:8.1f} MB/s"
                    + (f"  [red]{taken.refused} refused[/]" if taken.refused else "")
                )

    def _run(self, server: str, sent: Load, *, sender: str, nodelay: bool) -> Taken:
        folder = self.folder / server
        folder.mkdir()
        try:
            env = environment(nodelay=nodelay)
            with SERVERS[server].start(folder, env) as running:
                quiet_disk()
                return SENDERS[sender](running, sent, env)
        finally:
            shutil.rmtree(folder)

    def load_of(self, kind: Kind, associations: int, count: int) -> Load:
        """Write the objects of a series, in place of those of the one before."""
        into = self.folder / "objects"
        if into.exists():
            shutil.rmtree(into)
        need = 6 * max(count, associations) * kind.size**2 * 2
        if shutil.disk_usage(self.folder).free < need:
            raise SystemExit(f"{self.folder} has less than {need / 1e9:.1f} GB free: choose another --folder")
        return make_load(into, kind, associations=associations, count=count)


def by_storescu(running: Running, sent: Load, env: dict[str, str]) -> Taken:
    """One DCMTK storescu for each association; time from the start of the first to the end of the last."""
    to = ["127.0.0.1", str(running.port)]
    title = ["-aet", CALLING, "-aec", running.called]
    with Watch(running.pid) as watch:
        began_s = time.perf_counter()
        processes = [
            subprocess.Popen(
                [STORESCU, "-R", *title, "+sd", *to, str(folder)],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for folder in sent.folders
        ]
        try:
            failed = sum(process.wait(MOST_S) != 0 for process in processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        wall_s = time.perf_counter() - began_s
    return _taken(watch, sent, wall_s=wall_s, refused=failed)


def by_light(running: Running, sent: Load, env: dict[str, str], *, huge_bytes: int = 0) -> Taken:
    """Our own light sender; time from the first byte of the first object to the last answer."""
    order: dict[str, object] = {
        "host": "127.0.0.1",
        "port": running.port,
        "calling": CALLING,
        "called": running.called,
        "folders": [str(folder) for folder in sent.folders],
    }
    if huge_bytes:
        order |= {"folders": [str(next(sent.folders[0].iterdir()))], "huge_bytes": huge_bytes}
    argv = [sys.executable, "-m", "tests.benchmarks.dicom_sender"]
    with Watch(running.pid) as watch:
        done = subprocess.run(
            argv,
            input=json.dumps(order),
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    answers = json.loads(done.stdout)
    times = [pair for one in answers for pair in one["times"]]
    return _taken(
        watch,
        sent,
        wall_s=max(end for _, end in times) - min(begin for begin, _ in times),
        refused=sum(status != 0 for one in answers for status in one["statuses"]),
        latency_s=tuple(end - begin for begin, end in times),
        fairness=fairness([[end for _, end in one["times"]] for one in answers]),
        size_bytes=huge_bytes,
    )


SENDERS = {"storescu": by_storescu, "light": by_light}


def _taken(
    watch: Watch,
    sent: Load,
    *,
    wall_s: float,
    refused: int,
    latency_s: tuple[float, ...] = (),
    fairness: float | None = None,
    size_bytes: int = 0,
) -> Taken:
    return Taken(
        wall_s=wall_s,
        cpu_s=watch.cpu_s,
        idle_bytes=watch.idle_bytes,
        peak_bytes=watch.peak_bytes,
        objects=1 if size_bytes else sent.objects,
        size_bytes=size_bytes or sent.size_bytes,
        refused=refused,
        latency_s=latency_s,
        fairness=fairness,
    )


def throughput(sitting: Sitting, kind: Kind, associations: Sequence[int]) -> None:
    """storescu against every server, at each number of associations; the whole exchange with the CT slices only."""
    for number in associations:
        if number <= kind.most_associations:
            sent = sitting.load_of(kind, number, sitting.count(kind))
            without = () if kind.name == "ct" and not (sitting.quick and number > 1) else ("up",)
            sitting.measure(kind.name, sent.words, sent, sender="storescu", without=without)


def latencies(sitting: Sitting, associations: Sequence[int]) -> None:
    """The light sender, which times every object; at least twenty objects for each association."""
    kind = KINDS["ct"]
    for number in associations:
        count = sitting.count(kind) if sitting.quick else max(kind.count, 20 * number)
        sent = sitting.load_of(kind, number, count)
        sitting.measure("light", sent.words, sent, sender="light", without=("up",) if sitting.quick else ())


def as_shipped(sitting: Sitting) -> None:
    """Nobody sets TCP_NODELAY: who answers in two small writes waits for the sender's delayed acknowledgement."""
    kind = KINDS["ct"]
    sent = sitting.load_of(kind, 1, min(sitting.count(kind), 50))
    words = f"{sent.words}, TCP_NODELAY set nowhere"
    sitting.measure("shipped", words, sent, sender="storescu", nodelay=False, without=("up",))


def huge(sitting: Sitting) -> None:
    """One object of 4 GiB, made while it is sent; Orthanc, which keeps an object in memory whole, is spared it."""
    size = 64 << 20 if sitting.quick else HUGE_BYTES
    if shutil.disk_usage(sitting.folder).free < 3 * size:
        screen.print("[yellow]too little room for an object of 4 GiB: left out[/]")
        return
    sent = sitting.load_of(KINDS["ct"], 1, 1)
    SENDERS["huge"] = lambda running, sent, env: by_light(running, sent, env, huge_bytes=size)
    runs, sitting.runs = sitting.runs, 1
    words = f"one object of {size / (1 << 30):.2f} GiB"
    sitting.measure("huge", words, sent, sender="huge", without=("orthanc", "up"))
    sitting.runs = runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and show it."""
    given = _arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-dicom-", dir=given.folder) as folder:
        sitting = Sitting(Path(folder), given)
        here = machine(Path(folder))
        busy = load() > BUSY
        screen.print(f"{here.sentence()}; load average {load():.2f}")
        if busy:
            screen.print("[yellow]This machine is busy: ratios mean something, absolute figures do not.[/]")
        make_template(sitting.folder)
        for kind in KINDS.values():
            if kind.name in given.only:
                throughput(sitting, kind, given.associations)
        if "light" in given.only:
            latencies(sitting, given.associations)
        if "shipped" in given.only:
            as_shipped(sitting)
        if "huge" in given.only:
            huge(sitting)
    took_s = time.monotonic() - began_s
    Console(width=None if sys.stdout.isatty() else 120).print(as_table(sitting.series))
    screen.print(f"{took_s:.0f} s, {given.runs} repetitions; {here.sentence()}")
    if given.json:
        told = as_json(sitting.series, here, runs=given.runs, took_s=took_s)
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if given.write:
        write_between_markers(DOCUMENT, as_markdown(sitting.series, here, runs=given.runs, quick=given.quick))
    return 1 if sitting.failed else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.dicom", description=__doc__)
    several = {"type": lambda text: text.split(","), "metavar": "A,B"}
    parser.add_argument("--runs", type=int, default=5, help="repetitions of every series (5)")
    parser.add_argument("--only", default=list(PARTS), help=", ".join(PARTS), **several)
    parser.add_argument("--servers", default=list(SERVERS), help=", ".join(SERVERS), **several)
    parser.add_argument(
        "--associations", type=lambda text: [int(n) for n in text.split(",")], default=None, help="1,4,20"
    )
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="one repetition with few objects")
    parser.add_argument("--folder", type=Path, help="where servers and objects lie (the temporary folder)")
    given = parser.parse_args(arguments)
    for name, known in (("only", PARTS), ("servers", tuple(SERVERS))):
        if unknown := set(getattr(given, name)) - set(known):
            parser.error(f"--{name}: {', '.join(sorted(unknown))} is none of {', '.join(known)}")
    if given.associations is None:
        given.associations = [1, 4] if given.quick else [1, 4, 20]
    if given.quick:
        given.runs = 1
    return given


if __name__ == "__main__":
    sys.exit(main())
