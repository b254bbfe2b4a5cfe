"""Byte ranges and download names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.doors.http import attachment, harmless_name
from gateway.doors.http.ranges import UnsatisfiableRangeError, wanted_range
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
    import asyncio

    from gateway.doors.http import in_thread

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
