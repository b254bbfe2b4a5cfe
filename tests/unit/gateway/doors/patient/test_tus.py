"""tus 1.0.0, and what an attacker makes of it (F12): each test says what stays true."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.fakes.door_client import ORIGIN, Browser
from tests.fakes.patient_service import OTHER_TOKEN
from tests.unit.gateway.doors.patient.conftest import sign_in

TUS = {"Tus-Resumable": "1.0.0", "Sec-Fetch-Site": "same-origin"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}


def meta(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def create(browser: Browser, size: int = 10, **headers: str):
    sent = {
        **TUS,
        "Upload-Length": str(size),
        "Upload-Metadata": meta(filename="a.pdf", filetype="application/pdf", category="labs"),
    }
    return browser.send("POST", "/p/files/", headers={**sent, **headers})


def begun(browser: Browser, size: int = 10) -> str:
    answer = create(browser, size)
    assert answer.status_code == 201
    return answer.headers["Location"]


def patch(browser: Browser, where: str, offset: int, body: bytes, **headers: str):
    return browser.send(
        "PATCH", where, headers={**PATCH, "Upload-Offset": str(offset), **headers}, content=body
    )


def checksum(body: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(body).digest()).decode()


# what it is for


def test_a_file_comes_in_pieces_and_is_finished_once(patient, service):
    where = begun(patient)
    assert where.startswith("/p/files/")
    assert patch(patient, where, 0, b"01234").headers["Upload-Offset"] == "5"
    how_far = patient.send("HEAD", where, headers=TUS)
    assert how_far.headers["Upload-Offset"] == "5"
    assert how_far.headers["Upload-Length"] == "10"
    assert how_far.headers["Cache-Control"] == "no-store"
    assert how_far.headers["Upload-Metadata"] == meta(
        filename="a.pdf", filetype="application/pdf", category="labs"
    )
    assert parsedate_to_datetime(how_far.headers["Upload-Expires"]).utcoffset().total_seconds() == 0
    last = patch(patient, where, 5, b"56789", **{"Upload-Checksum": checksum(b"56789")})
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, "10")
    assert service.content(where.rsplit("/", 1)[1]) == b"0123456789"
    assert service.calls.count("finish_upload") == 1


def test_a_long_body_is_made_durable_part_by_part(patient, service):
    where = begun(patient, 4500)
    assert patch(patient, where, 0, b"x" * 4500).headers["Upload-Offset"] == "4500"
    assert service.calls.count("append") == 5


def test_options_says_what_is_spoken_without_a_session(stranger):
    answer = stranger.send("OPTIONS", "/p/files/")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,termination,checksum,expiration"
    assert answer.headers["Tus-Max-Size"] == str(1 << 30)
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256"
    assert "concatenation" not in answer.headers["Tus-Extension"]


def test_an_unfinished_file_can_be_dropped(patient, service):
    where = begun(patient)
    patch(patient, where, 0, b"01234")
    assert patient.send("DELETE", where, headers=TUS).status_code == 204
    assert patient.send("HEAD", where, headers=TUS).status_code == 404
    assert patch(patient, where, 5, b"56789").status_code == 404


def test_an_empty_piece_at_the_end_finishes_what_a_crash_left_whole(patient, service):
    where = begun(patient)
    service.append(
        next(iter(service.state["sessions"])),
        where.rsplit("/", 1)[1],
        offset=0,
        chunk=b"0123456789",
        address="",
    )
    assert patch(patient, where, 10, b"").status_code == 204
    assert service.calls.count("finish_upload") == 1


# who may


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "POST"])
def test_without_a_session_nothing_is_read_or_kept(stranger, service, method):
    read = []

    async def body():
        read.append(True)
        yield b"0123456789"

    headers = {**PATCH, "Upload-Offset": "0", "Upload-Length": "10", "Content-Length": "10"}
    path = "/p/files/" if method == "POST" else "/p/files/" + "a" * 32
    if method == "PATCH":
        answer = stranger.send(method, path, headers=headers, content=body())
    else:
        headers.pop("Content-Length")
        answer = stranger.send(method, path, headers=headers)
    assert answer.status_code == 401
    assert "append" not in service.calls
    assert "create_upload" not in service.calls


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_another_patients_upload_does_not_exist(app, patient, service, method):
    where = begun(patient)
    with Browser(app) as other:
        sign_in(other, service, OTHER_TOKEN)
        headers = {**PATCH, "Upload-Offset": "0"}
        foreign = other.send(
            method, where, headers=headers, content=b"0123456789" if method == "PATCH" else None
        )
        unknown = other.send(
            method,
            "/p/files/" + "0" * 32,
            headers=headers,
            content=b"0123456789" if method == "PATCH" else None,
        )
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert service.content(where.rsplit("/", 1)[1]) == b""


def test_a_session_that_is_ended_stops_the_very_next_piece(patient, service):
    where = begun(patient)
    patch(patient, where, 0, b"01234")
    service.state["sessions"].clear()
    assert patch(patient, where, 5, b"56789").status_code == 401


def test_a_pre_session_is_no_session(stranger, service):
    stranger.post("/p/api/link", json={"token": "a" * 64})
    assert create(stranger).status_code == 401


# attacks on creation


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "1e9"}, 400),
        ({"Upload-Length": "0x10"}, 400),
        ({"Upload-Length": " 10 10"}, 400),
        ({"Upload-Length": "007"}, 400),
        ({"Upload-Length": "٣"}, 400),
        ({"Upload-Length": "9" * 30}, 400),
        ({"Upload-Length": str((1 << 30) + 1)}, 413),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Concat": "partial"}, 400),
        ({"Upload-Concat": "final;/p/files/a /p/files/b"}, 400),
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Tus-Resumable": "1.0.0, 1.0.0"}, 412),
        ({"Upload-Metadata": "filename YQ==,filename Yg=="}, 400),
        ({"Upload-Metadata": "filename ***"}, 400),
        ({"Upload-Metadata": "filename " + base64.b64encode(b"\xff\xfe").decode()}, 400),
        ({"Upload-Metadata": "owner YQ=="}, 400),
        ({"Upload-Metadata": meta(filename="a" * 4096)}, 400),
        ({"Upload-Metadata": meta(filename="a", category="admin")}, 400),
        ({"X-HTTP-Method-Override": "DELETE"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_creation_that_is_not_right_to_the_letter_is_refused(patient, service, headers, status):
    sent = {k.lower(): v for k, v in {**TUS, "Upload-Length": "10", **headers}.items()}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    answer = patient.send("POST", "/p/files/", headers=raw)
    assert answer.status_code == status, answer.text
    assert service.calls.count("create_upload") == 0


def test_two_lengths_are_refused(patient):
    raw = [(b"tus-resumable", b"1.0.0"), (b"upload-length", b"10"), (b"upload-length", b"9999")]
    assert patient.send("POST", "/p/files/", headers=raw).status_code == 400


def test_a_body_at_creation_is_refused(patient, service):
    answer = patient.send(
        "POST", "/p/files/", headers={**PATCH, "Upload-Length": "10"}, content=b"0123456789"
    )
    assert answer.status_code == 400
    assert "create_upload" not in service.calls


def test_over_the_quota_is_413_before_a_byte_is_sent(patient, service):
    service.quota_bytes = 15
    begun(patient)
    assert create(patient).status_code == 413


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "etc›passwd"),
        ("C:\\Windows\\system32\\a.exe", "C:›Windows›system32›a.exe"),
        ("CD/DICOM/IM0001", "CD›DICOM›IM0001"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\x00b\r\nc", "abc"),
        ("", "file"),
        ("../..", "file"),
        ("é.pdf", "é.pdf"),
        ("<script>alert(1)</script>.pdf", "<script>alert(1)<›script>.pdf"),
    ],
)
def test_a_name_is_kept_to_be_read_and_never_as_a_path(patient, service, name, kept):
    answer = create(patient, **{"Upload-Metadata": meta(filename=name)})
    upload_id = answer.headers["Location"].rsplit("/", 1)[1]
    assert service.state["uploads"][upload_id]["name"] == kept
    patch(patient, answer.headers["Location"], 0, b"0123456789")
    page = patient.get("/p/case").text
    assert "<script>alert(1)" not in page


# attacks on a piece


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Upload-Offset": "3"}, b"01", 409),
        ({"Upload-Offset": "7"}, b"01", 409),
        ({"Upload-Offset": "-1"}, b"01", 400),
        ({"Upload-Offset": "5.0"}, b"01", 400),
        ({"Upload-Offset": ""}, b"01", 400),
        ({}, b"012345", 413),
        ({"Content-Type": "application/octet-stream"}, b"01", 415),
        ({"Content-Type": "text/plain"}, b"01", 415),
        ({"Tus-Resumable": "2.0.0"}, b"01", 412),
        ({"Upload-Checksum": checksum(b"other")}, b"01", 460),
        ({"Upload-Checksum": "sha1 " + base64.b64encode(hashlib.sha1(b"01").digest()).decode()}, b"01", 400),  # noqa: S324 - the attack
        ({"Upload-Checksum": "sha256 AAAA"}, b"01", 400),
        ({"Upload-Checksum": "sha256 !!"}, b"01", 400),
        ({"Upload-Checksum": ""}, b"01", 400),
        ({"X-HTTP-Method-Override": "DELETE"}, b"01", 400),
        ({"Content-Encoding": "gzip"}, b"01", 415),
        ({"Origin": "https://evil.example"}, b"01", 403),
    ],
)
def test_a_piece_that_is_not_right_leaves_the_offset(patient, service, headers, body, status):
    where = begun(patient)
    patch(patient, where, 0, b"01234")
    sent = {k.lower(): v for k, v in {**PATCH, "Upload-Offset": "5", **headers}.items()}
    answer = patient.send("PATCH", where, headers=sent, content=body)
    assert answer.status_code == status, answer.text
    assert patient.send("HEAD", where, headers=TUS).headers["Upload-Offset"] == "5"
    assert service.content(where.rsplit("/", 1)[1]) == b"01234"


def test_a_piece_without_a_length_is_411(patient):
    async def body():
        yield b"01"

    where = begun(patient)
    answer = patient.send("PATCH", where, headers={**PATCH, "Upload-Offset": "0"}, content=body())
    assert answer.status_code == 411


def test_a_conflict_tells_the_true_offset(patient):
    where = begun(patient)
    assert patch(patient, where, 3, b"x").headers["Upload-Offset"] == "0"


def test_a_checksum_needs_a_piece_that_is_held_whole(patient, service):
    where = begun(patient, 5000)
    answer = patch(patient, where, 0, b"x" * 1001, **{"Upload-Checksum": checksum(b"x" * 1001)})
    assert answer.status_code == 413
    assert "append" not in service.calls


def test_an_upload_that_was_left_too_long_is_410(patient, service):
    where = begun(patient)
    service.expire_upload(where.rsplit("/", 1)[1])
    assert patient.send("HEAD", where, headers=TUS).status_code == 410
    assert patch(patient, where, 0, b"0").status_code == 410


@pytest.mark.parametrize(
    "upload_id", ["..%2f..%2fetc%2fpasswd", "a", "a" * 65, "%00" * 30, "a/b", "a" * 31 + "%0a"]
)
def test_an_id_that_cannot_be_ours_is_refused_without_asking(patient, service, upload_id):
    before = list(service.calls)
    answer = patient.send("HEAD", f"/p/files/{upload_id}", headers=TUS)
    assert answer.status_code in {404, 405, 422}
    assert service.calls == before


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_nothing_is_ever_read_back(patient, method):
    where = begun(patient)
    patch(patient, where, 0, b"0123456789")
    answer = patient.send(method, where, headers=TUS)
    assert answer.status_code == 405
    assert b"0123456789" not in answer.content


def test_a_second_writer_is_told_to_wait(app, patient, service):
    where = begun(patient, 2000)
    service.delay_s = 0.3

    async def both():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=ORIGIN, cookies=patient.http.cookies
        ) as http:
            headers = {**PATCH, "Upload-Offset": "0"}
            first = asyncio.create_task(http.patch(where, headers=headers, content=b"1" * 900))
            await asyncio.sleep(0.1)
            second = await http.patch(where, headers=headers, content=b"2" * 900)
            return (await first), second

    first, second = patient.runner.run(both())
    assert first.status_code == 204
    assert second.status_code == 423
    assert second.headers["Retry-After"] == "2"
    assert service.content(where.rsplit("/", 1)[1]) == b"1" * 900


def test_a_sender_that_falls_silent_is_let_go_and_what_came_is_kept(patient, service):
    async def body():
        yield b"0123"
        await asyncio.sleep(1)
        yield b"456789"

    where = begun(patient)
    answer = patient.send(
        "PATCH", where, headers={**PATCH, "Upload-Offset": "0", "Content-Length": "10"}, content=body()
    )
    assert answer.status_code == 408
    assert patient.send("HEAD", where, headers=TUS).headers["Upload-Offset"] == "4"


def test_a_sender_that_drips_is_let_go(patient, service):
    async def body():
        for _ in range(10):
            yield b"0"
            await asyncio.sleep(0.1)

    where = begun(patient)
    answer = patient.send(
        "PATCH", where, headers={**PATCH, "Upload-Offset": "0", "Content-Length": "10"}, content=body()
    )
    assert answer.status_code == 408
    assert 0 < int(patient.send("HEAD", where, headers=TUS).headers["Upload-Offset"]) < 10


def test_a_broken_piece_with_a_checksum_is_not_kept(patient, service):
    async def body():
        yield b"0123"
        await asyncio.sleep(1)
        yield b"456789"

    where = begun(patient)
    headers = {
        **PATCH,
        "Upload-Offset": "0",
        "Content-Length": "10",
        "Upload-Checksum": checksum(b"0123456789"),
    }
    assert patient.send("PATCH", where, headers=headers, content=body()).status_code == 408
    assert patient.send("HEAD", where, headers=TUS).headers["Upload-Offset"] == "0"


def test_a_file_that_is_whole_cannot_be_dropped(patient):
    where = begun(patient)
    patch(patient, where, 0, b"0123456789")
    assert patient.send("DELETE", where, headers=TUS).status_code == 409
