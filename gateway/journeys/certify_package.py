"""The certificate of a package: what was done to its files, what was checked and judged, and what was left out, never a value.

Its shape stands in ``docs/spec/deidentification-certificate.md``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from anonymizer import profile as profiles
from gateway.domain.case import Case
from gateway.domain.finding import Finding
from gateway.domain.release import Copy
from gateway.journeys.make_copy import READ_AGAIN
from gateway.journeys.rules_in_force import RULES
from gateway.ports import Change, View

FORM = "consilium-deidentification-1"
NAME, PRINTED = "CERTIFICATE.json", "CERTIFICATE.html"
STANDARD = "DICOM PS3.15 Annex E"
NOTHING_LEFT = "nothing known was found"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of the package, as the certificate lists it."""

    name: str
    kind: str
    media_type: str
    size_bytes: int
    sha256: str
    copy: Copy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What humans decided about a release, by role and count: no name, no word, no place.

    ``verdicts``: (role, verdict, count). ``left_out``: (kind, code, reason, count). ``rules``: (id, kind, reach, places).
    """

    verdicts: tuple[tuple[str, str, int], ...] = ()
    left_out: tuple[tuple[str, str, str, int], ...] = ()
    rules: tuple[tuple[str, str, str, int], ...] = ()


NOBODY = Judged()


def judged_of(view: View | Change, case: Case, copies: Iterable[Copy]) -> Judged:
    """Gather what humans decided about what a release of this case holds and leaves out."""
    members = {copy.id: copy for copy in copies}
    used = {rule for copy in members.values() for rule in copy.index.get(RULES, ())}
    found = view.findings.find(case_id=case.id, state=("kept", "excluded"))
    verdicts: Counter[tuple[str, str]] = Counter()
    for finding in found:
        if finding.state == "excluded" or finding.copy_id in members:
            verdicts[_role(view, finding), finding.state] += 1
    left_out = Counter(
        (finding.subject_kind, finding.code, finding.reason)
        for finding in _one_each([f for f in found if f.state == "excluded"])
    )
    rules = [
        (rule.id, rule.kind, rule.scope, len(rule.body.get("rectangles", ())))
        for rule in view.case_rules.find(case_id=case.id, order="made_at")
        if rule.id in used
    ] + [
        (rule.id, rule.kind, "device", len(rule.body["rectangles"]))
        for rule in view.device_rules.find(id=sorted(used) or [""])
    ]
    return Judged(
        verdicts=tuple((*who, count) for who, count in sorted(verdicts.items())),
        left_out=tuple((*what, count) for what, count in sorted(left_out.items())),
        rules=tuple(rules),
    )


def certificate(
    listed: Sequence[File], *, case: Case, number: int, made_at: datetime, judged: Judged = NOBODY
) -> dict[str, Any]:
    """Return the certificate: ``listed`` are all files of the package but itself and the manifest, which names it."""
    profile = profiles.load_profile(case.profile)
    copies = [file.copy for file in listed if file.copy is not None]
    reports = [copy.index.get("report") or {} for copy in copies]
    masked = [_masked(copy) for copy in copies]
    papers = [file for file in listed if file.kind == "document"]
    return {
        "certificate": FORM,
        "case": case.ref,
        "release": number,
        "made_at": made_at.isoformat(timespec="seconds"),
        "software": {
            "name": "consilium",
            "version": version("consilium"),
            "workshop_sha256": workshop_digest(),
        },
        "standard": STANDARD,
        "profile": profile.name,
        "rules_sha256": profile.digest,
        "options": _options(profile),
        "tables": _tables(),
        "actions": _counted(reports),
        "pixels": {
            "pictures": sum("Rows" in copy.index for copy in copies),
            "masked_pictures": sum(bool(places) for places in masked),
            "masked_places": sum(masked),
        },
        "documents": {
            "documents": len(papers),
            "pages": sum(_whole(file.copy.index.get("pages")) for file in papers if file.copy),
            "pages_read_by_ocr": sum(
                _whole((file.copy.index.get("report") or {}).get("ocr_pages")) for file in papers if file.copy
            ),
        },
        "verification": {
            "how": "Each copy was read again from its bytes by other code than made it, against all that is known of the patient.",
            "files": len(copies),
            "files_with_something_left": 0,
            "readings": _readings(copies),
        },
        "judged_by_humans": [{"role": r, "verdict": v, "count": n} for r, v, n in judged.verdicts],
        "left_out": [{"kind": k, "code": c, "reason": why, "count": n} for k, c, why, n in judged.left_out],
        "reviewed_rules": [
            {
                "id": rule_id,
                "kind": kind,
                "reach": reach,
                "files": sum(rule_id in copy.index.get(RULES, ()) for copy in copies),
            }
            for rule_id, kind, reach, _ in judged.rules
        ],
        "files": [_file(file) for file in listed],
    }


@lru_cache(maxsize=1)
def workshop_digest() -> str:
    """Return SHA-256 over the source of all that cleans and verifies: which code it was, whatever its version is called."""
    state = hashlib.sha256()
    for name, content in sorted(_sources(files("anonymizer"), "")):
        state.update(f"{name}\0{len(content)}\0".encode() + content)
    return state.hexdigest()


def _sources(folder: Any, path: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{path}{entry.name}", entry.read_bytes()


def _options(profile: profiles.Profile) -> list[dict[str, str]]:
    names = ["basic", *sorted(profile.options)]
    codes = sorted(profiles.METHOD_CODES[name] for name in names)
    return [{"scheme": "DCM", "code": code, "meaning": meaning} for code, meaning in codes]


@lru_cache(maxsize=1)
def _tables() -> list[dict[str, str]]:
    """Return each table of rules with its edition and the digest of its file."""
    told = []
    for entry in sorted(files("anonymizer.tables").iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".json"):
            content = entry.read_bytes()
            edition = json.loads(content).get("edition", "")
            digest = hashlib.sha256(content).hexdigest()
            told.append({"name": entry.name, "edition": str(edition), "sha256": digest})
    return told


def _file(file: File) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": file.name,
        "kind": file.kind,
        "type": file.media_type,
        "size": file.size_bytes,
        "sha256": file.sha256,
    }
    if file.copy is not None:
        told |= {
            "report": file.copy.index.get("report", {}),
            "read_again": NOTHING_LEFT,
            "read_again_by": dict(file.copy.index.get(READ_AGAIN) or {}),
            "reviewed_rules": list(file.copy.index.get(RULES, ())),
        }
    return told


def _readings(copies: Sequence[Copy]) -> list[dict[str, Any]]:
    """Which version of the code read how many files, and when last."""
    found: dict[str, list[str]] = {}
    for copy in copies:
        told = copy.index.get(READ_AGAIN) or {}
        found.setdefault(str(told.get("version", "")), []).append(str(told.get("at", "")))
    return [
        {"version": code, "files": len(times), "last_at": max(times)} for code, times in sorted(found.items())
    ]


def _counted(reports: Iterable[dict[str, Any]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for report in reports:
        told = report.get("counts")
        if isinstance(told, dict):
            counts.update({str(name): n for name, n in told.items() if isinstance(n, int)})
    return dict(sorted(counts.items()))


def _masked(copy: Copy) -> int:
    """How many places were masked in a picture: the workshop counts all, also those that its list has no room for."""
    told = copy.index.get("masked")
    if told is None:  # made before it was counted
        return sum(box.get("state") == "masked" for box in copy.index.get("boxes", ()))
    return _whole(told)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _one_each(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each thing that was left out: it may have been held for several reasons."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.subject_id, finding)
    return list(first.values())


def _role(view: View | Change, finding: Finding) -> str:
    kind, _, who = finding.decided_by.partition(":")
    if kind != "staff":
        return kind or "unknown"
    found = view.people.pick(("role",), id=who)
    return str(found[0][0]) if found else "staff"
