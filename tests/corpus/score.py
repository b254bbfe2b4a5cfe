"""Scores a de-identified corpus against its key: counts by category, leaking files, misses with file and place."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.corpus import iod
from tests.corpus.judge import KINDS, Frame, Pair, moved, value_text
from tests.corpus.leaks import leaks, patterns
from tests.corpus.paths import get
from tests.corpus.reading import Read

MIDI = {"gone", "kept", "shifted", "mapped", "pseudonym", "pixels_hidden", "pixels_same"}
AUTHORITY = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


class Tally:
    """Counts of passed and asked, by side and category."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self.midi = [0, 0]
        self.misses: list[dict[str, Any]] = []

    def add(self, side: str, category: str, passed: bool, check: dict[str, Any], case: str) -> None:
        count = self.counts[side, category]
        count[0] += passed
        count[1] += 1
        if side != "masked" and check["kind"] in MIDI:
            self.midi[0] += passed
            self.midi[1] += 1
        if not passed and side != "masked":
            self.misses.append(
                {
                    "side": side,
                    "category": category,
                    "case": case,
                    "file": check["file"],
                    "place": check["place"],
                    "kind": check["kind"],
                }
            )

    def side(self, side: str) -> dict[str, Any]:
        rows = {c: v for (s, c), v in sorted(self.counts.items()) if s == side}
        passed, asked = sum(v[0] for v in rows.values()), sum(v[1] for v in rows.values())
        macro = sum(v[0] / v[1] for v in rows.values()) / len(rows) if rows else 1.0
        return {
            "micro": 100 * passed / max(1, asked),
            "macro": 100 * macro,
            "checks": asked,
            "by_category": {c: [v[0], v[1]] for c, v in rows.items()},
        }


def pairs_of(case: Path, out: Path) -> list[Pair]:
    """Every object of a case with what became of it, by the run's report, else by its own name."""
    report = out.parent / f"{case.name}.report.json"
    told = (
        {f["input"]: f for f in json.loads(report.read_text(encoding="utf-8"))["files"]}
        if report.exists()
        else None
    )
    found = []
    for path in sorted((case / "objects").iterdir()):
        row = {"output": path.name} if told is None else told.get(path.name, {})
        output = row.get("output") or ""
        after = out / output if output else None
        there = after is not None and after.exists()
        found.append(
            Pair(
                path.name, Read(path), Read(after) if there and after else None, row, output if there else ""
            )
        )
    return found


def agreed(pairs: dict[str, Pair], checks: list[dict[str, Any]]) -> Frame:
    """What most of a case's files say: day shift, new UIDs, pseudonym."""
    days = Counter(
        d for c in checks if c["kind"] == "shifted" and (d := moved(c, pairs[c["file"]])[0]) is not None
    )
    frame = Frame(days=days.most_common(1)[0][0] if days else 0)
    names: Counter[str] = Counter()
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs.values():
        if pair.after is None or pair.file == "DICOMDIR":
            continue
        names[value_text(get(pair.after.ds, "PatientID"))] += 1
        for keyword in AUTHORITY:
            old, new = value_text(get(pair.before.ds, keyword)), value_text(get(pair.after.ds, keyword))
            if old and new:
                votes[old][new] += 1
    for check in checks:
        if (
            check["kind"] == "mapped"
            and not votes.get(check["value"])
            and pairs[check["file"]].after is not None
        ):
            frame.uids.setdefault(
                check["value"], value_text(get(pairs[check["file"]].after.ds, check["place"]))
            )  # type: ignore[union-attr]
    frame.uids.update({old: new.most_common(1)[0][0] for old, new in votes.items()})
    frame.pseudonym = names.most_common(1)[0][0] if names else ""
    return frame


def score(corpus: Path, out: Path, *, iods: bool = True) -> dict[str, Any]:
    """Judge all cases of `corpus` as they came out in `out`; a report of numbers, kinds and places."""
    tally, files, leaking, lost, refused, new_errors = Tally(), 0, [], [], [], []
    outputs, asked_iods = 0, []
    for case in sorted((corpus / "cases").iterdir()):
        key = json.loads((case / "key.json").read_text(encoding="utf-8"))
        found = pairs_of(case, out / case.name)
        pairs = {p.file: p for p in found}
        files += len(found)
        frame, known = agreed(pairs, key["checks"]), patterns(key["secrets"])
        for check in key["checks"]:
            for side, category, passed in KINDS[check["kind"]](check, pairs[check["file"]], frame):
                tally.add(side, category, bool(passed), check, case.name)
        for pair in found:
            where = leaks(pair, key, known)
            if where:
                leaking.append({"case": case.name, "file": pair.file, "places": where[:12]})
            if pair.after is not None:
                outputs += 1
                if "SOPClassUID" in pair.before.ds:  # else nothing can be said of the IOD of what came in
                    asked_iods.append((case.name, pair))
            elif pair.told.get("reason"):
                refused.append(
                    {
                        "case": case.name,
                        "file": pair.file,
                        "code": pair.told.get("code"),
                        "reason": pair.told["reason"],
                        "expected": pair.file in key.get("may_be_held", ()),
                    }
                )
            else:
                lost.append({"case": case.name, "file": pair.file})
    if iods and iod.available():
        told = iod.new_errors([(p.before.path, p.after.path) for _, p in asked_iods if p.after is not None])
        new_errors = [
            {"case": c, "file": p.file, "errors": e} for (c, p), e in zip(asked_iods, told, strict=True) if e
        ]
    masked, kinds = tally.side("masked"), _kinds(corpus)
    return {
        "files": files, "outputs": outputs,
        "midi_like": 100 * tally.midi[0] / max(1, tally.midi[1]),
        "privacy": tally.side("privacy"), "utility": tally.side("utility"),
        "masked": masked, "leaking_files": leaking, "refused": refused, "lost": lost,
        "new_iod_errors": new_errors, "iods_checked": bool(iods and iod.available()),
        "misses": tally.misses,
        **kinds,
    }  # fmt: skip


def _kinds(corpus: Path) -> dict[str, list[str]]:
    """Which SOP classes, transfer syntaxes and character sets the corpus has."""
    classes, syntaxes, sets = set(), set(), set()
    for path in sorted((corpus / "cases").glob("*/objects/*")):
        ds = Read(path).ds
        classes.add(str(ds.get("SOPClassUID", "")))
        syntaxes.add(str(ds.file_meta.TransferSyntaxUID))
        sets.add(str(ds.get("SpecificCharacterSet", "")))
    return {
        "sop_classes": sorted(classes - {""}),
        "transfer_syntaxes": sorted(syntaxes),
        "character_sets": sorted(sets),
    }
