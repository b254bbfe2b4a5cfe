"""Every response carries the security headers, whatever it is (P14)."""

from __future__ import annotations

import re

import pytest

from gateway.doors.http import DoorConfig, House
from gateway.doors.http.headers import ALWAYS
from tests.fakes.door_client import Browser
from tests.unit.gateway.doors.http.sample import sample_door

REQUESTS = [
    ("GET", "/x/", {}, None),
    ("GET", "/x", {}, None),
    ("HEAD", "/x/", {}, None),
    ("GET", "/x/nothing", {}, None),
    ("GET", "/elsewhere", {}, None),
    ("GET", "/x/fail/NotFoundError", {}, None),
    ("GET", "/x/fail/TooManyError", {"Accept": "text/html"}, None),
    ("GET", "/x/fail/fault", {}, None),
    ("GET", "/x/fail/fault", {"Accept": "text/html"}, None),
    ("GET", "/x/file", {}, None),
    ("GET", "/x/file", {"Range": "bytes=0-9"}, None),
    ("GET", "/x/file", {"Range": "bytes=999999999-"}, None),
    ("DELETE", "/x/file", {"X-Consilium": "1"}, None),
    ("GET", "/x/", {"Host": "evil.example"}, None),
    ("POST", "/x/json", {"Origin": "https://evil.example"}, b"{}"),
    ("POST", "/x/json", {"X-Consilium": "1", "Content-Type": "application/json"}, b"{"),
    ("POST", "/x/form", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
    ("POST", "/x/json", {"X-Consilium": "1"}, b"1" * 300_000),
    ("GET", "/x/?" + "q" * 5000, {}, None),
    ("GET", "/x/", {"X-Long": "1" * 30_000}, None),
    ("POST", "/x/out", {"X-Consilium": "1"}, b""),
    ("TRACE", "/x/", {}, None),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS)
def test_every_response_has_every_security_header(browser, method, path, headers, body):
    answer = browser.send(method, path, headers=headers, content=body)
    for name, value in ALWAYS.items():
        assert answer.headers[name] == value
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_hsts_and_host_cookie_only_over_tls():
    config = DoorConfig(public_url="https://exchange.example.org", prefix="/x")
    with Browser(sample_door(config), origin="https://exchange.example.org") as browser:
        answer = browser.get("/x/")
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-consilium-sample=")
        for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie


def test_the_nonce_is_new_each_time_and_the_scripts_of_a_page_carry_it(browser):
    browser.get("/x/")
    first, second = browser.get("/x/"), browser.get("/x/")
    nonces = [
        re.search(r"'nonce-([^']+)'", one.headers["Content-Security-Policy"])[1] for one in (first, second)
    ]
    assert nonces[0] != nonces[1]
    assert len(nonces[0]) >= 20
    scripts = re.findall(r"<script[^>]*>", first.text)
    assert scripts
    assert all(f'nonce="{nonces[0]}"' in one for one in scripts)


def test_what_a_page_is_given_is_escaped(browser):
    browser.get("/x/")
    page = browser.get("/x/").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_content_policy_has_no_escape(browser):
    policy = browser.get("/x/nothing").headers["Content-Security-Policy"]
    for word in ("unsafe-inline", "unsafe-eval", "*", "http:", "https:"):
        assert word not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "trusted-types 'none'" in policy


def test_static_files_may_be_kept_for_ever_and_only_under_their_digest(browser):
    browser.get("/x/")
    page = browser.get("/x/").text
    style = re.search(r'href="(/x/static/[^"]+consilium.css)"', page)[1]
    answer = browser.send("GET", style)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in (
        "/x/static/000000000000/consilium.css",
        style + "x",
        "/x/static/a/../../door.py",
        "/x/static/a/%2e%2e/door.py",
    ):
        assert browser.send("GET", wrong).status_code == 404


def test_no_page_has_inline_script_style_or_foreign_address():
    from pathlib import Path

    import gateway.doors

    for file in Path(gateway.doors.__file__).parent.rglob("*.html"):
        text = file.read_text()
        assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|https?://|\| *safe\b|autoescape", text), file
    for file in Path(gateway.doors.__file__).parent.rglob("static/*.js"):
        text = file.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://", text
        ), file


def test_the_house_leads_to_its_doors():
    house = House({"/x": sample_door()}, front="/x")
    with Browser(house) as browser:
        assert browser.send("GET", "/").headers["location"] == "/x/"
        assert browser.send("GET", "/healthz").json() == {"status": "ok"}
        assert browser.send("GET", "/healthz").headers["X-Content-Type-Options"] == "nosniff"
        assert browser.send("GET", "/nowhere").status_code == 404
        assert browser.send("GET", "/xylophone").status_code == 404
        assert browser.send("GET", "/x").headers["location"] == "/x/"
