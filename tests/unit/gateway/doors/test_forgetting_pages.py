"""The end of a case at the desk: the forms on its page, the certificate for paper and as a file, in both languages."""

import json
import re
from dataclasses import replace

import pytest

from gateway.domain.epoch import Epoch
from gateway.domain.forgetting import GROUNDS
from gateway.doors.desk import forgetting_words
from gateway.doors.desk.app import desk_app
from gateway.doors.http import DoorConfig
from gateway.journeys.certify_forgetting import check_certificate
from gateway.journeys.hold_case import MOST_REASON
from gateway.journeys.keep_register import read_register
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.staffed_house import OPERATOR, PATIENT, PresentHouse

COOKIE = "consilium-desk"
HER, OFFICER = "desk@example.org", "officer@example.org"
WHY = "Inspektionen, dnr 7"


@pytest.fixture
def browser(staffed):
    present = PresentHouse()
    present.house = staffed.house
    app = desk_app(present, DoorConfig(public_url=ORIGIN, prefix="/desk", default_language="en"))
    with Browser(app) as one:
        one.present = present
        yield one


@pytest.fixture
def desk(staffed, browser):
    browser.http.cookies.set(COOKIE, staffed.token(HER))
    browser.get("/desk/")
    return browser


def _forget(desk, ref, **form):
    fixed = {"confirm": ref, "ground": "consent_withdrawn"}
    return desk.post(f"/desk/cases/{ref}/forget", fixed | form)


def _cases(staffed):
    with staffed.records.view() as view:
        return [case.ref for case in view.cases.find()]


def test_every_ground_has_its_words():
    assert set(forgetting_words.GROUNDS) == set(GROUNDS)


def test_a_case_is_held_and_unheld_on_its_page(staffed, desk):
    case = staffed.open()
    page = desk.get(f"/desk/cases/{case.ref}").text
    assert "Place a legal hold" in page
    assert "Forget the case" in page
    desk.post(f"/desk/cases/{case.ref}/hold", {"hold_reason": WHY})
    page = desk.get(f"/desk/cases/{case.ref}?done=held").text
    assert WHY in page
    assert "Legal hold since" in page
    assert "Forget it for good" not in page
    answer = _forget(desk, case.ref)
    assert answer.status_code == 409
    assert "nobody may forget it" in answer.text
    assert _cases(staffed) == [case.ref]
    assert desk.post(f"/desk/cases/{case.ref}/hold", {"hold_reason": "x"}).status_code == 409
    desk.post(f"/desk/cases/{case.ref}/unhold", {"unhold_reason": "över"})
    assert "Place a legal hold" in desk.get(f"/desk/cases/{case.ref}").text


def test_a_case_is_forgotten_and_its_certificate_can_be_printed_and_checked(staffed, desk):
    case, other = staffed.open(), staffed.open()
    assert _forget(desk, case.ref, confirm="").status_code == 409
    assert _forget(desk, case.ref, ground="because").status_code == 422
    answer = _forget(desk, case.ref, confirm=case.ref.lower())
    assert answer.headers["location"] == f"/desk/forgotten/{case.ref}?done=forgotten"
    assert _cases(staffed) == [other.ref]
    page = desk.get(f"/desk/forgotten/{case.ref}?done=forgotten").text
    assert "Certificate of erasure" in page
    assert "withdrawn consent" in page
    assert PATIENT["names"][0]["family"] not in page
    swedish = desk.get(f"/desk/forgotten/{case.ref}?lang=sv").text
    assert "Intyg om radering" in swedish
    assert "återkallat sitt samtycke" in swedish
    file = desk.get(f"/desk/forgotten/{case.ref}/certificate.json")
    assert "attachment" in file.headers["content-disposition"]
    value = json.loads(file.text)
    assert value["signature"]["public_key"] in page
    check_certificate(file.text, key=value["signature"]["public_key"])
    listed = desk.get("/desk/forgotten").text
    assert case.ref in listed
    assert other.ref not in listed
    assert desk.get(f"/desk/forgotten/{other.ref}").status_code == 404
    assert desk.get(f"/desk/cases/{case.ref}").status_code == 404


def test_the_register_has_the_case_before_anybody_asks_for_its_certificate(staffed, desk):
    """The browser may never come back for it; a backup that is restored in that minute must forget it again."""
    case, other = staffed.open(), staffed.open()
    _forget(desk, case.ref)
    register = staffed.house.register
    read = read_register(register.lines(), records=staffed.records, store=staffed.house.store)
    assert [stone.holder for stone in read.stones] == [case.id]
    register.path.unlink()
    register.path.mkdir()  # it cannot be written: the case is forgotten, the scheduler goes on with its line
    answer = _forget(desk, other.ref)
    assert answer.headers["location"] == f"/desk/forgotten/{other.ref}?done=forgotten"
    assert _cases(staffed) == []


def test_what_is_refused_is_said_in_swedish_alone(staffed, desk):
    case = staffed.open()
    desk.get("/desk/?lang=sv")
    for path, form, says in (
        ("hold", {"hold_reason": " "}, f"med högst {MOST_REASON} tecken"),
        (
            "forget",
            {"confirm": "C-AAAAAAAA", "ground": "mistake"},
            "beteckning en gång till för att bekräfta",
        ),
    ):
        answer = desk.post(f"/desk/cases/{case.ref}/{path}", form)
        assert answer.status_code in {409, 422}
        assert says in answer.text
        assert not re.search(r"Say why|Repeat the|cannot be undone|with a reason", answer.text)
    desk.post(f"/desk/cases/{case.ref}/hold", {"hold_reason": WHY})
    answer = desk.post(f"/desk/cases/{case.ref}/unhold", {"unhold_reason": ""})
    assert f"med högst {MOST_REASON} tecken" in answer.text


def _certificate(desk, ref, language="en"):
    return desk.get(f"/desk/forgotten/{ref}?lang={language}").text


def test_a_certificate_says_what_is_still_being_removed(staffed, desk):
    case = staffed.open()
    _forget(desk, case.ref)
    assert "The sealed files were removed." in _certificate(desk, case.ref)
    with staffed.records.change(by=OPERATOR) as change:
        change.forgettings.set(case.id, left=["a" * 32, "b" * 32])
        change.note("objects_removed", case_id=case.id)
    page = _certificate(desk, case.ref)
    assert "2 sealed files are still being removed; no key opens them." in page
    assert "were removed" not in page
    assert "2 förseglade filer" in _certificate(desk, case.ref, "sv")


def test_a_certificate_does_not_promise_of_backups_what_lies_ahead(staffed, desk):
    case = staffed.open()
    policy = replace(staffed.house.policy, epoch_days=30, backup_days=30)
    desk.present.house = replace(staffed.house, policy=policy)
    with staffed.records.change(by=OPERATOR) as change:
        (kek, *_) = change.keks_of(case.id)
        change.epochs.add(Epoch(id="1" * 32, kek_id=kek[1], kek_version=kek[2], began_at=change.now))
        change.note("epoch_retired")
    _forget(desk, case.ref)
    page = _certificate(desk, case.ref)
    assert "Nobody can read it here any more." in page
    assert "cannot be brought back" not in page
    assert page.count("if there are any") == 2
    assert "Ingen kan längre läsa det här." in _certificate(desk, case.ref, "sv")
    staffed.clock.forward(days=70)
    desk.http.cookies.set(COOKIE, staffed.token(HER))
    page = _certificate(desk, case.ref)
    assert "it cannot be brought back" in page
    assert "Nobody can read it here any more." not in page


def test_a_certificate_of_a_house_without_epochs_says_what_holds_for_backups(staffed, desk):
    case = staffed.open()
    _forget(desk, case.ref)
    page = _certificate(desk, case.ref)
    assert "What is said below holds for backups from before the erasure." in page
    assert "cannot be brought back" not in page


def test_nobody_sees_or_does_any_of_it_who_is_not_signed_in(staffed, browser):
    case = staffed.open()
    for path in (
        "/desk/forgotten",
        f"/desk/forgotten/{case.ref}",
        f"/desk/forgotten/{case.ref}/certificate.json",
    ):
        assert browser.get(path).status_code in {303, 401, 403}
    for path in ("hold", "unhold", "forget"):
        assert browser.post(f"/desk/cases/{case.ref}/{path}", {"confirm": case.ref}).status_code in {
            303,
            400,
            401,
            403,
        }
    assert _cases(staffed) == [case.ref]


def test_the_privacy_officer_sees_certificates_and_forgets_nothing(staffed, browser):
    case, gone = staffed.open(), staffed.open()
    staffed.add("privacy", OFFICER)
    browser.http.cookies.set(COOKIE, staffed.token(HER))
    browser.get("/desk/")
    _forget(browser, gone.ref)
    browser.http.cookies.set(COOKIE, staffed.token(OFFICER))
    assert gone.ref in browser.get("/desk/forgotten").text
    assert browser.get(f"/desk/forgotten/{gone.ref}").status_code == 200
    assert _forget(browser, case.ref).status_code == 403
    assert _cases(staffed) == [case.ref]
