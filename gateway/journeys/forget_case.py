"""Forgetting a case: its keys and rows go first, then the bytes; what is left of it is the audit trail's ids."""

from __future__ import annotations

from gateway.domain.errors import ConflictError
from gateway.domain.people import Actor
from gateway.journeys.lookup import case_by_ref
from gateway.ports import Records
from storage import SealedStore


def forget_case(*, ref: str, confirm: str, by: Actor, records: Records, store: SealedStore) -> int:
    """Destroy a case for good and return how many objects were removed. ``confirm`` must repeat the reference.

    Keys and rows first (deletion runs the other way round): from that commit on the bytes are unreadable, wherever a copy
    of them lies. Removing them afterwards only frees the room: what a crash leaves there is ciphertext without a key.
    """
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if confirm != case.ref:
            raise ConflictError(
                "forgetting cannot be undone", next_step=f"Repeat the reference to confirm: {case.ref}."
            )
        objects = [row.object_id for row in change.instances.find(case_id=case.id)]
        objects += [row.object_id for row in change.documents.find(case_id=case.id) if row.object_id]
        objects += [row.object_id for row in change.copies.find(case_id=case.id)]
        objects += [row.manifest_object_id for row in change.releases.find(case_id=case.id)]
        uploads = [row.id for row in change.uploads.find(case_id=case.id)]
        objects += [row.object_id for row in change.parts.find(upload_id=uploads)]
        links = [row.id for row in change.links.find(case_id=case.id)]
        change.parts.remove(upload_id=uploads)
        change.challenges.remove(link_id=links)
        for shelf in (
            change.sessions,
            change.links,
            change.uploads,
            change.findings,
            change.grants,
            change.answers,
            change.deliveries,
            change.releases,
            change.copies,
            change.documents,
            change.instances,
            change.studies,
            change.jobs,
        ):
            shelf.remove(case_id=case.id)
        change.cases.remove(id=case.id)
        keys = change.destroy_keys(case.id)
        change.note("case_forgotten", case_id=case.id, subject=case.ref, keys=keys, objects=len(objects))
    for object_id in objects:
        store.forget(object_id)
    return len(objects)
