"""The store at the desk: all well, something lost with its next step, and looking again; in both languages."""

from __future__ import annotations

import pytest

from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from gateway.journeys.scrub_store import scrub_store
from gateway.journeys.sweep_store import sweep_store
from storage import new_object_id
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR

HER = "desk@example.org"


@pytest.fixture
def desk(staffed):
    config = DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en")
    with Browser(desk_app(staffed.house, config)) as browser:
        browser.http.cookies.set("consilium-desk", staffed.token(HER))
        browser.get("/desk/")
        yield browser


def _look(house):
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": OPERATOR}
    sweep_store(**ports)
    list(scrub_store(**ports))


def test_a_store_that_nobody_has_looked_at_promises_nothing(staffed, desk):
    staffed.study(staffed.open())
    page = desk.get("/desk/store").text
    assert "as it should be" not in page
    assert "not yet" in page


def test_all_is_well_and_says_when_it_was_looked_at(staffed, desk):
    staffed.study(staffed.open())
    _look(staffed.house)
    page = desk.get("/desk/store").text
    assert "Everything that was looked at is as it should be." in page
    assert "not yet" not in page
    assert "Some objects" not in desk.get("/desk/").text
    assert 'href="/desk/store"' in desk.get("/desk/").text


def test_what_is_lost_stands_on_the_board_with_its_case_and_ends_when_it_is_whole_again(
    staffed, desk, tmp_path
):
    case = staffed.open()
    staffed.study(case)
    house = staffed.house
    with house.records.view() as view:
        object_id = view.instances.find()[0].object_id
    path = tmp_path / "store" / "objects" / object_id[:2] / object_id
    path.rename(tmp_path / "away")
    orphan = new_object_id()
    (tmp_path / "store" / "objects" / orphan[:2] / orphan).write_bytes(b"?")
    _look(house)
    assert "Some objects are not as they should be" in desk.get("/desk/").text
    page = desk.get("/desk/store").text
    for said in (
        "Missing",
        object_id,
        case.ref,
        "brings the object back from a backup",
        orphan,
        "Without a row",
    ):
        assert said in page
    assert page.count("Look again</button>") == 1
    assert "Vinterqvist" not in page
    with house.records.view() as view:
        finding = view.store_findings.find(kind="missing")[0]
    answer = desk.post(f"/desk/store/{finding.id}/settle", {})
    assert "It is still as it was" in desk.get(answer.headers["location"]).text
    (tmp_path / "away").rename(path)
    answer = desk.post(f"/desk/store/{finding.id}/settle", {})
    page = desk.get(answer.headers["location"]).text
    assert "The object was read whole. The finding is closed." in page
    assert object_id not in page
    assert "store_finding_settled" in staffed.kinds()


def test_the_page_speaks_swedish(staffed, desk):
    staffed.study(staffed.open())
    _look(staffed.house)
    page = desk.get("/desk/store?lang=sv").text
    assert "Allt som har granskats är som det ska." in page
    assert "Senast läst i sin helhet" in page
