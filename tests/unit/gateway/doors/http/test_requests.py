"""What the guard lets pass, and what it says to the rest."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.domain import errors
from gateway.doors.http import DoorConfig, csrf_token
from gateway.doors.http.problems import STATUS_OF
from tests.fakes.door_client import ORIGIN, Browser
from tests.unit.gateway.doors.http.sample import sample_door

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN, **JSON}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null", **JSON}, True),
        ({"Sec-Fetch-Site": "same-origin", **JSON}, True),
        ({"Origin": ORIGIN, **JSON}, True),
        ({**JSON}, True),
        ({"X-Consilium": "1", **JSON}, True),
        ({"Sec-Fetch-Site": "cross-site", **JSON}, False),
        ({"Sec-Fetch-Site": "same-site", **JSON}, False),
        ({"Sec-Fetch-Site": "none", **JSON}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN, **JSON}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example", **JSON}, False),
        ({"Origin": "https://evil.example", **JSON}, False),
        ({"Origin": "http://127.0.0.1:8081", **JSON}, False),
        ({"Origin": "https://127.0.0.1:8080", **JSON}, False),
        ({"Origin": "http://127.0.0.1:8080.evil.example", **JSON}, False),
        ({"Content-Type": "text/plain"}, False),
        ({}, False),
    ],
)
def test_foreign_pages_cannot_change_anything(browser, headers, passes):
    answer = browser.send("POST", "/x/json", headers=headers, content=b'{"number": 1}')
    assert (answer.status_code == 200) is passes, answer.text
    if not passes:
        assert answer.json()["code"] == "foreign_origin"


def test_a_form_needs_the_token_of_its_own_session(browser):
    browser.get("/x/")
    browser.get("/x/")
    assert browser.post("/x/form", {"said": "hej"}).text == "hej"
    for token in ("", "0" * 64, csrf_token("somebody else's session"), "å" * 64):
        answer = browser.post("/x/form", {"said": "hej", "form_token": token})
        assert answer.status_code == 403
    assert (
        browser.send("POST", "/x/form", headers={**FORM, "Origin": "null"}, content=b"said=hej").status_code
        == 403
    )


def test_a_form_without_a_session_is_refused(browser):
    assert browser.post("/x/form", {"said": "hej"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"said=%ff%fe", 400),
        (b"said=\xff\xfe", 400),
        (b"said=a%00b", 400),
        (b"&".join(b"f%d=1" % n for n in range(300)), 400),
        (b"said=" + b"a" * 101, 413),
        (b"said=" + b"a" * 300_000, 413),
    ],
)
def test_forms_that_are_wrong_are_refused_plainly(browser, body, status):
    browser.get("/x/")
    browser.get("/x/")
    body += b"&form_token=" + browser.token.encode()
    assert (
        browser.send("POST", "/x/form", headers={**FORM, "Origin": "null"}, content=body).status_code
        == status
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:8081"}, 421),
        ({"Host": ""}, 421),
        ({"Content-Encoding": "gzip", **JSON}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"X-HTTP-Method-Override": "DELETE", **JSON}, 400),
        ({"Content-Length": "-1", **JSON}, 400),
        ({"Content-Length": "1e3", **JSON}, 400),
        ({"Content-Length": "999999999999", **JSON}, 413),
        ({"X-Long": "a" * 25_000, **JSON}, 431),
    ],
)
def test_heads_that_are_wrong_are_refused_before_the_body(browser, headers, status):
    answer = browser.send(
        "POST", "/x/json", headers={"X-Consilium": "1", **headers}, content=b'{"number": 1}'
    )
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_without_a_length_is_cut_at_the_cap(browser):
    async def endless():
        for _ in range(100):
            yield b"1" * 10_000

    answer = browser.send("POST", "/x/json", headers={"X-Consilium": "1", **JSON}, content=endless())
    assert answer.status_code == 413


def test_a_streaming_path_takes_more_than_the_cap(browser):
    answer = browser.send("POST", "/x/stream", headers={"X-Consilium": "1"}, content=b"1" * 1_000_000)
    assert answer.text == "1000000"


@pytest.mark.parametrize(
    "kind",
    [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.ConsiliumError)
    ],
)
def test_every_error_of_the_domain_has_a_status_and_tells_the_next_step(browser, kind):
    answer = browser.get(f"/x/fail/{kind.__name__}", page=False, headers={"Accept-Language": "en"})
    assert 400 <= answer.status_code < 600
    said = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said["status"] == answer.status_code
    assert said["next_step"] == kind.next_step
    page = browser.get(f"/x/fail/{kind.__name__}", headers={"Accept-Language": "en"})
    assert page.status_code == answer.status_code
    assert "What to do next" in page.text


def test_the_table_of_errors_lists_a_class_before_its_base():
    kinds = [kind for kind, *_ in STATUS_OF]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place])


def test_a_fault_tells_a_number_and_never_its_text(browser, capsys):
    answer = browser.get("/x/fail/fault", page=False)
    assert answer.status_code == 500
    assert len(answer.json()["incident"]) == 8
    said = answer.text + capsys.readouterr().out
    assert answer.json()["incident"] in said
    assert "Karlsson" not in said
    assert "RuntimeError" not in answer.text


def test_a_wrong_json_body_names_the_fields_and_never_the_values(browser):
    answer = browser.post("/x/json", json={"number": "Anna Karlsson", "name": "19480312-0007"})
    assert answer.status_code == 422
    assert sorted(answer.json()["fields"]) == ["name", "number"]
    assert "Karlsson" not in answer.text
    assert "19480312" not in answer.text


def test_signing_out_clears_the_cookie_and_what_the_browser_keeps(browser):
    browser.get("/x/")
    answer = browser.post("/x/out")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "consilium-sample" not in browser.http.cookies


@pytest.mark.parametrize(
    "value", ["short", "a" * 300, "åäö" * 10, "a b" * 10, "x" * 20 + "\r\nSet-Cookie: a=b"]
)
def test_a_cookie_that_cannot_be_ours_is_no_cookie(browser, value):
    answer = browser.send(
        "GET", "/x/", headers=[(b"cookie", b"consilium-sample=" + value.encode("latin-1", "replace"))]
    )
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("trusted", "client", "header", "seen"),
    [
        ((), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (("10.0.0.0/24",), "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/24",), "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/24",), "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        (("10.0.0.0/24",), "10.0.0.1", "nonsense", "10.0.0.1"),
        (("10.0.0.0/24",), "192.168.1.1", "1.2.3.4", "192.168.1.1"),
        (("::1/128",), "::1", "2001:db8::7", "2001:db8::7"),
        (("10.0.0.0/24",), "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_only_a_configured_proxy_is_believed(trusted, client, header, seen):
    config = DoorConfig(public_url=ORIGIN, prefix="/x", trusted_proxies=tuple(map(ip_network, trusted)))
    with Browser(sample_door(config), client=(client, 1)) as browser:
        assert browser.send("GET", "/x/address", headers={"X-Forwarded-For": header}).text == seen


@pytest.mark.parametrize(
    "url",
    ["exchange.example.org", "ftp://a.example", "https://", "https://a.example/?q", "https://a.example/#f"],
)
def test_a_public_address_that_is_none_is_refused(url):
    with pytest.raises(errors.InvalidError):
        DoorConfig(public_url=url, prefix="/x")


def test_the_names_of_this_computer_are_one_door():
    config = DoorConfig(public_url="http://127.0.0.1:8080", prefix="/x")
    assert config.hosts == {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}
    assert DoorConfig(public_url="https://Exchange.example.org:443/", prefix="/x").hosts == {
        "exchange.example.org"
    }
