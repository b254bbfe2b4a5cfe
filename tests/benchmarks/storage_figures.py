"""What was measured of storage as values and as tables: ours beside the bare work, pair by pair, and nothing is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median

from rich.table import Table

from tests.benchmarks.documents import commit
from tests.benchmarks.processes import Machine

COLUMNS = ("What", "ours", "lowest to highest", "beside it", "bare", "ours ÷ bare", "wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured, a value for each repetition; `bare` is what stood beside it in the same one.

    Attributes
    ----------
    unit
        Of `ours` and of `bare`: ``GB/s``, ``MB/s``, ``/s``, ``ms``, ``s``, ``µs/MiB``.
    beside
        What the bare work was, in words.
    wanted
        The requirement, in words, where there is one.
    """

    words: str
    unit: str
    ours: tuple[float, ...]
    beside: str = ""
    bare: tuple[float, ...] = ()
    wanted: str = ""

    def __post_init__(self) -> None:
        if (
            not self.ours
            or (self.bare and len(self.bare) != len(self.ours))
            or bool(self.bare) != bool(self.beside)
        ):
            raise ValueError("a figure has a value for each repetition, and so has what stands beside it")

    @property
    def ratio(self) -> float | None:
        """The median of the ratios within each repetition."""
        return median(a / b for a, b in zip(self.ours, self.bare, strict=True)) if self.bare else None

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"median": median(self.ours), "ratio": self.ratio}


def as_table(parts: dict[str, list[Figure]]) -> Table:
    """Return everything for a screen."""
    table = Table(box=None, pad_edge=False, header_style="")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in {"What", "beside it"} else "right")
    for figures in parts.values():
        for figure in figures:
            table.add_row(*_row(figure))
        table.add_row()
    return table


def as_markdown(
    parts: dict[str, list[Figure]], here: Machine, *, runs: int, quick: bool, load_before: float
) -> str:
    """Return the tables with what a reader must know to judge them."""
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d %H:%M} UTC at {commit()}: {here.sentence()}.",
        f"Load average before: {load_before:.2f}.",
        "One quick repetition of little: no figures to quote."
        if quick
        else f"Medians of {runs} repetitions; «ours ÷ bare» is the median of the ratios within each.",
    ]
    for name, figures in parts.items():
        lines += [
            "",
            f"**{name}**",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|---|---:|---:|---|---:|---:|---:|",
        ]
        lines += ["| " + " | ".join(_row(figure)) + " |" for figure in figures]
    return "\n".join(lines)


def as_json(
    parts: dict[str, list[Figure]], here: Machine, *, runs: int, load_before: float, took_s: float
) -> dict[str, object]:
    """Return every value, so that anybody can compute what we did not."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": asdict(here),
        "load_before": load_before,
        "repetitions": runs,
        "took_s": round(took_s, 1),
        "parts": {name: [figure.as_json() for figure in figures] for name, figures in parts.items()},
    }


def _row(figure: Figure) -> Sequence[str]:
    ratio = figure.ratio
    return tuple(
        _cells(
            figure.words,
            f"{_number(median(figure.ours))} {figure.unit}",
            f"{_number(min(figure.ours))} to {_number(max(figure.ours))}" if len(figure.ours) > 1 else "",
            figure.beside,
            f"{_number(median(figure.bare))} {figure.unit}" if figure.bare else "",
            f"{ratio:.2f}" if ratio is not None else "",
            figure.wanted,
        )
    )


def _cells(*cells: str) -> Iterator[str]:
    return (cell.replace("|", "\\|") for cell in cells)


def _number(value: float) -> str:
    """Write three digits that count, and no more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
