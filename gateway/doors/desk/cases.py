"""A case's pages: opening it, seeing all of it, its link, its trail and its answer. Looking at one is an event (HSLF-FS 4:9)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from anonymizer.known import KnownShapeError
from gateway.domain.errors import InvalidError
from gateway.domain.opinion import ANSWER_FIELDS
from gateway.doors.desk import forgetting_words, patient_form, reasons
from gateway.doors.desk.next_step import moments, next_step
from gateway.doors.desk.staff import Desk, Staff
from gateway.doors.desk.trail import told
from gateway.doors.http import Form, Refused, plain
from gateway.journeys.open_case import open_case
from gateway.journeys.read_audit import read_case_trail
from gateway.journeys.show_case import CaseFile, show_case
from gateway.journeys.watch_case import watch_case

OPINIONS, LANGUAGES = ("written", "mdt"), ("sv", "en")
_LISTED = 40


class CasePages:
    """The routes that show a case."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.door = desk, desk.door
        routes = desk.door.routes
        routes.add_api_route("/cases/new", self.new, methods=["GET", "HEAD"])
        routes.add_api_route("/cases", self.open, methods=["POST"])
        routes.add_api_route("/cases/{ref}", self.case, methods=["GET"])
        routes.add_api_route("/cases/{ref}/live.json", self.live, methods=["GET"])
        routes.add_api_route("/cases/{ref}/link", self.link, methods=["GET"])
        routes.add_api_route("/cases/{ref}/answer", self.answer, methods=["GET"])
        routes.add_api_route("/cases/{ref}/trail", self.trail, methods=["GET"])

    def new(self, request: Request) -> Response:
        """Show the empty form."""
        return self._form(request, self.desk.who(request), None)

    def open(self, request: Request) -> Response:
        """Open a case, or show the form again with what is not right in it."""
        who, form = self.desk.posted(request)
        house = self.desk.house
        opinion, language = form.text("opinion"), form.text("language")
        if opinion not in OPINIONS or language not in LANGUAGES:
            raise Refused(plain(422))
        try:
            case = open_case(
                opinion=opinion,  # type: ignore[arg-type]  # one of the two, checked above
                patient=patient_form.patient(form),
                by=who.actor,
                records=house.records,
                store=house.store,
                clock=house.clock,
                random=house.random,
                language=language,
                questions=form.text("questions"),
            )
        except (InvalidError, KnownShapeError) as error:
            return self._form(request, who, form, status=422, problem=str(error))
        return self.door.to(f"/cases/{case.ref}?done=opened")

    def case(self, request: Request, ref: str) -> Response:
        """Show everything about one case."""
        who, house = self.desk.who(request), self.desk.house
        file = self._file(who, ref)
        with house.records.view() as view:
            case_id = file.case.id
            firsts = {study.id: view.instances.first(study_id=study.id) for study in file.studies}
            states = {
                study.id: {
                    state: view.instances.count(study_id=study.id, state=state)
                    for state in ("received", "deidentified", "quarantined", "excluded")
                }
                for study in file.studies
            }
            failed = view.jobs.find(case_id=case_id, state="failed", order="-created_at", limit=20)
            grants = view.grants.find(case_id=case_id, order="granted_at")
            answers = view.answers.find(case_id=case_id, order="-version")
            link = view.links.first(case_id=case_id, revoked_at=None, order="-created_at")
            people = {p.id: p.email for p in view.people.find(id=[g.person_id for g in grants] or [""])}
        return self.desk.page(
            request,
            "case.html",
            who=who,
            file=file,
            case=file.case,
            states=states,
            modalities={
                study.id: study.head.get("modality") or (first.head.get("modality", "") if first else "")
                for study in file.studies
                for first in (firsts[study.id],)
            },
            failed=failed,
            grants=grants,
            people=people,
            answers=answers,
            link=link,
            step=next_step(file, answers=answers),
            moments=moments(file, answers=answers),
            documents=file.documents[:_LISTED],
            reasons=reasons,
            more_documents=file.documents[_LISTED:],
            progress=watch_case(file.case.ref, records=house.records),
            house_ae_title=house.policy.ae_title,
            days=house.policy.days[file.case.opinion],
            grounds=forgetting_words.GROUNDS,
        )

    def live(self, request: Request, ref: str) -> Response:
        """The case's numbers for a page that stands open."""
        self.desk.who(request, is_idle=True)
        return JSONResponse(watch_case(ref, records=self.desk.house.records).to_json())

    def link(self, request: Request, ref: str) -> Response:
        """Show the address that this page's own address carries after «#», once; it never reaches the server again."""
        who = self.desk.who(request)
        progress = watch_case(ref, records=self.desk.house.records)
        address = f"{self.desk.house.policy.public_url.rstrip('/')}/p/#"
        return self.desk.page(request, "link.html", who=who, ref=progress.ref, link_start=address)

    def answer(self, request: Request, ref: str) -> Response:
        """Show the signed answer, every version of it, to who delivers it."""
        who = self.desk.who(request)
        file = self._file(who, ref)
        with self.desk.house.records.view() as view:
            answers = view.answers.find(case_id=file.case.id, order="-version")
            signers = {p.id: p.email for p in view.people.find(id=[a.person_id for a in answers] or [""])}
        fields = [name for name, _ in ANSWER_FIELDS]
        return self.desk.page(
            request,
            "answer.html",
            who=who,
            case=file.case,
            answers=answers,
            signers=signers,
            fields=fields,
            has_phone=bool(file.case.patient.get("phones")),
            has_email=bool(file.case.patient.get("emails")),
        )

    def trail(self, request: Request, ref: str) -> Response:
        """Show who did what with the case."""
        who, house = self.desk.who(request), self.desk.house
        case, events, cut = read_case_trail(ref=ref, by=who.actor, records=house.records)
        with house.records.view() as view:
            people = {person.id: person.email for person in view.people.find()}
        return self.desk.page(
            request, "trail.html", who=who, ref=case.ref, lines=told(events, people), cut=cut
        )

    def _file(self, who: Staff, ref: str) -> CaseFile:
        house = self.desk.house
        return show_case(ref=ref, by=who.actor, records=house.records, clock=house.clock, policy=house.policy)

    def _form(
        self, request: Request, who: Staff, form: Form | None, *, status: int = 200, problem: str = ""
    ) -> Response:
        return self.desk.page(
            request,
            "new_case.html",
            who=who,
            status=status,
            problem=problem,
            given=patient_form.given(form),
        )
