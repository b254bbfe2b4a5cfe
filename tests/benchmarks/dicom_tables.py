"""The DICOM benchmark's figures as a table for the screen, as Markdown for the documents, and as JSON."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Group
from rich.table import Table

from tests.benchmarks.dicom_servers import SERVERS
from tests.benchmarks.documents import commit, write_between
from tests.benchmarks.figures import MB, Series
from tests.benchmarks.processes import Machine

OURS = "ours"
SENDER_WORDS = {"storescu": "DCMTK storescu", "light": "our light sender", "huge": "our light sender"}
COLUMNS = (
    "Server",
    "MB/s",
    "lowest to highest",
    "ours ÷ it",
    "CPU ms/MB",
    "memory idle, peak",
    "p50, p99",
    "evenness",
)
_WIDTHS = (21, 6, 17, 10, 9, 18, 15, 8)


def as_table(series: Sequence[Series]) -> Group:
    """Return everything for a screen, one table for each series."""
    return Group(*(_table(one) for one in series))


def _table(one: Series) -> Table:
    table = Table(
        title=_heading(one),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="",
    )
    for column, width in zip(COLUMNS, _WIDTHS, strict=True):
        table.add_column(column, justify="left" if column == "Server" else "right", min_width=width)
    for row in _rows(one):
        table.add_row(*row)
    table.add_row()
    return table


def as_markdown(series: Sequence[Series], here: Machine, *, runs: int, quick: bool) -> str:
    """Return the tables with what a reader must know to judge them."""
    loads = [one.load_before for one in series]
    loads = [one.load_before for one in series]
    medians = f"Medians of {runs} repetitions; «ours ÷ it» is the median of the ratios within each."
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d %H:%M} UTC at {commit()}: {here.sentence()}; {', '.join(_versions())}.",
        f"Load average before the series, the benchmark's own included: {min(loads)} to {max(loads)}.",
        "One quick repetition with few objects: no figures to quote." if quick else medians,
    ]
    for one in series:
        lines += ["", f"**{_heading(one)}**", "", "| " + " | ".join(COLUMNS) + " |"]
        lines += ["|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in _rows(one)]
    return "\n".join(lines)


def as_json(series: Sequence[Series], here: Machine, *, runs: int, took_s: float) -> dict[str, object]:
    """Return every run, so that anybody can compute what we did not."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": asdict(here),
        "versions": _versions(),
        "repetitions": runs,
        "took_s": round(took_s, 1),
        "series": [one.as_json() for one in series],
        "ratios": [
            {
                "name": one.name,
                "sender": one.sender,
                "associations": one.associations,
                "nodelay": one.nodelay,
                "other": other,
                "throughput": median(one.ratios(OURS, other)),
                "cpu_per_mb": median(one.ratios(OURS, other, "cpu_ms_per_mb") or [0.0]),
            }
            for one in series
            if OURS in one.runs
            for other in one.runs
            if other != OURS
        ],
    }


def write_between_markers(document: Path, text: str) -> None:
    """Put the text into the document's place for it, at the end where there is none yet."""
    write_between(document, "bench-dicom", text)


def _heading(one: Series) -> str:
    at_once = "one association" if one.associations == 1 else f"{one.associations} associations"
    return f"{one.words} · {at_once} · {SENDER_WORDS[one.sender]}"


def _rows(one: Series) -> Iterator[tuple[str, ...]]:
    for server in sorted(one.runs, key=list(SERVERS).index):
        low, high = one.spread(server, "mb_per_s")
        fair = one.fairness(server)
        p50, p99 = one.latency_ms(server, 50), one.latency_ms(server, 99)
        refused = sum(taken.refused for taken in one.runs[server])
        idle, peak = (one.spread(server, figure)[1] / MB for figure in ("idle_bytes", "peak_bytes"))
        yield (
            SERVERS[server].words + (f" ({refused} refused)" if refused else ""),
            f"{one.middle(server, 'mb_per_s'):.0f}",
            f"{low:.0f} to {high:.0f}",
            f"{median(one.ratios(OURS, server)):.2f}" if OURS in one.runs and server != OURS else "",
            f"{one.middle(server, 'cpu_ms_per_mb'):.1f}",
            f"{idle:.0f}, {peak:.0f} MB",
            f"{p50:.1f}, {p99:.1f} ms" if p50 is not None and p99 is not None and one.name != "huge" else "",
            f"{fair:.2f}" if fair is not None and one.associations > 1 else "",
        )


def _versions() -> list[str]:
    found = []
    for argv in (["/usr/sbin/Orthanc", "--version"], ["/usr/bin/storescp", "--version"]):
        if Path(argv[0]).exists():
            said = (
                subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip().splitlines()
            )
            found.append(
                " ".join(said[0].replace("$", "").replace("dcmtk: ", "").split()) if said else argv[0]
            )
    return found
