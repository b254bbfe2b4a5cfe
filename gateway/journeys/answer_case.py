"""Answering a case: the reviewer signs, the coordinator delivers, the patient reads; each step is locked behind the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from gateway.domain.ids import new_id
from gateway.domain.opinion import Answer, checked_body
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.upload import Session
from gateway.journeys.lookup import case_by_ref
from gateway.journeys.open_case import move_case
from gateway.journeys.open_release import permitted
from gateway.journeys.prove_identity import make_link
from gateway.ports import Clock, Mailer, Records

_NOTICES = {
    "sv": (
        "Du har ett meddelande",
        "Svaret i ditt ärende finns att läsa. Öppna länken och ange koden som skickas till din telefon.\n\n{url}\n",
    ),
    "en": (
        "You have a message",
        "The answer in your case can be read. Open the link and give the code that is sent to your phone.\n\n{url}\n",
    ),
}


def sign_answer(
    release_id: str, body: dict[str, str], *, person_id: str, address: str, records: Records, clock: Clock
) -> Answer:
    """Sign the answer to a release that was granted. A signed answer is never changed: signing again makes a new version."""
    body = checked_body(body)
    actor = Actor(kind="staff", id=person_id, address=address)
    now = clock.now()
    permitted(release_id, person_id=person_id, address=address, records=records, clock=clock)
    with records.change(by=actor) as change:
        release = change.releases.get(release_id)
        case = change.cases.get(release.case_id)
        earlier = change.answers.find(case_id=case.id, order="-version")
        if earlier and earlier[0].delivered_at is not None:
            raise ConflictError(
                "the answer of this case has been delivered",
                next_step="Ask the coordinator to open a new release.",
            )
        answer = Answer(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            release_id=release_id,
            version=earlier[0].version + 1 if earlier else 1,
            person_id=person_id,
            body=body,
            signed_at=now,
        )
        change.answers.add(answer)
        change.note(
            "answer_signed",
            case_id=case.id,
            subject=answer.id,
            version=answer.version,
            release=release.number,
        )
        if case.state != "answered":
            move_case(change, case, "answer", now=now)
    return answer


def deliver_answer(
    *,
    ref: str,
    by: Actor,
    records: Records,
    clock: Clock,
    random: Callable[[int], bytes],
    mailer: Mailer,
    policy: Policy,
) -> Answer:
    """Make the newest signed answer readable for the patient and tell her so: the message holds a fresh link, no content."""
    now = clock.now()
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        answer = change.answers.first(case_id=case.id, order="-version")
        if answer is None:
            raise NotFoundError(
                "there is no signed answer in this case yet", next_step="Wait for the reviewer to sign."
            )
        if answer.delivered_at is not None:
            raise ConflictError("the answer has been delivered already")
        link = change.links.first(case_id=case.id, revoked_at=None, order="-created_at")
        phone = link.phone if link is not None else next(iter(case.patient.get("phones") or []), "")
        if case.patient.get("emails") and not phone:
            raise ConflictError(
                "there is no telephone number for the code that the answer is read with",
                next_step="Make a link with `consilium case link --phone …` first; the answer's link then uses that number.",
            )
        delivered = replace(answer, state="delivered", delivered_at=now)
        change.answers.put(delivered)
        change.note("answer_delivered", case_id=case.id, subject=answer.id, version=answer.version)
        move_case(change, case, "deliver", now=now)
    emails = case.patient.get("emails") or []
    if emails:
        _, url = make_link(
            ref=ref, by=by, records=records, clock=clock, random=random, policy=policy, phone=phone
        )
        subject, text = _NOTICES.get(case.language, _NOTICES["en"])
        try:
            mailer.send(to=str(emails[0]), subject=subject, text=text.format(url=url))
        except UnavailableError as error:
            raise UnavailableError(
                "the answer can be read, but the patient could not be told",
                next_step="Make a link with `consilium case link` and tell her another way.",
            ) from error
    return delivered


def read_answer(session: Session, *, address: str, records: Records, clock: Clock) -> Answer | None:
    """Return the delivered answer to the patient whose session this is, and note that it was read."""
    with records.view() as view:
        found = view.answers.find(case_id=session.case_id, order="-version")
    answer = next((a for a in found if a.delivered_at is not None), None)
    if answer is None:
        return None
    with records.change(by=Actor(kind="patient", id=session.subject_id, address=address)) as change:
        if answer.read_at is None:
            answer = replace(answer, read_at=clock.now())
            change.answers.put(answer)
        change.note("answer_read", case_id=answer.case_id, subject=answer.id, version=answer.version)
    return answer
