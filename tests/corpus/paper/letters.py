"""The letters of the corpus, read from their marked-up text.

``[[category|text]]`` is planted and must be gone, ``{{date|pattern}}`` is a date that must be gone or moved, ``<<text>>``
is clinical and must stay. A line that begins with ``#`` is a heading; ``Label: value`` is a labelled line.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from babel.dates import format_date

HERE = Path(__file__).parent
MARK = re.compile(r"\[\[(\w+!?)\|(.+?)\]\]|\{\{([\d-]+)\|(.+?)\}\}|<<(.+?)>>")
LABELLED = re.compile(r"^([^:|,.]{2,32}?)\s?:\s+(\S.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One thing that must be gone; ``whole`` if its single words may stay (an eponym that is also a name)."""

    category: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A date in a text, with the pattern (CLDR) in which it was written."""

    iso: str
    pattern: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line as (text, mark) runs; the mark is a category, "date", "clinical" or empty."""

    runs: tuple[tuple[str, str], ...]
    heading: bool = False

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs)

    @property
    def labelled(self) -> tuple[str, str] | None:
        """Label and value, of a line that has them."""
        found = None if self.heading else LABELLED.match(self.text)
        return (found[1], found[2]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter, and what in it must go, move and stay."""

    language: str
    lines: tuple[Line, ...]
    planted: tuple[Planted, ...]
    days: tuple[Day, ...]
    clinical: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The patient of a case: what the intake form knows, and who is named only where a reader does not look."""

    language: str
    known: dict[str, Any]
    relative: str
    author: str
    street: str
    place: tuple[float, float] = field(default=(0.0, 0.0))


def written(iso: str, pattern: str, language: str) -> str:
    """The day as a letter in this language writes it."""
    return format_date(dt.date.fromisoformat(iso), pattern, locale=language)


@cache
def letter(name: str) -> Letter:
    """The letter of a name such as ``sv-referral``."""
    language = name.split("-", maxsplit=1)[0]
    lines: list[Line] = []
    planted: dict[tuple[str, str], Planted] = {}
    days: dict[str, Day] = {}
    clinical: dict[str, None] = {}
    for raw in (HERE / "letters" / f"{name}.txt").read_text("utf-8").splitlines():
        runs: list[tuple[str, str]] = []
        source, heading, at = raw.removeprefix("# "), raw.startswith("# "), 0
        for mark in MARK.finditer(source):
            runs.append((source[at : mark.start()], ""))
            at = mark.end()
            category, text, iso, pattern, kept = mark.groups()
            if category:
                plain = category.rstrip("!")
                planted[plain, text] = Planted(category=plain, text=text, whole=category.endswith("!"))
                runs.append((text, plain))
            elif iso:
                text = written(iso, pattern, language)
                days[text] = Day(iso=iso, pattern=pattern, text=text)
                runs.append((text, "date"))
            else:
                clinical[kept] = None
                runs.append((kept, "clinical"))
        runs.append((source[at:], ""))
        lines.append(Line(runs=tuple(run for run in runs if run[0]), heading=heading))
    return Letter(
        language=language,
        lines=tuple(lines),
        planted=tuple(planted.values()),
        days=tuple(days.values()),
        clinical=tuple(clinical),
    )


@cache
def person(language: str) -> Person:
    """The patient of a language's case."""
    told = json.loads((HERE / "people.json").read_text("utf-8"))[language]
    unlisted = told["unlisted"]
    return Person(
        language=language,
        known=told["known"],
        relative=unlisted["relative"],
        author=unlisted["author"],
        street=unlisted["place"],
        place=(told["place"][0], told["place"][1]),
    )
