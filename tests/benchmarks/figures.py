"""What was measured as values, medians and pairwise ratios; a ratio is only ever taken inside one repetition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One run of one server. ``latency_s`` is empty where the sender does not time its objects."""

    wall_s: float
    cpu_s: float
    idle_bytes: int
    peak_bytes: int
    objects: int
    size_bytes: int
    refused: int = 0
    latency_s: tuple[float, ...] = ()
    fairness: float | None = None

    @property
    def mb_per_s(self) -> float:
        return self.size_bytes / MB / self.wall_s

    @property
    def cpu_ms_per_mb(self) -> float:
        return self.cpu_s * 1e3 / (self.size_bytes / MB)

    def as_json(self) -> dict[str, object]:
        """Everything but the single latencies, of which the percentiles stand for all."""
        told: dict[str, object] = {
            name: getattr(self, name)
            for name in (
                "wall_s",
                "cpu_s",
                "idle_bytes",
                "peak_bytes",
                "objects",
                "size_bytes",
                "refused",
                "fairness",
            )
        }
        if self.latency_s:
            told |= {f"p{at}_ms": percentile(self.latency_s, at) * 1e3 for at in (50, 99, 100)}
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One load with one sender: the runs of every server, repetition by repetition."""

    name: str
    words: str
    sender: str
    associations: int
    nodelay: bool
    load_before: float
    runs: dict[str, list[Taken]] = field(default_factory=dict)

    def middle(self, server: str, figure: str) -> float:
        """Return the median of a figure of one server."""
        return median(getattr(taken, figure) for taken in self.runs[server])

    def spread(self, server: str, figure: str) -> tuple[float, float]:
        """Return lowest and highest."""
        found = [getattr(taken, figure) for taken in self.runs[server]]
        return min(found), max(found)

    def ratios(self, one: str, other: str, figure: str = "mb_per_s") -> list[float]:
        """Return one server's figure by another's, pair by pair."""
        pairs = zip(self.runs[one], self.runs[other], strict=True)
        found = ((getattr(a, figure), getattr(b, figure)) for a, b in pairs)
        return [a / b for a, b in found if b]

    def latency_ms(self, server: str, at: int) -> float | None:
        """Return the median over the repetitions of a percentile within each."""
        found = [percentile(taken.latency_s, at) * 1e3 for taken in self.runs[server] if taken.latency_s]
        return median(found) if found else None

    def fairness(self, server: str) -> float | None:
        """Return the worst repetition's."""
        found = [taken.fairness for taken in self.runs[server] if taken.fairness is not None]
        return min(found) if found else None

    def as_json(self) -> dict[str, object]:
        told = {name: getattr(self, name) for name in self.__slots__ if name != "runs"}
        return told | {
            "runs": {name: [taken.as_json() for taken in runs] for name, runs in self.runs.items()}
        }


def percentile(values: Sequence[float], at: float) -> float:
    """Return the nearest-rank percentile: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * at / 100) - 1)]


def fairness(finished_s: Iterable[Sequence[float]]) -> float:
    """Return how far the slowest association has come when the first is done: 1 is even, 0 is starved.

    ``finished_s`` gives, for each association, when each of its objects was answered; all began at one moment.
    """
    ends = [list(one) for one in finished_s]
    first_done = min(max(one) for one in ends)
    done = [sum(end <= first_done for end in one) for one in ends]
    return min(done) / max(done)
