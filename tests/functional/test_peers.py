"""Peers through the command line and a real browser: a running exchange, DCMTK at both ends, two widths, two languages."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dicom_node.node import DicomNode, Listening
from gateway.adapters.clock import SystemClock
from gateway.cli.demo.exchange import Exchange
from gateway.doors.desk.app import desk_app
from gateway.doors.dimse import DimseDoor
from gateway.doors.http import DoorConfig, House, server
from tests.fakes.certificates import self_signed
from tests.fakes.chromium import DESK, PHONE, chromium
from tests.fakes.staffed_house import PASSWORD, StaffedHouse, make_house
from tests.functional.conftest import Commands, wait_for

pytestmark = pytest.mark.functional

HER = "desk@example.org"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def test_a_peer_is_added_changed_shown_and_shut_out(consilium: Commands, home: Path, tmp_path: Path) -> None:
    pin, later = self_signed("pacs", tmp_path, days=20), self_signed("later", tmp_path, days=400)

    def ask(*argv: str) -> Any:
        said = consilium("peer", *argv, "--json", home=home)
        assert said.code == 0, said.out
        return said.json()

    made = ask("add", "PACS", "--host", "10.1.2.0/24", "--certificate", str(pin.cert_path), "--per-day", "50GiB",
               "--no-commit", "--receive", "--address", "pacs.example:2762", "--tls", "--description", "Södra",
               "--sop-class", "1.2.840.10008.5.1.4.1.1.2", "--called", "CONSILIUM", "--name", "pacs.example")  # fmt: skip
    assert (made["day_bytes"], made["may_commit"], made["may_receive"], made["calls_by_tls"]) == (
        50 << 30, False, True, True,
    )  # fmt: skip
    assert made["names"] == ["DNS:pacs.example"]
    changed = ask("change", "PACS", "--per-day", "none", "--sop-class", "")
    assert (changed["day_bytes"], changed["sop_classes"], changed["description"]) == (None, [], "Södra")
    assert consilium("peer", "change", "PACS", home=home).code == 2
    shown = ask("show", "PACS")
    assert [c["expiry"] for c in shown["certificates"]] == ["soon"]
    assert shown["certificates"][0]["spki_sha256"] == pin.spki_sha256
    assert "expires in 1" in consilium("peer", "show", "PACS", home=home).out
    doctor = {c["what"]: c for c in consilium("doctor", "--json", home=home).json()["checks"]}
    assert doctor["peers' certificates"]["state"] == "warning"
    assert "PACS in 1" in doctor["peers' certificates"]["detail"]
    assert [c["expiry"] for c in ask("pin", "PACS", str(later.cert_path))] == ["far", "soon"]
    assert len(ask("pin", "PACS", "--remove", pin.spki_sha256[:16])) == 1
    doctor = {c["what"]: c for c in consilium("doctor", "--json", home=home).json()["checks"]}
    assert doctor["peers' certificates"]["state"] == "ok"
    token = ask("token", "PACS")["token"]
    shown = ask("show", "PACS")
    assert shown["has_token"]
    assert token not in json.dumps(shown)
    assert ask("disable", "PACS")["disabled_at"]
    assert ask("list")[0]["state"] == "disabled"
    assert not ask("enable", "PACS")["disabled_at"]
    assert ask("remove", "PACS") == {"removed": "PACS"}
    assert consilium("peer", "show", "PACS", home=home).code == 3
    assert consilium("peer", "remove", "PACS", home=home).code == 3


@pytest.mark.parametrize(
    "wrong",
    [["--per-day", "much"], ["--max-associations", "many"], ["--address", "pacs"], ["--certificate", "missing.pem"],
     ["--name", "IP:10.0.0.1"], ["--sop-class", "CT"], ["--called", "A TITLE THAT IS TOO LONG"]],
)  # fmt: skip
def test_wrong_flags_are_named(consilium: Commands, home: Path, wrong: list[str]) -> None:
    said = consilium("peer", "add", "PACS", *wrong, "--json", home=home)
    assert said.code == 2
    assert said.json()["next_step"]


def test_the_sheet_is_written_as_one_page(consilium: Commands, home: Path, tmp_path: Path) -> None:
    consilium("peer", "add", "MR 2", home=home)
    for language, word in (("sv", "Så skickar MR 2"), ("en", "How MR 2 sends")):
        page = tmp_path / f"{language}.html"
        assert consilium("peer", "sheet", "MR 2", "--html", page, "--language", language, home=home).code == 0
        assert word in page.read_text(encoding="utf-8")
    told = consilium("peer", "sheet", "MR 2", "--json", home=home, contact="+46 8 123 45").json()
    assert (told["contact"], told["plain_port"]) == ("+46 8 123 45", "11112")
    assert consilium("peer", "sheet", "MR 2", "--language", "xx", home=home).code == 2


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[int]:
    """DCMTK's SCP as the peer that is called."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["/usr/bin/storescp", "-aet", "PACS", "--ignore", str(port)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _answers(port), within_s=10)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_calling_a_peer_from_the_command_line(consilium: Commands, home: Path, storescp: int) -> None:
    consilium("peer", "add", "PACS", "--address", f"127.0.0.1:{storescp}", home=home)
    found = consilium("peer", "echo", "PACS", "--json", home=home)
    assert found.code == 0
    assert found.json()["reached"]
    assert "DCMTK" in found.json()["implementation_version"]
    told = consilium("peer", "echo", "PACS", home=home).out
    assert "PACS answers" in told
    assert told.count("✓") == 4
    consilium("peer", "change", "PACS", "--address", "127.0.0.1:9", home=home)
    gone = consilium("peer", "echo", "PACS", home=home)
    assert gone.code == 1
    assert "does not answer" in gone.out
    assert "✗" in gone.out


def test_a_sender_is_refused_added_and_refused_again_while_the_exchange_runs(
    start: Callable[..., Exchange],
) -> None:
    exchange = start()
    host, _, port = exchange.dicom.rpartition("@")[2].rpartition(":")
    echo = ["/usr/bin/echoscu", "-aet", "NEWPACS", "-aec", "CONSILIUM", "-to", "5", host, port]

    def answers() -> bool:
        return subprocess.run(echo, capture_output=True, timeout=20, check=False).returncode == 0

    assert not answers()
    exchange.call("peer", "add", "NEWPACS")
    assert answers()
    exchange.call("peer", "disable", "NEWPACS")
    assert not answers()
    exchange.call("peer", "enable", "NEWPACS")
    assert answers()
    sheet = exchange.call("peer", "sheet", "NEWPACS")
    assert sheet["plain_port"] == port  # what the node told, not what the settings say


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[StaffedHouse, str, int]]:
    """The desk and the node of one house, in this process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    home = tmp_path / "home"
    home.mkdir()
    staffed = make_house(home, clock=SystemClock(), public_url=url)
    staffed.add("coordinator", HER)
    app = House({"/desk": desk_app(staffed.house, DoorConfig(prefix="/desk", public_url=url))}, front="/desk")
    web = server(app, host="127.0.0.1", port=listener.getsockname()[1])
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    node = DicomNode(receiver=DimseDoor(staffed.house), listeners=[Listening(host="127.0.0.1", port=0)])
    ((_, port),) = node.start()
    try:
        yield staffed, url, port
    finally:
        node.stop(timeout_s=2)
        web.should_exit = True
        thread.join(20)
        staffed.close()


@pytest.mark.parametrize(("shape", "language"), [(DESK, "en"), (PHONE, "sv")], ids=["desk-en", "phone-sv"])
def test_the_coordinator_makes_a_stranger_a_peer_and_calls_it(
    served: tuple[StaffedHouse, str, int],
    browser: Browser,
    storescp: int,
    tmp_path: Path,
    shape: dict[str, Any],
    language: str,
) -> None:
    staffed, url, port = served

    def knocks() -> bool:
        echo = ["/usr/bin/echoscu", "-aet", "PACS", "-aec", "CONSILIUM", "127.0.0.1", str(port)]
        return subprocess.run(echo, capture_output=True, timeout=30, check=False).returncode == 0

    assert not knocks()
    assert not knocks()
    context = browser.new_context(**shape, locale="sv-SE" if language == "sv" else "en-GB")
    context.set_default_timeout(60_000)
    page: Page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    shots = tmp_path / "shots"
    shots.mkdir()

    def go(path: str) -> None:
        page.goto(f"{url}/desk{path}")

    def press(selector: str) -> None:
        with page.expect_navigation():
            page.locator(selector).first.click()

    def shot(name: str) -> None:
        page.screenshot(path=shots / f"{name}-{language}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name} is {wide} px too wide"

    go("/")
    page.fill("#f-email", HER)
    page.fill("#f-password", PASSWORD)
    page.fill("#f-code", staffed.code(HER))
    press("main button[type=submit]")
    go("/peers")
    expect(page.locator("#strangers li")).to_have_count(1)
    shot("peers-stranger")
    press("#strangers .button")
    expect(page.locator("#f-ae_title")).to_have_value("PACS")
    expect(page.locator("#f-hosts")).to_have_value("127.0.0.1")
    page.fill("#f-address", f"127.0.0.1:{storescp}")
    page.fill("#f-description", "Södra sjukhuset, radiologi")
    shot("peer-new")
    press("#new-peer button[type=submit]")
    expect(page.locator(".alert.good")).to_be_visible()
    assert knocks()
    press("form[action$='/call'] button")
    expect(page.locator("#echo.good .passed")).to_have_count(4)
    shot("peer-answers")
    go("/peers/of/PACS")
    page.locator("#pins textarea").fill(self_signed("pacs", tmp_path, days=5).pem)
    press("#pins details form button")
    expect(page.locator("#pins .badge.warn")).to_be_visible()
    assert not knocks()
    page.reload()
    expect(page.locator("#ends .badge.bad").first).to_be_visible()
    shot("peer-bound")
    press("form[action$='/disable'] button")
    expect(page.locator("h1 .badge.bad")).to_be_visible()
    press("form[action$='/enable'] button")
    go("/peers/of/PACS/sheet")
    shot("sheet")
    if shape is DESK:
        page.pdf(path=shots / "sheet.pdf", prefer_css_page_size=True)
        assert b"/Count 1" in (shots / "sheet.pdf").read_bytes()  # one page of A4
    go("/peers")
    shot("peers")
    context.close()
    assert complaints == []
