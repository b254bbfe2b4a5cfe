"""Making one de-identified copy and recording it, for instances and documents alike: nothing enters unverified."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Literal, TypedDict

from anonymizer.known import Known
from anonymizer.profile import load_profile
from gateway.domain.case import Case
from gateway.domain.document import Document
from gateway.domain.finding import Finding
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE
from gateway.domain.release import Copy
from gateway.domain.study import Instance
from gateway.journeys import rules_in_force, sandboxed
from gateway.journeys.rules_in_force import LAYOUT, RULES, InForce
from gateway.journeys.sandboxed import Cleaned, Held
from gateway.ports import Change, Records, Sandbox, Shelf
from storage import SealedRef, SealedStore, WrappedKey

COPY_KIND = "copy"
SUPERSEDED = "superseded"
RECALLED = "release_recalled"
MASK_ENDED = "mask_ended"
MASK_ENDED_REASON = "A mask that covered a part of this picture was revoked. Look whether anything there tells who the patient is."
# Under this name a copy's sealed index keeps when, and by what, it was read again.
READ_AGAIN = "read_again"
_TOLD = 50
Subject = Literal["instance", "document"]


class _Of(TypedDict):
    case: Case
    subject_kind: Subject
    subject_id: str


def pseudonym_key(store: SealedStore, key: WrappedKey) -> bytes:
    """Return the case's pseudonym key: made from its originals key, so that forgetting the case ends re-identification."""
    return store.derive(key=key, label=b"pseudonyms")


def known_of(case: Case) -> Known:
    """Return all that is known to identify the patient: the referral's word and what the material itself told."""
    return Known.from_json(case.patient).merged(Known.from_json(case.harvest))


def known_digest(known: Known) -> str:
    """Return a short digest that tells whether a copy was checked against the same identifiers; it is kept sealed."""
    return hashlib.sha256(json.dumps(known.to_json(), sort_keys=True).encode()).hexdigest()[:16]


def record_copy(
    outcome: Cleaned | Held,
    *,
    case: Case,
    known: Known,
    subject_kind: Subject,
    subject_id: str,
    media_type: str,
    original_uids: Sequence[str],
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    now: datetime,
    rules: InForce = rules_in_force.NONE,
) -> str:
    """Verify, seal and record what the sandbox made; return the subject's state, or «superseded».

    The work may have taken long: what is no longer received, or no longer of this case, is left as it is by then.

    ``rules`` are those that the sandbox was given: the copy keeps which of them it was made by.

    The promise «nothing released unchecked» begins here: (1) the output is read again by other code; (2) only what is
    clean becomes a verified copy; (3) a reason to look, or no copy at all, becomes a finding that holds the release.
    """
    subject: _Of = {"case": case, "subject_kind": subject_kind, "subject_id": subject_id}
    if load_profile(case.profile).identified and isinstance(outcome, Cleaned):
        outcome = Held(
            code="profile_forbids",
            reason="The profile of this case leaves the patient's identity in, and such a case is not released. "
            "Open a new case with another profile.",
        )
    if isinstance(outcome, Held):
        return _hold(outcome, **subject, records=records, now=now)
    left = sandboxed.leaks(
        sandbox, outcome.content, media_type=media_type, known=known, original_uids=original_uids
    )  # (1)
    if left:
        held = _unfit(left)
        return _hold(held, **subject, records=records, now=now)
    copy = seal_copy(
        outcome.content,
        index={
            **outcome.index,
            "media_type": media_type,
            "known": known_digest(known),
            RULES: rules.used(subject_id, outcome.index.get(LAYOUT) or {}),
            READ_AGAIN: read_again_now(now),
        },
        case=case,
        subject_kind=subject_kind,
        subject_id=subject_id,
        records=records,
        store=store,
        now=now,
    )
    with records.change(by=HOUSE) as change:
        waits = _still_waits(change, **subject)
        if waits and not outcome.look and _uncovered(change, copy, rules):
            outcome = replace(outcome, look=((MASK_ENDED, MASK_ENDED_REASON, ""),))
        if waits:
            state = _keep(change, outcome, copy, **subject, now=now)
    if not waits:
        store.forget(copy.object_id)
        return SUPERSEDED
    return state


def _uncovered(change: Change, copy: Copy, rules: InForce) -> bool:
    """Tell whether a mask covered this picture until it was revoked: nobody has seen what stands there."""
    if copy.subject_kind != "instance":
        return False
    received_at = change.instances.get(copy.subject_id).received_at
    return rules.uncovered(copy.subject_id, copy.index.get(LAYOUT) or {}, received_at=received_at)


def _unfit(left: Sequence[str]) -> Held:
    """Return why a copy may not be kept: it could not be read again, or something was found in it."""
    unread, _, code = left[0].partition(sandboxed.UNREAD)
    if code and not unread:
        return Held(
            code=code, reason="The copy could not be read again, so that nothing shows that it is clean."
        )
    return Held(
        code="identifier_left",
        reason="Something that identifies the patient was still found in the copy.",
        place=", ".join(left[:5]),
    )


def _keep(
    change: Change,
    outcome: Cleaned,
    copy: Copy,
    *,
    case: Case,
    subject_kind: Subject,
    subject_id: str,
    now: datetime,
) -> str:
    judged = _judged_alike(change, copy)
    look = (*outcome.look, *_retire_earlier(change, subject_id, copy_id=copy.id))
    change.copies.add(copy)  # (2)
    open_ = 0
    for code, reason, place in look:  # (3)
        found = _finding(
            case,
            subject_kind,
            subject_id,
            code=code,
            reason=reason,
            place=place,
            copy_id=copy.id,
            now=now,
        )
        verdict = judged.get((code, found.place))
        if verdict is not None:
            found = replace(found, state="kept", decided_by=verdict.decided_by, decided_at=verdict.decided_at)
        open_ += verdict is None
        change.findings.add(found)
    change.note(
        "copy_made", case_id=case.id, subject=subject_id, copy=copy.id, bytes=copy.size_bytes, look=len(look)
    )
    if used := copy.index[RULES]:
        change.note(
            "rules_used", case_id=case.id, subject=subject_id, copy=copy.id, rules=",".join(used[:_TOLD])
        )
    return _set_state(change, subject_kind, subject_id, "quarantined" if open_ else "deidentified")


def _judged_alike(change: Change, copy: Copy) -> dict[tuple[str, str], Finding]:
    """Return what a human kept of the very same bytes: she need not look twice at what did not change."""
    earlier = change.copies.first(subject_id=copy.subject_id, state="verified", order="-made_at")
    if earlier is None or earlier.index["sha256"] != copy.index["sha256"]:
        return {}
    kept = change.findings.find(copy_id=earlier.id, state="kept")
    return {(finding.code, finding.place): finding for finding in kept}


def read_again_now(now: datetime) -> dict[str, str]:
    """Return what the certificate tells of a reading that found nothing: when, and by which version of the code."""
    return {"at": now.isoformat(timespec="seconds"), "version": version("consilium")}


def _still_waits(change: Change, *, case: Case, subject_kind: Subject, subject_id: str) -> bool:
    """Tell whether a subject still waits for its copy in this case, as the rows stand inside the change."""
    shelf: Shelf[Instance] | Shelf[Document] = (
        change.instances if subject_kind == "instance" else change.documents
    )
    row = shelf.first(id=subject_id)
    if row is not None and row.case_id == case.id and row.state == "received":
        return True
    change.note("copy_made", case_id=case.id, subject=subject_id, outcome=SUPERSEDED)
    return False


def seal_copy(
    content: bytes,
    *,
    index: dict[str, object],
    case: Case,
    subject_kind: Literal["instance", "document", "release"],
    subject_id: str,
    records: Records,
    store: SealedStore,
    now: datetime,
) -> Copy:
    """Seal verified bytes under the case's releases key and return the copy's value, not yet recorded."""
    with records.view() as view:
        key = view.key(case.id, "releases")
    ref = store.seal(io.BytesIO(content), key=key, kind=COPY_KIND)
    return Copy(
        id=new_id(),
        case_id=case.id,
        holder=case.id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        object_id=ref.object_id,
        size_bytes=ref.size_bytes,
        digest=ref.digest,
        generation=ref.generation,
        crc32=zlib.crc32(content),
        profile=case.profile,
        state="verified",
        made_at=now,
        index={**index, "sha256": hashlib.sha256(content).hexdigest()},
    )


def copy_ref(copy: Copy) -> SealedRef:
    """Return where the bytes of a copy lie."""
    return SealedRef(
        object_id=copy.object_id, size_bytes=copy.size_bytes, digest=copy.digest, generation=copy.generation
    )


def read_copy(copy: Copy, *, records: Records, store: SealedStore) -> bytes:
    """Return the bytes of a copy."""
    with records.view() as view:
        key = view.key(copy.holder, "releases")
    with store.open(copy_ref(copy), key=key, kind=COPY_KIND) as reader:
        return reader.read()


def _hold(
    held: Held, *, case: Case, subject_kind: Subject, subject_id: str, records: Records, now: datetime
) -> str:
    with records.change(by=HOUSE) as change:
        if not _still_waits(change, case=case, subject_kind=subject_kind, subject_id=subject_id):
            return SUPERSEDED
        _retire_earlier(change, subject_id, copy_id=None)
        change.findings.add(
            _finding(
                case,
                subject_kind,
                subject_id,
                code=held.code,
                reason=held.reason,
                place=held.place,
                copy_id=None,
                now=now,
            )
        )
        change.note("quarantined", case_id=case.id, subject=subject_id, outcome="held", code=held.code)
        return _set_state(change, subject_kind, subject_id, "quarantined")


def _retire_earlier(
    change: Change, subject_id: str, *, copy_id: str | None
) -> tuple[tuple[str, str, str], ...]:
    """A new copy replaces the one before it, and what was found and judged about that one is obsolete.

    What was left out stays out, from now on about the new copy; a recall is asked of the new copy too, and returned for
    that. Releases keep what they named.
    """
    for earlier in change.copies.find(subject_id=subject_id, state=("made", "verified", "leaking")):
        change.copies.set(earlier.id, state="replaced")
    for finding in change.findings.find(subject_id=subject_id, state="excluded"):
        change.findings.set(finding.id, copy_id=copy_id)
    asked = []
    for finding in change.findings.find(subject_id=subject_id, state=("open", "kept")):
        change.findings.set(finding.id, state="obsolete")
        if finding.code == RECALLED and finding.state == "open":
            asked.append((finding.code, finding.reason, finding.place))
    return tuple(asked)


def _finding(
    case: Case,
    kind: Subject,
    subject_id: str,
    *,
    code: str,
    reason: str,
    place: str,
    copy_id: str | None,
    now: datetime,
) -> Finding:
    return Finding(
        id=new_id(),
        case_id=case.id,
        subject_kind=kind,
        subject_id=subject_id,
        code=code,
        reason=reason,
        place=place[:200],
        copy_id=copy_id,
        found_at=now,
    )


def _set_state(change: Change, kind: Subject, subject_id: str, state: str) -> str:
    """Set a subject's state and return it; what a human has left out stays out, whatever is made of it later."""
    if change.findings.count(subject_id=subject_id, state="excluded"):
        state = "excluded"
    (change.instances if kind == "instance" else change.documents).set(subject_id, state=state)
    return state
