"""The store page in a real browser: nothing wider than a phone, something lost is seen from the board and looked at again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from gateway.doors.troubles import Troubles
from gateway.journeys.scrub_store import scrub_store
from gateway.journeys.sweep_store import sweep_store
from storage import (
    KeyServiceError,
    StoreDeniedError,
    StoreLowError,
    StoreOutageError,
    VolumeAwayError,
    VolumeFailedError,
    new_object_id,
)
from tests.fakes.chromium import DESK, SMALL_PHONE
from tests.fakes.staffed_house import OPERATOR
from tests.functional.test_desk_pages import COORDINATOR, Visit, browser, served  # noqa: F401  # fixtures

pytestmark = pytest.mark.functional


@pytest.mark.parametrize(("shape", "language"), [(SMALL_PHONE, "sv"), (DESK, "en")])
def test_something_lost_is_seen_and_looked_at_again(browser, served, tmp_path, shape, language):  # noqa: F811
    staffed, url = served
    staffed.study(staffed.open())
    house = staffed.house
    with house.records.view() as view:
        first, second = (kept.object_id for kept in view.kept.page(limit=2))
    folder = tmp_path / "home" / "store" / "objects"
    path = folder / first[:2] / first
    path.rename(tmp_path / "away")
    broken = folder / second[:2] / second
    broken.write_bytes(broken.read_bytes()[:-1])
    orphan = new_object_id()
    (folder / orphan[:2] / orphan).write_bytes(b"?")
    ports = {"records": house.records, "store": house.store, "clock": house.clock, "by": OPERATOR}
    sweep_store(**ports)
    list(scrub_store(**ports))
    visit = Visit(browser, url, tmp_path, viewport=shape, language=language, dark=False)
    visit.sign_in(staffed, "desk", COORDINATOR)
    visit.press("a.banner[href='/desk/store']")
    visit.shot("store-lost")
    assert visit.page.locator("form[action$='/settle']").count() == 2
    (tmp_path / "away").rename(path)
    row = visit.page.locator("tr", has_text=first)
    with visit.page.expect_navigation():
        row.locator("button").click()
    expect(visit.page.locator("main")).not_to_contain_text(first)
    expect(visit.page.locator("main")).to_contain_text(second)
    visit.shot("store-settled")
    visit.close()


@pytest.mark.parametrize(("shape", "language"), [(SMALL_PHONE, "sv"), (DESK, "en")])
def test_every_kind_of_trouble_and_a_certificate_fit_the_page(browser, served, tmp_path, shape, language):  # noqa: F811
    staffed, url = served
    case = staffed.open()
    door = Troubles(staffed.house, "dicom")
    for error in (
        StoreLowError,
        VolumeFailedError,
        VolumeAwayError,
        StoreOutageError,
        StoreDeniedError,
        KeyServiceError,
    ):
        door.refused(error("x"))
    visit = Visit(browser, url, tmp_path, viewport=shape, language=language, dark=False)
    visit.sign_in(staffed, "desk", COORDINATOR)
    for path in ("", "store"):
        visit.go(f"/desk/{path}")
        expect(visit.page.locator(".trouble")).to_have_count(6)
        visit.shot(f"trouble-{path}")
    door.went_well()
    visit.go("/desk/")
    expect(visit.page.locator(".trouble")).to_have_count(0)
    visit.go(f"/desk/cases/{case.ref}")
    visit.page.locator("details:has([name=confirm]) summary").click()
    visit.shot("forget")
    visit.page.fill("[name=confirm]", case.ref)
    visit.press("form[action$='/forget'] button")
    visit.shot("certificate")
    visit.go("/desk/forgotten")
    visit.shot("forgotten")
    visit.close()
