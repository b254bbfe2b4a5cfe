"""The main line's people at a real Chromium: what patient, coordinator and reviewer press and read; not what a test expects of it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, Page, expect

from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.material import Material, PatientFile
from gateway.settings import host_and_port
from tests.fakes.chromium import DESK, PHONE

PACS = "KUNGSHOLMEN"
WORK_S = 90.0
QUESTION = "Is surgery the right next step, or treatment first?"
ANSWER = {
    "question": QUESTION,
    "findings": "A solitary lesion of 18 mm in the left lower lobe, without signs of spread in the examinations that were sent.",
    "recommendation": "Surgery first, then a new conference with the pathology report.",
    "alternatives": "Stereotactic radiotherapy, if the lung function does not allow surgery.",
    "confidence": "High: thin slices, and the report agrees with the images.",
    "further_examinations": "Lung function tests before surgery.",
}


def dcmtk(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of Debian's DCMTK programs and return what it said."""
    line = [f"/usr/bin/{program}", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def push(exchange: Exchange, folder: Path, *, called: str = "CONSILIUM") -> subprocess.CompletedProcess[str]:
    """Send every file of a folder as the hospital's PACS does: with storescu, in one association."""
    host, port = host_and_port(exchange.dicom, what="the node")
    files = sorted(path for path in folder.rglob("*.dcm"))
    return dcmtk("storescu", "-v", "-aet", PACS, "-aec", called, "-xe", host, port, *files)


def lay_out(material: Material, folder: Path) -> Path:
    """Write what the hospital sends as files, for a program that reads files."""
    folder.mkdir(parents=True)
    objects = [*material.ct_slices, material.rtstruct, material.sr]
    for number, content in enumerate(objects):
        (folder / f"IM{number:04}.dcm").write_bytes(content)
    return folder


class Person:
    """Somebody at a browser of her own; ``faults`` gathers what no page may do."""

    def __init__(
        self,
        browser: Browser,
        exchange: Exchange,
        *,
        shape: dict[str, Any] = DESK,
        locale: str = "sv-SE",
        email: str = "",
        password: str = "",
        totp_secret: str = "",
        **_: object,
    ) -> None:
        self.exchange = exchange
        self._email, self._password, self._secret = email, password, totp_secret
        self.context = browser.new_context(
            **shape, locale=locale, accept_downloads=True, reduced_motion="reduce"
        )
        self.context.set_default_timeout(20_000)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self._watch()

    def _watch(self) -> None:
        """Note script errors, refused policies, failed loads, server faults and requests to anybody else."""
        mine, note = f"{self.exchange.url}/", self.faults.append
        self.page.on("pageerror", lambda error: note(f"script: {error}"))
        self.page.on(
            "console",
            lambda said: (
                note(f"console {said.type}: {said.text}") if said.type in {"error", "warning"} else None
            ),
        )
        self.page.on(
            "request",
            lambda sent: (
                note(f"asked {sent.url}") if not sent.url.startswith((mine, "data:", "blob:")) else None
            ),
        )
        self.page.on(
            "response",
            lambda got: note(f"HTTP {got.status} {got.request.method}") if got.status >= 500 else None,
        )

    def go(self, path: str) -> None:
        self.page.goto(self.exchange.url + path)

    def press(self, selector: str) -> None:
        """Press what leads to another page, and wait until that page is there."""
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()

    def fill_sign_in(self, door: str) -> None:
        self.go(f"/{door}/sign-in")
        self.page.fill("#f-email", self._email)
        self.page.fill("#f-password", self._password)
        self.page.fill("#f-code", pyotp.TOTP(self._secret).now())

    def sign_in(self, door: str) -> None:
        """Give e-mail, password and the code of the app."""
        self.fill_sign_in(door)
        self.press("main button[type=submit]")
        expect(self.page.locator("header .me")).to_be_visible()

    def fits(self) -> None:
        """Nothing may stand wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            self.faults.append(f"{self.page.url.partition('#')[0]} is {wide} px too wide")

    def close(self) -> None:
        self.context.close()


class PatientAtPhone(Person):
    """The patient: a link, a code from a text message, files from the phone's chooser, a receipt, later an answer."""

    def __init__(self, browser: Browser, exchange: Exchange, **more: Any) -> None:
        super().__init__(browser, exchange, **{"shape": PHONE, **more})

    def open_link(self, link: str) -> None:
        """Open the link; its secret leaves the address bar at once, and no code is sent yet."""
        self.page.goto(link)
        expect(self.page.locator("#ask")).to_be_visible()

    def ask_code(self) -> str:
        """Ask for the code and read it in the outbox, which stands in for the phone."""
        before = len(self.exchange.texts())
        self.page.locator("#ask").click()
        expect(self.page.locator("#code")).to_be_visible()
        until = time.monotonic() + 10
        while len(self.exchange.texts()) == before and time.monotonic() < until:
            time.sleep(0.1)
        return self.exchange.newest_code()

    def type_code(self, code: str) -> None:
        self.page.locator("#code").fill(f"{code[:4]} {code[4:]}")
        self.page.locator("#verify").click()
        self.page.wait_for_url("**/p/case")

    def choose(self, files: Sequence[PatientFile]) -> None:
        """Pick files of one kind with the page's own chooser."""
        self.page.locator(f"label.chip:has(input[value={files[0].category}])").click()
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#pick-files").click()
        chooser.value.set_files(
            [{"name": one.name, "mimeType": one.media_type, "buffer": one.content} for one in files]
        )

    def slow_line(self, bytes_a_second: int) -> Callable[[], None]:
        """Make the line as slow as a phone's in a stairwell; call what is returned to make it quick again."""
        session = self.context.new_cdp_session(self.page)
        rule = {"offline": False, "latency": 20, "downloadThroughput": -1}
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {**rule, "uploadThroughput": bytes_a_second})
        free = {**rule, "latency": 0, "uploadThroughput": -1}
        return lambda: session.send("Network.emulateNetworkConditions", free)

    def take_receipt(self) -> str:
        """Say that all is sent; returns the receipt's page as text."""
        self.page.locator("#finish").click()
        self.page.wait_for_url("**/p/receipt")
        return self.page.locator("main").inner_text()


class Coordinator(Person):
    """The coordinator at the desk."""

    def make_link(self, ref: str) -> str:
        """Make the patient's link on the case's page, where it is shown once."""
        self.go(f"/desk/cases/{ref}")
        self.press("#ways-in form[action$='/link'] button")
        address = self.page.locator("#link-address")
        expect(address).to_be_visible()
        return address.inner_text().strip()

    def wait_for_work(self, ref: str, *, documents: int) -> None:
        """Look at the case now and then until everything that came is de-identified or held."""
        until = time.monotonic() + WORK_S
        while time.monotonic() < until:
            self.go(f"/desk/cases/{ref}")
            told = self.page.evaluate(
                "async (path) => (await fetch(path, {headers: {Accept: 'application/json'}})).json()",
                f"/desk/cases/{ref}/live.json",
            )
            busy = told["working"] or told["instances_waiting"]  # what is held is not waited for
            if told["documents"] >= documents and not busy:
                self.go(f"/desk/cases/{ref}")
                return
            self.page.wait_for_timeout(700)
        self.faults.append("the work was not done in time")

    def judge(self, ref: str) -> list[tuple[bool, int]]:
        """Look at the picture of each finding and decide; returns for each whether it was kept and its picture's width."""
        self.go(f"/desk/cases/{ref}/findings")
        if self.page.locator(".alike button[value=keep]").count():
            self.faults.append("documents may be kept all at once, unseen")
        seen = []
        while self.page.locator(".finding.open").count():
            finding = self.page.locator(".finding.open").first
            width = 0
            picture = finding.locator(".look img")
            if picture.count():
                picture.scroll_into_view_if_needed()
                expect(picture).to_have_js_property("complete", True)
                width = picture.evaluate("one => one.naturalWidth")
            # the photographed letter names the patient, as a human sees at once: it is left out
            keep = finding.locator("button[value=keep]")
            kept = bool(keep.count()) and ".jpg" not in finding.inner_text()
            before = self.page.locator(".finding.open").count()
            with self.page.expect_navigation():
                (keep if kept else finding.locator("button[value=exclude]")).click()
            expect(self.page.locator(".finding.open")).to_have_count(before - 1)
            seen.append((kept, width))
        return seen

    def complete(self, ref: str) -> None:
        """Mark the documentation as complete, if the case still collects."""
        self.go(f"/desk/cases/{ref}")
        button = self.page.locator("form[action$='/complete'] button")
        if button.count():
            self.press("form[action$='/complete'] button")

    def build(self, ref: str) -> None:
        self.go(f"/desk/cases/{ref}")
        self.press("form[action$='/releases'] button")
        expect(self.page.locator("form[action$='/approve']")).to_be_visible()

    def approve(self, reviewer: str) -> None:
        self.page.locator("label.check", has_text=reviewer).locator("input").check()
        self.press("form[action$='/approve'] button")
        expect(self.page.locator("form[action$='/revoke'] button")).to_be_visible()

    def deliver(self, ref: str) -> None:
        self.go(f"/desk/cases/{ref}/answer")
        self.press("form[action$='/deliver'] button")
        expect(self.page.locator("main .alert.good").first).to_be_visible()


class Specialist(Person):
    """The reviewer."""

    def open_release(self) -> None:
        self.go("/review/")
        self.press(".release-card .button.primary")

    def download(self, to: Path) -> Path:
        with self.page.expect_download() as going:
            self.page.locator(".get a.button").click()
        going.value.save_as(to)
        return to

    def write(self, answer: dict[str, str]) -> None:
        self.press("a[href$='/answer'].primary")
        for name, text in answer.items():
            self.page.fill(f"#f-{name}", text)

    def read_once_more(self) -> None:
        self.press("#answer-form button[type=submit]")

    def sign(self) -> None:
        self.page.locator("input[name=confirm]").check()
        self.press("#sign-form button.primary")
        expect(self.page.locator("main .alert.good")).to_be_visible()


def newest_link(exchange: Exchange) -> str:
    """Return the patient's link in the newest mail."""
    found = re.findall(r"https?://\S+#\S+", exchange.mails()[-1])
    return str(found[0])
