"""Staff: added by the operator with a password and a TOTP seed, signed in with both; a code counts once (RFC 6238)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.domain.errors import ConflictError, InvalidError, NotFoundError, SignInError, TooManyError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor, Person, Role
from gateway.domain.policy import Policy
from gateway.domain.upload import Session, token_hash
from gateway.journeys.lookup import email_key
from gateway.journeys.prove_identity import new_token
from gateway.ports import Clock, Records
from storage import SealedStore

PASSWORD_LENGTH = 15  # NIST SP 800-63B-4 3.1.1.1; R13
FAILS_BEFORE_WAIT = 5
_HASHER = PasswordHasher()
_STEP_S = 30


class SignInRefusedError(SignInError):
    """The e-mail address, the password or the code is not right."""

    next_step = "Try again; a code of the app counts once, so wait for the next one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a new member of staff is given once, and what nobody can look up afterwards."""

    person: Person
    password: str
    otpauth_uri: str


def add_person(
    *,
    role: Role,
    email: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    password: str = "",
) -> Enrolment:
    """Add a member of staff. Without a password one is made: it is returned once and kept as an Argon2id hash only."""
    email = email.strip()
    if "@" not in email or " " in email:
        raise InvalidError("this is no e-mail address", next_step="Write it as name@example.org.")
    password = password or _made_password(random)
    if len(password) < PASSWORD_LENGTH:
        raise InvalidError(
            f"a password has at least {PASSWORD_LENGTH} characters",
            next_step="A sentence is a good password.",
        )
    seed = pyotp.random_base32()
    with records.view() as view:
        key = email_key(view, store, email)
    person = Person(
        id=new_id(),
        role=role,
        email=email,
        email_key=key,
        password=_HASHER.hash(password),
        totp_seed=seed,
        created_at=clock.now(),
    )
    with records.change(by=by) as change:
        if change.people.count(email_key=key):
            raise ConflictError(
                "there is somebody with this e-mail address already",
                next_step="`consilium person reset` gives her a new password and lets her in again.",
            )
        change.people.add(person)
        change.note("person_added", subject=person.id, role=role)
    uri = pyotp.TOTP(seed).provisioning_uri(name=email, issuer_name="Consilium")
    return Enrolment(person=person, password=password, otpauth_uri=uri)


def disable_person(*, email: str, by: Actor, records: Records, store: SealedStore, clock: Clock) -> Person:
    """Shut somebody out: sessions end at once, grants stay on record and permit nothing without a sign-in."""
    now = clock.now()
    with records.change(by=by) as change:
        person = change.people.first(email_key=email_key(change, store, email))
        if person is None:
            raise NotFoundError("there is nobody with this e-mail address")
        change.people.set(person.id, disabled_at=now)
        for session in change.sessions.find(subject_id=person.id, ended_at=None):
            change.sessions.set(session.id, ended_at=now)
        change.note("person_disabled", subject=person.id)
        return person


def reset_person(
    *,
    email: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    password: str = "",
) -> Enrolment:
    """Give somebody a new password and a new seed: for a lost telephone, and to let her back in. Old sessions end."""
    password = password or _made_password(random)
    if len(password) < PASSWORD_LENGTH:
        raise InvalidError(
            f"a password has at least {PASSWORD_LENGTH} characters",
            next_step="A sentence is a good password.",
        )
    now = clock.now()
    with records.change(by=by) as change:
        person = change.people.first(email_key=email_key(change, store, email))
        if person is None:
            raise NotFoundError(
                "there is nobody with this e-mail address", next_step="`consilium person list` shows who is."
            )
        fresh = replace(
            person,
            password=_HASHER.hash(password),
            totp_seed=pyotp.random_base32(),
            last_timecode=0,
            fails=0,
            locked_until=None,
            disabled_at=None,
        )
        change.people.put(fresh)
        for session in change.sessions.find(subject_id=person.id, ended_at=None):
            change.sessions.set(session.id, ended_at=now)
        change.note("person_reset", subject=person.id)
    uri = pyotp.TOTP(fresh.totp_seed).provisioning_uri(name=fresh.email, issuer_name="Consilium")
    return Enrolment(person=fresh, password=password, otpauth_uri=uri)


def sign_in(
    *,
    email: str,
    password: str,
    code: str,
    roles: tuple[Role, ...],
    address: str,
    records: Records,
    store: SealedStore,
    clock: Clock,
    random: Callable[[int], bytes],
    policy: Policy,
) -> tuple[str, Person]:
    """Return (session token, person), or raise the one refusal that tells nothing of what was wrong.

    (1) an unknown address costs the same hashing time; (2) five failures bring a growing wait; (3) the time step of the
    code must be newer than the last one used, decided by one statement, so that a replay in parallel loses too.
    """
    now = clock.now()
    with records.view() as view:
        person = view.people.first(email_key=email_key(view, store, email))
    if person is not None and person.locked_until is not None and now < person.locked_until:
        with records.change(by=Actor(kind="staff", id=person.id, address=address)) as change:
            change.note("sign_in_refused", outcome="locked")
        raise TooManyError(
            "too many failed sign-ins", retry_after_s=int((person.locked_until - now).total_seconds()) + 1
        )
    known = _password_fits(person.password if person else _nobody(), password)
    step = _matching_step(person.totp_seed, code, now.timestamp()) if person else None
    actor = Actor(kind="staff", id=person.id if person else "unknown", address=address)
    welcome = (
        person is not None
        and known
        and step is not None
        and person.role in roles
        and person.disabled_at is None
    )
    token = new_token(random)
    with records.change(by=actor) as change:
        if person is not None:
            person = change.people.get(person.id)
            if (
                person.locked_until is not None and now < person.locked_until
            ):  # by tries at the same moment (P8)
                welcome = False
        if welcome and person is not None and step is not None:
            welcome = change.people.advance(person.id, "last_timecode", to=step)
        if welcome and person is not None:
            change.people.set(person.id, fails=0, locked_until=None)
            change.sessions.add(
                Session(
                    id=new_id(),
                    token_hash=token_hash(token),
                    kind="staff",
                    subject_id=person.id,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + policy.staff_session,
                )
            )
            change.note("signed_in", subject=person.id, role=person.role)
        else:
            if person is not None:
                fails = person.fails + 1
                wait = timedelta(seconds=min(30 << max(fails - FAILS_BEFORE_WAIT, 0), 3600))
                change.people.set(
                    person.id, fails=fails, locked_until=now + wait if fails >= FAILS_BEFORE_WAIT else None
                )
            change.note("sign_in_refused", outcome="refused")
    if not welcome or person is None:
        raise SignInRefusedError
    return token, person


@cache
def _nobody() -> str:
    """Return the hash that an unknown address is tried against, made at the first sign-in."""
    return _HASHER.hash("a password that nobody has")


def _password_fits(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _matching_step(seed: str, code: str, now_s: float) -> int | None:
    """Return the time step that the code belongs to: this one, or the one before for a slow typist."""
    totp = pyotp.TOTP(seed)
    digits = code.strip().replace(" ", "")
    if not (digits.isascii() and digits.isdigit()):
        return None
    for step in (int(now_s) // _STEP_S, int(now_s) // _STEP_S - 1):
        if pyotp.utils.strings_equal(digits, totp.generate_otp(step)):
            return step
    return None


def _made_password(random: Callable[[int], bytes]) -> str:
    """Return 100 random bits in five groups that can be read aloud."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    signs = [alphabet[byte % len(alphabet)] for byte in random(25)]
    return "-".join("".join(signs[i : i + 5]) for i in range(0, 25, 5))
