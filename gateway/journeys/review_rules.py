"""Reviewing: a human's verdict becomes a rule that is used again, a second person confirms one for a device, and each can be revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from anonymizer.folding import fold
from anonymizer.known import Known
from anonymizer.lexicon import PART
from anonymizer.text import Scrubber
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, InvalidError, NotFoundError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.rule import (
    PICTURES,
    WORDS,
    CaseRule,
    DeviceRule,
    Rectangle,
    RuleKind,
    judged_word,
    mask_body,
)
from gateway.journeys.judge_finding import standing_copy
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.rules_in_force import LAYOUT
from gateway.journeys.try_again import owe_what_is_held
from gateway.ports import Change, Clock, Records

# This picture · every picture of its device and size in the case · that, and in all cases once somebody else confirms it.
Reach = Literal["picture", "layout", "device"]
REACHES: tuple[Reach, ...] = ("picture", "layout", "device")
MOST_REASON = 500
# Numbers that the material told and a human may judge: they are of an order or a device, not of the patient.
_OF_ORDERS = frozenset(
    {"device", "accession", "placer order", "filler order", "requested procedure", "service episode"}
)
_NEVER_KEPT = frozenset({"number", "birth_date", "phone", "email"})


def judge_picture(
    finding_id: str,
    kind: RuleKind,
    *,
    rectangles: Sequence[Rectangle],
    reach: Reach,
    reason: str,
    by: Actor,
    records: Records,
    clock: Clock,
) -> CaseRule:
    """Make a rule of what a human saw in the picture that a finding is about; the copies that it covers are made anew.

    (1) The finding is about a picture whose copy stands; (2) the rule holds in the case at once; (3) for a device it is
    also proposed, and holds in other cases when somebody else has confirmed it; (4) the copies are owed.
    """
    if kind not in PICTURES or reach not in REACHES:
        raise InvalidError("this is no verdict on a picture")
    if reach == "device" and not reason.strip():
        raise InvalidError(
            "a rule for a device needs a reason", next_step="Write what is shown there, not whose it is."
        )
    with records.change(by=by) as change:
        finding = change.findings.get(finding_id)
        copy = standing_copy(change, finding)
        if copy is None or finding.subject_kind != "instance" or copy.state != "verified":  # (1)
            raise ConflictError(
                "there is no standing copy of this picture to make a rule of",
                next_step="Try it again first, then look at the new copy.",
            )
        layout = copy.index.get(LAYOUT) or {}
        if reach == "device" and not (layout.get("manufacturer") and layout.get("model")):
            raise InvalidError(
                "this picture does not say of what manufacturer and model it is, so there is no device to make a rule of",
                next_step="Choose this picture, or all like it in this case.",
            )
        body = mask_body(layout, rectangles, kind=kind)
        rule = CaseRule(
            id=new_id(),
            case_id=finding.case_id,
            holder=finding.case_id,
            kind=kind,
            scope="picture" if reach == "picture" else "layout",
            subject_id=finding.subject_id if reach == "picture" else "",
            made_by=str(by),
            made_at=clock.now(),
            body=body,
            reason=reason.strip()[:MOST_REASON],
        )
        _keep(change, rule)  # (2)
        if reach == "device":  # (3)
            proposed = DeviceRule(
                id=new_id(),
                kind=kind,
                made_by=str(by),
                made_at=clock.now(),
                body=body,
                reason=reason.strip()[:MOST_REASON],
            )
            change.device_rules.add(proposed)
            change.note(
                "rule_made",
                subject=proposed.id,
                outcome="proposed",
                rule=kind,
                places=len(body["rectangles"]),
            )
        _owe_copies(change, finding.case_id, clock=clock)  # (4)
    return rule


def judge_word(
    *, ref: str, word: str, identifies: bool, reason: str, by: Actor, records: Records, clock: Clock
) -> CaseRule:
    """Say of a word that it identifies in this case, or that it does not; all copies are read again, and made anew."""
    word = judged_word(word)
    kind: RuleKind = "removed_word" if identifies else "kept_word"
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        standing = change.case_rules.find(case_id=case.id, state="active", kind=WORDS)
        if any(str(rule.body["word"]).casefold() == word.casefold() for rule in standing):
            raise ConflictError(
                "there is a rule for this word already", next_step="Revoke that one first if it is wrong."
            )
        if not identifies:
            _refuse_identity(case, word, [str(r.body["word"]) for r in standing if r.kind == kind])
        rule = CaseRule(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            kind=kind,
            scope="case",
            made_by=str(by),
            made_at=clock.now(),
            body={"word": word},
            reason=reason.strip()[:MOST_REASON],
        )
        _keep(change, rule)
        _add_word(change, case, rule)
        _owe_copies(change, case.id, clock=clock)
    return rule


def confirm_rule(rule_id: str, *, by: Actor, records: Records, clock: Clock) -> DeviceRule:
    """Let a proposed rule for a device hold in all cases. Whoever proposed it does not confirm it."""
    with records.change(by=by) as change:
        rule = _device_rule(change, rule_id)
        if rule.state != "proposed":
            raise ConflictError("this rule does not wait to be confirmed", next_step="Reload the page.")
        if rule.made_by == str(by):
            raise ConflictError(
                "a rule for a device is confirmed by somebody else than who proposed it",
                next_step="Ask the privacy officer or the operator.",
            )
        change.device_rules.set(rule.id, state="active", confirmed_by=str(by), confirmed_at=clock.now())
        change.note("rule_confirmed", subject=rule.id, rule=rule.kind)
        _owe_all_cases(change, clock=clock)
        return change.device_rules.get(rule.id)


def revoke_rule(rule_id: str, *, by: Actor, records: Records, clock: Clock) -> CaseRule | DeviceRule:
    """End a rule of a case or of a device; copies that were made by it are made anew. A proposed one is declined."""
    with records.change(by=by) as change:
        own = change.case_rules.first(id=rule_id)
        rule: CaseRule | DeviceRule = own or _device_rule(change, rule_id)
        if rule.state not in {"active", "proposed"}:
            raise ConflictError("this rule has ended already", next_step="Reload the page.")
        if own is not None:
            change.case_rules.set(own.id, state="revoked", ended_by=str(by), ended_at=clock.now())
            if own.kind in WORDS:
                _drop_word(change, change.cases.get(own.case_id), own)
            change.note("rule_ended", case_id=own.case_id, subject=own.id, outcome="revoked", rule=own.kind)
            _owe_copies(change, own.case_id, clock=clock)
            return change.case_rules.get(rule_id)
        ended: Literal["declined", "revoked"] = "declined" if rule.state == "proposed" else "revoked"
        change.device_rules.set(rule.id, state=ended, ended_by=str(by), ended_at=clock.now())
        change.note("rule_ended", subject=rule.id, outcome=ended, rule=rule.kind)
        if ended == "revoked":
            _owe_all_cases(change, clock=clock)
        return change.device_rules.get(rule_id)


def _keep(change: Change, rule: CaseRule) -> None:
    change.case_rules.add(rule)
    change.note(
        "rule_made",
        case_id=rule.case_id,
        subject=rule.id,
        rule=rule.kind,
        scope=rule.scope,
        places=len(rule.body.get("rectangles", ())),
    )


def _refuse_identity(case: Case, word: str, kept: Sequence[str]) -> None:
    """Refuse to keep what is the patient herself: her numbers, birth date, phones, addresses of mail, her whole name.

    Neither the cleaning nor the reading after it would find such a word again. Words that are kept already count for the
    name: its parts, kept one by one, would be the whole of it.

    Raises
    ------
    ConflictError
        The word is, or holds, one of these.
    """
    own, told = Known.from_json(case.patient), Known.from_json(case.harvest)
    numbers = tuple(one for one in told.identifiers if one.type not in _OF_ORDERS)
    asked = replace(own, names=(), kept=()).merged(
        Known(identifiers=numbers, birth_date=told.birth_date, phones=told.phones, emails=told.emails)
    )
    held = any(span.known and span.kind in _NEVER_KEPT for span in Scrubber(asked).spans(word))
    words = set(_words(" ".join((*kept, word))))
    for name in (*own.names, *told.names):
        first, last = set(_words(f"{name.given} {name.middle}")), set(_words(name.family))
        held = held or bool(last and last <= words and first & words and (first | last) & set(_words(word)))
    if held:
        raise ConflictError(
            "this is the patient's own number, date of birth, address or whole name, and is never kept",
            next_step="Judge the single word that has another meaning. If the referral is wrong, correct it there.",
        )


def _words(text: str) -> list[str]:
    return [fold(part) for part in PART.findall(text)]


def _add_word(change: Change, case: Case, rule: CaseRule) -> None:
    """What is judged is known from this commit on: every reading and every making asks the case's row."""
    word = str(rule.body["word"])
    known = Known(other=(word,)) if rule.kind == "removed_word" else Known(kept=(word,))
    harvest = Known.from_json(case.harvest).merged(known)
    change.cases.put(replace(case, harvest=harvest.to_json()))


def _drop_word(change: Change, case: Case, rule: CaseRule) -> None:
    """What the material itself tells of the same word comes back with the next making."""
    word, known = str(rule.body["word"]), Known.from_json(case.harvest)
    known = replace(
        known,
        other=tuple(text for text in known.other if text != word),
        kept=tuple(text for text in known.kept if text != word),
    )
    change.cases.put(replace(case, harvest=known.to_json()))


def _owe_copies(change: Change, case_id: str, *, clock: Clock) -> None:
    owe_what_is_held(change, case_id, now=clock.now())
    change.owe("reverify_case", case_id, due_at=clock.now(), case_id=case_id)


def _owe_all_cases(change: Change, *, clock: Clock) -> None:
    """Every case looks itself whether a copy of it was made by other rules than those that hold now."""
    for (case_id,) in change.cases.pick(("id",), state=RECEIVING_STATES):
        change.owe("reverify_case", case_id, due_at=clock.now(), case_id=case_id)


def _device_rule(change: Change, rule_id: str) -> DeviceRule:
    rule = change.device_rules.first(id=rule_id)
    if rule is None:
        raise NotFoundError(
            "there is no such rule", next_step="`consilium rules list` shows those there are."
        )
    return rule
