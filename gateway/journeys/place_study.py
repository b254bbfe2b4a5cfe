"""Finding the study that an arriving instance belongs to, or beginning it: one per sender, case and UID; no byte is kept here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from dicom_node.receiver import ReceivedInstance
from gateway.domain.case import RECEIVING_STATES, Case
from gateway.domain.errors import ConflictError, UnknownCaseError
from gateway.domain.ids import CASE_REF, new_id, normal_case_ref
from gateway.domain.people import Actor
from gateway.domain.policy import Policy
from gateway.domain.study import Study
from gateway.journeys.lookup import house_secret, uid_key_under
from gateway.journeys.match_study import IDENTITY, best_case, described
from gateway.ports import Clock, Records, View
from storage import SealedStore, WrappedKey

MEMO_S = 1.0
MEMO_ENTRIES = 4096
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
    """Where an instance goes: its study, the key that seals it, and the keyed digests under which its UID is found."""

    study_id: str
    key: WrappedKey
    sop_key: str
    sender_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A study that takes instances, and what is needed to place one in it."""

    study_id: str
    key: WrappedKey
    sender: str
    source: str
    secret: bytes

    def place(self, arrival: ReceivedInstance) -> Place:
        uid = arrival.head.sop_instance_uid or arrival.sop_instance_uid
        return Place(
            study_id=self.study_id,
            key=self.key,
            sop_key=uid_key_under(self.secret, self.sender, uid),
            sender_key=uid_key_under(self.secret, self.source, uid),
        )


class PlaceMemo:
    """Remembers for a second where the study of an association goes, so that its next slice need not ask; for one process.

    What is remembered is looked up anew inside the transaction that records the instance: a study that was forgotten, or
    whose case closed meanwhile, is refused there.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spots: dict[tuple[str, ...], tuple[float, _Spot]] = {}

    def get(self, arrival: ReceivedInstance) -> Place | None:
        """Return the place if this association's study was looked up within the last second."""
        until, spot = self._spots.get(_memo_key(arrival), (0.0, None))
        return spot.place(arrival) if spot is not None and self._clock() < until else None

    def put(self, arrival: ReceivedInstance, spot: _Spot) -> None:
        """Remember; single dictionary operations only, as many associations do so at once."""
        if len(self._spots) >= MEMO_ENTRIES:
            self._spots.clear()
        self._spots[_memo_key(arrival)] = (self._clock() + MEMO_S, spot)

    def forget(self, arrival: ReceivedInstance) -> None:
        """Ask anew for the next: this place did not hold."""
        self._spots.pop(_memo_key(arrival), None)


def _memo_key(arrival: ReceivedInstance) -> tuple[str, ...]:
    return arrival.association_id, arrival.called_ae, arrival.head.study_instance_uid


def find_place(
    arrival: ReceivedInstance,
    *,
    source: Actor,
    case: Case | None,
    records: Records,
    store: SealedStore,
    memo: PlaceMemo | None = None,
) -> Place | None:
    """Return the place in a study that still takes instances, or None where one has to be begun.

    The path of every instance but the first of a study: no sealed column is opened here.
    """
    if memo is not None and (place := memo.get(arrival)):
        return place
    with records.view() as view:
        case_id = _bound_case_id(view, arrival) if case is None else case.id
        secret = house_secret(view, store, b"uid-index")
        sender, found = _open_study(view, secret, _base(source, case_id), arrival.head.study_instance_uid)
        if found is None:
            return None
        study_id, holder = found
        key = view.key(holder, "originals")
        spot = _Spot(study_id=study_id, key=key, sender=sender, source=_base(source, None), secret=secret)
    if memo is not None:
        memo.put(arrival, spot)
    return spot.place(arrival)


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
                change.note("study_matched", case_id=bound.id, subject=study.id, score=score)
            else:
                change.note("study_waits", subject=study.id, score=score)
    except ConflictError:  # another association was first
        if place := find_place(arrival, source=source, case=case, records=records, store=store):
            return place
        raise
    with records.view() as view:
        sealing_key = view.key(study.holder, "originals")
    spot = _Spot(study_id=study.id, key=sealing_key, sender=sender, source=_base(source, None), secret=secret)
    return spot.place(arrival)


def _base(source: Actor, case_id: str | None) -> str:
    return f"{source.kind}:{source.id}" + (f">{case_id}" if case_id else "")


def _bound_case_id(view: View, arrival: ReceivedInstance) -> str | None:
    """Return the case that the called AE title names; a title of that form that names none is refused."""
    if not CASE_REF.match(arrival.called_ae.strip().upper()):
        return None
    called = normal_case_ref(arrival.called_ae)
    found = view.cases.pick(("id",), ref=called, state=RECEIVING_STATES)
    if not found:
        raise UnknownCaseError(f"the called AE title {called} names no case that takes studies")
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
