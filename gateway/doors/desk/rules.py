"""Reviewed rules at the desk: drawing on a picture what is to be masked, judging words, confirming and revoking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import NotFoundError
from gateway.domain.finding import Finding
from gateway.domain.ids import normal_case_ref
from gateway.domain.release import Copy
from gateway.domain.rule import PICTURES, CaseRule, DeviceRule, Rectangle, RuleKind
from gateway.doors.desk import reasons, rule_words
from gateway.doors.desk.staff import ADMITTED, PRIVACY, Desk, Staff
from gateway.doors.http import N_, Form, Refused, plain
from gateway.journeys.judge_finding import standing_copy
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.review_rules import REACHES, Reach, confirm_rule, judge_picture, judge_word, revoke_rule
from gateway.journeys.rules_in_force import LAYOUT, rules_in_force
from gateway.journeys.show_case import show_case
from gateway.journeys.try_again import can_try_again
from gateway.ports import House, View

SPARE_ROWS, MOST_PROPOSED = 2, 30
_SIDES = ("left", "top", "width", "height")
_LISTED = 100


class RulePages:
    """What a human says once and the house does again."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/findings/{finding_id}", self.look, methods=["GET"])
        routes.add_api_route("/findings/{finding_id}/rules", self.judge, methods=["POST"])
        routes.add_api_route("/cases/{ref}/rules", self.of_case, methods=["GET"])
        routes.add_api_route("/cases/{ref}/rules", self.word, methods=["POST"])
        routes.add_api_route("/cases/{ref}/rules/{rule_id}/revoke", self.revoke, methods=["POST"])
        routes.add_api_route("/rules", self.of_devices, methods=["GET"])
        routes.add_api_route("/rules/{rule_id}/confirm", self.confirm, methods=["POST"])
        routes.add_api_route("/rules/{rule_id}/revoke", self.revoke_device, methods=["POST"])

    def look(self, request: Request, finding_id: str) -> Response:
        """Show one picture large, with what the machine masked, left and doubts, and the form to draw on it."""
        who = self.desk.who(request)
        return self._look(request, who, finding_id)

    def judge(self, request: Request, finding_id: str) -> Response:
        """Make a rule of what was drawn, or of «nothing identifies»."""
        who, form = self.desk.posted(request)
        kinds: dict[str, RuleKind] = {kind: kind for kind in PICTURES}
        reaches: dict[str, Reach] = {reach: reach for reach in REACHES}
        kind, reach = kinds.get(form.text("kind", at_most=10)), reaches.get(form.text("reach", at_most=10))
        if kind is None or reach is None:
            raise Refused(plain(422))
        house = self.desk.house
        rule = judge_picture(
            finding_id,
            kind,
            rectangles=_drawn(form) if kind == "mask" else (),
            reach=reach,
            reason=form.text("reason", at_most=500),
            by=who.actor,
            records=house.records,
            clock=house.clock,
        )
        with house.records.view() as view:
            ref = view.cases.get(rule.case_id).ref
        alike = "" if reach == "picture" else f"/cases/{ref}/rules?done=rule_made"
        return self.door.to(alike or f"/findings/{finding_id}?done=rule_made")

    def of_case(self, request: Request, ref: str) -> Response:
        """List the rules of a case, the words too: only who may see the case sees them."""
        who, house = self.desk.who(request), self.desk.house
        file = show_case(ref=ref, by=who.actor, records=house.records, clock=house.clock, policy=house.policy)
        with house.records.view() as view:
            rules = view.case_rules.find(case_id=file.case.id, order="-made_at", limit=_LISTED)
            people = {p.id: p.email for p in view.people.find(id=_staff(rules) or [""])}
        return self.desk.page(
            request, "rules.html", who=who, case=file.case, rules=rules, people=people, said_as=rule_words
        )

    def word(self, request: Request, ref: str) -> Response:
        """Judge a word of the case."""
        who, form = self.desk.posted(request)
        answer = form.text("identifies", at_most=5)
        if answer not in {"yes", "no"}:
            raise Refused(plain(422))
        house = self.desk.house
        judge_word(
            ref=ref,
            word=form.text("word", at_most=200),
            identifies=answer == "yes",
            reason=form.text("reason", at_most=500),
            by=who.actor,
            records=house.records,
            clock=house.clock,
        )
        return self.door.to(f"/cases/{normal_case_ref(ref)}/rules?done=rule_made")

    def revoke(self, request: Request, ref: str, rule_id: str) -> Response:
        """Take a rule of this case back."""
        who, _ = self.desk.posted(request)
        house = self.desk.house
        with house.records.view() as view:
            case = case_by_ref(view, ref)
            if not view.case_rules.count(id=rule_id, case_id=case.id):
                raise NotFoundError
        revoke_rule(rule_id, by=who.actor, records=house.records, clock=house.clock)
        return self.door.to(f"/cases/{case.ref}/rules?done=rule_ended")

    def of_devices(self, request: Request) -> Response:
        """List the rules for devices; they name no case."""
        who, house = self.desk.who(request, roles=ADMITTED), self.desk.house
        with house.records.view() as view:
            rules = view.device_rules.find(order="-made_at", limit=_LISTED)
            people = {p.id: p.email for p in view.people.find(id=_staff(rules) or [""])}
        return self.desk.page(
            request, "device_rules.html", who=who, rules=rules, people=people, said_as=rule_words
        )

    def confirm(self, request: Request, rule_id: str) -> Response:
        """Let a proposed rule hold in all cases."""
        who, _ = self.desk.posted(request, roles=PRIVACY)
        house = self.desk.house
        confirm_rule(rule_id, by=who.actor, records=house.records, clock=house.clock)
        return self.door.to("/rules?done=rule_confirmed")

    def revoke_device(self, request: Request, rule_id: str) -> Response:
        """Decline a proposed rule for a device, or revoke one."""
        who, _ = self.desk.posted(request, roles=ADMITTED)
        house = self.desk.house
        with house.records.view() as view:
            if not view.device_rules.count(id=rule_id):
                raise NotFoundError
        revoke_rule(rule_id, by=who.actor, records=house.records, clock=house.clock)
        return self.door.to("/rules?done=rule_ended")

    def _look(self, request: Request, who: Staff, finding_id: str) -> Response:
        house = self.desk.house
        with house.records.view() as view:
            finding = view.findings.get(finding_id)
            ref = view.cases.get(finding.case_id).ref
        file = show_case(ref=ref, by=who.actor, records=house.records, clock=house.clock, policy=house.policy)
        with house.records.view() as view:
            copy = standing_copy(view, finding)
            again = can_try_again(view, finding)
            rules = _standing(view, finding, copy)
        layout = (copy.index.get(LAYOUT) or {}) if copy else {}
        frames = _whole(copy.index.get("NumberOfFrames")) if copy else 0
        frame = min(_whole(request.query_params.get("n", "")), max(frames, 1) - 1)
        boxes = _boxes(copy, rules, frame)
        return self.desk.page(
            request,
            "look.html",
            who=who,
            case=file.case,
            finding=finding,
            reasons=reasons,
            said_as=rule_words,
            layout=layout,
            has_picture=copy is not None,
            is_waiting=_is_waiting(view_of=house, finding=finding),
            can_draw=bool(layout.get("rows") and layout.get("columns")),
            can_again=again,
            frame=frame,
            frames=max(frames, 1),
            boxes=boxes,
            doubts=[box for box in boxes if box["state"] == "doubtful"][:MOST_PROPOSED],
            spare=SPARE_ROWS,
            rules=rules,
        )


def _is_waiting(*, view_of: House, finding: Finding) -> bool:
    """Tell whether a picture's copy is being made anew at this moment."""
    with view_of.records.view() as view:
        return bool(view.instances.count(id=finding.subject_id, state="received"))


def _standing(view: View, finding: Finding, copy: Copy | None) -> list[CaseRule | DeviceRule]:
    """Return the rules by which the copy was made that still hold."""
    if copy is None:
        return []
    used = set(copy.index.get("rules", ()))
    held = rules_in_force(view, finding.case_id)
    every: list[CaseRule | DeviceRule] = [*held.pictures, *held.layouts, *held.devices]
    return [rule for rule in every if rule.id in used]


def _drawn(form: Form) -> list[Rectangle]:
    """Return the rectangles of a form; a row with nothing in it is none, half a row is a mistake."""
    columns = [form.all(side) for side in _SIDES]
    if len({len(column) for column in columns}) != 1:
        raise Refused(plain(422))
    found: list[Rectangle] = []
    for row in zip(*columns, strict=True):
        texts = [text.strip() for text in row]
        if not any(texts):
            continue
        if not all(text.isascii() and text.isdigit() and len(text) <= 6 for text in texts):
            raise Refused(
                plain(
                    422,
                    detail=N_("One of the places is not four whole numbers."),
                    step=N_("Go back and write left, top, width and height, or leave the row empty."),
                )
            )
        left, top, width, height = map(int, texts)
        found.append((left, top, width, height))
    return found


def _boxes(copy: Copy | None, rules: Sequence[CaseRule | DeviceRule], frame: int) -> list[dict[str, Any]]:
    """Return what the machine told of a frame, and what reviewed rules masked in every frame."""
    told = [box for box in (copy.index.get("boxes") or () if copy else ()) if box["frame"] == frame]
    reviewed = [
        {**dict(zip(_SIDES, place, strict=True)), "state": "reviewed"}
        for rule in rules
        for place in rule.body.get("rectangles", ())
    ]
    doubts = _united([box for box in told if box["state"] == "doubtful"])
    return [*(box for box in told if box["state"] != "doubtful"), *doubts, *reviewed]


def _united(boxes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the boxes, those that lie on one another for the most part as one: it is one place for a human."""
    found: list[dict[str, Any]] = []
    for box in boxes:
        place = dict(box)
        while near := next((one for one in found if _is_same_place(one, place)), None):
            found.remove(near)
            left, top = min(near["left"], place["left"]), min(near["top"], place["top"])
            right = max(one["left"] + one["width"] for one in (near, place))
            bottom = max(one["top"] + one["height"] for one in (near, place))
            place |= {"left": left, "top": top, "width": right - left, "height": bottom - top}
        found.append(place)
    return found


def _is_same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    wide, high = (
        min(one[start] + one[size], other[start] + other[size]) - max(one[start], other[start])
        for start, size in (("left", "width"), ("top", "height"))
    )
    smaller = min(box["width"] * box["height"] for box in (one, other))
    return wide > 0 and high > 0 and 2 * wide * high > smaller


def _staff(rules: Sequence[Any]) -> list[str]:
    who = {str(getattr(rule, name, "")) for rule in rules for name in ("made_by", "confirmed_by", "ended_by")}
    return sorted(one.removeprefix("staff:") for one in who if one.startswith("staff:"))


def _whole(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
