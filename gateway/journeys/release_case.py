"""Releasing a case: a fixed, numbered version is built, approved against its digest, granted, and can be withdrawn.

The promise «nothing released unchecked» is ``build_release``: its five numbered steps are the whole gate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from io import BytesIO

from anonymizer.known import Known
from gateway.domain.case import Case, moved
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.grant import Grant
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.release import Copy, Manifest, ManifestEntry, Release, verified_copy
from gateway.journeys import sandboxed
from gateway.journeys.certify_package import NAME as CERTIFICATE
from gateway.journeys.certify_package import judged_of
from gateway.journeys.compose_package import DICOM, Member, Piece, compose_package, varying_words
from gateway.journeys.deidentify_study import reverify_case
from gateway.journeys.end_delivery import end_deliveries
from gateway.journeys.hold_release import (
    members_of,
    nothing_identified,
    nothing_open,
    nothing_pending,
    nothing_spoilt,
)
from gateway.journeys.lookup import case_by_ref, email_key
from gateway.journeys.make_copy import COPY_KIND, known_digest, known_of, seal_copy
from gateway.journeys.open_case import move_case
from gateway.journeys.open_release import MANIFEST_KIND, read_manifest
from gateway.journeys.tell_twins import hold_twins, unlike_twins
from gateway.ports import Change, Clock, Records, Sandbox
from storage import SealedStore, StorageError


def build_release(
    *,
    ref: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    clock: Clock,
    beat: Callable[[], None] = lambda: None,
) -> Release:
    """Build the next version of a case's release.

    (1) nothing is still being worked on; (2) no finding is open; (3) every copy was read against all that is known now,
    what came late included; (4) only verified copies become members; (5) what the package's own files take over from the
    copies is read again too.
    """
    with records.view() as view:
        case = case_by_ref(view, ref)
        nothing_identified(case)
        nothing_pending(view, case)  # (1)
        nothing_open(view, case)  # (2)
        _can_prepare(case)
    reverify_case(case.id, records=records, store=store, sandbox=sandbox, clock=clock, beat=beat)  # (3)
    with records.view() as view:
        case = view.cases.get(case.id)  # the reading may have taken long: what was learnt meanwhile counts
        _can_prepare(case)
        nothing_pending(view, case)
        nothing_open(view, case)
        members, conflicts = unlike_twins(members_of(view, case))
        number = max((r.number for r in view.releases.find(case_id=case.id)), default=0) + 1
    if conflicts:
        hold_twins(conflicts, case=case, by=by, records=records)
    if not members:
        raise ConflictError(
            "there is nothing to release yet", next_step="`consilium case show` tells what has arrived."
        )
    release_id, now = new_id(), clock.now()
    known = known_of(case)
    _own_words_clean(members, sandbox=sandbox, known=known)  # (5)
    with records.view() as view:
        judged = judged_of(view, case, [member.copy for member in members])
    package = compose_package(members, case=case, number=number, made_at=now, judged=judged)
    entries, own = [], []
    for piece in package:
        beat()
        copy = piece.copy
        if copy is None:
            _readable(piece, sandbox=sandbox)
            copy = seal_copy(
                piece.content,
                index={"media_type": piece.media_type, "known": known_digest(known)},
                case=case,
                subject_kind="release",
                subject_id=release_id,
                records=records,
                store=store,
                now=now,
            )
            own.append(copy)
        entries.append(_entry(piece.name, copy, piece.kind))  # (4)
    manifest = Manifest(
        case_ref=case.ref,
        number=number,
        profile=case.profile,
        made_at=now.isoformat(),
        entries=tuple(entries),
    )
    with records.view() as view:
        key = view.key(case.id, "releases")
    sealed = store.seal(BytesIO(json.dumps(manifest.to_json()).encode()), key=key, kind=MANIFEST_KIND)
    release = Release(
        id=release_id,
        case_id=case.id,
        holder=case.id,
        number=number,
        built_by=str(by),
        built_at=now,
        manifest_digest=manifest.digest(),
        manifest_object_id=sealed.object_id,
        manifest_size_bytes=sealed.size_bytes,
        manifest_mac=sealed.digest,
        totals=_totals(members, entries),
    )
    with records.change(by=by) as change:
        case = change.cases.get(case.id)
        if case.state == "collecting":
            case = move_case(change, case, "complete", now=now)
        move_case(change, case, "prepare", now=now)
        for copy in own:
            change.copies.add(copy)
        change.releases.add(release)
        change.note(
            "release_built",
            case_id=case.id,
            subject=release.id,
            number=number,
            digest=release.manifest_digest,
            certificate=_certificate_digest(manifest),
        )
    return release


def approve_release(
    *,
    ref: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
    reviewers: Sequence[str] = (),
    number: int | None = None,
    digest: str = "",
) -> tuple[Release, list[Grant]]:
    """Approve the newest built release (or the one with this number) and grant it to reviewers by e-mail address.

    The approval is bound to the manifest's digest (R8): ``digest``, when given, must be it. The sealed manifest and every
    member that it names are read again to their ends, so that nothing damaged or exchanged is approved. Without reviewers, those who hold a right to an earlier version of the case get this one too.
    """
    now = clock.now()
    with records.view() as view:
        case = case_by_ref(view, ref)
        wanted = {"number": number} if number else {}
        release = view.releases.first(case_id=case.id, state="built", order="-number", **wanted)
    if release is None:
        raise ConflictError(
            f"case {case.ref} has no release that waits for approval",
            next_step="Build one with `release build`.",
        )
    if digest and digest != release.manifest_digest:
        raise ConflictError(
            "the release is not the one you looked at", next_step="Look at it again, then approve."
        )
    manifest = read_manifest(release, records=records, store=store)
    _members_are_whole(manifest, release, records=records, store=store)
    with records.change(by=by) as change:
        case = change.cases.get(case.id)
        if change.releases.get(release.id).state != "built":
            raise ConflictError("this release has been judged meanwhile", next_step="Reload the case.")
        nothing_open(change, case)
        nothing_spoilt(change, case, manifest)
        change.releases.set(release.id, state="approved", approved_by=str(by), approved_at=now)
        change.note(
            "release_approved",
            case_id=case.id,
            subject=release.id,
            number=release.number,
            digest=release.manifest_digest,
            certificate=_certificate_digest(manifest),
        )
        move_case(change, case, "release", now=now)
        people = _reviewers(change, store, reviewers) or _earlier_reviewers(change, case, now=now)
        grants = [_grant(change, release, person_id, now=now, policy=policy) for person_id in people]
    with records.view() as view:
        return view.releases.get(release.id), grants


def _members_are_whole(manifest: Manifest, release: Release, *, records: Records, store: SealedStore) -> None:
    with records.view() as view:
        key = view.key(release.holder, "releases")
    broken = 0
    for entry in manifest.entries:
        try:
            store.verify(entry.content.ref, key=key, kind=COPY_KIND)
        except StorageError:
            broken += 1
    if broken:
        raise ConflictError(
            f"{broken} files of the release are not what was sealed",
            next_step="Have them restored from a backup, or build the release again; `consilium doctor` looks at the store.",
        )


def grant_release(
    *,
    release_id: str,
    email: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
) -> Grant:
    """Give one more reviewer the right to open an approved release."""
    with records.change(by=by) as change:
        release = change.releases.get(release_id)
        if release.state != "approved":
            raise ConflictError("only an approved release can be granted")
        (person_id,) = _reviewers(change, store, [email])
        return _grant(change, release, person_id, now=clock.now(), policy=policy)


def revoke_grant(*, grant_id: str, by: Actor, records: Records, clock: Clock) -> None:
    """Take a right back; it counts from the next request on (R6)."""
    with records.change(by=by) as change:
        grant = change.grants.get(grant_id)
        change.grants.set(grant_id, revoked_at=clock.now())
        change.note("grant_revoked", case_id=grant.case_id, subject=grant.release_id, person=grant.person_id)


def withdraw_release(*, release_id: str, by: Actor, records: Records, clock: Clock) -> None:
    """Take a release back: it can be opened by nobody any more. What was downloaded before stands in the audit."""
    with records.change(by=by) as change:
        release = change.releases.get(release_id)
        if release.state == "withdrawn":
            raise ConflictError("this release has been withdrawn already")
        change.releases.set(release_id, state="withdrawn", withdrawn_at=clock.now())
        change.note("release_withdrawn", case_id=release.case_id, subject=release_id, number=release.number)
        end_deliveries(change, release_id, now=clock.now())


def _own_words_clean(members: Sequence[Member], *, sandbox: Sandbox, known: Known) -> None:
    """Refuse a package whose own files would take over something known from what the copies say of themselves.

    The rest of these files is words of ours, numbers, digests and generated names: an equal surname there is chance, and
    must not keep a case from ever being released.
    """

    def leak(some: Sequence[Member]) -> bool:
        words = "\n".join(dict.fromkeys(word for member in some for word in varying_words(member))).encode()
        return bool(words) and bool(sandboxed.leaks(sandbox, words, media_type="text/plain", known=known))

    if leak(members):
        at_fault = ", ".join([m.copy.subject_id for m in members if leak([m])][:5])
        raise ConflictError(
            f"what copies say of themselves would name the patient in the package ({at_fault or 'together'})",
            next_step="Leave those items out, and report this: it is a fault of ours.",
        )


def _readable(piece: Piece, *, sandbox: Sandbox) -> None:
    """Refuse a table of contents that other code cannot read back; its words were read with the copies."""
    if piece.media_type == DICOM and sandboxed.leaks(sandbox, piece.content, media_type=DICOM, known=Known()):
        raise ConflictError(
            f"{piece.name} cannot be read back", next_step="Report this: it is a fault of ours."
        )


def _can_prepare(case: Case) -> None:
    """Refuse, before anything is read or sealed, a case that cannot be prepared from where it stands."""
    moved("complete" if case.state == "collecting" else case.state, "prepare")


def _entry(name: str, copy: Copy, kind: str) -> ManifestEntry:
    return ManifestEntry(
        name=name,
        content=verified_copy(copy),
        size_bytes=copy.size_bytes,
        crc32=copy.crc32,
        sha256=str(copy.index["sha256"]),
        kind=kind,
    )


def _certificate_digest(manifest: Manifest) -> str:
    return next((entry.sha256 for entry in manifest.entries if entry.name == CERTIFICATE), "")


def _totals(members: Sequence[Member], entries: Sequence[ManifestEntry]) -> dict[str, int]:
    return {
        "instances": sum(m.kind == "instance" for m in members),
        "documents": sum(m.kind == "document" for m in members),
        "files": len(entries),
        "bytes": sum(e.size_bytes for e in entries),
    }


def _reviewers(change: Change, store: SealedStore, emails: Sequence[str]) -> list[str]:
    found = []
    for email in emails:
        person = change.people.first(
            email_key=email_key(change, store, email), role="reviewer", disabled_at=None
        )
        if person is None:
            raise NotFoundError(
                "there is no such reviewer",
                next_step="Add one with `consilium person add --role reviewer --email …`.",
            )
        found.append(person.id)
    return found


def _earlier_reviewers(change: Change, case: Case, *, now: datetime) -> list[str]:
    held = [
        g for g in change.grants.find(case_id=case.id, revoked_at=None, order="granted_at") if now < g.until
    ]
    people = list(dict.fromkeys(g.person_id for g in held))
    return [p for p in people if change.people.first(id=p, role="reviewer", disabled_at=None)]


def _grant(change: Change, release: Release, person_id: str, *, now: datetime, policy: Policy) -> Grant:
    grant = Grant(
        id=new_id(),
        release_id=release.id,
        case_id=release.case_id,
        person_id=person_id,
        granted_at=now,
        until=now + timedelta(days=policy.grant_days),
    )
    change.grants.add(grant)
    change.note("grant_given", case_id=release.case_id, subject=release.id, person=person_id)
    return grant
