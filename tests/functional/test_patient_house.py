"""The patient's door over the real journeys, records and sealed store of one home: what it promises, the house keeps."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.compose import Parts, compose
from gateway.domain.people import Actor
from gateway.doors.http import DoorConfig, Guard
from gateway.doors.patient import create_app
from gateway.doors.patient.journeys import PatientJourneys
from gateway.journeys.open_case import open_case
from gateway.journeys.prove_identity import make_link, revoke_links
from gateway.settings import Settings
from tests.fakes.door_client import ORIGIN, Browser

pytestmark = pytest.mark.functional
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}
OPERATOR = Actor(kind="operator", id="test")
CANARY = b"Kanariefageln Ebba Exempelsson 19480312"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    parts = compose(Settings(home=home), sandbox_workers=1)
    yield parts
    parts.close()


@pytest.fixture
def app(parts: Parts) -> Guard:
    return create_app(
        PatientJourneys(parts.house), DoorConfig(public_url=ORIGIN, prefix="/p", default_language="en")
    )


@pytest.fixture
def ref(parts: Parts) -> str:
    house = parts.house
    case = open_case(
        opinion="mdt",
        patient={"names": [{"family": "Exempelsson", "given": "Ebba"}], "phones": ["+46701740642"]},
        by=OPERATOR,
        records=house.records,
        store=house.store,
        clock=house.clock,
        random=house.random,
    )
    return case.ref


def token(parts: Parts, ref: str) -> str:
    house = parts.house
    _, url = make_link(
        ref=ref,
        by=OPERATOR,
        records=house.records,
        clock=house.clock,
        random=house.random,
        policy=house.policy,
    )
    return url.split("#", 1)[1]


def last_code(parts: Parts) -> str:
    line = (parts.settings.home / "outbox" / "texts.jsonl").read_text().splitlines()[-1]
    return re.search(r"\b\d{8}\b", json.loads(line)["text"])[0]


def sign_in(browser: Browser, parts: Parts, ref: str) -> None:
    assert browser.post("/p/api/link", json={"token": token(parts, ref)}).status_code == 200
    assert browser.post("/p/api/code").status_code == 200
    assert browser.post("/p/api/verify", json={"code": last_code(parts)}).status_code == 200


def begin(browser: Browser, size: int) -> str:
    answer = browser.send("POST", "/p/files/", headers={**TUS, "Upload-Length": str(size)})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def patch(browser: Browser, where: str, at: int, body: bytes) -> int:
    return browser.send("PATCH", where, headers={**PATCH, "Upload-Offset": str(at)}, content=body).status_code


def test_a_file_goes_all_the_way_and_nothing_of_it_lies_in_the_clear(app, parts, ref):
    with Browser(app) as browser:
        sign_in(browser, parts, ref)
        body = CANARY * 200_000
        where = begin(browser, len(body))
        assert patch(browser, where, 0, body) == 204
        assert patch(browser, where, len(body), b"") == 204, "finishing twice is no error"
        answer = browser.post("/p/api/finish").json()
        assert answer["files"] == 1
        assert browser.get("/p/receipt").status_code == 200
        assert browser.get("/p/case").status_code == 200
    for file in parts.settings.home.rglob("*"):
        if file.is_file():
            assert b"Exempelsson" not in file.read_bytes(), file


def test_a_revoked_link_stops_the_very_next_piece(app, parts, ref):
    with Browser(app) as browser:
        sign_in(browser, parts, ref)
        where = begin(browser, 10)
        assert patch(browser, where, 0, b"01234") == 204
        revoke_links(ref=ref, by=OPERATOR, records=parts.house.records, clock=parts.house.clock)
        assert patch(browser, where, 5, b"56789") == 401
        assert browser.get("/p/case").headers["location"] == "/p/"


def test_unknown_and_replaced_links_are_told_alike(app, parts, ref):
    old = token(parts, ref)
    token(parts, ref)
    with Browser(app) as browser:
        answers = [browser.post("/p/api/link", json={"token": one}) for one in (old, "0" * 64)]
    assert {answer.status_code for answer in answers} == {403}
    assert answers[0].content == answers[1].content


def test_one_right_code_opens_one_session_however_many_send_it(app, parts, ref):
    with Browser(app) as first:
        first.post("/p/api/link", json={"token": token(parts, ref)})
        first.post("/p/api/code")
        code, cookies = last_code(parts), dict(first.http.cookies)
    statuses: list[int] = []

    def try_it() -> None:
        with Browser(app) as one:
            one.http.cookies.update(cookies)
            statuses.append(one.post("/p/api/verify", json={"code": code}).status_code)

    threads = [threading.Thread(target=try_it) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(statuses)
    assert counts[200] == 1, counts
    assert set(counts) <= {200, 403, 410}, counts


def test_two_writers_at_one_offset_keep_one_of_them(app, parts, ref):
    """Two web processes have two doors: what decides then is the record's own offset."""
    other = create_app(PatientJourneys(parts.house), app.config)
    with Browser(app) as one, Browser(other) as two:
        sign_in(one, parts, ref)
        two.http.cookies.update(dict(one.http.cookies))
        where = begin(one, 2_000_000)
        statuses = {}

        def write(name: str, browser: Browser, body: bytes) -> None:
            statuses[name] = patch(browser, where, 0, body)

        threads = [
            threading.Thread(target=write, args=("one", one, os.urandom(1_000_000))),
            threading.Thread(target=write, args=("two", two, os.urandom(1_000_000))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses.values()) in ([204, 409], [204, 423]), statuses
        assert one.send("HEAD", where, headers=TUS).headers["Upload-Offset"] == "1000000"


def test_what_is_asked_for_can_be_missing_and_found_again(app, parts, ref):
    with Browser(app) as browser:
        sign_in(browser, parts, ref)
        browser.get("/p/case")
        browser.post("/p/missing", {"item": "labs"})
        assert "I have it after all" in browser.get("/p/case").text
        browser.post("/p/missing", {"item": "labs"})
        assert "I have it after all" not in browser.get("/p/case").text
