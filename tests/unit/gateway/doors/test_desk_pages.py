"""What the desk's pages do: signing in, opening, matching, judging, releasing, delivering; each step seen in the records."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from gateway.domain.audit import EVENT_KINDS
from gateway.domain.case import STATES
from gateway.domain.checklist import CATEGORIES
from gateway.domain.document import DOCUMENT_STATES
from gateway.doors.desk import event_words, reasons, words
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from gateway.journeys.answer_case import sign_answer
from gateway.journeys.make_copy import MASK_ENDED, RECALLED
from gateway.journeys.sandboxed import Held
from tests.fakes import sentences
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR, PASSWORD, PATIENT, PresentHouse

CONFIG = DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en")
HER = "desk@example.org"
COOKIE = "consilium-desk"


@pytest.fixture(scope="module")
def door():
    present = PresentHouse()
    return present, desk_app(present, CONFIG)


@pytest.fixture
def browser(staffed, door):
    present, app = door
    present.house = staffed.house
    with Browser(app) as one:
        yield one


@pytest.fixture
def desk(staffed, browser):
    """A browser that is signed in."""
    browser.http.cookies.set(COOKIE, staffed.token(HER))
    browser.get("/desk/")
    return browser


def begin(browser):
    browser.get("/desk/sign-in")
    return browser.get("/desk/sign-in")


def signed_in(browser, staffed, **wrong):
    form = {"email": HER, "password": PASSWORD, "code": staffed.code(HER), **wrong}
    return browser.post("/desk/sign-in", form)


def text_of(answer):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


# signing in


def test_signing_in_gives_a_session_under_another_id(staffed, browser):
    begin(browser)
    before = browser.http.cookies[COOKIE]
    answer = signed_in(browser, staffed)
    assert answer.status_code == 303
    assert browser.http.cookies[COOKIE] != before
    assert browser.get("/desk/").status_code == 200
    assert browser.get("/desk/sign-in").headers["location"] == "/desk/"


def test_a_code_counts_once(staffed, browser):
    begin(browser)
    code = staffed.code(HER)
    assert signed_in(browser, staffed, code=code).status_code == 303
    browser.http.cookies.clear()
    begin(browser)
    answer = signed_in(browser, staffed, code=code)
    assert answer.status_code == 401
    assert "A code counts once" in answer.text
    assert staffed.kinds()[-1] == "sign_in_refused"


def test_a_stranger_and_a_wrong_password_are_told_the_same(staffed, browser):
    begin(browser)
    wrong = signed_in(browser, staffed, password="another sentence altogether")
    stranger = signed_in(browser, staffed, email="nobody@example.org")
    assert wrong.status_code == stranger.status_code == 401
    same = [re.sub(r'value="[^"]*"|nonce="[^"]*"', "", one.text) for one in (wrong, stranger)]
    assert same[0] == same[1]
    assert PASSWORD not in wrong.text


def test_five_failures_bring_a_wait_that_is_told(staffed, browser):
    begin(browser)
    for _ in range(5):
        signed_in(browser, staffed, code="000000")
    answer = signed_in(browser, staffed)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    staffed.clock.forward(minutes=2)
    assert signed_in(browser, staffed).status_code == 303


def test_a_reviewer_cannot_sign_in_at_the_desk(staffed, browser):
    staffed.add("reviewer", "rev@example.org")
    begin(browser)
    answer = signed_in(browser, staffed, email="rev@example.org", code=staffed.code("rev@example.org"))
    assert answer.status_code == 401


def test_signing_out_ends_the_session_for_whoever_holds_its_cookie(staffed, desk):
    cookie = desk.http.cookies[COOKIE]
    assert desk.post("/desk/sign-out", {}).headers["location"] == "/desk/sign-in"
    desk.http.cookies.set(COOKIE, cookie)
    assert desk.get("/desk/cases/new").status_code == 401


def test_a_page_that_stands_open_does_not_keep_the_session_awake(staffed, desk):
    for _ in range(4):
        staffed.clock.forward(minutes=8)
        answer = desk.get("/desk/board.json", page=False)
    assert answer.status_code == 401
    assert desk.get("/desk/cases/new").status_code == 401


def test_a_person_at_work_stays_signed_in_until_twelve_hours_are_over(staffed, desk):
    for _ in range(28):
        staffed.clock.forward(minutes=25)
        assert desk.get("/desk/cases/new").status_code == 200
    staffed.clock.forward(minutes=25)
    assert desk.get("/desk/cases/new").status_code == 401


# opening a case

FORM = {
    "opinion": "mdt",
    "language": "en",
    "questions": "Is surgery possible?",
    "given": "Alfhilda",
    "family": "Vinterqvist",
    "other_names": "Winterquist^Alfhilda\nHilda Vinterqvist",
    "birth_date": "1967-07-25",
    "sex": "F",
    "street": "Gäddviksbacken 39B",
    "city": "Ödeshammar",
    "postal_code": "995 95",
    "country": "SE",
    "phones": "+46 70 174 06 47\n\n+46 8 123 45 67",
    "emails": "a@example.org",
    "institutions": "Märstaviks klinik",
    "other": "",
    "identifier_type": "personnummer",
    "identifier_issuer": "Skatteverket",
    "identifier_value": "19670725-9989",
    "relative_family": "Vinterqvist",
    "relative_given": "Tölvina",
    "relative_relation": "daughter",
    "relative_phone": "+46 70 1",
    "physician_family": "Kråkmoström",
    "physician_given": "Gölinna",
    "physician_institution": "Märstaviks klinik",
}


def test_the_form_becomes_the_known_identifiers(staffed, desk):
    answer = desk.post("/desk/cases", FORM)
    assert answer.status_code == 303
    with staffed.house.records.view() as view:
        (case,) = view.cases.find()
    assert answer.headers["location"] == f"/desk/cases/{case.ref}?done=opened"
    assert case.patient == {
        "names": [
            {"family": "Vinterqvist", "given": "Alfhilda"},
            {"family": "Winterquist", "given": "Alfhilda"},
            {"family": "Vinterqvist", "given": "Hilda"},
        ],
        "identifiers": [{"value": "19670725-9989", "type": "personnummer", "issuer": "Skatteverket"}],
        "birth_date": "1967-07-25",
        "sex": "F",
        "addresses": [
            {"street": "Gäddviksbacken 39B", "postal_code": "995 95", "city": "Ödeshammar", "country": "SE"}
        ],
        "phones": ["+46 70 174 06 47", "+46 8 123 45 67"],
        "emails": ["a@example.org"],
        "relatives": [
            {
                "names": [{"family": "Vinterqvist", "given": "Tölvina"}],
                "relation": "daughter",
                "phones": ["+46 70 1"],
            }
        ],
        "physicians": [
            {"names": [{"family": "Kråkmoström", "given": "Gölinna"}], "institution": "Märstaviks klinik"}
        ],
        "institutions": ["Märstaviks klinik"],
    }
    assert (case.opinion, case.language, case.questions) == ("mdt", "en", "Is surgery possible?")


def test_a_wrong_form_comes_back_with_everything_in_it(staffed, desk):
    answer = desk.post("/desk/cases", {**FORM, "birth_date": "25/7-67"})
    assert answer.status_code == 422
    for value in ("Alfhilda", "Winterquist^Alfhilda", "19670725-9989", "Kråkmoström", "Is surgery possible?"):
        assert value in unescape(answer.text)
    assert "birth_date" in answer.text
    with staffed.house.records.view() as view:
        assert view.cases.count() == 0


def test_what_people_write_is_text_and_never_markup(staffed, desk):
    evil = '<img src=x onerror="alert(1)">'
    case = staffed.open(
        patient={**PATIENT, "names": [{"family": evil, "given": "A"}]}, questions=f"{{{{ 7*7 }}}} {evil}"
    )
    staffed.document(case, f"{evil}.pdf", look=(("burned_in", evil, evil),))
    for path in ("", "/findings", "/trail"):
        page = desk.get(f"/desk/cases/{case.ref}{path}")
        assert page.status_code == 200
        assert "<img src=x" not in page.text
    assert "{{ 7*7 }}" in unescape(desk.get(f"/desk/cases/{case.ref}").text)


# the case


def test_looking_at_a_case_is_an_event_and_watching_its_numbers_is_none(staffed, desk):
    case = staffed.open()
    staffed.study(case, slices=3, look_at=1)
    before = len(staffed.kinds())
    numbers = desk.get(f"/desk/cases/{case.ref}/live.json", page=False).json()
    assert (numbers["instances_received"], numbers["instances_deidentified"], numbers["open_findings"]) == (
        3,
        2,
        1,
    )
    assert "Vinterqvist" not in str(numbers)
    assert len(staffed.kinds()) == before
    desk.get(f"/desk/cases/{case.ref}")
    assert staffed.kinds()[before:] == ["case_read"]


def test_the_board_shows_no_patient_and_names_what_is_missing(staffed, desk):
    case = staffed.open()
    staffed.study(case, slices=4, look_at=2)
    page = desk.get("/desk/")
    assert case.ref in page.text
    assert "Vinterqvist" not in page.text
    said = text_of(page)
    assert "Missing: Doctor's notes, Lab results, Imaging, Radiology report" in said
    assert "2 / 4" in said
    assert desk.get("/desk/board.json", page=False).json()["cases"][0]["ref"] == case.ref


def test_the_clock_is_started_paused_and_run_again(staffed, desk):
    case = staffed.open()
    base = f"/desk/cases/{case.ref}"
    assert desk.post(f"{base}/complete", {}).status_code == 303
    assert "7 December 2026" in desk.get(base).text
    assert desk.post(f"{base}/pause", {"reason": "your pathology report"}).status_code == 303
    assert "your pathology report" in desk.get(base).text
    again = desk.post(f"{base}/pause", {"reason": "something else"})
    assert again.status_code == 409
    assert f'href="{base}"' in again.text
    staffed.clock.forward(days=3)
    desk.http.cookies.set(COOKIE, staffed.token(HER))
    desk.get(base)
    assert desk.post(f"{base}/resume", {}).status_code == 303
    assert "10 December 2026" in desk.get(base).text
    assert desk.post(f"{base}/pause", {"reason": "  "}).status_code == 422


def test_the_link_travels_behind_the_hash_alone(staffed, desk):
    case = staffed.open()
    answer = desk.post(f"/desk/cases/{case.ref}/link", {})
    path, _, token = answer.headers["location"].partition("#")
    assert path == f"/desk/cases/{case.ref}/link"
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    page = desk.get(path)
    assert token not in page.text
    assert f'data-start="{ORIGIN}/p/#"' in page.text
    with staffed.house.records.view() as view:
        assert view.links.count(case_id=case.id, revoked_at=None) == 1
    assert desk.post(f"/desk/cases/{case.ref}/link/revoke", {}).status_code == 303
    with staffed.house.records.view() as view:
        assert view.links.count(case_id=case.id, revoked_at=None) == 0


def test_a_case_that_is_none_is_told_without_advice_for_the_command_line(desk):
    answer = desk.get("/desk/cases/C-00000000")
    assert answer.status_code == 404
    assert "consilium case list" not in answer.text


# inbox

HEAD = {
    "patient_name": "Vinterqvist^Alfhilda",
    "patient_id": "19670725-9989",
    "patient_birth_date": "19670725",
    "patient_sex": "F",
}


def test_a_study_is_accepted_and_taken_back(staffed, desk):
    case = staffed.open()
    study = staffed.study(None, slices=2, head=HEAD)
    before = len(staffed.kinds())
    page = desk.get("/desk/inbox")
    said = text_of(page)
    assert case.ref in said
    assert "the same number, the same birth date, the same name" in said
    assert staffed.kinds()[before:] == ["case_read"]
    answer = desk.post(f"/desk/studies/{study.id}/assign", {"ref": case.ref})
    after = desk.get(answer.headers["location"].removeprefix(ORIGIN))
    assert f"/desk/studies/{study.id}/unassign" in after.text
    with staffed.house.records.view() as view:
        assert view.studies.get(study.id).case_id == case.id
        assert view.jobs.count(case_id=case.id, kind="deidentify_study") == 1
    assert desk.post(f"/desk/studies/{study.id}/unassign", {}).status_code == 303
    with staffed.house.records.view() as view:
        assert view.studies.get(study.id).case_id is None


def test_an_empty_inbox_is_no_event(staffed, desk):
    before = len(staffed.kinds())
    assert "The inbox is empty" in desk.get("/desk/inbox").text
    assert len(staffed.kinds()) == before


# work that failed


def test_failed_work_is_shown_with_its_cause_and_owed_again(staffed, desk):
    case = staffed.open()
    with staffed.house.records.change(by=OPERATOR) as change:
        job = change.owe("deidentify_document", "d" * 32, due_at=staffed.clock.now(), case_id=case.id)
        change.jobs.set(job, state="failed", attempts=6, error="UnavailableError", dedup_key=None)
        change.note("job_failed", case_id=case.id, subject=job)
    said = text_of(desk.get("/desk/"))
    assert "de-identifying a document" in said
    assert "A part of the service did not answer." in said
    staffed.bell.rung.clear()
    answer = desk.post(f"/desk/jobs/{job}/retry", {"ref": case.ref})
    assert answer.headers["location"] == f"/desk/cases/{case.ref}?done=retried"
    with staffed.house.records.view() as view:
        (fresh,) = view.jobs.find(subject_id="d" * 32)
    assert (fresh.state, fresh.attempts, staffed.bell.rung) == ("queued", 0, [fresh.id])
    assert desk.post(f"/desk/jobs/{fresh.id}/retry", {}).status_code == 409


# the human look


def test_a_picture_of_the_copy_is_an_event(staffed, desk):
    case = staffed.open()
    staffed.study(case, look_at=1)
    with staffed.house.records.view() as view:
        (finding,) = view.findings.find(case_id=case.id)
    answer = desk.get(f"/desk/findings/{finding.id}/picture.png?n=1", page=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.startswith(b"\x89PNG")
    assert staffed.kinds()[-1] == "preview_read"
    assert desk.get(f"/desk/findings/{finding.id}/picture.png?n=99", page=False).status_code == 404
    assert desk.get(f"/desk/findings/{finding.id}/picture.png?n=-1", page=False).status_code == 200


def test_what_is_held_is_kept_left_out_and_reconsidered(staffed, desk):
    case = staffed.open()
    staffed.study(case, slices=1, look_at=1)
    staffed.document(
        case,
        "skadad.pdf",
        held=Held(code="unreadable", reason="The file is empty. Ask the sender to send it again."),
    )
    with staffed.house.records.view() as view:
        found = {f.code: f for f in view.findings.find(case_id=case.id)}
    page = desk.get(f"/desk/cases/{case.ref}/findings")
    held = page.text.partition(f'id="f-{found["unreadable"].id}"')[2].partition("</li>")[0]
    assert 'value="keep"' not in held
    assert 'value="exclude"' in held
    assert desk.post(f"/desk/findings/{found['unreadable'].id}", {"verdict": "keep"}).status_code == 409
    for finding, verdict, state in (
        ("burned_in", "keep", "kept"),
        ("burned_in", "undo", "open"),
        ("unreadable", "exclude", "excluded"),
    ):
        assert desk.post(f"/desk/findings/{found[finding].id}", {"verdict": verdict}).status_code == 303
        with staffed.house.records.view() as view:
            assert view.findings.get(found[finding].id).state == state
    assert desk.post(f"/desk/findings/{found['burned_in'].id}", {"verdict": "destroy"}).status_code == 422


def test_all_of_one_kind_are_decided_only_by_who_says_that_she_looked(staffed, desk):
    case = staffed.open()
    staffed.study(case, slices=5, look_at=4)
    base = f"/desk/cases/{case.ref}/findings"
    assert desk.post(base, {"alike": "burned_in", "verdict": "keep"}).status_code == 422
    with staffed.house.records.view() as view:
        assert view.findings.count(case_id=case.id, state="open") == 4
    assert desk.post(base, {"alike": "burned_in", "verdict": "keep", "looked": "yes"}).status_code == 303
    with staffed.house.records.view() as view:
        assert view.findings.count(case_id=case.id, state="kept") == 4
    assert staffed.kinds().count("finding_judged") == 4


def test_many_findings_come_in_pages(staffed, desk):
    case = staffed.open()
    staffed.study(case, slices=14, look_at=14)
    base = f"/desk/cases/{case.ref}/findings"
    assert desk.get(base).text.count('class="card finding open"') == 12
    assert desk.get(f"{base}?from=12").text.count('class="card finding open"') == 2
    assert desk.get(f"{base}?from=999999999").status_code == 200
    assert desk.get(f"{base}?from=x&code=%22%3E").status_code == 200


def test_a_reason_about_pages_is_said_in_swedish_with_its_pages(staffed, desk):
    case = staffed.open()
    sentence = "Pages 1-4, 7: no text that a machine can read (a scan or a drawing). Look for names, numbers and dates."
    staffed.document(case, "brev.pdf", look=(("document_look", sentence, ""),))
    said = text_of(desk.get(f"/desk/cases/{case.ref}/findings?lang=sv"))
    assert "Sidorna 1-4, 7: ingen maskinläsbar text (en skanning eller ritning)." in said


# releases


def built(staffed, desk, case):
    answer = desk.post(f"/desk/cases/{case.ref}/releases", {})
    assert answer.status_code == 303, text_of(answer)
    path = answer.headers["location"].partition("?")[0]
    return path, desk.get(path)


def test_a_release_is_approved_by_the_digest_that_was_shown(staffed, desk):
    rev = staffed.add("reviewer", "rev@example.org")
    case = staffed.open()
    staffed.study(case)
    staffed.document(case, "Journal.pdf")
    path, page = built(staffed, desk, case)
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page.text)[1]
    assert "Vinterqvist" not in page.text
    for wrong in ("", "0" * 64):
        answer = desk.post(f"{path}/approve", {"digest": wrong, "reviewer": rev.id})
        assert answer.status_code == 409
    assert desk.post(f"{path}/approve", {"digest": digest, "reviewer": rev.id}).status_code == 303
    with staffed.house.records.view() as view:
        release = view.releases.first(case_id=case.id)
        (grant,) = view.grants.find(release_id=release.id)
    assert (release.state, grant.person_id) == ("approved", rev.id)
    assert "rev@example.org" in desk.get(path).text


def test_a_right_is_given_and_taken_back_and_a_version_withdrawn(staffed, desk):
    staffed.add("reviewer", "rev@example.org")
    other = staffed.add("reviewer", "other@example.org")
    case = staffed.open()
    staffed.study(case)
    staffed.release(case, "rev@example.org")
    path = f"/desk/cases/{case.ref}/releases/1"
    assert desk.post(f"{path}/grant", {"reviewer": other.id}).status_code == 303
    assert desk.post(f"{path}/grant", {"reviewer": "0" * 32}).status_code == 404
    with staffed.house.records.view() as view:
        grant = view.grants.first(person_id=other.id)
    assert desk.post(f"{path}/grants/{grant.id}/revoke", {}).status_code == 303
    assert desk.post(f"{path}/grants/{'0' * 32}/revoke", {}).status_code == 404
    with staffed.house.records.view() as view:
        assert view.grants.get(grant.id).revoked_at is not None
    assert "taken back" in desk.get(path).text
    assert desk.post(f"{path}/withdraw", {}).status_code == 303
    assert desk.post(f"{path}/withdraw", {}).status_code == 409
    assert "Withdrawn" in desk.get(path).text


def test_nothing_is_built_while_something_is_open(staffed, desk):
    case = staffed.open()
    staffed.study(case, look_at=1)
    answer = desk.post(f"/desk/cases/{case.ref}/releases", {})
    assert answer.status_code == 409
    assert "1 findings wait for a human" in answer.text
    assert "`" not in text_of(answer)
    assert "no release can be built before" in text_of(desk.get(f"/desk/cases/{case.ref}"))


# the answer


def test_an_answer_is_read_and_delivered_once(staffed, desk):
    rev = staffed.add("reviewer", "rev@example.org")
    case = staffed.open()
    staffed.study(case)
    release = staffed.release(case, "rev@example.org")
    base = f"/desk/cases/{case.ref}"
    assert "No answer is signed yet." in desk.get(f"{base}/answer").text
    sign_answer(
        release.id,
        {"question": "Q?", "findings": "18 mm", "recommendation": "Resection", "confidence": "High"},
        person_id=rev.id,
        address="",
        records=staffed.house.records,
        clock=staffed.clock,
    )
    page = desk.get(f"{base}/answer")
    assert "Resection" in page.text
    assert "rev@example.org" in page.text
    assert desk.post(f"{base}/deliver", {}).status_code == 303
    assert staffed.mail.sent[0]["to"] == PATIENT["emails"][0]
    assert desk.post(f"{base}/deliver", {}).status_code == 409
    assert desk.post(f"{base}/close", {}).status_code == 303
    assert case.ref in desk.get("/desk/?show=ended").text
    assert case.ref not in desk.get("/desk/").text


# words


def test_every_term_of_the_house_has_its_words():
    assert set(event_words.EVENTS) == set(EVENT_KINDS)
    assert set(words.STATES) == set(words.WAY_OF) == {*STATES, "forgotten"}
    assert set(words.CATEGORIES) == set(CATEGORIES)
    assert set(words.DOCUMENT_STATES) == set(DOCUMENT_STATES)
    assert {verb for _, verb in EVENT_KINDS.values()} == set(words.VERBS)


def test_every_code_of_a_finding_has_a_name_and_no_name_is_left_over():
    codes = sentences.told()[1] | {RECALLED, MASK_ENDED, "document_look"}
    assert codes - set(reasons.TITLES) == set()
    assert set(reasons.TITLES) - codes == set()
    assert {"burned_in", "unknown_sop_class", "text_unread", "time_limit", "malware", "xfa"} <= codes


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("Pages 1-4, 7: Look.", ("Pages {numbers}", "1-4, 7", "Look.", "")),
        ("Page 2: Look.", ("Page {numbers}", "2", "Look.", "")),
        ("The text: a word. Read it.", ("The text", "", "a word. Read it.", "")),
        (
            "The archive was not opened: it is damaged",
            ("The archive was not opened", "", "it is damaged", ""),
        ),
        ("The file broke. (ValueError)", ("", "", "The file broke.", "ValueError")),
        ("The file was put aside: it is large.", ("", "", "The file was put aside: it is large.", "")),
    ],
)
def test_a_reason_is_parted_into_what_is_translated_apart(reason, parts):
    assert reasons.parted(reason) == parts


def test_what_was_done_is_said_after_every_change():
    from gateway.doors.desk import board, commitments, findings, inbox, moves, releases, rule_words, rules

    said = set()
    for module in (board, commitments, findings, inbox, moves, releases, rules):
        text = Path(module.__file__).read_text()
        said |= set(re.findall(r"done=(\w+)", text)) | set(re.findall(r'_back\(ref, "(\w+)"\)', text))
        said |= set(re.findall(r'_to\(ref, [\w.]+, "(\w+)"\)', text))
    said |= {done for _, done in moves._SIMPLE.values()} | {"opened"}
    assert said - {"done"} == set(words.DONE) | set(rule_words.DONE)


def test_the_pages_speak_swedish(staffed, desk):
    case = staffed.open()
    staffed.study(case, look_at=1)
    staffed.document(case, "Journal.pdf")
    for path in ("/", "/inbox", "/cases/new", f"/cases/{case.ref}", f"/cases/{case.ref}/findings"):
        page = desk.get(f"/desk{path}?lang=sv")
        assert page.headers["content-language"] == "sv"
        said = text_of(page)
        for english in ("Cases", "Documents", "Open a case", "Held for", "Waits for", "images"):
            assert english not in said, (path, english)


def test_a_case_shows_one_next_step(staffed, desk):
    staffed.add("reviewer", "rev@example.org")
    case = staffed.open()
    base = f"/desk/cases/{case.ref}"

    def step():
        return re.search(r'class="alert \w+ next".*?<strong>(.*?)</strong>', desk.get(base).text, re.DOTALL)[
            1
        ]

    assert unescape(step()) == words.STEPS["send_link"][0]
    staffed.study(case, look_at=1)
    assert unescape(step()) == words.STEPS["judge"][0]
    with staffed.house.records.view() as view:
        (finding,) = view.findings.find(case_id=case.id)
    desk.post(f"/desk/findings/{finding.id}", {"verdict": "keep"})
    assert unescape(step()) == words.STEPS["wait_documents"][0]
    with staffed.house.records.change(by=OPERATOR) as change:
        now = change.cases.get(case.id)
        change.cases.put(replace(now, checklist=dict.fromkeys(now.checklist, "received")))
        change.note("item_marked", case_id=case.id)
    assert unescape(step()) == words.STEPS["complete"][0]
    desk.post(f"{base}/complete", {})
    assert unescape(step()) == words.STEPS["build"][0]
    desk.post(f"{base}/releases", {})
    assert unescape(step()) == words.STEPS["approve"][0]
