"""Finding the study that an arriving instance belongs to, or beginning it: one per sender, case and UID; no byte is kept here."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dicom_node.receiver import ReceivedInstance
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.ids import CASE_REF, new_id, normal_case_ref
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.study import Study
from gateway.journeys.lookup import house_secret, uid_key_under
from gateway.journeys.match_study import IDENTITY, best_case, described
from gateway.journeys.open_case import mark_item
from gateway.ports import Clock, Records, View
from storage import SealedStore, WrappedKey

_STUDY_HEAD = (
    *IDENTITY,
    "study_instance_uid",
    "accession_number",
    "study_date",
    "study_description",
    "issuer_of_patient_id",
    "modality",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an instance goes: its study, the key that seals it, and the keyed digest under which its UID is found."""

    study_id: str
    key: WrappedKey
    sop_key: str


def find_place(
    arrival: ReceivedInstance, *, source: Actor, case: Case | None, records: Records, store: SealedStore
) -> Place | None:
    """Return the place in a study that still takes instances, or None where one has to be begun.

    The path of every instance but the first of a study: no sealed column is opened here.
    """
    with records.view() as view:
        case_id = _bound_case_id(view, arrival) if case is None else case.id
        secret = house_secret(view, store, b"uid-index")
        sender, found = _open_study(view, secret, _base(source, case_id), arrival.head.study_instance_uid)
        if found is None:
            return None
        study_id, holder = found
        return _place(view, secret, arrival, sender=sender, study_id=study_id, holder=holder)


def begin_study(
    arrival: ReceivedInstance,
    *,
    source: Actor,
    case: Case | None,
    records: Records,
    store: SealedStore,
    clock: Clock,
    policy: Policy,
) -> Place:
    """Begin the study of its first instance: bound by the called AE title or the link, else matched by its header."""
    with records.view() as view:
        case_id = _bound_case_id(view, arrival) if case is None else case.id
        secret = house_secret(view, store, b"uid-index")
        base = _base(source, case_id)
        sender, _ = _open_study(view, secret, base, arrival.head.study_instance_uid)
        bound, match = (
            (view.cases.get(case_id), None) if case_id else best_case(view, arrival.head, policy=policy)
        )
    now, study_id = clock.now(), new_id()
    by_door = {"score": 100, "reasons": ["called_ae" if source.kind == "peer" else "link"]}
    values = asdict(arrival.head)
    study = Study(
        id=study_id,
        case_id=bound.id if bound else None,
        holder=case_id or study_id,
        sender=sender,
        study_key=uid_key_under(secret, sender, arrival.head.study_instance_uid),
        received_at=now,
        last_at=now,
        match=by_door if case_id else described(match),
        head={name: str(values.get(name, "")) for name in _STUDY_HEAD},
    )
    key = None if case_id else store.new_key(holder=study.holder, purpose="originals")
    try:
        with records.change(by=source) as change:
            if key is not None:
                change.add_key(key, case_id=study.case_id)
            change.studies.add(study)
            score = int(study.match.get("score", 0))
            if bound is not None:
                mark_item(change, change.cases.get(bound.id), "imaging")
                change.note("study_matched", case_id=bound.id, subject=study.id, score=score)
            else:
                change.note("study_unmatched", subject=study.id, score=score)
    except ConflictError:  # another association was first
        if place := find_place(arrival, source=source, case=case, records=records, store=store):
            return place
        raise
    with records.view() as view:
        return _place(view, secret, arrival, sender=sender, study_id=study.id, holder=study.holder)


def _place(
    view: View, secret: bytes, arrival: ReceivedInstance, *, sender: str, study_id: str, holder: str
) -> Place:
    sop_instance_uid = arrival.head.sop_instance_uid or arrival.sop_instance_uid
    return Place(
        study_id=study_id,
        key=view.key(holder, "originals"),
        sop_key=uid_key_under(secret, sender, sop_instance_uid),
    )


def _base(source: Actor, case_id: str | None) -> str:
    return f"{source.kind}:{source.id}" + (f">{case_id}" if case_id else "")


def _bound_case_id(view: View, arrival: ReceivedInstance) -> str | None:
    """Return the case that the called AE title names; a title of that form that names none is refused."""
    if not CASE_REF.match(arrival.called_ae.strip().upper()):
        return None
    called = normal_case_ref(arrival.called_ae)
    found = view.cases.pick(("id",), ref=called, state=RECEIVING_STATES)
    if not found:
        raise NotFoundError(f"the called AE title {called} names no case that takes studies")
    return str(found[0][0])


def _open_study(view: View, secret: bytes, base: str, uid: str) -> tuple[str, tuple[str, str] | None]:
    """Return the sender's row of this study that still takes instances (id, holder), or the name under which to begin one.

    What comes for a case that is closed is not added to it unseen: it begins a row of its own, and is matched anew.
    """
    count = 1
    while True:
        sender = base if count == 1 else f"{base}#{count}"
        found = view.studies.pick(
            ("id", "holder", "case_id"), sender=sender, study_key=uid_key_under(secret, sender, uid)
        )
        if not found:
            return sender, None
        study_id, holder, case_id = found[0]
        if case_id is None or view.cases.count(id=case_id, state=RECEIVING_STATES):
            return sender, (study_id, holder)
        count += 1
