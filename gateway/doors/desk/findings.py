"""The human look: what holds a release back, in plain words, with a picture of the de-identified copy, never the original."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import NotFoundError
from gateway.domain.finding import Finding, Verdict
from gateway.domain.ids import normal_case_ref
from gateway.domain.release import Copy
from gateway.doors.desk import reasons
from gateway.doors.desk.staff import Desk, Staff
from gateway.doors.http import N_, Refused, plain
from gateway.journeys.judge_finding import judge_finding, preview_finding, reconsider_finding
from gateway.journeys.show_case import show_case
from gateway.journeys.try_again import can_try_again, try_again

PAGE = 12
MOST_AT_ONCE = 500
MOST_PICTURES = 100_000


class FindingPages:
    """Looking, deciding, and taking a decision back."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/cases/{ref}/findings", self.findings, methods=["GET"])
        routes.add_api_route("/cases/{ref}/findings", self.judge_alike, methods=["POST"])
        routes.add_api_route("/findings/{finding_id}", self.judge, methods=["POST"])
        routes.add_api_route("/findings/{finding_id}/picture.png", self.picture, methods=["GET"])

    def findings(self, request: Request, ref: str) -> Response:
        """Show a page of findings, open ones first."""
        who, house = self.desk.who(request), self.desk.house
        file = show_case(ref=ref, by=who.actor, records=house.records, clock=house.clock, policy=house.policy)
        code = request.query_params.get("code", "")
        chosen = [f for f in file.findings if not code or f.code == code]
        chosen.sort(key=lambda f: f.state != "open")
        start = min(_number(request.query_params.get("from", "")), max(len(chosen) - 1, 0))
        shown = chosen[start : start + PAGE]
        with house.records.view() as view:
            again = {one.id for one in shown if can_try_again(view, one)}
            copies = [view.copies.first(id=one.copy_id) for one in shown if one.copy_id]
        return self.desk.page(
            request,
            "findings.html",
            who=who,
            case=file.case,
            reasons=reasons,
            findings=shown,
            pages={copy.id: _pages(copy) for copy in copies if copy},
            again=again,
            start=start,
            page=PAGE,
            total=len(chosen),
            code=code,
            alike=_alike(file.findings),
            documents={document.id: document for document in file.documents},
            open_count=sum(f.state == "open" for f in file.findings),
        )

    def judge(self, request: Request, finding_id: str) -> Response:
        """Keep, leave out, or undo."""
        who, form = self.desk.posted(request)
        verdict = form.text("verdict", at_most=10)
        finding = self._decide(who, finding_id, verdict)
        with self.desk.house.records.view() as view:
            ref = view.cases.get(finding.case_id).ref
        code = f"code={finding.code}&" if form.text("code", at_most=40) == finding.code else ""
        return self.door.to(f"/cases/{ref}/findings?{code}{_done(verdict)}#f-{finding.id}")

    def judge_alike(self, request: Request, ref: str) -> Response:
        """Decide on all open findings of one kind, for whoever says that she has looked at them."""
        who, form = self.desk.posted(request)
        verdict, code = form.text("verdict", at_most=10), form.text("alike", at_most=60)
        if form.text("looked") != "yes":
            raise Refused(
                plain(
                    422,
                    detail=N_("Nothing was decided: you did not say that you have looked at them."),
                    step=N_("Go back, look at the pictures, tick the box and decide."),
                )
            )
        with self.desk.house.records.view() as view:
            case = view.cases.first(ref=normal_case_ref(ref))
            if case is None:
                raise NotFoundError
            alike = [f for f in view.findings.find(case_id=case.id, state="open") if f.code == code]
        if verdict == "keep" and any(f.subject_kind != "instance" for f in alike):
            raise Refused(
                plain(
                    422,
                    detail=N_("Documents are kept one by one: each may say something else."),
                    step=N_("Go back, look at the pictures, tick the box and decide."),
                )
            )
        if verdict == "again":
            with self.desk.house.records.view() as view:
                alike = _one_each([f for f in alike if can_try_again(view, f)])
        for finding in alike[:MOST_AT_ONCE]:
            self._decide(who, finding.id, verdict)
        return self.door.to(f"/cases/{case.ref}/findings?{_done(verdict)}")

    def picture(self, request: Request, finding_id: str) -> Response:
        """Return one frame or page of the copy as a PNG; looking is an event of the audit."""
        who, house = self.desk.who(request), self.desk.house
        number = min(_number(request.query_params.get("n", "")), MOST_PICTURES)
        content = preview_finding(
            finding_id,
            number=number,
            by=who.actor,
            records=house.records,
            store=house.store,
            sandbox=house.sandbox,
        )
        if content is None:
            raise NotFoundError(
                "there is no picture of this",
                next_step="Leave it out, or ask the sender for it in another form.",
            )
        return Response(content, media_type="image/png")

    def _decide(self, who: Staff, finding_id: str, verdict: str) -> Finding:
        house = self.desk.house
        if verdict == "again":
            return try_again(finding_id, by=who.actor, records=house.records, clock=house.clock)
        if verdict == "undo":
            return reconsider_finding(finding_id, by=who.actor, records=house.records)
        verdicts: dict[str, Verdict] = {"keep": "keep", "exclude": "exclude"}
        if verdict not in verdicts:
            raise Refused(plain(422))
        return judge_finding(
            finding_id, verdicts[verdict], by=who.actor, records=house.records, clock=house.clock
        )


def _done(verdict: str) -> str:
    return "done=tried" if verdict == "again" else "done=judged"


def _alike(findings: Sequence[Finding]) -> list[tuple[str, str, int, bool]]:
    """Return (code, reason, how many are open, whether all of them can be kept at once) of each kind with open findings.

    Frames of one device are alike; a letter and a form that were held for the same reason are not, so that documents
    are only ever left out together.
    """
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.state == "open":
            kinds.setdefault(finding.code, []).append(finding)
    return [
        (code, same[0].reason, len(same), all(f.can_keep and f.subject_kind == "instance" for f in same))
        for code, same in kinds.items()
    ]


def _one_each(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each thing that is held."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.subject_id, finding)
    return list(first.values())


def _pages(copy: Copy) -> int:
    """Return how many pages or frames there are to look at; 0 where the copy does not say."""
    found = copy.index.get("pages") or copy.index.get("NumberOfFrames") or 0
    if not found and str(copy.index.get("media_type", "")).startswith(("image/", "application/dicom")):
        return 1  # one picture; an object of one frame need not say so
    return _number(str(found))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
