"""Keeping one SOP instance, whichever door it came through: bytes first, row second, answer third."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from dicom_node import status
from dicom_node.ae import is_uid
from dicom_node.errors import DataSetCut
from dicom_node.part10 import file_meta_bytes
from dicom_node.receiver import ReceivedInstance, StoreOutcome
from dicom_node.streams import Replayed
from dicom_node.wholeness import WholeDataSet
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, ConsiliumError, NotFoundError
from gateway.domain.ids import new_id
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.study import Instance
from gateway.journeys.drop_study import drop_empty_study
from gateway.journeys.hold_conflict import conflict_finding
from gateway.journeys.open_case import mark_item
from gateway.journeys.place_study import Place, PlaceMemo, begin_study, find_place
from gateway.ports import Change, Clock, Records
from storage import (
    BYTES_LOST,
    SealedRef,
    SealedStore,
    StorageError,
    WrappedKey,
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
    memo: PlaceMemo | None = None,
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
    memo
        Where a door with long associations remembers the place of their studies for a second.
    """
    head = arrival.head
    if not head.study_instance_uid:
        return StoreOutcome(
            status=status.CANNOT_UNDERSTAND, comment="Study Instance UID (0020,000D) is missing or empty"
        )
    if name := _malformed_uid(arrival):
        return StoreOutcome(status=status.CANNOT_UNDERSTAND, comment=f"{name} is not a valid UID")
    # (1) where does it belong? refused before a byte is kept
    place = find_place(arrival, source=source, case=case, records=records, store=store, memo=memo)
    if place is None:
        place = begin_study(
            arrival, source=source, case=case, records=records, store=store, clock=clock, policy=policy
        )
    try:
        _keep(arrival, place, source=source, records=records, store=store, clock=clock, policy=policy)
    except BaseException as error:
        if memo is not None:
            memo.forget(
                arrival
            )  # the study may have been dropped or closed, and the next is not refused for that
        drop_empty_study(place.study_id, by=source, records=records)
        if isinstance(error, DataSetCut):
            return StoreOutcome(status=status.CANNOT_UNDERSTAND, comment=status.comment(str(error)))
        raise
    # (4) answer
    return StoreOutcome(status=status.SUCCESS)


def _keep(
    arrival: ReceivedInstance,
    place: Place,
    *,
    source: Actor,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
) -> None:
    """Bytes, then row; an error leaves neither."""
    # (2) bytes: sealed as they stream in, durable on return (D1)
    key = place.key
    ref = store.seal(_part10(arrival), key=key, kind="original", limit_bytes=policy.instance_limit_bytes)
    # (3) row, audit event and owed work, or none of them
    try:
        twin = _record(arrival, ref, place, source=source, records=records, clock=clock, policy=policy)
        if twin is not None:
            _keep_whole(twin, ref, key=key, source=source, records=records, store=store)
    except BaseException:
        _forget_unrecorded(ref, records=records, store=store)
        raise


def _keep_whole(
    twin: Instance, fresh: SealedRef, *, key: WrappedKey, source: Actor, records: Records, store: SealedStore
) -> None:
    """Of the same bytes kept twice, keep the first, unless they are not whole any more: then the fresh ones take their place."""
    first = SealedRef(
        object_id=twin.object_id, size_bytes=twin.size_bytes, digest=twin.digest, generation=twin.generation
    )
    try:
        store.verify(first, key=key, kind="original")
    except BYTES_LOST:
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
    return Replayed(head, WholeDataSet(arrival.stream, arrival.transfer_syntax_uid))


def _record(
    arrival: ReceivedInstance,
    ref: SealedRef,
    place: Place,
    *,
    source: Actor,
    records: Records,
    clock: Clock,
    policy: Policy,
) -> Instance | None:
    """Commit the row with its event and what it owes. Where these very bytes are here already (D6), return that row instead."""
    now = clock.now()
    with records.change(by=source) as change:
        standing = change.studies.pick(("case_id", "state", "instances"), id=place.study_id)
        if not standing:
            raise NotFoundError(f"study {place.study_id} was forgotten while an instance of it came")
        case_id, state, count = standing[0]
        if case_id is not None and not change.cases.count(id=case_id, state=RECEIVING_STATES):
            raise ConflictError(
                f"case {case_id} closed while an instance for it came", next_step="Send it again."
            )
        earlier = change.instances.pick(
            ("id", "digest"), study_id=place.study_id, sop_key=place.sop_key, order="received_at"
        )
        twin = next((id_ for id_, digest in earlier if digest == ref.digest), None)
        if twin is not None:
            change.note("instance_repeated", case_id=case_id or "", subject=twin)
            return change.instances.get(twin)
        instance = Instance(
            id=new_id(),
            study_id=place.study_id,
            case_id=case_id,
            holder=place.key.holder,
            sop_key=place.sop_key,
            sender_key=place.sender_key,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            object_id=ref.object_id,
            size_bytes=ref.size_bytes,
            digest=ref.digest,
            generation=ref.generation,
            received_at=now,
            association_id=arrival.association_id,
            head={name: str(getattr(arrival.head, name)) for name in _INSTANCE_HEAD},
            state="quarantined" if earlier else "received",
            conflict_of=earlier[0][0] if earlier else None,
        )
        change.instances.add(instance)
        if instance.conflict_of:
            _hold_conflict(change, instance)
        change.note(
            "instance_kept",
            case_id=case_id or "",
            subject=instance.id,
            study=place.study_id,
            sop_class=instance.sop_class_uid,
            bytes=instance.size_bytes,
        )
        change.studies.set(place.study_id, state="receiving", last_at=now, instances=count + 1)
        if count == 0 and case_id is not None:
            mark_item(change, change.cases.get(case_id), "imaging")
        if state == "settled":
            change.note("study_reopened", case_id=case_id or "", subject=place.study_id)
        if not change.jobs.count(kind="settle_study", subject_id=place.study_id, state="queued"):
            # Else it is owed already, and waits on by itself as long as instances come.
            due = now + timedelta(seconds=policy.quiet_s)
            change.owe("settle_study", place.study_id, due_at=due, case_id=case_id)
    return None


def _hold_conflict(change: Change, instance: Instance) -> None:
    change.note(
        "instance_conflict",
        case_id=instance.case_id or "",
        subject=instance.id,
        first=str(instance.conflict_of),
    )
    if instance.case_id:
        change.findings.add(conflict_finding(instance, instance.case_id))
