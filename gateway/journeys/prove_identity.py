"""Proving who a patient is: a link, then a one-time code on another channel, then a session that is worth one case.

Every refusal of a link looks alike (P10). Counters move by one statement each, so that a thousand tries at once are
still counted one by one (P8). A try is counted before the code is compared.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.errors import ExpiredError, ForbiddenError, InvalidError, SignInError, TooManyError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.upload import Challenge, Link, Session, code_hash, token_hash
from gateway.journeys.lookup import case_by_ref, house_secret
from gateway.ports import Change, Clock, Records, Texter
from storage import SealedStore

PRE_SESSION = timedelta(hours=1)
_TOUCH_S = 30
_TEXTS = {
    "sv": "Din kod är {code}. Den gäller i {minutes} minuter. Lämna den inte till någon annan.",
    "en": "Your code is {code}. It is valid for {minutes} minutes. Do not give it to anybody.",
}


class LinkRefusedError(ForbiddenError):
    """The link does not count: it may be mistyped, too old, replaced by a newer one or switched off."""

    next_step = "Ask the coordinator who sent you the link for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class PreSession:
    """A browser that showed a link that counts: what it may know before the code (P4)."""

    token: str
    channel_hint: str
    language: str


def new_token(random: Callable[[int], bytes]) -> str:
    """Return 256 random bits as 64 hex digits."""
    return random(32).hex()


def make_link(
    *,
    ref: str,
    by: Actor,
    records: Records,
    clock: Clock,
    random: Callable[[int], bytes],
    policy: Policy,
    phone: str = "",
) -> tuple[Link, str]:
    """Make a fresh patient link; the ones before it stop counting at once (P17). Returns the link and its address.

    ``phone`` is where codes go; by default the first telephone number of the case's patient.
    """
    token = new_token(random)
    now = clock.now()
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        number = phone or next(iter(case.patient.get("phones") or []), "")
        if not number:
            raise InvalidError(
                "there is no telephone number to send the code to",
                next_step="Give one with --phone, or add it to the patient's file.",
            )
        _revoke_links(change, case.id, now)
        link = Link(
            id=new_id(),
            case_id=case.id,
            holder=case.id,
            token_hash=token_hash(token),
            phone=number,
            created_at=now,
            expires_at=now + policy.link_valid,
        )
        change.links.add(link)
        change.note("link_made", case_id=case.id, subject=link.id)
    return link, f"{policy.public_url.rstrip('/')}/p/#{token}"


def revoke_links(*, ref: str, by: Actor, records: Records, clock: Clock) -> int:
    """Switch off every link and patient session of a case; it counts from the next request on (P17, #19)."""
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        revoked = _revoke_links(change, case.id, clock.now())
        change.note("link_revoked", case_id=case.id, links=revoked)
    return revoked


def _revoke_links(change: Change, case_id: str, now: datetime) -> int:
    links = change.links.find(case_id=case_id, revoked_at=None)
    for link in links:
        change.links.set(link.id, revoked_at=now)
    for session in change.sessions.find(case_id=case_id, kind="patient", ended_at=None):
        change.sessions.set(session.id, ended_at=now)
    return len(links)


def open_link(
    token: str,
    *,
    address: str,
    records: Records,
    clock: Clock,
    random: Callable[[int], bytes],
    policy: Policy,
) -> PreSession:
    """Take the token of a link that was opened; nothing is sent yet (P3)."""
    now = clock.now()
    with records.view() as view:
        link = view.links.first(token_hash=token_hash(token))
        case = view.cases.get(link.case_id) if link and link.is_open(now, policy.code) else None
    if link is None or case is None:
        with records.change(by=Actor(kind="patient", id="unknown", address=address)) as change:
            change.note("link_refused", outcome="refused")
        raise LinkRefusedError
    token = new_token(random)
    with records.change(by=_patient(link, address)) as change:
        change.sessions.add(_session("pre", token, link, now=now, until=now + PRE_SESSION))
        change.note("link_shown", case_id=link.case_id, subject=link.id)
    return PreSession(token=token, channel_hint=_masked(link.phone), language=case.language)


def send_code(
    pre_session: str,
    *,
    address: str,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    texter: Texter,
    policy: Policy,
) -> datetime:
    """Make a fresh code and send it on the link's other channel; the code before it stops counting. Returns its end."""
    rule, now = policy.code, clock.now()
    code = f"{int.from_bytes(random(8), 'big') % 10**rule.digits:0{rule.digits}d}"
    challenge_id, expires = new_id(), now + timedelta(seconds=rule.valid_s)
    with records.change(by=Actor(kind="patient", id="link", address=address)) as change:
        session, link = _shown(change, pre_session, now, policy)
        earlier = change.challenges.find(link_id=link.id)
        _check_pace([c.sent_at for c in earlier], now, policy)
        for challenge in earlier:
            if challenge.used_at is None:
                change.challenges.set(challenge.id, used_at=now)
        key = house_secret(change, store, b"one-time-code")
        change.challenges.add(
            Challenge(
                id=challenge_id,
                link_id=link.id,
                pre_session_id=session.id,
                code_hash=code_hash(code, challenge_id=challenge_id, key=key),
                sent_at=now,
                expires_at=expires,
            )
        )
        change.note("code_sent", case_id=link.case_id, subject=link.id, channel=texter.name)
        language = change.cases.get(link.case_id).language
    text = _TEXTS.get(language, _TEXTS["en"]).format(code=code, minutes=rule.valid_s // 60)
    texter.send(to=link.phone, text=text)
    return expires


def _check_pace(sent: list[datetime], now: datetime, policy: Policy) -> None:
    """Hold to so many codes a day and the growing wait between them (P7, P11)."""
    today = [at for at in sent if now - at < timedelta(days=1)]
    if len(today) >= policy.code.codes_per_day:
        wait = min(today) + timedelta(days=1) - now
        raise TooManyError("no more codes can be sent today", retry_after_s=int(wait.total_seconds()) + 1)
    if today:
        wait_s = policy.code.wait_s(len(today)) - (now - max(today)).total_seconds()
        if wait_s > 0:
            raise TooManyError("a code was sent a moment ago", retry_after_s=int(wait_s) + 1)


def verify_code(
    pre_session: str,
    code: str,
    *,
    address: str,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    policy: Policy,
) -> str:
    """Exchange a right code for a session token; a wrong one costs a try of the code and one of the link's fifty."""
    now = clock.now()
    with records.change(by=Actor(kind="patient", id="link", address=address)) as change:
        session, link = _shown(change, pre_session, now, policy)
        sent = change.challenges.first(pre_session_id=session.id, used_at=None, order="-sent_at")
        # (1) a code is waiting, (2) the try is counted, (3) only then the code is compared, (4) a right one is spent
        problem = ""
        if sent is None or now >= sent.expires_at:
            problem = "expired"
        elif not change.challenges.bump(sent.id, "tries", below=policy.code.tries):
            problem = "spent"
        else:
            key = house_secret(change, store, b"one-time-code")
            given = code_hash(code.strip().replace(" ", ""), challenge_id=sent.id, key=key)
            problem = "" if hmac.compare_digest(given, sent.code_hash) else "wrong"
        if problem:
            change.links.bump(link.id, "fails")
            change.note("code_refused", case_id=link.case_id, subject=link.id, outcome="refused", why=problem)
        else:
            token = new_token(random)
            change.challenges.set(sent.id, used_at=now)  # type: ignore[union-attr]  # no problem means that one was sent
            change.sessions.set(session.id, ended_at=now)
            change.sessions.add(_session("patient", token, link, now=now, until=now + policy.patient_session))
            change.note("patient_signed_in", case_id=link.case_id, subject=link.id)
    if problem == "wrong":
        left = policy.code.tries - sent.tries - 1  # type: ignore[union-attr]  # a wrong code was compared with one
        raise InvalidError(
            "the code is not right", next_step=f"Read it once more: {left} tries are left for this code."
        )
    if problem:
        raise ExpiredError("this code does not count any more", next_step="Ask for a new code.")
    return token


def live_session(token: str, *, kind: str, records: Records, clock: Clock, policy: Policy) -> Session:
    """Return the session behind a cookie, or raise ``SignInError``. Looked up for every request: revocation counts at once."""
    now = clock.now()
    idle = policy.patient_idle if kind == "patient" else PRE_SESSION if kind == "pre" else policy.staff_idle
    with records.view() as view:
        session = view.sessions.first(token_hash=token_hash(token)) if token else None
        if session is None or session.kind != kind or not session.is_live(now, idle=idle):
            raise SignInError
    if (now - session.seen_at).total_seconds() > _TOUCH_S:
        records.touch_session(session.id, now=now)
    return session


def end_session(token: str, *, address: str, records: Records, clock: Clock) -> None:
    """Sign out; a session that is none is left in peace."""
    with records.view() as view:
        session = view.sessions.first(token_hash=token_hash(token)) if token else None
    if session is None or session.ended_at is not None:
        return
    kind = "patient" if session.kind in {"patient", "pre"} else "staff"
    with records.change(by=Actor(kind=kind, id=session.subject_id, address=address)) as change:  # type: ignore[arg-type]  # one of the two
        change.sessions.set(session.id, ended_at=clock.now())
        change.note("signed_out", case_id=session.case_id or "", subject=session.id)


def _shown(change: Change, pre_session: str, now: datetime, policy: Policy) -> tuple[Session, Link]:
    """Return the pre-session and its link, both still counting."""
    session = change.sessions.first(token_hash=token_hash(pre_session), kind="pre") if pre_session else None
    if session is None or not session.is_live(now, idle=PRE_SESSION):
        raise LinkRefusedError
    link = change.links.get(session.subject_id)
    if not link.is_open(now, policy.code):
        raise LinkRefusedError
    return session, link


def _session(kind: str, token: str, link: Link, *, now: datetime, until: datetime) -> Session:
    return Session(
        id=new_id(),
        token_hash=token_hash(token),
        kind=kind,
        subject_id=link.id,
        case_id=link.case_id,
        created_at=now,
        seen_at=now,
        expires_at=min(until, link.expires_at),
    )


def _patient(link: Link, address: str) -> Actor:
    return Actor(kind="patient", id=link.id, address=address)


def _masked(phone: str) -> str:
    """Return what a stranger may see of a number: its last two digits."""
    digits = [c for c in phone if c.isdigit()]
    return "•••• " + "".join(digits[-2:])
