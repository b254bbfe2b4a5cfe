"""Coordinator, reviewer and privacy officer in a real browser over a real server: the whole way, at two widths."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.adapters.clock import SystemClock
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig, House, server
from gateway.doors.reviewer.app import reviewer_app
from gateway.journeys.sandboxed import Held
from tests.fakes.chromium import DESK, PHONE, chromium
from tests.fakes.staffed_house import PASSWORD, StaffedHouse, make_house

pytestmark = pytest.mark.functional

COORDINATOR, REVIEWER, PRIVACY = "desk@example.org", "anna.reviewer@example.org", "dpo@example.org"
FAMILY = "Vinterqvist"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[StaffedHouse, str]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    home = tmp_path / "home"
    home.mkdir()
    staffed = make_house(home, clock=SystemClock(), public_url=url)
    staffed.add("coordinator", COORDINATOR)
    staffed.add("reviewer", REVIEWER)
    staffed.add("privacy", PRIVACY)
    config = {"public_url": url, "default_language": "en"}
    app = House(
        {
            "/desk": desk_app(staffed.house, DoorConfig(prefix="/desk", **config)),
            "/review": reviewer_app(staffed.house, DoorConfig(prefix="/review", **config)),
        },
        front="/desk",
    )
    web = server(app, host="127.0.0.1", port=listener.getsockname()[1])
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield staffed, url
    finally:
        web.should_exit = True
        thread.join(20)
        staffed.close()


class Visit:
    """A person at a browser: notes what the console says, measures each page and takes its picture."""

    def __init__(
        self, browser: Browser, url: str, shots: Path, *, viewport: dict, language: str, dark: bool
    ) -> None:
        self.context = browser.new_context(
            **viewport,
            locale="sv-SE" if language == "sv" else "en-GB",
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.url, self.shots = url, shots
        self.complaints: list[str] = []
        self.page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def press(self, selector: str) -> None:
        """Click what leads to another page, and wait until that page is there."""
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()

    def shot(self, name: str) -> None:
        """Nothing may stand wider than the window; then the picture is taken."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)
        assert wide <= 0, f"{name} is {wide} px too wide"

    def sign_in(self, staffed: StaffedHouse, door: str, email: str) -> None:
        self.go(f"/{door}/")
        self.page.fill("#f-email", email)
        self.page.fill("#f-password", PASSWORD)
        self.page.fill("#f-code", staffed.code(email))
        self.shot(f"{door}-sign-in-{email[:3]}")
        self.press("main button[type=submit]")

    def close(self) -> None:
        self.context.close()
        said = [one for one in self.complaints if "Failed to load resource" not in one]
        assert not said


@pytest.mark.parametrize(
    ("viewport", "language", "dark"),
    [(DESK, "en", False), (PHONE, "sv", True)],
    ids=["desk-light-en", "phone-dark-sv"],
)
def test_a_case_goes_from_referral_to_delivered_answer(
    browser, served, tmp_path, viewport, language, dark, request
):
    staffed, url = served
    shots = tmp_path / "shots"
    shots.mkdir()

    def visit() -> Visit:
        return Visit(browser, url, shots, viewport=viewport, language=language, dark=dark)

    # the coordinator opens a case
    her = visit()
    her.sign_in(staffed, "desk", COORDINATOR)
    her.shot("board-empty")
    her.press("main a.button.primary")
    her.page.fill("#f-questions", "Is surgery possible, and is a second biopsy of the left lobe needed?")
    her.page.fill("#f-given", "Alfhilda")
    her.page.fill("#f-family", FAMILY)
    her.page.fill("#f-birth_date", "1967-07-25")
    her.page.locator("input[name=identifier_value]").first.fill("19670725-9989")
    her.page.locator(".rows + .button").first.click()
    expect(her.page.locator("input[name=identifier_value]")).to_have_count(3)
    her.page.fill("#f-phones", "+46 70 174 06 47")
    her.page.fill("#f-emails", "alfhilda.vinterqvist@example.org")
    her.shot("open-a-case")
    her.press("#new-case > .buttons button[type=submit]")
    expect(her.page.locator("main .alert.good").first).to_be_visible()
    ref = her.page.url.split("/cases/")[1].partition("?")[0]
    her.shot("case-new")

    # the link is shown once
    her.press("#ways-in form[action$='/link'] button")
    address = her.page.locator("#link-address")
    expect(address).to_contain_text(f"{url}/p/#")
    her.shot("link")
    assert "#" not in her.page.url
    her.page.reload()
    expect(address).to_be_hidden()

    # material arrives while she looks
    her.go(f"/desk/cases/{ref}")
    with staffed.house.records.view() as view:
        case = view.cases.first(ref=ref)
    staffed.study(case, slices=24, look_at=2)
    expect(her.page.locator(".news")).to_be_visible(timeout=15_000)
    her.shot("case-news")
    staffed.document(case, "Journalanteckning mars.pdf")
    staffed.document(case, "Provsvar.pdf", category="labs")
    staffed.document(
        case,
        "IMG_2041.jpg",
        category="pathology",
        look=(("photograph", "A photograph: text in it cannot be read.", "page 1"),),
    )
    staffed.document(
        case,
        "skadad.pdf",
        held=Held(
            code="unreadable",
            reason="The file could not be read: its content breaks the rules of its format.",
        ),
    )
    staffed.study(
        None,
        slices=2,
        number=2,
        head={
            "patient_name": f"{FAMILY}^Alfhilda",
            "patient_id": "196707259989",
            "patient_birth_date": "19670725",
            "patient_sex": "F",
            "study_date": "20260301",
        },
    )

    # the inbox
    her.go("/desk/")
    her.shot("board")
    her.press(".banner")
    her.shot("inbox")
    her.press(".fit button")
    expect(her.page.locator(".alert.good button")).to_be_visible()
    her.shot("inbox-matched")
    her.press(".alert.good button")
    her.shot("inbox-undone")
    expect(her.page.locator(".inbox-study")).to_have_count(1)

    staffed.drain()
    staffed.clean_again(case)

    # the human look
    her.go(f"/desk/cases/{ref}")
    her.shot("case-held")
    her.press(".next a.button")
    picture = her.page.locator(".look img").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("one => one.naturalWidth") == 240
    her.page.locator("[data-turn='1']").first.click()
    expect(her.page.locator("[data-turned]").first).to_have_text("2")
    for one in her.page.locator(".look img").all():
        one.scroll_into_view_if_needed()
        expect(one).to_have_js_property("complete", True)
    her.page.evaluate("scrollTo(0, 0)")
    her.shot("findings")
    her.press(".finding.open button[value=keep]")
    expect(her.page.locator(".finding.kept")).to_have_count(1)
    her.press(".finding.kept button[value=undo]")
    expect(her.page.locator(".finding.kept")).to_have_count(0)
    her.page.locator(".alike summary").first.click()
    her.page.locator(".alike input[type=checkbox]").first.check()
    her.press(".alike button[value=keep]")
    expect(her.page.locator(".finding.kept")).to_have_count(2)
    while her.page.locator(".finding.open").count():
        before = her.page.locator(".finding.open").count()
        her.press(".finding.open button[name=verdict]")
        expect(her.page.locator(".finding.open")).to_have_count(before - 1)
    her.shot("findings-decided")

    # complete, pause, run, build, approve
    her.go(f"/desk/cases/{ref}")
    her.press("form[action$='/complete'] button")
    expect(her.page.locator("main .alert.good").first).to_be_visible()
    her.page.locator("#clock summary").click()
    her.page.fill("#f-reason", "your pathology report")
    her.press("form[action$='/pause'] button")
    expect(her.page.locator("form[action$='/resume'] button")).to_be_visible()
    her.shot("case-paused")
    her.press("form[action$='/resume'] button")
    her.press("form[action$='/releases'] button")
    expect(her.page.locator("input[name=reviewer]")).to_have_count(1)
    her.page.locator("input[name=reviewer]").check()
    her.shot("release-to-approve")
    her.press("form[action$='/approve'] button")
    expect(her.page.locator("form[action$='/revoke'] button")).to_be_visible()
    her.shot("release-approved")

    # the reviewer
    his = visit()
    his.sign_in(staffed, "review", REVIEWER)
    his.shot("mine")
    assert FAMILY not in his.page.content()
    his.press(".release-card .button.primary")
    his.shot("release")
    assert FAMILY not in his.page.content()
    with his.page.expect_download() as going:
        his.page.locator(".get a.button").click()
    content = Path(going.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
        assert len([name for name in package.namelist() if name.startswith("DICOM/")]) == 24
    his.press(".attention .button.primary")
    for name in ("findings", "recommendation"):
        his.page.fill(
            f"#f-{name}", "One lesion of 18 mm in the left lower lobe; no sign of spread in these images."
        )
    his.shot("answer-write")
    his.page.fill("#f-confidence", " ")
    his.page.evaluate("document.getElementById('answer-form').noValidate = true")
    his.press("#answer-form button[type=submit]")
    expect(his.page.locator(".field.wrong")).to_have_count(1)
    his.shot("answer-lacking")
    his.page.fill("#f-confidence", "High: thin slices, and the report agrees.")
    his.press("#answer-form button[type=submit]")
    his.shot("answer-check")
    his.press("button[name=back]")
    expect(his.page.locator("#f-confidence")).to_have_value("High: thin slices, and the report agrees.")
    his.press("#answer-form button[type=submit]")
    his.page.locator("input[name=confirm]").check()
    his.press("#sign-form button.primary")
    expect(his.page.locator("main .alert.good")).to_be_visible()
    his.shot("answer-signed")
    his.go("/review/")
    his.shot("mine-answered")

    # delivered, closed, looked through
    her.go("/desk/")
    her.press(".case-card h2 a")
    her.shot("case-answered")
    her.press(".next a.button")
    her.shot("answer-to-deliver")
    her.press("form[action$='/deliver'] button")
    expect(her.page.locator("main .alert.good").first).to_be_visible()
    her.shot("case-delivered")
    assert staffed.mail.sent[-1]["to"] == "alfhilda.vinterqvist@example.org"
    her.go(f"/desk/cases/{ref}/trail")
    her.shot("trail")
    her.go("/desk/cases/C-00000000")
    her.shot("not-found")

    # a job that failed
    with staffed.house.records.change(by=_house()) as change:
        job = change.owe("deidentify_document", "f" * 32, due_at=staffed.clock.now(), case_id=case.id)
        change.jobs.set(job, state="failed", attempts=6, error="UnavailableError", dedup_key=None)
        change.note("job_failed", subject=job)
    her.go("/desk/?show=ended")
    her.shot("board-failed")
    her.press("form[action$='/retry'] button")
    expect(her.page.locator("#failed")).to_have_count(0)

    # the privacy officer
    officer = visit()
    officer.sign_in(staffed, "desk", PRIVACY)
    expect(officer.page.locator("main .alert.good")).to_be_visible()
    officer.shot("audit")
    assert FAMILY not in officer.page.content()
    for one in (her, his, officer):
        one.close()


def _house():
    from gateway.domain.people import HOUSE

    return HOUSE
