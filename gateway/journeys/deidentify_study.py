"""De-identifying a study of a case: first gather what identifies the patient, then clean every instance with all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from anonymizer.known import Known
from gateway.domain.case import Case
from gateway.domain.people import HOUSE
from gateway.domain.release import Copy
from gateway.domain.study import Instance
from gateway.journeys import sandboxed
from gateway.journeys.make_copy import (
    READ_AGAIN,
    known_digest,
    known_of,
    pseudonym_key,
    read_again_now,
    read_copy,
    record_copy,
)
from gateway.journeys.read_original import read_original
from gateway.journeys.recall_release import recall_releases
from gateway.journeys.rules_in_force import rules_in_force
from gateway.journeys.sandboxed import Cleaned, Harvested, Held
from gateway.ports import Change, Clock, Records, Sandbox
from storage import BYTES_LOST, SealedRef, SealedStore

# One object is cleaned in memory (never in a file); larger ones are held until they can be cleaned as a stream.
LIMIT_BYTES = 1 << 30
# Under this name a copy's sealed index keeps the UIDs of its original, so that a later reading can look for them.
UIDS = "original_uids"


def deidentify_study(
    study_id: str,
    *,
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    clock: Clock,
    workers: int,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Clean what has not been cleaned yet; safe to run again at any point, for the states of the rows say what is left."""
    with records.view() as view:
        study = view.studies.get(study_id)
        if study.case_id is None:
            return
        waiting = view.instances.find(study_id=study_id, state="received", order="received_at")
        case = view.cases.get(study.case_id)
        holder_key = view.key(case.id, "originals")
    if not waiting:
        return
    key = pseudonym_key(store, holder_key)

    def harvest(instance: Instance) -> Harvested | Held:
        beat()
        content = _original(instance, records=records, store=store)
        return content if isinstance(content, Held) else sandboxed.harvest_instance(sandbox, content)

    def cleaned(instance: Instance, told: Harvested) -> Cleaned | Held:
        content = _original(instance, records=records, store=store)
        if isinstance(content, Held):
            return content
        made = sandboxed.clean_instance(
            sandbox, content, known=known, key=key, profile=case.profile, masks=rules.masks(instance.id)
        )
        if isinstance(made, Held):
            return made
        return replace(made, index={**made.index, UIDS: sorted(told.uids)})

    def clean(instance: Instance, told: Harvested | Held) -> None:
        beat()
        outcome = told if isinstance(told, Held) else cleaned(instance, told)
        record_copy(
            outcome,
            case=case,
            known=known,
            subject_kind="instance",
            subject_id=instance.id,
            media_type="application/dicom",
            original_uids=uids,
            records=records,
            store=store,
            sandbox=sandbox,
            now=clock.now(),
            rules=rules,
        )

    with ThreadPoolExecutor(workers, thread_name_prefix="deidentify") as pool:
        gathered = list(pool.map(harvest, waiting))
        read = [told for told in gathered if isinstance(told, Harvested)]
        case = learn(case, [told.known for told in read], records=records, clock=clock)
        with records.view() as view:
            case = view.cases.get(case.id)  # a human may have judged a word meanwhile
            known, rules = known_of(case), rules_in_force(view, case.id)
            earlier = view.copies.find(case_id=case.id, state="verified", subject_kind="instance")
        uids = sorted(
            {
                *_uids(earlier),
                *(u for i in waiting for u in _own_uids(i)),
                *(u for told in read for u in told.uids),
            }
        )
        for _ in pool.map(clean, waiting, gathered):
            pass


def learn(case: Case, found: Iterable[Known], *, records: Records, clock: Clock) -> Case:
    """Add what the material itself tells of the patient; copies made before are then owed another check."""
    told, before = Known(), Known.from_json(case.harvest)
    for one in found:
        told = told.merged(one)
    if before.merged(told).to_json() == before.to_json():
        return case
    with records.change(by=HOUSE) as change:
        current = change.cases.get(case.id)
        merged = Known.from_json(current.harvest).merged(
            told
        )  # not what stood before: it may have been revoked
        current = replace(current, harvest=merged.to_json())
        change.cases.put(current)
        change.note("harvest_extended", case_id=case.id, subject=case.ref)
        if change.copies.count(case_id=case.id, state="verified"):
            change.owe("reverify_case", case.id, due_at=clock.now(), case_id=case.id)
    return current


def reverify_case(
    case_id: str,
    *,
    records: Records,
    store: SealedStore,
    sandbox: Sandbox,
    clock: Clock,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Read every copy again against identifiers that came after it was made; what leaks, or cannot be read, is made anew.

    So is what was made by other reviewed rules than hold now. A mask that came later covers what should not have left.
    A release that names a leaking copy, or one that such a mask covers, is withdrawn in the same change. One copy that cannot be read keeps no other back.
    """
    with records.view() as view:
        case = view.cases.get(case_id)
        copies = view.copies.find(case_id=case_id, state="verified", subject_kind=("instance", "document"))
        rules = rules_in_force(view, case_id)
    known = known_of(case)
    digest, uids = known_digest(known), sorted(_uids(copies))
    for copy in copies:
        is_stale, is_read = rules.stale(copy), copy.index.get("known") == digest
        if is_read and not is_stale:
            continue
        beat()
        left = (
            () if is_read else _read_again(copy, known, uids, records=records, store=store, sandbox=sandbox)
        )
        with records.change(by=HOUSE) as change:
            current = change.copies.first(id=copy.id)
            if current is None or current.state != "verified":  # made anew, or gone, while it was read
                change.note("copies_checked", case_id=case_id, subject=copy.subject_id, outcome="superseded")
                continue
            if left == () and not is_stale:
                index = {**current.index, "known": digest, READ_AGAIN: read_again_now(clock.now())}
                change.copies.put(replace(current, index=index))
                change.note("copies_checked", case_id=case_id, subject=copy.subject_id, copy=copy.id)
                continue
            outcome = "unreadable" if left is None else "leaking" if left else "rules"
            if left != ():
                change.copies.set(copy.id, state="leaking")
            for finding in change.findings.find(copy_id=copy.id, state="open"):
                change.findings.set(finding.id, state="obsolete")
            if left or (left == () and rules.hides_more(current)):
                recall_releases(change, current, store=store, now=clock.now())
            _make_anew(change, copy.subject_kind, copy.subject_id, case_id=case_id, clock=clock)
            change.note(
                "copy_replaced", case_id=case_id, subject=copy.subject_id, copy=copy.id, outcome=outcome
            )


def _read_again(
    copy: Copy, known: Known, uids: Sequence[str], *, records: Records, store: SealedStore, sandbox: Sandbox
) -> tuple[str, ...] | None:
    """Return where something known is left in a copy; None where its bytes are lost or damaged, so that nothing can leak."""
    try:
        content = read_copy(copy, records=records, store=store)
    except BYTES_LOST:
        return None
    media_type = str(copy.index["media_type"])
    return sandboxed.leaks(sandbox, content, media_type=media_type, known=known, original_uids=uids)


def _make_anew(change: Change, kind: str, subject_id: str, *, case_id: str, clock: Clock) -> None:
    if kind == "instance":
        change.instances.set(subject_id, state="received")
        study_id = change.instances.get(subject_id).study_id
        change.owe("deidentify_study", study_id, due_at=clock.now(), case_id=case_id)
    else:
        change.documents.set(subject_id, state="received")
        change.owe("deidentify_document", subject_id, due_at=clock.now(), case_id=case_id)


def _original(instance: Instance, *, records: Records, store: SealedStore) -> bytes | Held:
    """Return the sealed object's bytes, or why it is held."""
    if instance.size_bytes > LIMIT_BYTES:
        return Held(code="too_large", reason="The object is too large to be cleaned in memory.")
    with records.view() as view:
        key = view.key(instance.holder, "originals")
    ref = SealedRef(
        object_id=instance.object_id,
        size_bytes=instance.size_bytes,
        digest=instance.digest,
        generation=instance.generation,
    )
    return read_original(ref, key=key, store=store)


def _own_uids(instance: Instance) -> Iterator[str]:
    names = ("sop_instance_uid", "series_instance_uid", "study_instance_uid")
    return (uid for name in names if (uid := instance.head.get(name, "")))


def _uids(copies: Iterable[Copy]) -> set[str]:
    """Return the original UIDs of what the copies were made of; they lie sealed beside each copy."""
    return {uid for copy in copies for uid in copy.index.get(UIDS, ())}
