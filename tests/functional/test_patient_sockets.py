"""The patient's door on a real socket, spoken to by hand: smuggling, dripping, caps (F12 to F14)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.patient_service import TOKEN
from tests.fakes.serve_patient import PatientServer

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[PatientServer]:
    server = PatientServer(tmp_path_factory.mktemp("house"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def cookie(server: PatientServer) -> str:
    def post(path: str, body: dict, cookie: str = "") -> str:
        link = http.client.HTTPConnection("127.0.0.1", server.port)
        link.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Cookie": cookie})
        answer = link.getresponse()
        answer.read()
        assert answer.status == 200
        given = answer.headers.get("Set-Cookie", "").split(";")[0]
        link.close()
        return given

    before = post("/p/api/link", {"token": TOKEN})
    post("/p/api/code", {}, before)
    return post("/p/api/verify", {"code": server.last_code()}, before)


def talk(server: PatientServer, sent: bytes, *, wait_s: float = 3.0) -> bytes:
    """Send raw bytes and return all that comes back until the door closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as link:
        link.sendall(sent)
        got = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while block := link.recv(65536):
                got += block
        return got


def head(server: PatientServer, line: str, *fields: str) -> bytes:
    return ("\r\n".join([line, f"Host: 127.0.0.1:{server.port}", *fields]) + "\r\n\r\n").encode("latin-1")


HIDDEN = "GET /p/receipt HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 6", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length: 6", "Content-Length: 7"),
        ("Content-Length: +6",),
        ("Content-Length: 6, 6, 7",),
        ("X-A: b\r\n folded: c",),
        ("X-A: b\nContent-Length: 6",),
        ("X-A: \x00",),
        ("Host: other",),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_read_in_none(server, fields):
    got = talk(
        server,
        head(server, "POST /p/api/link HTTP/1.1", "X-Consilium: 1", *fields)
        + b"0\r\n\r\nG"
        + HIDDEN.encode(),
    )
    statuses = [line for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert len(statuses) <= 2
    assert not any(status.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3")) for status in statuses), got[:300]


@pytest.mark.parametrize(
    "chunk", [b"-1\r\n", b"0x5\r\n", b"g\r\n", b"5;a=b\nx\r\n", b"ffffffffffffffffff\r\n"]
)
def test_a_bad_chunk_ends_the_connection(server, chunk):
    got = talk(
        server,
        head(server, "POST /p/api/link HTTP/1.1", "X-Consilium: 1", "Transfer-Encoding: chunked")
        + chunk
        + b"aaaaa\r\n0\r\n\r\n",
        wait_s=2,
    )
    assert not got.startswith(b"HTTP/1.1 2")


def test_a_head_without_an_end_is_cut_off_at_its_cap(server):
    got = talk(server, f"GET /p/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX: ".encode() + b"a" * 200_000)
    assert got.startswith(b"HTTP/1.1 4") or got == b""


def test_many_who_drip_their_heads_do_not_keep_others_out(server):
    drippers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for one in drippers:
            one.sendall(b"GET /p/ HT")
        began = time.monotonic()
        assert talk(server, head(server, "GET /p/ HTTP/1.1", "Connection: close")).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 2
        deadline = time.monotonic() + 25
        for one in drippers:
            one.settimeout(max(deadline - time.monotonic(), 0.1))
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1000) == b"", "a head that never ends was not cut off"
    finally:
        for one in drippers:
            one.close()


def test_without_a_session_the_body_is_not_asked_for(server):
    """With «Expect: 100-continue» an honest client sends its bytes only after the door has looked at who asks."""
    got = talk(
        server,
        head(
            server,
            "PATCH /p/files/" + "a" * 32 + " HTTP/1.1",
            "Tus-Resumable: 1.0.0",
            "Upload-Offset: 0",
            "Content-Type: application/offset+octet-stream",
            "Content-Length: 1000000000",
            "Expect: 100-continue",
        ),
        wait_s=2,
    )
    assert got.startswith(b"HTTP/1.1 401")
    assert b"100 Continue" not in got
    assert b"connection: close" in got.lower()


def begin(server: PatientServer, cookie: str, size: int) -> str:
    link = http.client.HTTPConnection("127.0.0.1", server.port)
    link.request(
        "POST", "/p/files/", None, {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Cookie": cookie}
    )
    answer = link.getresponse()
    answer.read()
    assert answer.status == 201
    where = answer.headers["Location"]
    link.close()
    return where


def offset(server: PatientServer, cookie: str, where: str) -> int:
    link = http.client.HTTPConnection("127.0.0.1", server.port)
    link.request("HEAD", where, None, {"Tus-Resumable": "1.0.0", "Cookie": cookie})
    answer = link.getresponse()
    answer.read()
    link.close()
    return int(answer.headers["Upload-Offset"])


def patch_head(server: PatientServer, cookie: str, where: str, at: int, length: int, *more: str) -> bytes:
    return head(
        server,
        f"PATCH {where} HTTP/1.1",
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {at}",
        "Content-Type: application/offset+octet-stream",
        f"Content-Length: {length}",
        f"Cookie: {cookie}",
        *more,
    )


def test_a_line_that_breaks_keeps_what_came(server, cookie):
    where = begin(server, cookie, 10_000_000)
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.sendall(patch_head(server, cookie, where, 0, 10_000_000) + b"1" * 6_000_000)
    deadline = time.monotonic() + 5
    while offset(server, cookie, where) < 6_000_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert offset(server, cookie, where) == 6_000_000


def test_a_dead_connection_gives_way_to_the_next(server, cookie):
    """A telephone that changed its network cannot close the old connection: the door must not hold its turn for it."""
    where = begin(server, cookie, 1000)
    with socket.create_connection(("127.0.0.1", server.port)) as dead:
        dead.sendall(patch_head(server, cookie, where, 0, 1000) + b"1" * 100)
        time.sleep(0.3)
        busy = talk(server, patch_head(server, cookie, where, 0, 10, "Connection: close") + b"2" * 10)
        assert busy.startswith(b"HTTP/1.1 423")
        time.sleep(4.5)
        now = offset(server, cookie, where)
        got = talk(
            server,
            patch_head(server, cookie, where, now, 1000 - now, "Connection: close") + b"1" * (1000 - now),
        )
        if got.startswith(b"HTTP/1.1 409"):
            now = offset(server, cookie, where)
            got = talk(
                server,
                patch_head(server, cookie, where, now, 1000 - now, "Connection: close") + b"1" * (1000 - now),
            )
        assert got.startswith(b"HTTP/1.1 204")
    assert offset(server, cookie, where) == 1000


def test_a_large_file_takes_no_more_memory_than_its_parts(server, cookie):
    size = 200_000_000
    where = begin(server, cookie, size)
    status = Path(f"/proc/{server.process.pid}/status")

    def peak_kb() -> int:
        return int(
            next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]
        )

    before = peak_kb()
    block = b"x" * (1 << 20)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        link.sendall(patch_head(server, cookie, where, 0, size, "Connection: close"))
        left = size
        while left:
            link.sendall(block[: min(left, len(block))])
            left -= min(left, len(block))
        assert link.recv(100).startswith(b"HTTP/1.1 204")
    assert peak_kb() - before < 64_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


def test_a_checked_part_of_four_mebibytes_is_taken(server, cookie):
    part = b"z" * (4 << 20)
    where = begin(server, cookie, len(part))
    digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
    got = talk(
        server,
        patch_head(
            server, cookie, where, 0, len(part), f"Upload-Checksum: sha256 {digest}", "Connection: close"
        )
        + part,
    )
    assert got.startswith(b"HTTP/1.1 204")


def test_a_right_and_a_wrong_link_take_the_door_alike_long(server):
    """P10 at the door: what the service takes is the journeys' part, the door itself adds no difference."""

    def once(link: http.client.HTTPConnection, token: str) -> float:
        began = time.perf_counter()
        link.request(
            "POST", "/p/api/link", json.dumps({"token": token}), {"Content-Type": "application/json"}
        )
        link.getresponse().read()
        return time.perf_counter() - began

    link = http.client.HTTPConnection("127.0.0.1", server.port)
    wrong, malformed = [], []
    for number in range(150):
        wrong.append(once(link, f"{number:064d}"))
        malformed.append(once(link, "é" * 64))
    link.close()
    assert abs(sorted(wrong)[75] - sorted(malformed)[75]) < 0.002
