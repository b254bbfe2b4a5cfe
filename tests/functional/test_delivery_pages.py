"""Sending a release to a PACS at the desk, in a real browser at two widths and in two languages; no peer is called here."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from gateway.domain.delivery import NO_ANSWER, SOME_REFUSED
from gateway.domain.peer import Peer
from gateway.domain.people import HOUSE
from tests.fakes.chromium import DESK, PHONE
from tests.fakes.staffed_house import StaffedHouse
from tests.functional.test_desk_pages import COORDINATOR, Visit, browser, served

__all__ = ["browser", "served"]  # fixtures

pytestmark = [pytest.mark.functional, pytest.mark.timeout(180)]


@pytest.fixture
def released(served: tuple[StaffedHouse, str]) -> tuple[StaffedHouse, str, str]:
    staffed, url = served
    case = staffed.open()
    staffed.study(case, slices=5)
    staffed.drain()
    staffed.release(case)
    for name, may in (("KAROLINSKA_PACS", True), ("SENDERONLY", False)):
        with staffed.house.records.change(by=HOUSE) as change:
            change.peers.add(
                Peer(
                    ae_title=name, may_receive=may, address="127.0.0.1:104", description="Solna, radiologi",
                    created_at=staffed.clock.now(),
                )
            )  # fmt: skip
            change.note("peer_added", subject=name)
    return staffed, url, case.ref


@pytest.mark.parametrize(
    ("viewport", "language", "words"),
    [
        (PHONE, "sv", ("Skicka till ett PACS", "Stoppa", "Försök igen", "Mottagaren kan inte tolka den")),
        (DESK, "en", ("Send to a PACS", "Stop", "Try again", "The peer cannot understand it")),
    ],
)
def test_a_coordinator_sends_stops_and_tries_again(
    browser: Browser,
    released: tuple[StaffedHouse, str, str],
    tmp_path: Path,
    viewport: dict,
    language: str,
    words: tuple[str, ...],
) -> None:
    staffed, url, ref = released
    panel, stop, again, refused = words
    visit = Visit(browser, url, tmp_path, viewport=viewport, language=language, dark=False)
    page = visit.page
    visit.sign_in(staffed, "desk", COORDINATOR)
    visit.go(f"/desk/cases/{ref}/releases/1")
    expect(page.get_by_role("heading", name=panel)).to_be_visible()
    assert "SENDERONLY" not in page.content()
    visit.shot(f"delivery-1-panel-{language}")
    visit.press("#deliveries button[type=submit]")
    expect(page.get_by_role("heading", level=1)).to_contain_text("KAROLINSKA_PACS")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    visit.shot(f"delivery-2-queued-{language}")

    with staffed.house.records.view() as view:
        (row,) = view.deliveries.find()
        copies = [c.id for c in view.copies.find(case_id=row.case_id) if c.subject_kind == "instance"]
    assert (row.state, row.total) == ("queued", 5)
    outcomes = {copies[0]: ["0000", ""], copies[1]: ["B000", ""], copies[2]: ["C000", "No pixel module"]}
    with staffed.house.records.change(by=HOUSE) as change:
        change.deliveries.set(
            row.id,
            state="sending",
            sent=2,
            warned=1,
            failed=1,
            outcomes=outcomes | {copies[3]: [NO_ANSWER, "x"]},
        )
        change.note("delivery_progressed", subject=row.id)
    # It renews itself without a click.
    expect(page.get_by_text("2 / 5")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(refused)).to_be_visible()
    visit.shot(f"delivery-3-sending-{language}")
    visit.press(f"main button:has-text('{stop}')")
    expect(page.locator(".badge").first).to_have_text("Stoppad" if language == "sv" else "Stopped")
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    visit.shot(f"delivery-4-stopped-{language}")
    with staffed.house.records.change(by=HOUSE) as change:
        change.deliveries.set(row.id, state="incomplete", error=SOME_REFUSED)
        change.note("delivery_ended", subject=row.id)
    visit.go(f"/desk/cases/{ref}/deliveries/{row.id}")
    visit.shot(f"delivery-5-incomplete-{language}")
    visit.press(f"main button:has-text('{again}')")
    with staffed.house.records.view() as view:
        (row,) = view.deliveries.find()
    assert (row.state, sorted(row.outcomes)) == ("queued", sorted(copies[:2]))
    visit.go(f"/desk/cases/{ref}/releases/1")
    visit.shot(f"delivery-6-listed-{language}")
    visit.go(f"/desk/cases/{ref}/trail")
    assert "sv.po" not in page.content()
    visit.close()
