"""The reviewer's door: who gets in, what she sees (never who the patient is), ranged downloads, and the locked answer."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta
from html import unescape

import pytest

from gateway.domain.errors import UnavailableError
from gateway.doors.http import DoorConfig, csrf_token
from gateway.doors.reviewer.app import reviewer_app
from gateway.journeys.answer_case import deliver_answer
from gateway.journeys.prove_identity import end_session
from gateway.journeys.release_case import revoke_grant, withdraw_release
from gateway.journeys.sandboxed import Held
from gateway.journeys.sign_in import disable_person
from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.spoilt_key import spoil_key
from tests.fakes.staffed_house import OPERATOR, PASSWORD, PATIENT, PresentHouse, make_house

CONFIG = DoorConfig(public_url=ORIGIN, prefix="/review", default_language="en")
HER, OTHER = "anna@example.org", "bo@example.org"
COOKIE = "consilium-review"
QUESTIONS = "Can Alfhilda Vinterqvist (19670725-9989, +46 70 174 06 47) have surgery?"
SECRETS = (
    "Vinterqvist",
    "Alfhilda",
    "19670725",
    "9989",
    "174 06 47",
    "Gäddviks",
    "alfhilda",
    "Journal",
    "Tölvina",
)
ANSWER = {
    "question": "Is surgery possible?",
    "findings": "One lesion of 18 mm.",
    "recommendation": "Resection of the left lower lobe.",
    "alternatives": "",
    "confidence": "High.",
    "further_examinations": "",
}


@pytest.fixture
def staffed(tmp_path):
    house = make_house(tmp_path)
    for role, email in (
        ("reviewer", HER),
        ("reviewer", OTHER),
        ("coordinator", "desk@example.org"),
        ("privacy", "dpo@example.org"),
    ):
        house.add(role, email)
    yield house
    house.close()


@pytest.fixture
def released(staffed):
    """A release of two studies and a document, with something left out, granted to her alone."""
    case = staffed.open(patient=PATIENT, questions=QUESTIONS)
    staffed.study(case, slices=5)
    staffed.study(case, slices=2, number=2)
    staffed.document(case, "Journal Vinterqvist.pdf")
    held = staffed.document(case, "x.pdf", held=Held(code="unreadable", reason="The file is empty."))
    with staffed.house.records.change(by=OPERATOR) as change:
        change.documents.set(held.id, state="excluded")
        for finding in change.findings.find(case_id=case.id):
            change.findings.set(finding.id, state="excluded")
        change.note("finding_judged", case_id=case.id)
    return staffed.release(case, HER)


@pytest.fixture(scope="module")
def door():
    present = PresentHouse()
    return present, reviewer_app(present, CONFIG)


@pytest.fixture
def browser(staffed, door):
    present, app = door
    present.house = staffed.house
    with Browser(app) as one:
        yield one


@pytest.fixture
def room(staffed, browser):
    """A browser in which she is signed in."""
    enter(browser, staffed.token(HER))
    return browser


def enter(browser, token):
    browser.http.cookies.clear()
    browser.http.cookies.set(COOKIE, token)
    browser.token = csrf_token(token)


def test_case_that_does_not_open_hides_no_other_release(staffed, room, released):
    other = staffed.open(patient=PATIENT)
    staffed.study(other, number=3)
    hidden = staffed.release(other, HER)
    assert base(hidden) in room.get("/review/").text
    spoil_key(staffed.house, other.id)
    page = room.get("/review/")
    assert page.status_code == 200
    assert base(released) in page.text
    assert base(hidden) not in page.text


def base(release):
    return f"/review/releases/{release.id}"


def sign(browser, release, **change):
    return browser.post(f"{base(release)}/answer", {**ANSWER, "confirm": "yes", **change})


# who gets in

ROUTES = (
    ("GET", "/releases.json"),
    ("GET", "/awake"),
    ("GET", "/releases/{id}"),
    ("GET", "/releases/{id}/contents.json"),
    ("GET", "/releases/{id}/package.zip"),
    ("HEAD", "/releases/{id}/package.zip"),
    ("GET", "/releases/{id}/files/0"),
    ("HEAD", "/releases/{id}/files/0"),
    ("GET", "/releases/{id}/answer"),
    ("POST", "/releases/{id}/answer/check"),
    ("POST", "/releases/{id}/answer"),
    ("GET", "/releases/{id}/answer/signed"),
)
OF_A_RELEASE = tuple(key for key in ROUTES if "{id}" in key[1])


def ask(browser, method, path, release):
    address = f"/review{path.format(id=release.id)}"
    if method == "POST":
        return browser.post(address, {**ANSWER, "confirm": "yes"})
    if method == "HEAD":
        return browser.send("HEAD", address)
    return browser.get(address)


def test_no_route_is_forgotten(door):
    there = {
        (method, leaf.path.removeprefix("/review"))
        for route in door[1].app.app.routes
        for leaf in (route.effective_candidates() if hasattr(route, "effective_candidates") else [route])
        for method in leaf.methods
    }
    known = {(m, p.replace("{id}", "{release_id}").replace("files/0", "files/{number}")) for m, p in ROUTES}
    open_to_all = {("GET", "/sign-in"), ("HEAD", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out")}
    first = {("GET", "/"), ("HEAD", "/"), ("GET", ""), ("HEAD", "")}
    static = {key for key in there if key[1].startswith("/static")}
    assert there - static == known | open_to_all | first


def test_strangers_and_other_roles_get_nothing(staffed, released, browser):
    house = staffed.house
    expired = staffed.token(HER)
    staffed.clock.forward(hours=13)
    signed_out = staffed.token(HER)
    end_session(signed_out, address="", records=house.records, clock=house.clock)
    disabled = staffed.token(OTHER)
    disable_person(email=OTHER, by=OPERATOR, records=house.records, store=house.store, clock=house.clock)
    visitors = {
        "a" * 64: 401,
        expired: 401,
        signed_out: 401,
        disabled: 401,
        staffed.token("desk@example.org"): 403,
        staffed.token("dpo@example.org"): 403,
    }
    before = len(staffed.kinds())
    for token, status in visitors.items():
        enter(browser, token)
        for method, path in ROUTES:
            answer = ask(browser, method, path, released)
            assert answer.status_code == status, (method, path)
            assert not any(secret in answer.text for secret in (*SECRETS, "Resection", "Thorax"))
        first = browser.get("/review/")
        assert first.status_code == (303 if status == 401 else 403)
    assert len(staffed.kinds()) == before


def test_without_a_grant_a_release_does_not_exist_and_the_try_is_noted(staffed, released, browser):
    enter(browser, staffed.token(OTHER))
    for method, path in OF_A_RELEASE:
        before = staffed.kinds()
        answer = ask(browser, method, path, released)
        assert answer.status_code == 404, (method, path)
        assert staffed.kinds()[len(before) :] == ["access_refused"]
    assert browser.get("/review/releases.json", page=False).json() == {"releases": []}
    unknown = browser.get(f"/review/releases/{'0' * 32}")
    granted = browser.get(base(released))
    same = [
        re.sub(r'nonce="[^"]*"', "", one.text).replace(released.id, "0" * 32) for one in (unknown, granted)
    ]
    assert same[0] == same[1]


@pytest.mark.parametrize("end", ["revoked", "expired", "withdrawn"])
def test_a_right_that_has_ended_opens_nothing_from_the_next_request_on(staffed, released, room, end):
    house = staffed.house
    assert room.get(base(released)).status_code == 200
    if end == "revoked":
        with house.records.view() as view:
            grant = view.grants.first(release_id=released.id)
        revoke_grant(grant_id=grant.id, by=OPERATOR, records=house.records, clock=house.clock)
    elif end == "withdrawn":
        withdraw_release(release_id=released.id, by=OPERATOR, records=house.records, clock=house.clock)
    else:
        staffed.clock.at = released.approved_at + timedelta(days=house.policy.grant_days)
        enter(room, staffed.token(HER))
    for method, path in OF_A_RELEASE:
        assert ask(room, method, path, released).status_code == 404, (method, path)
    assert room.get("/review/releases.json", page=False).json() == {"releases": []}


def test_a_form_without_its_token_signs_nothing(staffed, released, room):
    room.token = ""
    for path in ("/answer", "/answer/check"):
        assert room.post(base(released) + path, {**ANSWER, "confirm": "yes"}).status_code == 403
    with staffed.house.records.view() as view:
        assert view.answers.count() == 0


def test_a_code_counts_once_and_the_id_changes(staffed, browser):
    browser.get("/review/sign-in")
    browser.get("/review/sign-in")
    before = browser.http.cookies[COOKIE]
    form = {"email": HER, "password": PASSWORD, "code": staffed.code(HER)}
    assert browser.post("/review/sign-in", form).status_code == 303
    assert browser.http.cookies[COOKIE] != before
    browser.http.cookies.clear()
    browser.get("/review/sign-in")
    browser.get("/review/sign-in")
    assert browser.post("/review/sign-in", form).status_code == 401


# what she sees


def test_nothing_tells_who_the_patient_is(staffed, released, room):
    sign(room, released)
    for path in ("/", "/releases.json"):
        page = room.get(f"/review{path}", page=path == "/")
        assert not any(secret in unescape(page.text) for secret in SECRETS)
        assert "have surgery?" in page.text
    for path in ("", "/contents.json", "/answer", "/answer/signed"):
        for language in ("en", "sv"):
            page = room.get(f"{base(released)}{path}?lang={language}")
            assert page.status_code == 200
            assert not any(secret in unescape(page.text) for secret in SECRETS), path


def test_the_release_tells_what_it_holds_and_what_is_missing(staffed, released, room):
    said = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", room.get(base(released)).text)))
    assert "Asked for, but not here: Doctor's notes, Lab results, Imaging, Radiology report." in said
    assert "One image or document was left out by the coordinator" in said
    assert "Not for diagnosis on this screen." in said
    assert "001-doctors-notes.pdf" in said
    told = room.get(f"{base(released)}/contents.json", page=False).json()
    assert [[line["instances"] for line in study] for study in told["contents"]["studies"]] == [[5], [2]]
    assert told["contents"]["studies"][0][0]["modality"] == "CT"
    assert told["contents"]["certificate"]["actions"]["X"] == 12 * 8
    assert staffed.kinds().count("release_opened") == 2


def test_the_first_opening_moves_the_case_and_a_newer_version_is_told(staffed, released, room):
    room.get(base(released))
    with staffed.house.records.view() as view:
        case = view.cases.get(released.case_id)
    assert case.state == "in_review"
    assert "There is a newer version" not in room.get(base(released)).text
    newer = staffed.release(case)
    assert "There is a newer version" in room.get(base(released)).text
    listed = room.get("/review/releases.json", page=False).json()["releases"]
    assert [one["number"] for one in listed] == [2, 1]
    assert listed[0]["id"] == newer.id


# downloads


def whole(room, release):
    return room.send("GET", f"{base(release)}/package.zip")


def test_the_package_comes_whole_with_its_exact_length(staffed, released, room):
    answer = whole(room, released)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith('attachment; filename="C-')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
        assert package.testzip() is None
        names = package.namelist()
        manifest = package.read("MANIFEST.json").decode()
    assert sum(name.startswith("DICOM/") for name in names) == 7
    assert not any(secret in manifest for secret in SECRETS)


def test_the_head_tells_the_same_and_sends_nothing(staffed, released, room):
    before = len(staffed.kinds())
    head = room.send("HEAD", f"{base(released)}/package.zip")
    assert len(staffed.kinds()) == before
    got = whole(room, released)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("etag", "content-length", "accept-ranges", "content-type", "content-disposition"):
        assert head.headers[name] == got.headers[name]


def test_a_download_that_broke_off_goes_on(staffed, released, room):
    content = whole(room, released).content
    etag = whole(room, released).headers["etag"]
    size = len(content)
    address = f"{base(released)}/package.zip"
    for start, end in ((0, 0), (1, 99), (size // 3, size // 2), (size - 1, size - 1)):
        part = room.send("GET", address, headers={"Range": f"bytes={start}-{end}", "If-Range": etag})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {start}-{end}/{size}"
        assert part.content == content[start : end + 1]
    rest = room.send("GET", address, headers={"Range": f"bytes={size - 700}-"})
    assert rest.content == content[-700:]
    tail = room.send("GET", address, headers={"Range": "bytes=-50"})
    assert tail.content == content[-50:]
    other = room.send("GET", address, headers={"Range": "bytes=10-", "If-Range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, size)
    for wrong in (f"bytes={size}-", "bytes=0-1,3-4"):
        refused = room.send("GET", address, headers={"Range": wrong})
        assert refused.status_code == 416
        assert refused.headers["content-range"] == f"bytes */{size}"


def test_every_range_is_an_event_that_says_what_was_asked_for(staffed, released, room):
    room.send("GET", f"{base(released)}/package.zip", headers={"Range": "bytes=5-9"})
    whole(room, released)
    with staffed.house.records.view() as view:
        spans = [e.details["span"] for e in view.events() if e.kind == "release_downloaded"]
    assert spans == ["bytes=5-9", "all"]


def test_no_byte_leaves_where_the_event_cannot_be_written(staffed, released, room, monkeypatch):
    def broken(*_, **__):
        raise UnavailableError("the disk is full")

    monkeypatch.setattr("gateway.records.audit.Trail.append", broken)
    for path in ("/package.zip", "/files/0"):
        answer = room.send("GET", base(released) + path)
        assert answer.status_code == 503
        assert b"PK" not in answer.content
    assert room.get(base(released)).status_code == 503


def test_one_file_comes_as_an_attachment_with_its_digest(staffed, released, room):
    told = room.get(f"{base(released)}/contents.json", page=False).json()["contents"]
    (paper,) = told["documents"]
    answer = room.send("GET", f"{base(released)}/files/{paper['number']}")
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{paper["sha256"]}"'
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert len(answer.content) == paper["size_bytes"]
    part = room.send("GET", f"{base(released)}/files/{paper['number']}", headers={"Range": "bytes=3-7"})
    assert part.content == answer.content[3:8]
    assert room.send("GET", f"{base(released)}/files/9999").status_code == 404
    assert room.send("GET", f"{base(released)}/files/x").status_code == 422


def test_a_script_gets_problems_as_json(released, browser):
    answer = browser.send("GET", f"{base(released)}/package.zip")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "sign_in"


# the answer


def test_an_answer_is_read_once_more_before_it_is_signed(staffed, released, room):
    form = room.get(f"{base(released)}/answer")
    assert "have surgery?" in form.text
    lacking = room.post(f"{base(released)}/answer/check", {**ANSWER, "confidence": " "})
    assert lacking.status_code == 422
    assert lacking.text.count("This part is needed.") == 1
    assert "One lesion of 18 mm." in lacking.text
    checked = room.post(f"{base(released)}/answer/check", ANSWER)
    assert checked.status_code == 200
    back = room.post(f"{base(released)}/answer/check", {**ANSWER, "back": "yes"})
    assert "One lesion of 18 mm.</textarea>" in back.text
    with staffed.house.records.view() as view:
        assert view.answers.count() == 0
    assert sign(room, released, confirm="").status_code == 422
    assert sign(room, released).headers["location"] == f"{base(released)}/answer/signed?done=signed"
    assert "Resection of the left lower lobe." in room.get(f"{base(released)}/answer/signed").text
    assert "answer_signed" in staffed.kinds()


def test_a_signed_answer_is_never_changed_but_followed(staffed, released, room):
    sign(room, released)
    sign(room, released, recommendation="Radiotherapy.")
    with staffed.house.records.view() as view:
        first, second = view.answers.find(order="version")
    assert (first.version, second.version) == (1, 2)
    assert first.body["recommendation"] == ANSWER["recommendation"]
    page = room.get(f"{base(released)}/answer/signed").text
    assert page.index("Radiotherapy.") < page.index(ANSWER["recommendation"])
    house = staffed.house
    with house.records.view() as view:
        ref = view.cases.get(released.case_id).ref
    deliver_answer(
        ref=ref,
        by=OPERATOR,
        records=house.records,
        clock=house.clock,
        random=house.random,
        mailer=house.mailer,
        policy=house.policy,
    )
    assert sign(room, released).status_code == 409
    assert "has been delivered and cannot be changed" in room.get(f"{base(released)}/answer").text


def test_what_is_written_is_text_and_an_endless_text_is_refused(staffed, released, room):
    evil = "<script>alert(1)</script>{{ 7*7 }}"
    page = room.post(f"{base(released)}/answer/check", {**ANSWER, "findings": evil})
    assert "<script>alert" not in page.text
    assert evil in unescape(page.text)
    assert sign(room, released, findings="x" * 20_001).status_code == 413


def test_writing_keeps_the_session_awake(staffed, released, room):
    for _ in range(4):
        staffed.clock.forward(minutes=20)
        assert room.get("/review/awake", page=False).json() == {"awake": True}
    assert room.get(f"{base(released)}/answer").status_code == 200
