"""Making one de-identified copy and recording it, for instances and documents alike: nothing enters unverified."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from anonymizer.known import Known
from gateway.domain.case import Case
from gateway.domain.finding import Finding
from gateway.domain.ids import new_id
from gateway.domain.people import HOUSE
from gateway.domain.release import Copy
from gateway.journeys import sandboxed
from gateway.journeys.sandboxed import Cleaned, Held
from gateway.ports import Change, Records, Sandbox
from storage import SealedRef, SealedStore, WrappedKey

COPY_KIND = "copy"
Subject = Literal["instance", "document"]


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
) -> str:
    """Verify, seal and record what the sandbox made; return the subject's new state.

    The promise «nothing released unchecked» begins here: (1) the output is read again by other code; (2) only what is
    clean becomes a verified copy; (3) a reason to look, or no copy at all, becomes a finding that holds the release.
    """
    if isinstance(outcome, Held):
        return _hold(
            outcome, case=case, subject_kind=subject_kind, subject_id=subject_id, records=records, now=now
        )
    left = sandboxed.leaks(
        sandbox, outcome.content, media_type=media_type, known=known, original_uids=original_uids
    )  # (1)
    if left:
        places = ", ".join(left[:5])
        held = Held(
            code="identifier_left",
            reason="Something that identifies the patient was still found in the copy.",
            place=places,
        )
        return _hold(
            held, case=case, subject_kind=subject_kind, subject_id=subject_id, records=records, now=now
        )
    copy = seal_copy(
        outcome.content,
        index={**outcome.index, "media_type": media_type, "known": known_digest(known)},
        case=case,
        subject_kind=subject_kind,
        subject_id=subject_id,
        records=records,
        store=store,
        now=now,
    )
    state = "quarantined" if outcome.look else "deidentified"
    with records.change(by=HOUSE) as change:
        _retire_earlier(change, subject_id)
        change.copies.add(copy)  # (2)
        for code, reason, place in outcome.look:  # (3)
            change.findings.add(
                _finding(
                    case,
                    subject_kind,
                    subject_id,
                    code=code,
                    reason=reason,
                    place=place,
                    copy_id=copy.id,
                    now=now,
                )
            )
        _set_state(change, subject_kind, subject_id, state)
        change.note(
            "copy_made",
            case_id=case.id,
            subject=subject_id,
            copy=copy.id,
            bytes=copy.size_bytes,
            look=len(outcome.look),
        )
    return state


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
        _retire_earlier(change, subject_id)
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
        _set_state(change, subject_kind, subject_id, "quarantined")
        change.note("quarantined", case_id=case.id, subject=subject_id, outcome="held", code=held.code)
    return "quarantined"


def _retire_earlier(change: Change, subject_id: str) -> None:
    """A new copy replaces the one before it; open findings about that one are obsolete. Releases keep what they named."""
    for earlier in change.copies.find(subject_id=subject_id, state=("made", "verified", "leaking")):
        change.copies.set(earlier.id, state="replaced")
    for finding in change.findings.find(subject_id=subject_id, state="open"):
        change.findings.set(finding.id, state="obsolete")


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


def _set_state(change: Change, kind: Subject, subject_id: str, state: str) -> None:
    """Set a subject's state; what a human has left out stays out, whatever is made of it later."""
    if change.findings.count(subject_id=subject_id, state="excluded"):
        state = "excluded"
    (change.instances if kind == "instance" else change.documents).set(subject_id, state=state)
