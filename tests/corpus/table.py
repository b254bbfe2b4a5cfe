"""The score as a table to read: totals, each category, and the worst misses with file and place."""

from collections import defaultdict
from typing import Any


def share(report: dict[str, Any], side: str, category: str) -> float:
    passed, asked = report[side]["by_category"].get(category, (1, 1))
    return 100 * passed / asked


def table(report: dict[str, Any], *, worst: int = 40) -> str:
    return "\n".join(
        [*_totals(report), *_categories(report), *_misses(report, worst), *_files(report, worst)]
    )


def _totals(report: dict[str, Any]) -> list[str]:
    privacy, utility = report["privacy"], report["utility"]
    checked = "" if report["iods_checked"] else " (dciodvfy not run)"
    refused, lost = len(report["refused"]), len(report["lost"])
    shares = (
        f"privacy micro/macro {privacy['micro']:.2f}/{privacy['macro']:.2f} %   "
        f"utility {utility['micro']:.2f}/{utility['macro']:.2f} %   checks {privacy['checks']}+{utility['checks']}"
    )
    return [
        f"files {report['files']}, out {report['outputs']}, refused {refused}, lost without a reason {lost}",
        f"MIDI-like {report['midi_like']:.1f} %   {shares}",
        f"leaking files {len(report['leaking_files'])}   files with new IOD errors {len(report['new_iod_errors'])}{checked}",
        f"masked natively {report['masked']['micro']:.1f} % of burned-in texts (the rest is held for a human or counted above)",
        "",
    ]


def _categories(report: dict[str, Any]) -> list[str]:
    lines = []
    for side in ("privacy", "utility"):
        lines.append(f"{side:<8}{'category':<28}{'passed':>8}{'of':>8}{'%':>9}")
        for category, (passed, asked) in report[side]["by_category"].items():
            lines.append(f"        {category:<28}{passed:>8}{asked:>8}{100 * passed / asked:>9.2f}")
        lines.append("")
    return lines


def _ranked(rows: list[tuple[str, str]], worst: int) -> list[str]:
    """(what, file) → what, most files first, with how many and some of them."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for what, file in rows:
        grouped[what].append(file)
    ranked = sorted(grouped.items(), key=lambda row: -len(row[1]))[:worst]
    return [f"  {len(files):>4}  {what}  e.g. {', '.join(files[:3])}" for what, files in ranked]


def _name(row: dict[str, Any]) -> str:
    return f"{row['case']}/{row['file']}"


def _misses(report: dict[str, Any], worst: int) -> list[str]:
    lines = []
    out = {_name(r) for r in report["refused"] + report["lost"]}
    for side in ("privacy", "utility"):
        rows = [
            (f"{m['category']:<24} {m['place']}", _name(m)) for m in report["misses"] if m["side"] == side
        ]
        lines += [
            f"worst misses, {side} (of files that came out):",
            *_ranked([r for r in rows if r[1] not in out], worst),
        ]
    return lines


def _files(report: dict[str, Any], worst: int) -> list[str]:
    lines = []
    leaking = [(place, _name(leak)) for leak in report["leaking_files"] for place in leak["places"]]
    errors = [(error[:170], _name(row)) for row in report["new_iod_errors"] for error in row["errors"]]
    for title, rows in (
        ("leaking files (place where a known identifier is read):", leaking),
        ("new IOD errors:", errors),
    ):
        if rows:
            lines += [title, *_ranked(rows, worst)]
    refused = [(f"{r['code']}: {r['reason']}", _name(r)) for r in report["refused"]]
    lost = [("no word of it in the report", _name(r)) for r in report["lost"]]
    for title, rows in (("refused:", refused), ("lost:", lost)):
        if rows:
            lines += [title, *_ranked(rows, worst)]
    return lines
