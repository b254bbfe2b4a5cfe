"""Keeping one SOP instance, whichever door it came through: bytes first, row second, answer third."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta

from dicom_node import status
from dicom_node.ae import is_uid
from dicom_node.part10 import file_meta_bytes
from dicom_node.receiver import ReceivedInstance, StoreOutcome
from dicom_node.streams import Replayed
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, ConsiliumError, NotFoundError
from gateway.domain.ids import CASE_REF, new_id, normal_case_ref
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.study import Instance, Study
from gateway.journeys.hold_conflict import conflict_finding
from gateway.journeys.lookup import uid_key
from gateway.journeys.match_study import IDENTITY, best_case, described
from gateway.journeys.open_case import mark_item
from gateway.ports import Change, Clock, Records, View
from storage import SealedRef, SealedStore, StorageError, WrappedKey

_STUDY_HEAD = (
    *IDENTITY,
    "study_instance_uid",
    "accession_number",
    "study_date",
    "study_description",
    "issuer_of_patient_id",
    "modality",
)
_INSTANCE_HEAD = (
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "modality",
    "instance_number",
)


def receive_instance(
    arrival: ReceivedInstance,
    *,
    source: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
    case: Case | None = None,
) -> StoreOutcome:
    """Keep one SOP instance; return Success only when it cannot be lost.

    Order matters: bytes, then row, then answer. Senders delete on Success (PS3.4 B.2.3).

    Parameters
    ----------
    arrival
        The instance with its data set as a stream that is read once.
    source
        The calling AE, or the patient whose link it came through.
    case
        Given when the door knows the case (a patient's upload); else the called AE title or the header tells.
    """
    head = arrival.head
    if not head.study_instance_uid:
        return StoreOutcome(
            status=status.CANNOT_UNDERSTAND, comment="Study Instance UID (0020,000D) is missing or empty"
        )
    if name := _malformed_uid(arrival):
        return StoreOutcome(status=status.CANNOT_UNDERSTAND, comment=f"{name} is not a valid UID")
    # (1) where does it belong? refused before a byte is kept
    study = _study_of(
        arrival, source=source, case=case, records=records, store=store, clock=clock, policy=policy
    )
    # (2) bytes: sealed as they stream in, durable on return (D1)
    with records.view() as view:
        key = view.key(study.holder, "originals")
        sop_key = uid_key(view, store, study.sender, head.sop_instance_uid or arrival.sop_instance_uid)
    ref = store.seal(_part10(arrival), key=key, kind="original", limit_bytes=policy.instance_limit_bytes)
    # (3) row, audit event and owed work, or none of them
    instance = _instance(arrival, study=study, sop_key=sop_key, ref=ref, clock=clock)
    try:
        twin = _record(
            instance, study_id=study.id, source=source, records=records, clock=clock, policy=policy
        )
        if twin is not None:
            _keep_whole(twin, ref, key=key, source=source, records=records, store=store)
    except BaseException:
        _forget_unrecorded(ref, records=records, store=store)
        raise
    # (4) answer
    return StoreOutcome(status=status.SUCCESS)


def _keep_whole(
    twin: Instance, fresh: SealedRef, *, key: WrappedKey, source: Actor, records: Records, store: SealedStore
) -> None:
    """Of the same bytes kept twice, keep the first, unless they are not whole any more: then the fresh ones take their place."""
    first = SealedRef(
        object_id=twin.object_id, size_bytes=twin.size_bytes, digest=twin.digest, generation=twin.generation
    )
    try:
        store.verify(first, key=key, kind="original")
    except StorageError:
        with records.change(by=source) as change:
            change.instances.set(twin.id, object_id=fresh.object_id, generation=fresh.generation)
            change.note("instance_mended", case_id=twin.case_id or "", subject=twin.id, lost=twin.object_id)
        return
    store.forget(fresh.object_id)


def _forget_unrecorded(ref: SealedRef, *, records: Records, store: SealedStore) -> None:
    """Remove bytes that no row names. An error may come after the commit, and then only an orphan is harmless."""
    with suppress(ConsiliumError, StorageError):
        with records.view() as view:
            is_recorded = view.instances.count(object_id=ref.object_id) > 0
        if not is_recorded:
            store.forget(ref.object_id)


def _malformed_uid(arrival: ReceivedInstance) -> str:
    """Return the name of a UID that is none: it would stand in rows and audit, so it may not carry text (F7)."""
    uids = {
        "SOP Class UID": arrival.sop_class_uid,
        "SOP Instance UID": arrival.sop_instance_uid,
        "Transfer Syntax UID": arrival.transfer_syntax_uid,
    }
    return next((name for name, uid in uids.items() if not is_uid(uid)), "")


def _part10(arrival: ReceivedInstance) -> Replayed:
    """Return the Part 10 form of an arrival: our preamble and File Meta, then the data set as it comes (PS3.10 7.1)."""
    head = file_meta_bytes(
        sop_class_uid=arrival.sop_class_uid,
        sop_instance_uid=arrival.sop_instance_uid,
        transfer_syntax_uid=arrival.transfer_syntax_uid,
    )
    return Replayed(head, arrival.stream)


def _study_of(
    arrival: ReceivedInstance,
    *,
    source: Actor,
    case: Case | None,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
) -> Study:
    """Return the study that the instance belongs to, made now if it is the first: one per sender, case and UID."""
    called = normal_case_ref(arrival.called_ae) if case is None else ""
    with records.view() as view:
        if case is None and CASE_REF.match(arrival.called_ae.strip().upper()):
            case = view.cases.first(ref=called)
            if case is None or case.state not in RECEIVING_STATES:
                raise NotFoundError(f"the called AE title {called} names no case that takes studies")
        base = f"{source.kind}:{source.id}" + (f">{case.id}" if case else "")
        sender, found = _open_study(view, store, base, arrival.head.study_instance_uid)
        study_key = uid_key(view, store, sender, arrival.head.study_instance_uid)
        if found is not None:
            return found
        match = None
        bound = case
        if bound is None:
            bound, match = best_case(view, arrival.head, policy=policy)
    now = clock.now()
    study_id = new_id()
    values = asdict(arrival.head)
    study = Study(
        id=study_id,
        case_id=bound.id if bound else None,
        holder=case.id if case else study_id,
        sender=sender,
        study_key=study_key,
        received_at=now,
        last_at=now,
        match={"score": 100, "reasons": ["called_ae" if source.kind == "peer" else "link"]}
        if case
        else described(match),
        head={name: str(values.get(name, "")) for name in _STUDY_HEAD},
    )
    key = None if case else store.new_key(holder=study.holder, purpose="originals")
    try:
        with records.change(by=source) as change:
            if key is not None:
                change.add_key(key, case_id=study.case_id)
            change.studies.add(study)
            if bound is not None:
                mark_item(change, change.cases.get(bound.id), "imaging")
                change.note(
                    "study_matched",
                    case_id=bound.id,
                    subject=study.id,
                    score=int(study.match.get("score", 0)),
                )
            else:
                change.note("study_unmatched", subject=study.id, score=int(study.match.get("score", 0)))
    except ConflictError:  # another association was first
        with records.view() as view:
            if found := view.studies.first(sender=sender, study_key=study_key):
                return found
        raise
    return study


def _open_study(view: View, store: SealedStore, base: str, uid: str) -> tuple[str, Study | None]:
    """Return the sender's row of this study that still takes instances, or the name under which to begin one.

    What comes for a case that is closed is not added to it unseen: it begins a row of its own, and is matched anew.
    """
    count = 1
    while True:
        sender = base if count == 1 else f"{base}#{count}"
        found = view.studies.first(sender=sender, study_key=uid_key(view, store, sender, uid))
        if found is None or found.case_id is None:
            return sender, found
        if view.cases.count(id=found.case_id, state=RECEIVING_STATES):
            return sender, found
        count += 1


def _instance(
    arrival: ReceivedInstance, *, study: Study, sop_key: str, ref: SealedRef, clock: Clock
) -> Instance:
    values = asdict(arrival.head)
    return Instance(
        id=new_id(),
        study_id=study.id,
        case_id=study.case_id,
        holder=study.holder,
        sop_key=sop_key,
        sop_class_uid=arrival.sop_class_uid,
        transfer_syntax_uid=arrival.transfer_syntax_uid,
        object_id=ref.object_id,
        size_bytes=ref.size_bytes,
        digest=ref.digest,
        generation=ref.generation,
        received_at=clock.now(),
        association_id=arrival.association_id,
        head={name: str(values.get(name, "")) for name in _INSTANCE_HEAD},
    )


def _record(
    instance: Instance, *, study_id: str, source: Actor, records: Records, clock: Clock, policy: Policy
) -> Instance | None:
    """Commit the row with its event and job. Where these very bytes are here already (D6), return that row instead."""
    with records.change(by=source) as change:
        study = change.studies.get(study_id)
        earlier = change.instances.find(study_id=study_id, sop_key=instance.sop_key, order="received_at")
        twin = next((other for other in earlier if other.digest == instance.digest), None)
        if twin is not None:
            change.note("instance_repeated", case_id=study.case_id or "", subject=twin.id)
            return twin
        instance = _placed(instance, study=study, first=earlier[0] if earlier else None)
        change.instances.add(instance)
        case_id = study.case_id or ""
        if instance.conflict_of:
            _hold_conflict(change, instance)
        change.note(
            "instance_kept",
            case_id=case_id,
            subject=instance.id,
            study=study.id,
            sop_class=instance.sop_class_uid,
            bytes=instance.size_bytes,
        )
        now = clock.now()
        if study.state == "settled":
            change.note("study_reopened", case_id=case_id, subject=study.id)
        change.studies.set(study.id, state="receiving", last_at=now, instances=study.instances + 1)
        due = now + timedelta(seconds=policy.quiet_s)
        change.owe("settle_study", study.id, due_at=due, case_id=study.case_id)
    return None


def _placed(instance: Instance, *, study: Study, first: Instance | None) -> Instance:
    """Return the instance with the case its study has by now, and as a conflict where its UID came with other bytes."""
    values = {name: getattr(instance, name) for name in instance.__slots__}
    values["case_id"] = study.case_id
    if first is not None:
        values |= {"conflict_of": first.id, "state": "quarantined"}
    return Instance(**values)


def _hold_conflict(change: Change, instance: Instance) -> None:
    change.note(
        "instance_conflict",
        case_id=instance.case_id or "",
        subject=instance.id,
        first=str(instance.conflict_of),
    )
    if instance.case_id:
        change.findings.add(conflict_finding(instance, instance.case_id))
