"""Forgetting a case: its keys and rows go first, then the bytes; what is left of it is the audit trail's ids."""

from __future__ import annotations

from gateway.domain.errors import ConflictError
from gateway.domain.people import Actor
from gateway.journeys.index_originals import COLUMNS, sender_keys
from gateway.journeys.keep_commitments import remove_commitments
from gateway.journeys.lookup import case_by_ref, house_secret, uid_key_under
from gateway.ports import Change, Records, View
from storage import SealedStore


def forget_case(*, ref: str, confirm: str, by: Actor, records: Records, store: SealedStore) -> int:
    """Destroy a case for good and return how many objects were removed. ``confirm`` must repeat the reference.

    Keys and rows first (deletion runs the other way round): from that commit on the bytes are unreadable, wherever a copy
    of them lies. Removing them afterwards only frees the room: what a crash leaves there is ciphertext without a key.
    Storage commitments that name one of its originals go as well; a sender that was not told yet asks again.
    """
    asked = _Named()
    with records.view() as view:
        asked.look(view, case_by_ref(view, ref).id, store=store)
    with records.change(by=by) as change:
        case = case_by_ref(change, ref)
        if confirm != case.ref:
            raise ConflictError(
                "forgetting cannot be undone", next_step=f"Repeat the reference to confirm: {case.ref}."
            )
        # Those that were asked since, too; the others were opened before this turn to write.
        commitments = remove_commitments(change, asked.look(change, case.id, store=store))
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
        change.note(
            "case_forgotten",
            case_id=case.id,
            subject=case.ref,
            keys=keys,
            objects=len(objects),
            commitments=commitments,
        )
    for object_id in objects:
        store.forget(object_id)
    return len(objects)


class _Named:
    """Which commitments name an original of a case: they hold UIDs, and under the house's key, which outlives the case's."""

    def __init__(self) -> None:
        self._keys = frozenset[str]()
        self._opened: dict[str, bool] = {}

    def look(self, view: View | Change, case_id: str, *, store: SealedStore) -> list[str]:
        """Return their ids. What was opened before is not opened again: what a question names never changes."""
        rows = view.instances.pick(COLUMNS, case_id=case_id)
        keys = frozenset(sender_keys(view, rows, store=store).values())
        if keys != self._keys:
            self._keys, self._opened = keys, {}
        secret = house_secret(view, store, b"uid-index")
        for commitment_id, peer in view.commitments.pick(("id", "peer")):
            if commitment_id not in self._opened:
                named = view.asked_instances.first(id=commitment_id)
                uids = [uid for _, uid in named.references] if named else []
                self._opened[commitment_id] = any(
                    uid_key_under(secret, f"peer:{peer}", uid) in keys for uid in uids
                )
        return [commitment_id for commitment_id, is_named in self._opened.items() if is_named]
