"""Byte ranges and download names."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import UnavailableError
from gateway.doors.http import Door, DoorConfig, attachment, download, harmless_name, in_thread
from gateway.doors.http.downloads import _Download
from gateway.doors.http.ranges import UnsatisfiableRangeError, wanted_range
from storage import StoreOutageError
from tests.fakes.door_client import ORIGIN
from tests.unit.gateway.doors.http.sample import CONTENT

SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=-5", SIZE - 5, SIZE),
        ("bytes=99999-", 99999, SIZE),
        ("bytes=5-99999999", 5, SIZE),
        ("Bytes=0-9", 0, 10),
    ],
)
def test_one_range_is_answered_206(browser, header, start, end):
    answer = browser.send("GET", "/x/file", headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "header",
    ["bytes=0-1,5-6", "bytes=0-,0-,0-,0-", f"bytes={SIZE}-", "bytes=-0", "bytes=0-1," + "2-3," * 1000],
)
def test_many_or_impossible_ranges_are_answered_416(browser, header):
    answer = browser.send("GET", "/x/file", headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header", ["bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=9-3", "bytes=1-2-3", "bytes=٣-٤", "0-1"]
)
def test_a_range_that_cannot_be_read_is_passed_over(browser, header):
    answer = browser.send("GET", "/x/file", headers=[(b"range", header.encode())])
    assert answer.status_code == 200
    assert answer.content == CONTENT


@pytest.mark.parametrize(
    ("if_range", "status"),
    [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200), ("Mon, 01 Jan 2026 00:00:00 GMT", 200)],
)
def test_another_version_is_sent_whole(browser, if_range, status):
    answer = browser.send("GET", "/x/file", headers={"Range": "bytes=5-", "If-Range": if_range})
    assert answer.status_code == status


def test_head_tells_the_size_and_reads_nothing(browser):
    answer = browser.send("HEAD", "/x/file", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (206, "10", b"")


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=30), st.integers(0, 2000))
def test_a_range_never_leads_outside(header, size):
    try:
        part = wanted_range(header, size=size, etag='"v"')
    except UnsatisfiableRangeError:
        return
    assert 0 <= part.start <= part.start + part.length <= size
    assert part.partial or part.length == size


@given(st.text(max_size=400))
def test_any_name_makes_one_harmless_header(name):
    made = harmless_name(name)
    assert made
    assert len(made) <= 120
    assert not set(made) & set('/\\"\r\n\x00:;\u202e\u200f')
    assert not made.startswith(".")
    header = attachment(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie_ x"),
        ("\u202efdp.exe", "fdp.exe"),
        ("", "file"),
        ("...", "file"),
        ("brå d.pdf", "brå d.pdf"),
    ],
)
def test_names_that_attack_lose_their_teeth(name, made):
    assert harmless_name(name) == made


def test_the_source_is_closed_when_the_visitor_has_enough():
    closed = []

    def chunks():
        try:
            while True:
                yield b"1"
        finally:
            closed.append(True)

    async def take():
        stream = in_thread(chunks())
        await anext(stream)
        await stream.aclose()

    asyncio.run(take())
    assert closed == [True]


@pytest.mark.parametrize("error", [StoreOutageError("gone"), UnavailableError("the records do not answer")])
def test_a_download_that_is_cut_breaks_off_and_leaves_one_line_in_the_log(error):
    def source(start, length):
        yield b"first"
        raise error

    door = Door(
        "sample",
        package="tests.unit.gateway.doors.http.sample",
        config=DoorConfig(public_url=ORIGIN, prefix="/x"),
    )

    def cut(request: Request) -> Response:
        return download(request, source, size_bytes=10, etag="v1", name="a.zip")

    cut.__annotations__ = {"request": Request}
    door.get("/cut", cut)
    app, sent = door.asgi(), []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "path": "/x/cut", "raw_path": b"/x/cut", "query_string": b"", "scheme": "http", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 50000), "headers": [(b"host", ORIGIN.partition("//")[2].encode())],
    }  # fmt: skip
    with structlog.testing.capture_logs() as told:
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    assert [one["body"] for one in sent[1:]] == [b"first"]
    assert all(one["more_body"] for one in sent[1:])  # never ended: the server closes the connection
    assert [one["event"] for one in told] == ["download_broken"]


def test_a_fault_of_ours_in_a_download_is_still_an_incident():
    async def go():
        def source():
            yield b"first"
            raise RuntimeError

        async def send(message):
            pass

        await _Download(in_thread(source())).stream_response(send)

    with pytest.raises(RuntimeError):
        asyncio.run(go())
