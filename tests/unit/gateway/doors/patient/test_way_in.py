"""Link, code, session, pages: what a stranger learns, what a patient sees, what a scanner sets off."""

from __future__ import annotations

import re

import pytest

from gateway.domain.case import STATES
from gateway.domain.checklist import CATEGORIES
from gateway.domain.opinion import ANSWER_FIELDS
from gateway.doors.http.headers import ALWAYS
from gateway.doors.patient import service as seam
from gateway.doors.patient import words
from tests.fakes.door_client import Browser
from tests.fakes.patient_service import TOKEN
from tests.unit.gateway.doors.patient.conftest import sign_in

PERSONAL = re.compile(r"C-7K3M9QXA|•••• 42|CT|RADIOLOGY", re.IGNORECASE)


def test_the_first_page_tells_a_stranger_nothing_and_sets_nothing_off(stranger, service):
    for _ in range(50):
        page = stranger.get("/p/")
        assert page.status_code == 200
        stranger.send("HEAD", "/p/")
        stranger.get("/p/api/state", page=False)
    assert service.calls == []
    assert not re.search(r"C-7K3M9QXA|•••• 42", page.text)
    assert "set-cookie" not in page.headers


def test_the_first_page_is_the_same_for_everyone(app, stranger, service):
    def first(browser: Browser) -> str:
        return re.sub(r'nonce="[^"]+"', "", browser.get("/p/").text)

    with Browser(app) as other:
        sign_in(other, service)
        assert first(other) == first(stranger)


def test_opening_a_link_sends_no_code(stranger, service):
    answer = stranger.post("/p/api/link", json={"token": TOKEN})
    assert answer.json() == {"channel_hint": "•••• 42"}
    assert service.codes() == []
    assert stranger.get("/p/api/state", page=False).json() == {"step": "code"}


@pytest.mark.parametrize("token", ["c" * 64, "", "a" * 63, "x" * 200, "å", "a" * 64 + " "])
def test_every_link_that_does_not_count_is_told_alike(stranger, service, token):
    answers = [stranger.post("/p/api/link", json={"token": one}) for one in (token, "d" * 64)]
    if answers[0].status_code == 422:
        assert token == ""
        return
    assert {one.status_code for one in answers} == {403}
    assert answers[0].content == answers[1].content
    assert answers[0].json()["code"] == "link_refused"
    assert "set-cookie" not in answers[0].headers
    assert service.codes() == []


def test_the_cookie_turns_from_link_to_session_at_the_code(stranger, service):
    before = stranger.post("/p/api/link", json={"token": TOKEN}).cookies["consilium-patient"]
    stranger.post("/p/api/code")
    answer = stranger.post("/p/api/verify", json={"code": service.codes()[-1]})
    after = answer.cookies["consilium-patient"]
    assert answer.json() == {"next": "/p/case"}
    assert before[:2] == "p."
    assert after[:2] == "s."
    assert before[2:] != after[2:]
    stranger.http.cookies.set("consilium-patient", before, domain="127.0.0.1")
    assert stranger.post("/p/api/verify", json={"code": service.codes()[-1]}).status_code == 403


@pytest.mark.parametrize("typed", ["{0}", "{0:.4} {0:4.8}", " {0} "])
def test_a_code_may_be_typed_with_spaces(stranger, service, typed):
    stranger.post("/p/api/link", json={"token": TOKEN})
    stranger.post("/p/api/code")
    code = service.codes()[-1]
    spaced = {"{0}": code, " {0} ": f" {code} "}.get(typed, f"{code[:4]} {code[4:]}")
    assert stranger.post("/p/api/verify", json={"code": spaced}).status_code == 200


@pytest.mark.parametrize("code", ["00000000", "abcdefgh", "１２３４５６７８", "' OR 1=1", "1", "1" * 40])
def test_a_wrong_code_is_told_plainly(stranger, service, code):
    stranger.post("/p/api/link", json={"token": TOKEN})
    stranger.post("/p/api/code")
    answer = stranger.post("/p/api/verify", json={"code": code}, headers={"Accept-Language": "sv"})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_code")
    assert answer.json()["title"] == "Koden stämmer inte"


def test_a_spent_code_asks_for_a_new_one(stranger, service):
    stranger.post("/p/api/link", json={"token": TOKEN})
    stranger.post("/p/api/code")
    for _ in range(5):
        stranger.post("/p/api/verify", json={"code": "00000000"})
    answer = stranger.post("/p/api/verify", json={"code": service.codes()[-1]})
    assert (answer.status_code, answer.json()["code"]) == (410, "old_code")


def test_too_many_codes_tell_how_long_to_wait(stranger, service):
    service.codes_per_day = 0
    stranger.post("/p/api/link", json={"token": TOKEN})
    answer = stranger.post("/p/api/code")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "60"
    assert answer.json()["retry_after_s"] == 60


@pytest.mark.parametrize("path", ["/p/receipt", "/p/answer"])
def test_pages_need_a_session(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "What to do next" in answer.text


def test_the_case_without_a_session_leads_to_the_first_page(stranger):
    assert stranger.get("/p/case").headers["location"] == "/p/"


def test_calls_need_a_session(stranger):
    assert stranger.post("/p/api/finish").status_code == 401
    assert stranger.post("/p/missing", {"item": "labs"}).status_code == 401
    assert stranger.post("/p/logout", {}).status_code == 401


def test_unknown_fields_are_refused(stranger):
    answer = stranger.post("/p/api/link", json={"token": TOKEN, "admin": True})
    assert answer.status_code == 422


def test_the_case_page_shows_what_the_patient_may_see(patient, service):
    service.state.update(studies=True, opened=True)
    page = patient.get("/p/case", headers={"Accept-Language": "en"}).text
    for text in (
        "C-7K3M9QXA",
        "Doctor&#39;s notes",
        "Needed",
        "1,284 pictures",
        "12 May 2026",
        "A specialist (without your name)",
        "Within 15 days",
    ):
        assert text in page, text


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("language", ["sv", "en"])
def test_every_state_of_a_case_has_its_words(patient, service, state, language):
    service.state["case_state"] = state
    page = patient.get(f"/p/case?lang={language}")
    assert page.status_code == 200
    assert state in words.CASE_STATES


def test_the_clock_shows_the_day_or_the_reason_of_a_pause(patient, service):
    service.state["case_state"] = "in_review"
    assert "14 December 2026" in patient.get("/p/case?lang=en").text
    service.state["paused"] = "100 % <b>pathology</b> report"
    page = patient.get("/p/case").text
    assert "100 % &lt;b&gt;pathology&lt;/b&gt; report" in page


def test_the_words_know_every_category_and_part():
    assert set(words.CATEGORIES) == set(CATEGORIES)
    assert set(words.ANSWER_PARTS) == {name for name, _ in ANSWER_FIELDS}


def test_what_one_does_not_have_is_noted_and_taken_back(patient, service):
    patient.get("/p/case")
    assert patient.post("/p/missing", {"item": "labs"}).headers["location"] == "/p/case#needed"
    assert service.state["checklist"]["labs"] == "not_available"
    assert "I have it after all" in patient.get("/p/case").text
    patient.post("/p/missing", {"item": "labs"})
    assert service.state["checklist"]["labs"] == "wanted"
    assert patient.post("/p/missing", {"item": "nonsense"}).status_code == 422


def test_the_answer_is_there_once_it_is_delivered(patient, service):
    assert patient.get("/p/answer").status_code == 404
    service.state["case_state"] = "delivered"
    assert 'href="/p/answer"' in patient.get("/p/case").text
    page = patient.get("/p/answer").text
    assert "Resection of the lower left lobe." in page
    assert "&lt;b&gt;in these images" in page
    assert "Other possibilities" not in page


def test_signing_out_ends_the_session_here_and_there(patient, service):
    patient.get("/p/case")
    answer = patient.post("/p/logout", {})
    assert answer.headers["location"] == "/p/"
    assert service.state["sessions"] == {}
    assert "Clear-Site-Data" in answer.headers
    assert patient.get("/p/receipt").status_code == 401


def test_finishing_gives_the_receipt_with_digests(patient, service):
    answer = patient.post("/p/api/finish")
    assert answer.json() == {"number": "K7Q2-M9XA", "files": 0, "next": "/p/receipt"}
    assert "K7Q2-M9XA" in patient.get("/p/receipt").text


def test_every_route_of_the_door_has_the_headers_and_gives_no_content_back(app, patient):
    from gateway.doors.http.door import _Quiet

    quiet = app.app
    assert isinstance(quiet, _Quiet)
    routes = [(method, path) for path, methods in quiet.app.openapi()["paths"].items() for method in methods]
    assert len(routes) >= 15
    for method, path in routes:
        answer = patient.send(
            method.upper(), path.replace("{upload_id}", "a" * 32), headers={"X-Consilium": "1"}
        )
        for name in ALWAYS:
            assert name in answer.headers, (method, path)
        assert answer.status_code < 500, (method, path)


def test_a_receipt_says_which_files_are_still_being_checked(patient, service, monkeypatch):
    made = seam.Receipt(
        number="1",
        case_ref="C-7K3M9QXA",
        made_at=service.now(),
        lines=(
            seam.ReceiptLine(
                name="a.pdf", size_bytes=1, sha256="", category="labs", received_at=service.now()
            ),
        ),
    )
    monkeypatch.setattr(service, "receipt", lambda *_, **__: made, raising=False)
    assert "Being checked" in patient.get("/p/receipt?lang=en").text


def test_a_disc_of_thousands_is_a_page_that_opens(patient, service):
    where = service.create_upload(
        next(iter(service.state["sessions"])),
        name="IM",
        size_bytes=1,
        category="imaging",
        media_type="",
        address="",
    ).id
    one = {**service.state["uploads"].pop(where), "done": True}
    service.state["uploads"] = {f"{number:032d}": {**one, "name": f"IM{number}"} for number in range(3000)}
    page = patient.get("/p/case?lang=en").text
    assert "and 2992 more" in page
    assert page.count('<li><span class="file-name">') == 208
