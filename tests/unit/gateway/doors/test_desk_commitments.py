"""Storage commitment at the desk: what senders asked and were told, trying again, and how many of a study are here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.commitment import Commitment
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
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


def _commitment(staffed, number, state, **values):
    now = staffed.clock.now() + timedelta(seconds=number)
    fixed = {
        "id": f"{number:032x}", "peer": f"PACS{number}", "called": "CONSILIUM", "transaction_uid": f"1.2.{number}",
        "association_id": "a1", "asked_at": now, "total": 1, "state": state,
    }  # fmt: skip
    held = Commitment(**(fixed | values))
    with staffed.house.records.change(by=OPERATOR) as change:
        change.commitments.add(held)
        change.note("commitment_asked", subject=held.id)
    return held


def test_what_was_given_up_stands_first_and_can_be_tried_again(staffed, desk):
    lost = _commitment(staffed, 1, "given_up", committed=199, failed=1, error="no connection to 10.0.0.9:104")
    _commitment(staffed, 2, "reported", committed=5, error="")
    page = desk.get("/desk/commitments").text
    assert page.index("PACS1") < page.index("PACS2")
    assert "no connection to 10.0.0.9:104" in page
    assert "Given up" in page
    assert page.count("Tell the sender now") == 1
    answer = desk.post(f"/desk/commitments/{lost.id}/retry", {})
    assert answer.headers["location"] == "/desk/commitments?done=commitment_retried"
    assert "It is tried again now." in desk.get(answer.headers["location"]).text
    with staffed.house.records.view() as view:
        assert view.commitments.get(lost.id).state == "asked"
        assert [job.kind for job in view.jobs.find(subject_id=lost.id)] == ["decide_commitment"]
    # Work that failed for good leaves it "asked": trying again owes the work anew.
    with staffed.house.records.change(by=OPERATOR) as change:
        change.jobs.remove(subject_id=lost.id)
        change.note("job_failed", subject=lost.id)
    assert desk.post(f"/desk/commitments/{lost.id}/retry", {}).status_code == 303
    with staffed.house.records.view() as view:
        assert [job.kind for job in view.jobs.find(subject_id=lost.id)] == ["decide_commitment"]


def test_the_page_speaks_swedish_and_says_when_nobody_asked(desk):
    page = desk.get("/desk/commitments?lang=sv").text
    assert "Ingen avsändare har frågat än." in page


@pytest.mark.parametrize(
    ("instances", "told", "said"),
    [
        (180, 200, "180 of 200 images"),
        (200, 200, "200 of 200 images"),
        (201, 200, "201 images"),
        (7, 0, "7 images"),
    ],
)
def test_a_study_says_how_many_of_its_images_are_here(staffed, desk, instances, told, said):
    case = staffed.open()
    study = staffed.study(case)
    with staffed.house.records.change(by=OPERATOR) as change:
        change.studies.put(replace(study, instances=instances, told=told, case_id=case.id))
        change.studies.add(
            replace(study, id="f" * 32, case_id=None, study_key="x", instances=instances, told=told)
        )
        change.note("study_matched", subject=study.id)
    assert said in desk.get(f"/desk/cases/{case.ref}").text
    assert said in desk.get("/desk/inbox").text
