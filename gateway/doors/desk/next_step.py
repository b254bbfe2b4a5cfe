"""Where a case stands in time: the one thing that it waits for, and the moments that lie behind it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.domain.opinion import Answer
from gateway.journeys.show_case import CaseFile

PREPARING = ("collecting", "complete", "confirmed", "preparing")


def next_step(file: CaseFile, *, answers: Sequence[Answer]) -> str:
    """Return the code of what comes next (`words.STEPS` says it): the first row that fits wins."""
    state = file.case.state
    built = bool(file.releases) and file.releases[-1].state == "built"
    has_copies = bool(file.counts["instances_deidentified"]) or any(
        d.state == "deidentified" for d in file.documents
    )
    has_anything = bool(file.counts["instances_received"] or file.documents)
    open_findings = any(f.state == "open" for f in file.findings)
    rows = (
        (state in {"closed", "declined", "forgotten"}, "nothing"),
        (state == "delivered", "close"),
        (state == "answered" and bool(answers), "deliver"),
        (bool(file.failed), "retry"),
        (open_findings, "judge"),
        (built, "approve"),
        (state in {"released", "in_review"}, "wait_reviewer"),
        (bool(file.working), "wait_work"),
        (not has_anything, "send_link"),
        (state == "collecting" and bool(file.missing), "wait_documents"),
        (state == "collecting", "complete"),
        (state in PREPARING and has_copies, "build"),
        (state in PREPARING, "wait_documents"),
    )
    return next((code for holds, code in rows if holds), "nothing")


def moments(file: CaseFile, *, answers: Sequence[Answer]) -> list[tuple[datetime, str, str]]:
    """Return (when, code in `words.MOMENTS`, number or reason) of what has happened so far, oldest first."""
    case = file.case
    found: list[tuple[datetime | None, str, str]] = [
        (case.opened_at, "opened", ""),
        (case.clock_started_at, "complete", ""),
    ]
    for pause in case.pauses:
        since, until = pause["since"], pause["until"]
        found.append((datetime.fromisoformat(str(since)), "paused", str(pause["reason"])))
        found.append((datetime.fromisoformat(until) if until else None, "resumed", ""))
    for release in file.releases:
        number = str(release.number)
        found += [
            (release.built_at, "built", number),
            (release.approved_at, "approved", number),
            (release.withdrawn_at, "withdrawn", number),
        ]
    for answer in answers:
        found += [
            (answer.signed_at, "signed", ""),
            (answer.delivered_at, "delivered", ""),
            (answer.read_at, "read", ""),
        ]
    return sorted(((at, code, more) for at, code, more in found if at is not None), key=lambda one: one[0])
