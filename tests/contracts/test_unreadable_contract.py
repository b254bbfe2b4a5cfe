"""A case whose key does not open, over each database: told by its reference, forgotten all the same, and in nobody's way."""

import pytest

from gateway.domain.errors import ConflictError, UnreadableError
from gateway.domain.people import HOUSE
from gateway.journeys.abandon_key import abandon_key
from gateway.journeys.certify_forgetting import give_certificate
from gateway.journeys.drop_study import sweep_empty_studies
from gateway.journeys.forget_case import forget_case
from gateway.journeys.hold_case import hold_case, unhold_case
from gateway.journeys.keep_register import keep_register
from gateway.journeys.match_study import best_case
from gateway.journeys.read_audit import read_case_trail
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.show_case import list_cases, show_case
from gateway.journeys.watch_case import watch_cases
from gateway.records.sealed_columns import KeyRing
from storage import FileKeys, KeyServiceError, MasterKeys
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival
from tests.fakes.spoilt_key import spoil_key, start_afresh


def abandon(house, case):
    masters = MasterKeys(FileKeys(house.folder / "master.json"), tenant="consilium")
    abandon_key(case.id, "originals", confirm=case.id, by=HOUSE, records=house.records, masters=masters)
    start_afresh(house)


def listed(house):
    files, unreadable = list_cases(**house.ports("records", "clock", "policy"))
    return [f.case.ref for f in files], [one.ref for one in unreadable]


@pytest.mark.parametrize("is_given_up", [False, True])
def test_one_bad_key_hides_no_other_case_and_is_told_by_its_reference(house, is_given_up):
    good, bad = house.case(), house.case()
    spoil_key(house, bad.id)
    if is_given_up:
        abandon(house, bad)
    assert listed(house) == ([good.ref], [bad.ref])
    assert {one.ref for one in watch_cases(records=house.records)[0]} == {good.ref, bad.ref}
    with pytest.raises(UnreadableError, match="cannot be read: its key does not open") as refused:
        show_case(ref=bad.ref, by=DESK, **house.ports("records", "clock", "policy"))
    assert "backup" in refused.value.next_step
    with house.records.view() as view:
        found, unopened = view.cases.find_readable()
        assert ([one.ref for one in found], unopened) == ([good.ref], [bad.id])
        best_case(view, {"patient_id": "x"}, policy=house.policy)  # what a sender waits for


@pytest.mark.parametrize("is_given_up", [False, True])
def test_it_is_forgotten_with_its_keys_rows_and_certificate(house, is_given_up):
    good, bad = house.case(), house.case()
    spoil_key(house, bad.id)
    if is_given_up:
        abandon(house, bad)
    kept = forget_case(ref=bad.ref, confirm=bad.ref, by=DESK, records=house.records, store=house.store)
    assert (kept.ref, kept.keys) == (bad.ref, 2)
    assert listed(house) == ([good.ref], [])
    ports = house.ports("records", "store", "register", "policy")
    keep_register(**house.ports("records", "store", "register"))
    assert give_certificate(bad.ref, by=DESK, **ports).body["case"] == bad.ref


def test_hold_whose_reason_does_not_open_holds_all_the_same_until_it_is_ended(house):
    bad = house.case()
    hold_case(ref=bad.ref, reason="a court", by=DESK, records=house.records)
    spoil_key(house, bad.id)
    with pytest.raises(ConflictError, match="legal hold"):
        forget_case(ref=bad.ref, confirm=bad.ref, by=DESK, records=house.records, store=house.store)
    unhold_case(ref=bad.ref, reason="over", by=DESK, records=house.records)
    assert house.events("case_unheld")[-1].case_id == bad.id
    forget_case(ref=bad.ref, confirm=bad.ref, by=DESK, records=house.records, store=house.store)
    assert listed(house) == ([], [])


def test_outage_of_the_key_service_is_told_as_one_and_never_as_damage(house, monkeypatch):
    case = house.case()

    def away(*_args, **_more):
        raise KeyServiceError("timeout")

    monkeypatch.setattr(KeyRing, "open", away)
    with pytest.raises(KeyServiceError):
        listed(house)
    with pytest.raises(KeyServiceError), house.records.view() as view:
        view.cases.find_readable()
    with pytest.raises(KeyServiceError):
        show_case(ref=case.ref, by=DESK, **house.ports("records", "clock", "policy"))


def test_duty_that_drops_empty_studies_and_the_trail_need_nothing_opened(house):
    bad = house.case()
    _receive(house, seed=9, number=1)
    _receive(house, seed=8, number=1)
    studies = house.rows("studies")
    assert len(studies) == 2
    with house.records.change(by=DESK) as change:  # as a crash leaves them
        for study in studies:
            change.instances.remove(study_id=study.id)
            change.studies.set(study.id, instances=0)
        change.note("case_read")
    spoil_key(house, studies[0].holder)
    spoil_key(house, bad.id)
    house.clock.forward(hours=2)
    assert sweep_empty_studies(**house.ports("records", "clock")) == 2
    case, events, _ = read_case_trail(ref=bad.ref, by=DESK, records=house.records)
    assert (case.ref, bool(events)) == (bad.ref, True)


def test_case_is_listed_apart_when_only_a_study_of_it_does_not_open_and_originals_without_a_senders_key_die_too(
    house,
):
    """What version 1 kept has no sender's key, and finding it reads the instance, which does not open either."""
    bad = house.case(seed=1)
    _receive(house, seed=1, number=1)  # found by its patient: the study has a key of its own
    (study,) = house.rows("studies")
    assert (study.case_id, study.holder) == (bad.id, study.id)
    (instance,) = house.rows("instances")
    with house.records.change(by=DESK) as change:
        change.instances.set(instance.id, sender_key="")
        change.studies.set(study.id, sender=f"{study.sender}#2")
        change.note("case_read")
    spoil_key(house, study.holder)
    assert listed(house) == ([], [bad.ref])
    kept = forget_case(ref=bad.ref, confirm=bad.ref, by=DESK, records=house.records, store=house.store)
    assert (kept.keys, kept.objects) == (3, 1)
    assert house.objects() == set()


def _receive(house, *, seed, number):
    receive_instance(
        arrival(factories.ct_instance(seed, number=number), called_ae="CONSILIUM"),
        source=PACS,
        **house.ports("records", "store", "clock", "policy"),
    )
