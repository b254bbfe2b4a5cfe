"""The patient's service as the journeys do it: each method looks the session up, calls one journey and words its result."""

from __future__ import annotations

from datetime import date, datetime

from gateway.domain import checklist
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.document import Document
from gateway.domain.errors import NotFoundError, SignInError
from gateway.domain.opinion import ANSWER_FIELDS
from gateway.domain.people import Actor
from gateway.domain.study import Study
from gateway.domain.upload import Session, Upload
from gateway.doors.patient.service import (
    AnswerNotice,
    AnswerView,
    CaseView,
    ChecklistItem,
    ClockView,
    DocumentState,
    DocumentView,
    Opening,
    PatientView,
    PreSession,
    Receipt,
    ReceiptLine,
    StudyView,
    UploadState,
)
from gateway.doors.troubles import Troubles
from gateway.journeys import prove_identity, receive_document
from gateway.journeys.answer_case import read_answer
from gateway.journeys.check_room import refuse_if_low, room_for
from gateway.journeys.open_case import deadline_of
from gateway.ports import House, View

# What the patient is told of a document's state: no more than she can act on.
_STATES: dict[str, DocumentState] = {
    "received": "arrived",
    "unpacked": "checked",
    "dicom": "checked",
    "deidentified": "checked",
    "quarantined": "waiting",
    "excluded": "refused",
    "ignored": "refused",
}
_OPENINGS = {"release_opened": "reviewer", "release_downloaded": "reviewer", "case_read": "coordinator"}


class PatientJourneys:
    """Implements ``service.PatientService`` over a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._troubles = Troubles(house, "patient")

    # who she is

    def open_link(self, token: str, *, address: str) -> PreSession:
        house = self._house
        opened = prove_identity.open_link(
            token,
            address=address,
            records=house.records,
            clock=house.clock,
            random=house.random,
            policy=house.policy,
        )
        return PreSession(token=opened.token, channel_hint=opened.channel_hint)

    def send_code(self, pre_session: str, *, address: str) -> datetime:
        house = self._house
        return prove_identity.send_code(
            pre_session,
            address=address,
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            texter=house.texter,
            policy=house.policy,
        )

    def verify_code(self, pre_session: str, code: str, *, address: str) -> str:
        house = self._house
        return prove_identity.verify_code(
            pre_session,
            code,
            address=address,
            records=house.records,
            store=house.store,
            clock=house.clock,
            random=house.random,
            policy=house.policy,
        )

    def session(self, session_id: str, *, address: str) -> PatientView | None:
        try:
            session = self._live(session_id)
        except SignInError:
            return None
        with self._house.records.view() as view:
            case = view.cases.get(str(session.case_id))
        return PatientView(case_ref=case.ref, expires_at=session.expires_at)

    def end_session(self, session_id: str, *, address: str) -> None:
        prove_identity.end_session(
            session_id, address=address, records=self._house.records, clock=self._house.clock
        )

    # what she sees

    def view(self, session_id: str, *, address: str) -> CaseView:
        house, session = self._house, self._live(session_id)
        with house.records.view() as view:
            case = view.cases.get(str(session.case_id))
            documents = view.documents.find(case_id=case.id, parent_id=None, order="received_at")
            uploads = view.uploads.find(link_id=session.subject_id, state="open", order="created_at")
            studies = view.studies.find(case_id=case.id, order="received_at")
            answers = view.answers.find(case_id=case.id, order="-version")
            openings = _openings(view, case)
        deadline = deadline_of(case, policy=house.policy, now=house.clock.now())
        delivered = next((a for a in answers if a.delivered_at is not None), None)
        notice = None
        if delivered is not None and delivered.delivered_at is not None:
            notice = AnswerNotice(delivered_at=delivered.delivered_at, read_at=delivered.read_at)
        now = house.clock.now()
        return CaseView(
            ref=case.ref,
            state=case.state,
            opinion=case.opinion,
            receives=case.state in RECEIVING_STATES,
            clock=ClockView(
                days=deadline.days,
                expected_by=deadline.due_at.date() if deadline.due_at else None,
                paused_because=deadline.paused_for,
            ),
            documents=tuple(_document(d) for d in documents),
            unfinished=tuple(_upload(u) for u in uploads if u.expires_at > now),
            studies=tuple(_study(s) for s in studies),
            checklist=tuple(_items(case)),
            opened_by=openings,
            answer=notice,
        )

    def read_answer(self, session_id: str, *, address: str) -> AnswerView:
        house = self._house
        answer = read_answer(
            self._live(session_id), address=address, records=house.records, clock=house.clock
        )
        if answer is None or answer.delivered_at is None:
            raise NotFoundError("there is no answer yet")
        parts = tuple((name, answer.body[name]) for name, _ in ANSWER_FIELDS if answer.body.get(name))
        return AnswerView(
            delivered_at=answer.delivered_at,
            signed_at=answer.signed_at,
            parts=parts,
        )

    # what she sends

    def create_upload(
        self, session_id: str, *, name: str, size_bytes: int, category: str, media_type: str, address: str
    ) -> UploadState:
        house, session = self._house, self._live(session_id)
        with self._troubles.told(proves=False):
            refuse_if_low(size_bytes, room=house.room)
        upload = receive_document.create_upload(
            session,
            name=name,
            size_bytes=size_bytes,
            category=category,
            media_type=media_type,
            address=address,
            records=house.records,
            clock=house.clock,
            policy=house.policy,
        )
        return _upload(upload)

    def upload(self, session_id: str, upload_id: str, *, address: str) -> UploadState:
        return _upload(self._find(self._live(session_id), upload_id))

    def append(self, session_id: str, upload_id: str, *, offset: int, chunk: bytes, address: str) -> int:
        house, session = self._house, self._live(session_id)
        with self._troubles.told(), room_for(len(chunk), room=house.room):
            return receive_document.append_part(
                session,
                upload_id,
                offset=offset,
                chunk=chunk,
                sha256=None,
                address=address,
                records=house.records,
                store=house.store,
                clock=house.clock,
            )

    def finish_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        self._finish_upload(self._live(session_id), upload_id, address=address)

    def abandon_upload(self, session_id: str, upload_id: str, *, address: str) -> None:
        house = self._house
        receive_document.abandon_upload(
            self._live(session_id),
            upload_id,
            address=address,
            records=house.records,
            store=house.store,
            clock=house.clock,
        )

    def mark_missing(self, session_id: str, item: str, *, address: str) -> None:
        receive_document.mark_missing(
            self._live(session_id), item, address=address, records=self._house.records
        )

    def finish(self, session_id: str, *, address: str) -> Receipt:
        return self.receipt(session_id, address=address)

    def receipt(self, session_id: str, *, address: str) -> Receipt:
        house, session = self._house, self._live(session_id)
        with house.records.change(by=Actor(kind="patient", id=session.subject_id, address=address)) as change:
            case = change.cases.get(str(session.case_id))
            documents = change.documents.find(case_id=case.id, parent_id=None, order="received_at")
            change.note("receipt_given", case_id=case.id, subject=session.subject_id, files=len(documents))
            number, _ = change.head()
        lines = tuple(
            ReceiptLine(
                name=d.name,
                size_bytes=d.size_bytes,
                sha256=d.sha256,
                category=d.category,
                received_at=d.received_at,
            )
            for d in documents
        )
        return Receipt(
            number=f"{case.ref}-{number + 1}", case_ref=case.ref, made_at=house.clock.now(), lines=lines
        )

    def _live(self, session_id: str) -> Session:
        house = self._house
        return prove_identity.live_session(
            session_id, kind="patient", records=house.records, clock=house.clock, policy=house.policy
        )

    def _find(self, session: Session, upload_id: str) -> Upload:
        return receive_document.find_upload(
            session, upload_id, records=self._house.records, clock=self._house.clock
        )

    def _finish_upload(self, session: Session, upload_id: str, *, address: str) -> None:
        receive_document.finish_upload(
            session,
            upload_id,
            address=address,
            records=self._house.records,
            store=self._house.store,
            clock=self._house.clock,
        )


def _items(case: Case) -> list[ChecklistItem]:
    known = {state: state for state in checklist.ITEM_STATES}
    return [ChecklistItem(item=item, state=known[state]) for item, state in case.checklist.items()]  # type: ignore[arg-type]  # one of the three


def _document(document: Document) -> DocumentView:
    return DocumentView(
        name=document.name,
        size_bytes=document.size_bytes,
        category=document.category,
        state=_STATES[document.state],
        received_at=document.received_at,
    )


def _upload(upload: Upload) -> UploadState:
    return UploadState(
        id=upload.id,
        name=upload.name,
        category=upload.category,
        media_type=upload.media_type,
        size_bytes=upload.size_bytes,
        offset=upload.offset_bytes,
        expires_at=upload.expires_at,
    )


def _study(study: Study) -> StudyView:
    text = study.head.get("study_date", "")
    when = None
    if len(text) == 8 and text.isdigit():
        try:
            when = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            when = None
    sender = study.sender.removeprefix("peer:").partition(">")[0] if study.sender.startswith("peer:") else ""
    return StudyView(
        modality=study.head.get("modality", ""), study_date=when, images=study.instances, sender=sender
    )


def _openings(view: View, case: Case) -> tuple[Opening, ...]:
    """Return who opened what was sent, one line a day and role: the patient's own view of the log (PDL 8:5)."""
    seen: dict[tuple[date, str], Opening] = {}
    for event in view.events(case_id=case.id):
        role = _OPENINGS.get(event.kind)
        if role and event.actor.startswith(("staff:", "operator:")):
            seen.setdefault((event.at.date(), role), Opening(at=event.at, role=role))
    return tuple(seen.values())
