"""A patient with a real browser, on a phone and at a desk: code, files, a server that dies, a receipt."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.fakes.chromium import DESK, PHONE, SMALL_PHONE, chromium
from tests.fakes.patient_service import TOKEN
from tests.fakes.serve_patient import PatientServer

pytestmark = pytest.mark.functional
SHAPES = {"phone": PHONE, "desk": DESK}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PatientServer]:
    folder = tmp_path / "house"
    folder.mkdir()
    server = PatientServer(folder)
    yield server
    server.kill()


@pytest.fixture(params=["phone", "desk"])
def context(request, browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", **SHAPES[request.param])
    yield context
    context.close()


def watched(context: BrowserContext) -> Page:
    """Open a page that fails the test on any script error, refused policy or foreign request."""
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "console",
        lambda said: (
            page.faults.append(said.text)
            if "Content Security Policy" in said.text or "TypeError" in said.text
            else None
        ),
    )
    page.on(
        "request",
        lambda sent: (
            page.faults.append(sent.url)
            if not sent.url.startswith(("http://127.0.0.1:", "blob:", "data:"))
            else None
        ),
    )
    return page


def sign_in(page: Page, server: PatientServer) -> None:
    page.goto(f"{server.url}/p/#{TOKEN}")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_label("Code from the message")).to_be_visible()
    page.get_by_label("Code from the message").fill(server.last_code())
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/p/case")


def files(folder: Path, **sizes: int) -> list[Path]:
    made = []
    for name, size in sizes.items():
        made.append(folder / f"{name}.pdf")
        made[-1].write_bytes(os.urandom(size))
    return made


def kept(server: PatientServer) -> dict[str, bytes]:
    state = json.loads((server.folder / "state.json").read_text())
    return {
        one["name"]: (server.folder / f"{key}.bin").read_bytes()
        for key, one in state["uploads"].items()
        if one["done"]
    }


def shows_no_overflow(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_a_patient_sends_three_files_and_gets_a_receipt(context, server, tmp_path):
    page = watched(context)
    page.goto(f"{server.url}/p/#{TOKEN}")
    expect(page.get_by_text("Its number ends with 42")).to_be_visible()
    assert TOKEN not in page.url
    assert page.evaluate("history.length") <= 2
    assert not (server.folder / "codes.txt").exists(), "a code was sent before the button was pressed"
    shows_no_overflow(page)
    page.get_by_role("button", name="Send me a code").click()
    code = page.get_by_label("Code from the message")
    expect(code).to_be_visible()
    code.fill("00000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is not right")
    code.fill(f"{server.last_code()[:4]} {server.last_code()[4:]}")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/p/case")
    shows_no_overflow(page)
    chosen = files(tmp_path, referral=200_000, labs=5_000_000, letter=30_000)
    page.locator("label", has_text="Lab results").click()
    page.set_input_files("#files", chosen)
    expect(page.locator("#list .done")).to_have_count(3)
    expect(page.get_by_text("All 3 files have arrived")).to_be_visible()
    expect(page.locator("[data-item=labs] .badge")).to_have_text("Arrived")
    shows_no_overflow(page)
    page.get_by_role("button", name="Yes, give me the receipt").click()
    page.wait_for_url("**/p/receipt")
    for file in chosen:
        expect(page.get_by_text(file.name)).to_be_visible()
        expect(page.get_by_text(hashlib.sha256(file.read_bytes()).hexdigest())).to_be_visible()
        assert kept(server)[file.name] == file.read_bytes()
    shows_no_overflow(page)
    assert page.evaluate("Object.keys(localStorage).length") == 0
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/p/")
    page.goto(f"{server.url}/p/case")
    page.wait_for_url("**/p/")
    assert page.faults == []


def test_the_server_dies_in_the_middle_and_every_byte_arrives(context, tmp_path):
    folder = tmp_path / "house"
    folder.mkdir()
    server = PatientServer(folder, delay_s=0.15)
    try:
        page = watched(context)
        sign_in(page, server)
        chosen = files(tmp_path, big=30_000_000, small=1_000_000)
        page.set_input_files("#files", chosen)
        for share in (2, 5):
            page.wait_for_timeout(50)
            expect(page.locator("#list li").first).to_contain_text(re.compile(rf"([{share}-9]\d) %"))
            server.kill()
            expect(page.get_by_text("No connection. We keep trying")).to_be_visible()
            server.start()
        expect(page.locator("#list .done")).to_have_count(2, timeout=60_000)
        assert kept(server) == {file.name: file.read_bytes() for file in chosen}
        assert page.faults == []
    finally:
        server.kill()


def test_after_a_reload_the_same_file_goes_on_where_it_stopped(browser, tmp_path):
    folder = tmp_path / "house"
    folder.mkdir()
    server = PatientServer(folder, delay_s=0.2)
    context = browser.new_context(locale="en-GB", **PHONE)
    try:
        page = watched(context)
        sign_in(page, server)
        (big,) = files(tmp_path, big=25_000_000)
        page.set_input_files("#files", big)
        expect(page.locator("#list li").first).to_contain_text(re.compile(r"[3-9]\d %"))
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#list li").first).to_contain_text("Paused")
        page.wait_for_timeout(400)
        remembered = page.evaluate("JSON.stringify({...localStorage})")
        assert "big" not in remembered, "the browser remembers a file's name"
        page.goto(f"{server.url}/p/case")
        expect(page.get_by_text("One file did not come all the way")).to_be_visible()
        sent: list[int] = []
        page.on(
            "request",
            lambda one: (
                sent.append(int(one.headers.get("upload-offset", 0))) if one.method == "PATCH" else None
            ),
        )
        page.set_input_files("#files", big)
        expect(page.locator("#list .done")).to_have_count(1, timeout=30_000)
        assert sent[0] > 4_000_000
        state = json.loads((folder / "state.json").read_text())
        assert len(state["uploads"]) == 1
        assert kept(server) == {"big.pdf": big.read_bytes()}
        assert page.faults == []
    finally:
        context.close()
        server.kill()


def test_a_whole_disc_is_one_line_and_its_rubbish_stays_behind(browser, server, tmp_path):
    disc = tmp_path / "CD"
    (disc / "DICOM").mkdir(parents=True)
    for number in range(40):
        (disc / "DICOM" / f"IM{number:04}").write_bytes(os.urandom(20_000))
    (disc / "DICOMDIR").write_bytes(b"x" * 500)
    (disc / "autorun.inf").write_bytes(b"x")
    (disc / ".DS_Store").write_bytes(b"x")
    (disc / "empty").write_bytes(b"")
    context = browser.new_context(locale="en-GB", **DESK)
    page = watched(context)
    sign_in(page, server)
    page.set_input_files("#folder", disc)
    expect(page.locator("#list li")).to_have_count(1)
    expect(page.locator("#list .done")).to_have_count(1, timeout=30_000)
    names = kept(server)
    assert len(names) == 41
    assert "CD›DICOM›IM0007" in names
    assert not any("autorun" in name or "DS_Store" in name for name in names)
    state = json.loads((server.folder / "state.json").read_text())
    assert {one["category"] for one in state["uploads"].values()} == {"imaging"}
    assert page.faults == []
    context.close()


def test_signed_out_in_the_middle_says_what_to_do(browser, tmp_path):
    folder = tmp_path / "house"
    folder.mkdir()
    server = PatientServer(folder, delay_s=0.2)
    context = browser.new_context(locale="en-GB", **PHONE)
    try:
        page = watched(context)
        sign_in(page, server)
        (big,) = files(tmp_path, big=25_000_000)
        page.set_input_files("#files", big)
        expect(page.locator("#list li").first).to_contain_text(re.compile(r"[2-9]\d %"))
        context.clear_cookies()
        expect(page.get_by_text("You have been signed out, to be safe")).to_be_visible()
        server.delay_s = 0
        sign_in(page, server)
        page.set_input_files("#files", big)
        expect(page.locator("#list .done")).to_have_count(1, timeout=30_000)
        assert kept(server) == {"big.pdf": big.read_bytes()}
    finally:
        context.close()
        server.kill()


@pytest.mark.parametrize("language", ["sv-SE", "en-GB"])
def test_the_smallest_phone_shows_every_page_without_scrolling_sideways(browser, server, tmp_path, language):
    context = browser.new_context(locale=language, **SMALL_PHONE)
    page = watched(context)
    page.goto(f"{server.url}/p/#{TOKEN}")
    page.locator("#ask").click()
    expect(page.locator("#code")).to_be_visible()
    page.locator("#code").fill(server.last_code())
    shows_no_overflow(page)
    page.locator("#verify").click()
    page.wait_for_url("**/p/case")
    page.set_input_files("#files", files(tmp_path, **{"a-very-long-name-" + "x" * 150: 5000}))
    expect(page.locator("#list .done")).to_have_count(1)
    shows_no_overflow(page)
    for path in ("/p/case", "/p/receipt"):
        page.goto(server.url + path)
        shows_no_overflow(page)
        small = page.evaluate(
            "[...document.querySelectorAll('a, button, label.chip')].filter(e => e.checkVisibility() && !e.closest('.skip, p') && !e.matches('.skip'))"
            ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.textContent.trim())"
        )
        assert small == [], f"too small to touch: {small}"
    assert page.faults == []
    context.close()


def test_a_phone_can_take_a_photo(browser, server):
    context = browser.new_context(locale="en-GB", **PHONE)
    page = watched(context)
    sign_in(page, server)
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    assert page.locator("#photo").get_attribute("capture") == "environment"
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    chooser.value.set_files(
        {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8" + b"0" * 5000}
    )
    expect(page.locator("#list .done")).to_have_count(1)
    context.close()


def test_a_reader_of_screens_finds_names_and_labels(browser, server):
    context = browser.new_context(locale="en-GB", **DESK)
    page = watched(context)
    sign_in(page, server)
    nameless = page.evaluate(
        """[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea, button, a')]
        .filter(e => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.getAttribute('aria-label'))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_in_dark(browser, server, scheme):
    """WCAG 1.4.3: 4.5 to 1 for every text that is shown, measured on the colours that the browser computed."""
    context = browser.new_context(locale="en-GB", color_scheme=scheme, **DESK)
    page = watched(context)
    sign_in(page, server)
    weak = page.evaluate(
        """() => {
        const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
        const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; } return [255, 255, 255]; };
        const found = [];
        for (const e of document.querySelectorAll('body *')) {
          if (!e.checkVisibility() || e.matches('[disabled], .skip, script') || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
          const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
          const ratio = (a + 0.05) / (b + 0.05);
          if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${e.className} ${e.textContent.trim().slice(0, 30)}`);
        }
        return found;
        }"""
    )
    assert weak == []
    context.close()
