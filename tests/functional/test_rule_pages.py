"""Drawing what is to be masked, in a real browser over a real server with the real craft: by mouse, finger, keys and numbers."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread

from gateway.adapters.sandbox import ForkingSandbox
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig, House, server
from gateway.journeys.make_copy import read_copy
from gateway.journeys.receive_instance import receive_instance
from tests import factories
from tests.fakes.chromium import DESK, PHONE, chromium
from tests.fakes.desk_person import person
from tests.fakes.journey_house import PACS, JourneyHouse, arrival, open_house

pytestmark = pytest.mark.functional

WIDE, HIGH = 480, 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[JourneyHouse, str]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    house = open_house(tmp_path)
    with ForkingSandbox(workers=2) as sandbox:
        house.sandbox = sandbox  # type: ignore[assignment]  # the confined one
        config = DoorConfig(public_url=url, prefix="/desk", default_language="en")
        app = House({"/desk": desk_app(house.as_house(), config)}, front="/desk")
        web = server(app, host="127.0.0.1", port=listener.getsockname()[1])
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield house, url
        finally:
            web.should_exit = True
            thread.join(20)
            house.close()


def screen(number: int = 1) -> bytes:
    """A captured screen: a picture with lines in it, and a curve that no machine takes for a name."""
    picture = Image.new("L", (WIDE, HIGH), 30)
    drawing = ImageDraw.Draw(picture)
    drawing.ellipse((160, 90, 340, 250), outline=200, width=3)
    drawing.line([(20 + 6 * i, 30 + int(14 * np.sin(i))) for i in range(24)], fill=240, width=3)
    return factories.ct_instance(
        number=number,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        Modality="OT",
        ConversionType="WSD",
        ImageType=["DERIVED", "SECONDARY"],
        Rows=HIGH,
        Columns=WIDE,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        BurnedInAnnotation="YES",
        ManufacturerModelName="Grabber 2",
        PixelData=picture.tobytes(),
    )


def held(house: JourneyHouse, count: int = 1) -> tuple[str, list[str]]:
    case = house.case()
    for number in range(1, count + 1):
        ports = house.ports("records", "store", "clock", "policy")
        receive_instance(arrival(screen(number), called_ae=case.ref), source=PACS, **ports)
    house.work()
    found = house.rows("findings", state="open")
    assert len({finding.subject_id for finding in found}) == count
    return case.ref, [finding.id for finding in found]


def visit(browser: Browser, url: str, token: str, shape: dict, language: str = "en") -> Page:
    context = browser.new_context(**shape, locale="sv-SE" if language == "sv" else "en-GB")
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": "consilium-desk", "value": token, "url": f"{url}/desk"}])
    return context.new_page()


def shown(page: Page, folder: Path, name: str) -> None:
    """Nothing may stand wider than the window; then the picture is taken."""
    page.wait_for_timeout(200)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert wide <= 0, f"{name} is {wide} px too wide"


def pixels(house: JourneyHouse, subject_id: str) -> np.ndarray:
    (copy,) = house.rows("copies", subject_id=subject_id, state="verified")
    return dcmread(io.BytesIO(read_copy(copy, **house.ports("records", "store")))).pixel_array


def subject_of(house: JourneyHouse, finding_id: str) -> str:
    return house.rows("findings", id=finding_id)[0].subject_id


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of the picture to another, in parts of its width and height."""
    box = page.locator(".canvas svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=6)
    page.mouse.up()


def numbers(page: Page, row: int) -> list[int]:
    place = page.locator(".place").nth(row)
    return [
        int(place.locator(f"input[name={side}]").input_value()) for side in ("left", "top", "width", "height")
    ]


def test_a_place_is_drawn_moved_resized_and_removed_and_the_copy_shows_it_masked(browser, served, tmp_path):
    house, url = served
    ref, (finding, *_) = held(house)
    subject = subject_of(house, finding)
    before = pixels(house, subject)
    page = visit(browser, url, person(house, "coordinator", "her@example.org"), DESK)
    page.goto(f"{url}/desk/cases/{ref}/findings")
    with page.expect_navigation():
        page.get_by_role("link", name="Look closer").first.click()
    expect(page.locator(".canvas img")).to_have_js_property("complete", True)
    for row in page.locator(
        ".place"
    ).all():  # what the machine proposes is taken away: this test draws itself
        row.locator("input[name=left]").fill("")
    expect(page.locator("rect.drawn")).to_have_count(0)

    drag(page, (0.05, 0.05), (0.30, 0.20))
    expect(page.locator("rect.drawn")).to_have_count(1)
    drawn = next(
        i
        for i, row in enumerate(page.locator(".place").all())
        if row.locator("input[name=left]").input_value()
    )
    left, top, width, height = numbers(page, drawn)
    assert [left, top, width, height] == pytest.approx([24, 18, 120, 54], abs=4)

    drag(page, (0.15, 0.10), (0.25, 0.10))  # taken in its middle it moves
    assert abs(numbers(page, drawn)[0] - left - 48) <= 3
    assert numbers(page, drawn)[2:] == [width, height]
    page.locator("rect.drawn").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert numbers(page, drawn)[2] > width
    page.keyboard.press("Delete")
    expect(page.locator("rect.drawn")).to_have_count(0)

    drag(page, (0.02, 0.02), (0.36, 0.16))
    shown(page, tmp_path, "look-drawn")
    place = numbers(page, drawn)
    with page.expect_navigation():
        page.locator("button[name=kind][value=mask]").click()
    expect(page.locator("main .alert.good")).to_be_visible()
    shown(page, tmp_path, "look-waiting")
    house.work()
    after = pixels(house, subject)
    left, top, width, height = place
    assert len(np.unique(after[top : top + height, left : left + width])) == 1
    assert len(np.unique(before[top : top + height, left : left + width])) > 1
    assert (after[120:, :] == before[120:, :]).all()
    page.reload()
    picture = page.request.get(f"{url}{page.locator('.canvas img').get_attribute('src')}").body()
    seen = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    assert len(np.unique(seen[top + 2 : top + height - 2, left + 2 : left + width - 2])) == 1
    expect(page.locator("rect.reviewed")).to_have_count(1)
    shown(page, tmp_path, "look-masked")
    page.goto(f"{url}/desk/cases/{ref}/findings")
    expect(page.locator(".finding.open")).to_have_count(0)


def test_a_finger_draws_on_a_phone_and_scrolls_where_nothing_is_drawn(browser, served, tmp_path):
    house, url = served
    ref, (finding, *_) = held(house)
    page = visit(browser, url, person(house, "coordinator", "her@example.org"), PHONE, "sv")
    page.goto(f"{url}/desk/findings/{finding}")
    expect(page.locator(".canvas img")).to_have_js_property("complete", True)
    for row in page.locator(".place").all():
        row.locator("input[name=left]").fill("")
    stage, sheet = page.locator(".stage"), page.locator(".canvas svg")
    if "on" in (stage.get_attribute("class") or ""):
        page.locator("[data-draw]").click()
    assert sheet.evaluate("one => getComputedStyle(one).touchAction") == "auto"
    page.locator("[data-draw]").click()
    assert sheet.evaluate("one => getComputedStyle(one).touchAction") == "none"
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box
    client = page.context.new_cdp_session(page)
    at = [
        {"x": box["x"] + box["width"] * part, "y": box["y"] + box["height"] * part}
        for part in (0.1, 0.2, 0.4)
    ]
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at[0]]})
    for point in at[1:]:
        client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("rect.drawn")).to_have_count(1)
    shown(page, tmp_path, "look-phone")
    page.locator("input[name=reach][value=layout]").check()
    with page.expect_navigation():
        page.locator("button[name=kind][value=mask]").click()
    shown(page, tmp_path, "rules-phone")
    house.work()
    assert house.rows("findings", state="open") == []
    (rule,) = house.rows("case_rules")
    assert (rule.scope, len(rule.body["rectangles"])) == ("layout", 1)
    assert ref


def test_numbers_alone_do_it_where_no_script_runs(browser, served, tmp_path):
    house, url = served
    _, (finding, *_) = held(house)
    context = browser.new_context(**DESK, java_script_enabled=False, locale="en-GB")
    token = person(house, "coordinator", "her@example.org")
    context.add_cookies([{"name": "consilium-desk", "value": token, "url": f"{url}/desk"}])
    page = context.new_page()
    page.goto(f"{url}/desk/findings/{finding}")
    for row in page.locator(".place").all():
        for side in ("left", "top", "width", "height"):
            row.locator(f"input[name={side}]").fill("")
    place = page.locator(".place").first
    for side, value in zip(("left", "top", "width", "height"), (10, 10, 200, 50), strict=True):
        place.locator(f"input[name={side}]").fill(str(value))
    page.locator("button[name=kind][value=mask]").click()
    expect(page.locator("main .alert.good")).to_be_visible()
    house.work()
    assert len(np.unique(pixels(house, subject_of(house, finding))[10:60, 10:210])) == 1
    context.close()


def test_a_rule_for_a_device_goes_from_who_looked_to_who_confirms_and_words_are_judged(
    browser, served, tmp_path
):
    house, url = served
    ref, (finding, *_) = held(house)
    her = visit(browser, url, person(house, "coordinator", "her@example.org"), DESK)
    her.goto(f"{url}/desk/findings/{finding}")
    her.locator("input[name=reach][value=device]").check()
    her.fill("#f-reason", "The program writes a line at the top.")
    place = her.locator(".place").last
    for side, value in zip(("left", "top", "width", "height"), (0, 0, 480, 60), strict=True):
        place.locator(f"input[name={side}]").fill(str(value))
    with her.expect_navigation():
        her.locator("button[name=kind][value=mask]").click()
    her.fill("#f-word", "Zyxwort")
    her.locator("input[name=identifies][value=yes]").check()
    with her.expect_navigation():
        her.locator("form[action$='/rules'] button[type=submit]").last.click()
    expect(her.locator(".judged-word")).to_have_text("Zyxwort")
    shown(her, tmp_path, "rules-desk")
    his = visit(browser, url, person(house, "privacy", "dpo@example.org"), PHONE, "sv")
    his.goto(f"{url}/desk/rules")
    shown(his, tmp_path, "device-rules-phone")
    assert ref not in his.content()
    assert "Zyxwort" not in his.content()
    with his.expect_navigation():
        his.locator("form[action$='/confirm'] button").click()
    expect(his.locator("main .alert.good")).to_be_visible()
    assert [rule.state for rule in house.rows("device_rules")] == ["active"]
    her.goto(f"{url}/desk/cases/{ref}/rules")
    with her.expect_navigation():
        her.locator("form[action$='/revoke'] button").first.click()
    assert sorted(rule.state for rule in house.rows("case_rules")) == ["active", "revoked"]
    shown(her, tmp_path, "rules-revoked")
