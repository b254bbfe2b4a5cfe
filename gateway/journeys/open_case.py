"""Opening a case from a referral, moving it along its way, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from anonymizer.errors import AnonymizerError
from anonymizer.known import Known
from anonymizer.profile import load_profile
from gateway.domain import checklist
from gateway.domain.case import Case, Opinion, Pause, moved
from gateway.domain.deadline import Deadline, answer_due
from gateway.domain.errors import ConflictError, InvalidError
from gateway.domain.ids import new_case_ref, new_id
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.journeys.lookup import case_by_ref
from gateway.ports import Change, Clock, Records
from storage import SealedStore


def open_case(
    *,
    opinion: Opinion,
    patient: Mapping[str, Any],
    by: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    language: str = "sv",
    questions: str = "",
    profile: str = "mdt-default",
) -> Case:
    """Open a case that collects: its two keys, its checklist and its reference.

    ``patient`` has the known-identifiers shape (docs/spec/known-identifiers.md); a wrong shape raises ``InvalidError``.
    """
    try:
        known = Known.from_json(dict(patient))
        chosen = load_profile(profile)
    except (AnonymizerError, ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            str(error), next_step="See docs/spec/known-identifiers.md for the shape of the file."
        ) from error
    if chosen.identified:
        raise InvalidError(
            "the profile «identified» is switched off: it releases originals",
            next_step="Use mdt-default or strict; the privacy officer's switch for it does not exist yet.",
        )
    if not known.names:
        raise InvalidError(
            "the patient has no name", next_step='Give at least "names": [{"family": …, "given": …}].'
        )
    now = clock.now()
    case = Case(
        id=new_id(),
        ref=new_case_ref(random),
        opinion=opinion,
        state="collecting",
        opened_at=now,
        language=language,
        patient=known.to_json(),
        questions=questions,
        checklist=checklist.fresh(opinion),
        profile=profile,
    )
    keys = [store.new_key(holder=case.id, purpose=purpose) for purpose in ("originals", "releases")]
    with records.change(by=by) as change:
        for key in keys:
            change.add_key(key, case_id=case.id)
        change.cases.add(case)
        change.note("case_opened", case_id=case.id, subject=case.ref, opinion=opinion)
    return case


def move_case(change: Change, case: Case, move: str, *, now: datetime, missing: int = 0) -> Case:
    """Move a case inside a change that is open already; the first «complete» starts the clock."""
    state = moved(case.state, move)
    columns: dict[str, Any] = {"state": state}
    if move == "complete" and case.clock_started_at is None:
        columns["clock_started_at"] = now
    change.cases.set(case.id, **columns)
    change.note(
        "case_moved",
        case_id=case.id,
        subject=case.ref,
        before=case.state,
        move=move,
        after=state,
        missing=missing,
    )
    return replace(case, **columns)


def complete_case(*, ref: str, by: Actor, records: Records, clock: Clock) -> Case:
    """Declare the documentation complete: the clock starts. What the checklist still lacks is noted, not forbidden."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        return move_case(
            change, case, "complete", now=clock.now(), missing=len(checklist.missing(case.checklist))
        )


def reopen_case(*, ref: str, by: Actor, records: Records, clock: Clock) -> Case:
    """Undo «complete»: collect again."""
    with records.change(by=by) as change:
        return move_case(change, case_by_ref(change, ref), "reopen", now=clock.now())


def close_case(*, ref: str, by: Actor, records: Records, clock: Clock) -> Case:
    """Close a case whose answer was delivered."""
    with records.change(by=by) as change:
        return move_case(change, case_by_ref(change, ref), "close", now=clock.now())


def pause_clock(*, ref: str, reason: str, by: Actor, records: Records, clock: Clock) -> Case:
    """Stop the clock while the exchange waits for the patient; the reason is shown to both sides."""
    reason = reason.strip()
    if not reason:
        raise InvalidError("a pause needs a reason", next_step="Say what the exchange waits for.")
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if any(pause["until"] is None for pause in case.pauses):
            raise ConflictError("the clock of this case stands already", next_step="Let it run first.")
        paused = replace(
            case, pauses=[*case.pauses, {"since": clock.now().isoformat(), "until": None, "reason": reason}]
        )
        change.cases.put(paused)
        change.note("clock_paused", case_id=case.id, subject=case.ref)
        return paused


def resume_clock(*, ref: str, by: Actor, records: Records, clock: Clock) -> Case:
    """Let the clock run again."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if all(pause["until"] is not None for pause in case.pauses):
            raise ConflictError("the clock of this case is not paused")
        ended = [p if p["until"] else {**p, "until": clock.now().isoformat()} for p in case.pauses]
        running = replace(case, pauses=ended)
        change.cases.put(running)
        change.note("clock_resumed", case_id=case.id, subject=case.ref)
        return running


def deadline_of(case: Case, *, policy: Policy, now: datetime) -> Deadline:
    """Return when the answer of a case is due."""
    pauses = [
        Pause(
            since=datetime.fromisoformat(str(p["since"])),
            until=datetime.fromisoformat(p["until"]) if p["until"] else None,
            reason=str(p["reason"]),
        )
        for p in case.pauses
    ]
    return answer_due(
        started_at=case.clock_started_at, days=policy.days[case.opinion], pauses=pauses, now=now
    )


def mark_item(change: Change, case: Case, category: str, state: str = "received") -> Case:
    """Tick an item of the checklist inside an open change; nothing is written when it stands so already."""
    if case.checklist.get(category) == state:
        return case
    marked = checklist.ticked(case.checklist, category, state)
    change.cases.set(case.id, checklist=marked)
    change.note("item_marked", case_id=case.id, subject=case.ref, item=category, state=state)
    return replace(case, checklist=marked)


def case_as_json(case: Case) -> dict[str, Any]:
    """Return what may be shown of a case without its patient."""
    return {k: v for k, v in asdict(case).items() if k not in {"patient", "harvest", "id"}}
