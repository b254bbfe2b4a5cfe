"""Forgetting a case: its keys and rows go first, then the bytes; what is left of it is ids, counts and a tombstone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from gateway.domain.errors import ConflictError, InvalidError
from gateway.domain.forgetting import GROUNDS, USUAL_GROUND, Forgetting
from gateway.domain.ids import normal_case_ref
from gateway.domain.people import HOUSE, Actor
from gateway.journeys.index_originals import COLUMNS, sender_keys
from gateway.journeys.keep_commitments import remove_commitments
from gateway.journeys.lookup import case_row, house_secret, uid_key_under
from gateway.ports import Change, Records, View
from storage import SealedStore, StorageError

AT_ONCE_S = 1.0
REMOVE_AFTER = timedelta(seconds=5)
_AT_ONCE = 500


def forget_case(
    *,
    ref: str,
    confirm: str,
    by: Actor,
    records: Records,
    store: SealedStore,
    ground: str = USUAL_GROUND,
    clock: Callable[[], float] = time.monotonic,
) -> Forgetting:
    """Destroy a case for good. ``confirm`` must repeat the reference, ``ground`` is one of ``GROUNDS``.

    1. Rows and keys, with a tombstone for each holder, in one transaction. From its commit on the bytes are unreadable,
       wherever a copy of them lies, and every process refuses the keys within two seconds.
    2. The bytes, for about a second; what is left then is a job, and so is what a crash leaves: ciphertext without a key.

    Storage commitments that name one of its originals go as well; a sender that was not told yet asks again. The certificate
    is given by ``certify_forgetting``.

    Raises
    ------
    ConflictError
        Not confirmed, forgotten already, or under a legal hold (E9).
    """
    if ground not in GROUNDS:
        raise InvalidError(f"«{ground}» is no ground", next_step=f"One of: {', '.join(GROUNDS)}.")
    asked = NamedBy()
    with records.view() as view:
        _refuse_forgotten(view, ref)
        asked.look(view, case_row(view, ref).id, store=store)
    with records.change(by=by) as change:
        _refuse_forgotten(change, ref)
        case = case_row(change, ref)  # nothing of it need open
        if confirm != case.ref:
            raise ConflictError(
                "forgetting cannot be undone", next_step="Repeat the reference of the case to confirm."
            )
        # Those that were asked since, too; the others were opened before this turn to write.
        commitments = remove_commitments(change, asked.look(change, case.id, store=store))
        kept = erase_case(change, case.id, ref=case.ref, by=by, ground=ground, commitments=commitments)
        change.note(
            "case_forgotten",
            case_id=case.id,
            subject=case.ref,
            keys=kept.keys,
            objects=kept.objects,
            commitments=commitments,
            ground=ground,
        )
    with suppress(StorageError):  # the case is forgotten; the job goes on with its bytes
        return remove_objects(kept.id, records=records, store=store, for_s=AT_ONCE_S, clock=clock)
    return kept


def erase_case(
    change: Change, case_id: str, *, ref: str, by: Actor, ground: str, commitments: int
) -> Forgetting:
    """Delete all rows and keys of a case, keep what may be kept of it, and owe the removal of its objects."""
    uploads = [id_ for (id_,) in change.uploads.pick(("id",), case_id=case_id)]
    links = [id_ for (id_,) in change.links.pick(("id",), case_id=case_id)]
    objects = [
        id_ for shelf in (change.instances, change.documents, change.copies)
        for (id_,) in shelf.pick(("object_id",), case_id=case_id) if id_
    ]  # fmt: skip
    objects += [id_ for (id_,) in change.releases.pick(("manifest_object_id",), case_id=case_id) if id_]
    objects += [id_ for (id_,) in change.parts.pick(("object_id",), upload_id=uploads)]
    keks = change.keks_of(case_id)
    rows = change.parts.remove(upload_id=uploads) + change.challenges.remove(link_id=links)
    for shelf in (
        change.sessions,
        change.links,
        change.uploads,
        change.findings,
        change.case_rules,
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
        rows += shelf.remove(case_id=case_id)
    keys = change.destroy_keys(case_id)  # refuses while the case is held, and with it everything above
    rows += change.cases.remove(id=case_id) + change.holds.remove(holder=case_id)
    kept = Forgetting(
        id=case_id,
        ref=ref,
        at=change.now,
        by=str(by),
        ground=ground,
        keys=keys,
        rows=rows,
        objects=len(objects),
        commitments=commitments,
        holders=sorted({holder for holder, _, _ in keks}),
        keks=[[kek_id, version] for kek_id, version in sorted({(k, v) for _, k, v in keks})],
        left=objects,
    )
    change.forgettings.remove(id=case_id)  # a restored case may have been forgotten before
    change.forgettings.add(kept)
    if objects:
        change.owe("remove_objects", case_id, due_at=change.now + REMOVE_AFTER)
    return kept


def remove_objects(
    case_id: str,
    *,
    records: Records,
    store: SealedStore,
    for_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Forgetting:
    """Remove the bytes that a forgotten case left, all of them or for some seconds; done twice it does nothing more."""
    with records.view() as view:
        kept = view.forgettings.get(case_id)
    until, done = clock() + (for_s or 0.0), set[str]()
    for object_id in kept.left:
        if for_s is not None and clock() >= until:
            break
        store.forget(object_id)
        done.add(object_id)
    if not done:
        return kept
    with records.change(by=HOUSE) as change:
        # Another process may have been at it too.
        left = [id_ for id_ in change.forgettings.get(case_id).left if id_ not in done]
        change.forgettings.set(case_id, left=left)
        if not left:
            change.jobs.remove(kind="remove_objects", subject_id=case_id, state="queued")
        change.note("objects_removed", case_id=case_id, objects=len(done), left=len(left))
        return change.forgettings.get(case_id)


def _refuse_forgotten(view: View | Change, ref: str) -> None:
    found = view.forgettings.pick(("id",), ref=normal_case_ref(ref))
    if found and not view.cases.count(id=found[0][0]):
        raise ConflictError(
            "this case was forgotten already",
            next_step="`consilium case certificate REF` gives its certificate.",
        )


class NamedBy:
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
