"""The judge: per document what was left, what was lost, what was held; and the sums by language and kind."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tests.corpus.paper import looking, opened
from tests.corpus.paper.letters import Planted, written
from tests.corpus.paper.matching import Reading, fold, inside, kept, left

TEXT_KINDS = ("txt", "html", "cda", "rtf", "docx", "odt")
"""Kinds whose text is there to be read: holding one is a failure."""
FARTHEST_DAYS = 36525


@dataclass(slots=True, kw_only=True)
class Mark:
    """What the judge says of one document. Planted texts are generated people's, so they may be quoted."""

    case: str
    file: str
    kind: str
    status: str = "lost"
    reason: str = ""
    output: str = ""
    may_be_held: bool = False
    planted: int = 0
    leaks: list[str] = field(default_factory=list)
    structure: list[str] = field(default_factory=list)
    clinical: int = 0
    missing: list[str] = field(default_factory=list)
    days: int = 0
    moved: int = 0
    unmoved: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return self.status == "quarantined" and bool(self.reason.strip())


def score(corpus: Path, result: Path, *, looks: int = 3, workers: int = 2) -> list[Mark]:
    """Judge every document of a result folder (``<case>/out`` and ``<case>/report.json``) by the corpus's key."""
    key = json.loads((corpus / "key.json").read_text("utf-8"))
    judge = partial(_judged, corpus=corpus, result=result, looks=looks)
    if workers == 1:
        return [judge(entry) for entry in key]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(judge, key))


def _judged(entry: dict[str, Any], *, corpus: Path, result: Path, looks: int) -> Mark:
    mark = Mark(case=entry["case"], file=entry["file"], kind=entry["kind"], may_be_held=entry["may_be_held"])
    mark.planted = len(entry["planted"]) + len(entry["days"])
    folder = result / mark.case
    report = json.loads((folder / "report.json").read_text("utf-8"))
    row = next((one for one in report["files"] if one["input"] == mark.file), None)
    if row is None:
        return mark
    mark.status, mark.reason = row["status"], row["reason"] or ""
    planted = [Planted(**one) for one in entry["planted"]]
    mark.leaks += [
        f"{p.category}: {p.text} (the reason told)"
        for p in planted
        if left(p, Reading(place="", text=mark.reason))
    ]
    path = folder / "out" / row["output"] if row["output"] else None
    if path is None or not path.is_file():
        mark.status = mark.status if mark.held else "lost"
        return mark
    mark.output = row["output"]
    content, suffix = path.read_bytes(), path.suffix.lower()
    layers = [*opened.texts(content, suffix, mark.case), Reading(place="file name", text=row["output"])]
    unseen = [*opened.raw(content), *opened.inner(content, suffix)]
    pages = pages_of(content, suffix)
    cache = corpus / ".read"
    seen = looking.seen(pages, mark.case, cache, looks=looks) if pages else []
    shift = _shift(entry["days"], layers + seen, mark.case)
    _leaks(mark, planted, layers + seen, unseen)
    _days(mark, entry["days"], layers + seen, shift)
    mark.structure = opened.structure(content, suffix)
    _clinical(mark, entry["clinical"], layers, seen, corpus / mark.case / "in" / mark.file, cache, looks)
    return mark


def pages_of(content: bytes, suffix: str) -> list[Any]:
    """The pages or frames of a file that has any."""
    if suffix == ".pdf":
        return looking.pages_of_pdf(content)
    if suffix in opened.PICTURES:
        return looking.pages_of_picture(content)
    return []


def _leaks(mark: Mark, planted: list[Planted], readings: list[Reading], unseen: list[Reading]) -> None:
    for one in planted:
        where = next((reading.place for reading in readings if left(one, reading)), None)
        if where is None:
            where = next((reading.place for reading in unseen if inside(one, reading)), None)
        if where is not None:
            mark.leaks.append(f"{one.category}: {one.text} ({where})")


def _shift(days: list[dict[str, str]], readings: list[Reading], language: str) -> int:
    """By how many days the document's dates were moved, if at least half of them agree; 0 if not."""
    if not days:
        return 0
    text = " ".join(reading.folded for reading in readings)
    votes: Counter[int] = Counter()
    found = [_stamps(day["pattern"], language, text) for day in days]
    for day, stamps in zip(days, found, strict=True):
        at = date.fromisoformat(day["iso"])
        votes.update({(stamp - at).days for stamp in stamps})
    best = votes.most_common(1)
    return best[0][0] if best and best[0][1] * 2 >= len(days) else 0


def _stamps(pattern: str, language: str, text: str) -> set[date]:
    """Every day whose form in this pattern stands in the text."""
    return {day for form, day in _calendar(pattern, language) if form in text}


_CALENDARS: dict[tuple[str, str], list[tuple[str, date]]] = {}


def _calendar(pattern: str, language: str) -> list[tuple[str, date]]:
    if (pattern, language) not in _CALENDARS:
        first, span = date(2010, 1, 1), 365 * 30
        days = [first + timedelta(days=n) for n in range(span)]
        _CALENDARS[pattern, language] = [
            (fold(written(day.isoformat(), pattern, language)), day) for day in days
        ]
    return _CALENDARS[pattern, language]


def _days(mark: Mark, days: list[dict[str, str]], readings: list[Reading], shift: int) -> None:
    """A date left as it was is a leak, unless it is another one moved; one moved with the others is kept."""
    mark.days = len(days)
    moved = {day["text"]: _moved(day, shift, mark.case) for day in days} if shift else {}
    others = {form for forms in moved.values() for form in forms}
    folded = [reading.folded for reading in readings]
    for day in days:
        original = Planted(category="date", text=day["text"])
        where = next((reading.place for reading in readings if left(original, reading)), None)
        if where is not None and fold(day["text"]) not in others:
            mark.leaks.append(f"date: {day['text']} ({where})")
        elif shift and any(form in text for form in moved[day["text"]] for text in folded):
            mark.moved += 1
        else:
            mark.unmoved.append(day["text"])


def _moved(day: dict[str, str], shift: int, language: str) -> set[str]:
    """How the moved day may stand there: "May" is short and long, and 02 may become 2."""
    there = (date.fromisoformat(day["iso"]) + timedelta(days=shift)).isoformat()
    months = ("MMM", "MMMM") if "MMM" in day["pattern"] else ("M", "MM")
    named = [re.sub("M+", month, day["pattern"]) for month in months]
    patterns = {re.sub(r"(?<!d)d+(?!d)", days, pattern) for pattern in named for days in ("d", "dd")}
    forms = {fold(written(there, pattern, language)) for pattern in patterns}
    month = fold(written(there, "MMMM", language))
    forms |= {form.replace(month, month[:3]) for form in forms} | {
        form.replace(month, f"{month[:3]}.") for form in forms
    }
    return forms | {re.sub(r"([a-z])\.", r"\1", form) for form in forms}


def _clinical(
    mark: Mark,
    words: list[str],
    layers: list[Reading],
    seen: list[Reading],
    source: Path,
    cache: Path,
    looks: int,
) -> None:
    """Clinical words that are gone. What the same reader cannot read in the input either is not counted."""
    missing = [word for word in words if not any(kept(word, reading) for reading in (*layers, *seen))]
    mark.clinical = len(words)
    if missing and mark.kind.startswith(("scan", "jpeg", "png", "tiff", "heic")):
        before = looking.seen(pages_of(source.read_bytes(), source.suffix), mark.case, cache, looks=looks)
        unread = [word for word in missing if not any(kept(word, reading) for reading in before)]
        mark.clinical -= len(unread)
        missing = [word for word in missing if word not in unread]
    mark.missing = missing


def summed(marks: list[Mark]) -> dict[str, Any]:
    """The figures that the gate judges, and the same by language and by kind."""
    groups: dict[str, dict[str, list[Mark]]] = {
        "all": {"": marks},
        "language": defaultdict(list),
        "kind": defaultdict(list),
    }
    for mark in marks:
        groups["language"][mark.case].append(mark)
        groups["kind"][mark.kind].append(mark)
    return {
        name: {group: _figures(rows) for group, rows in rows_of.items()} for name, rows_of in groups.items()
    }


def _figures(marks: list[Mark]) -> dict[str, Any]:
    out = [mark for mark in marks if mark.output]
    clinical = sum(mark.clinical for mark in out)
    held = [mark for mark in marks if mark.held and not mark.may_be_held]
    expected = [mark for mark in marks if not mark.may_be_held]
    return {
        "documents": len(marks),
        "cleaned": len(out),
        "held": len(held),
        "held_share": len(held) / len(expected) if expected else 0.0,
        "lost": sum(not mark.output and not mark.held for mark in marks),
        "planted": sum(mark.planted for mark in out),
        "leaks": sum(len(mark.leaks) for mark in marks),
        "leaking_documents": sum(bool(mark.leaks) for mark in marks),
        "structure": sum(bool(mark.structure) for mark in out),
        "clinical": clinical,
        "clinical_kept": 1 - sum(len(mark.missing) for mark in out) / clinical if clinical else 1.0,
        "days": sum(mark.days for mark in out),
        "days_moved": sum(mark.moved for mark in out) / max(1, sum(mark.days for mark in out)),
        "text_held": sum(mark.held and mark.kind.startswith(TEXT_KINDS) for mark in marks),
    }


def table(marks: list[Mark]) -> str:
    """The figures as text, then every document that is not perfect."""
    lines = [
        f"{'':16}{'docs':>5}{'clean':>6}{'held':>5}{'lost':>5}{'leaks':>6}{'leaky':>6}{'struct':>7}{'kept %':>8}{'dates %':>8}"
    ]
    for name, rows in summed(marks).items():
        for group, figures in sorted(rows.items()):
            lines.append(
                f"{group or name:16}{figures['documents']:5}{figures['cleaned']:6}{figures['held']:5}{figures['lost']:5}{figures['leaks']:6}"
                f"{figures['leaking_documents']:6}{figures['structure']:7}{100 * figures['clinical_kept']:8.2f}{100 * figures['days_moved']:8.1f}"
            )
        lines.append("")
    lines += [*_commonest(marks), ""]
    for mark in sorted(marks, key=lambda mark: -len(mark.leaks)):
        if mark.leaks or mark.structure or mark.missing or not mark.output or mark.moved < mark.days:
            lines.append(f"{mark.case}/{mark.file} -> {mark.output or mark.status}")
            lines += [f"    reason: {mark.reason}"] if mark.reason else []
            lines += [f"    left     {leak}" for leak in mark.leaks]
            lines += [f"    inside   {what}" for what in mark.structure]
            lines += [f"    missing  {', '.join(mark.missing)}"] if mark.missing else []
            lines += (
                [f"    dates    {mark.moved} of {mark.days} moved together, not {', '.join(mark.unmoved)}"]
                if mark.output and mark.moved < mark.days
                else []
            )
    return "\n".join(lines) + "\n"


def _commonest(marks: list[Mark]) -> list[str]:
    """Every distinct miss, with the number of documents of its case in which it stands."""
    counted: Counter[str] = Counter()
    for mark in marks:
        told = [f"left     {leak.rpartition(' (')[0]}" for leak in mark.leaks]
        told += [f"missing  {word}" for word in mark.missing] + [f"unmoved  {day}" for day in mark.unmoved]
        counted.update(f"{mark.case}  {line}" for line in set(told))
    return [
        f"{count:3} x {line}"
        for line, count in sorted(counted.items(), key=lambda one: (one[0][:10], -one[1]))
    ]


def to_json(marks: list[Mark]) -> dict[str, Any]:
    return {"sums": summed(marks), "documents": [asdict(mark) for mark in marks]}
