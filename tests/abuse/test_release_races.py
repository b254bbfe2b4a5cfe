"""Approving, withdrawing and judging at the same moment: whatever comes first, nothing that was taken back is open (#38)."""

import random
import threading

import pytest

from gateway.domain.errors import ConsiliumError, NotFoundError
from gateway.journeys import release_case
from gateway.journeys.open_release import open_release
from gateway.journeys.receive_instance import receive_instance
from gateway.journeys.sign_in import add_person
from tests import factories
from tests.fakes.journey_house import DESK, PACS, arrival, open_house

pytestmark = pytest.mark.abuse
ROUNDS = 25


@pytest.fixture
def house(tmp_path):
    made = open_house(tmp_path)
    yield made
    made.close()


def test_a_release_that_is_approved_and_withdrawn_at_once_ends_as_its_last_event_says(house):
    case = house.case()
    receive_instance(
        arrival(factories.ct_instance(), called_ae=case.ref), source=PACS,
        **house.ports("records", "store", "clock", "policy"),
    )  # fmt: skip
    house.work()
    add = house.ports("records", "store", "clock", "random")
    person = add_person(role="reviewer", email="rut@example.org", by=DESK, **add).person.id
    outcomes = set()
    for turn in range(ROUNDS):
        release = release_case.build_release(
            ref=case.ref, by=DESK, **house.ports("records", "store", "sandbox", "clock")
        )
        start = threading.Barrier(3)

        def approve(release=release, start=start):
            start.wait(30)
            release_case.approve_release(
                ref=case.ref, by=DESK, number=release.number, reviewers=["rut@example.org"],
                **house.ports("records", "store", "clock", "policy"),
            )  # fmt: skip

        def withdraw(release=release, start=start):
            start.wait(30)
            release_case.withdraw_release(release_id=release.id, by=DESK, **house.ports("records", "clock"))

        steps = [approve, approve, withdraw]
        random.Random(turn).shuffle(steps)
        threads = [threading.Thread(target=_quietly, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        told = [e.kind for e in house.events() if e.subject == release.id and e.kind.startswith("release_")]
        state = next(r.state for r in house.rows("releases") if r.id == release.id)
        outcomes.add(tuple(told))
        assert told.count("release_approved") <= 1
        assert told[-1] == "release_withdrawn"
        assert state == "withdrawn"
        with pytest.raises(NotFoundError):
            open_release(release.id, person_id=person, address="", **house.ports("records", "store", "clock"))
    assert house.events("release_opened") == []
    assert ("release_built", "release_withdrawn") in outcomes or len(outcomes) == 1


def _quietly(step):
    try:
        step()
    except ConsiliumError:
        return
