"""Hostile and broken senders at the STOW-RS door: strangers, floods, cut lines, bodies that are none (F13 to F16, #30)."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import socket
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.errors import AssociationOver
from dicom_node.part10 import open_part10
from dicom_node.receiver import AssociationEnd, StoreOutcome
from gateway.domain.errors import UnavailableError
from gateway.doors.machine import refusals, transaction
from gateway.doors.machine.pipe import Patience
from gateway.journeys.know_peer import change_peer, disable_peer, take_token
from gateway.journeys.lookup import originals_key
from storage import SealedRef, StoreFullError
from tests import factories
from tests.fakes.door_client import Browser
from tests.fakes.journey_house import DESK, open_house
from tests.fakes.machine_server import RELATED, machine_server, multipart
from tests.functional.conftest import wait_for

pytestmark = pytest.mark.abuse

ONE, TWO, THREE = (factories.ct_instance(1, number=number) for number in (1, 2, 3))


def uid(content):
    return open_part10(io.BytesIO(content))[0].sop_instance_uid


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A door that the tests of refusals share."""
    with machine_server(tmp_path_factory.mktemp("house")) as served:
        yield served


@pytest.fixture
def alone(tmp_path):
    with machine_server(tmp_path) as served:
        yield served


def begun(served, size):
    """A request that was let in: the door asks for its body."""
    link = served.connect()
    link.sendall(served.head(Content_Length=str(size), Expect="100-continue"))
    assert link.recv(65536).startswith(b"HTTP/1.1 100 ")
    return link


def kinds(served):
    return [event.kind for event in served.house.events()]


# strangers


def test_without_the_right_token_everybody_is_told_the_same(served):
    told = set()
    for said in (None, "", "Bearer", "Bearer ", "Bearer x", f"Basic {served.token}", served.token, f"Bearer {served.token}x",
                  f"Bearer  {served.token[:-1]}", "Bearer \xe5"):  # fmt: skip
        answer = served.send(multipart(ONE), Authorization=said)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="STOW-RS"')
        assert answer.headers["content-type"] == "application/problem+json"
        told.add(answer.body)
    assert len(told) == 1


def test_two_authorization_headers_are_none(served):
    twice = served.head(Content_Length="0").replace(
        b"\r\n\r\n", f"\r\nAuthorization: Bearer {served.token}\r\n\r\n".encode()
    )
    with served.connect() as link:
        link.sendall(twice)
        assert link.recv(65536).startswith(b"HTTP/1.1 401")


def test_a_token_counts_only_from_where_its_peer_may_call_and_while_it_counts(alone):
    token = alone.token
    assert alone.store(ONE).status == 200
    ports = alone.house.ports("records", "clock")
    change_peer(ae_title="PACS", changes={"hosts": ["10.1.2.0/24"]}, by=DESK, **ports)
    refused = alone.store(TWO)
    assert refused.status == 401
    change_peer(ae_title="PACS", changes={"hosts": []}, by=DESK, **ports)
    disable_peer(ae_title="PACS", by=DESK, **ports)
    assert alone.store(TWO).body == refused.body
    take_token(ae_title="PACS", by=DESK, records=ports["records"])
    assert alone.store(TWO).status == 401
    alone.peer("OTHER")
    alone.token = token
    assert alone.store(TWO).status == 401
    assert len(alone.house.rows("instances")) == 1


def test_a_peer_without_a_token_is_not_let_in_by_an_empty_one(alone):
    take_token(ae_title="PACS", by=DESK, records=alone.house.records)
    for said in ("Bearer ", "Bearer", None, "Bearer ="):
        assert alone.send(multipart(ONE), Authorization=said).status == 401


def test_an_address_is_the_sockets_word_unless_a_trusted_proxy_says_otherwise(tmp_path):
    inside = {"X-Forwarded-For": "10.1.2.3"}
    with machine_server(tmp_path / "a") as served:
        change_peer(
            ae_title="PACS",
            changes={"hosts": ["10.1.2.0/24"]},
            by=DESK,
            **served.house.ports("records", "clock"),
        )
        assert served.store(ONE, **inside).status == 401
    with machine_server(tmp_path / "b", trusted=["127.0.0.1/32"]) as served:
        change_peer(
            ae_title="PACS",
            changes={"hosts": ["10.1.2.0/24"]},
            by=DESK,
            **served.house.ports("records", "clock"),
        )
        assert served.store(ONE, **inside).status == 200
        assert served.store(ONE, **{"X-Forwarded-For": "10.9.9.9"}).status == 401
        assert served.store(ONE, **{"X-Forwarded-For": "10.1.2.3, 10.9.9.9"}).status == 401


def test_what_a_peer_may_not_do_is_refused_by_name(alone):
    ports = alone.house.ports("records", "clock")
    assert alone.store(ONE, path="/machine/cases/C-00000000/studies").status == 404
    assert alone.store(ONE, path="/machine/cases/nonsense/studies").status == 404
    assert alone.store(ONE, path="/machine/studies/not-a-uid").status == 400
    assert alone.store(ONE, path="/machine/studies/" + "1" * 65).status == 400
    change_peer(ae_title="PACS", changes={"may_store": False}, by=DESK, **ports)
    assert alone.store(ONE).status == 403
    change_peer(ae_title="PACS", changes={"may_store": True, "called": ["C-00000000"]}, by=DESK, **ports)
    assert alone.store(ONE).status == 403
    case = alone.house.case()
    assert alone.store(ONE, path=f"/machine/cases/{case.ref}/studies").status == 404
    change_peer(ae_title="PACS", changes={"called": [case.ref]}, by=DESK, **ports)
    assert alone.store(ONE, path=f"/machine/cases/{case.ref.lower()}/studies").status == 200
    assert alone.house.rows("studies")[0].case_id == case.id
    with alone.house.records.change(by=DESK) as change:
        change.cases.set(case.id, state="closed")
        change.note("case_moved", case_id=case.id)
    assert alone.store(TWO, path=f"/machine/cases/{case.ref}/studies").status == 404


def refused(served):
    return [event for event in served.house.events() if event.kind == "association_refused"]


def test_a_flood_of_strangers_does_not_fill_the_trail_and_is_summed_when_the_door_closes(tmp_path):
    house = open_house(tmp_path)
    with machine_server(tmp_path, house=house) as served:
        for _ in range(60):
            assert served.send(b"", Authorization="Bearer nobody").status == 401
        (first,) = refused(served)
        assert (first.actor, first.address, first.details["times"]) == ("peer:unknown", "127.0.0.1", 1)
        assert served.store(ONE).status == 200  # the right token is never held up by the wrong ones
        served.ending.close()
        assert [event.details["times"] for event in refused(served)] == [1, 59]


def knock(address="192.0.2.1", title="", why="no token", **more):
    usual = {"association_id": "0", "called_ae": "CONSILIUM", "how": "refused", "instances_kept": 0}
    return AssociationEnd(calling_ae=title, address=address, why=why, **usual | more)


def test_refusals_are_summed_and_none_is_forgotten_though_nobody_comes_back():
    told, now = [], [0.0]
    reporter = refusals.RefusalReporter(told.append, window_s=1000, clock_s=lambda: now[0])
    for _ in range(100):
        reporter.report(knock())
    assert [end.connections for end in told] == [1]
    now[0] = 999
    reporter.flush()
    assert len(told) == 1
    now[0] = 1000
    reporter.flush()
    assert [end.connections for end in told] == [1, 99]
    reporter.report(knock())
    reporter.close()
    assert [end.connections for end in told] == [1, 99, 1]
    reporter.report(knock())
    assert len(told) == 4


def test_sums_are_told_by_the_clock():
    told = []
    reporter = refusals.RefusalReporter(told.append, window_s=0.1)
    for _ in range(2):  # a timer that has rung is wound again
        before = len(told)
        for _ in range(7):
            reporter.report(knock())
        wait_for(lambda: sum(end.connections for end in told[before:]) == 7, within_s=5)  # noqa: B023  # awaited here
        wait_for(lambda: not reporter._held, within_s=5)
    reporter.close()
    assert len(told) == 4


def test_an_audit_that_does_not_answer_stops_neither_the_answer_nor_the_sums():
    told = []

    def tell(end):
        told.append(end)
        raise KeyError

    reporter = refusals.RefusalReporter(tell, window_s=0.05)
    for _ in range(3):
        reporter.report(knock())
    wait_for(lambda: [end.connections for end in told] == [1, 2], within_s=5)
    reporter.close()


def test_thousands_of_addresses_are_a_few_lines_and_a_peers_own_refusals_stand_apart():
    told = []
    reporter = refusals.RefusalReporter(told.append)
    for number in range(5000):
        reporter.report(knock(f"2001:db8::{number:x}"))  # one customer's
    assert len(told) == 1
    for number in range(5000):
        reporter.report(knock(f"2001:db8:{number:x}::1", why=f"reason {number % 2}"))
    assert len(told) <= refusals.MOST_KEYS + 2
    reporter.report(knock(title="PACS", why="this peer may not store"))
    reporter.report(knock(title="PACS", why="the address names no case that takes studies"))
    assert [end.why for end in told if end.calling_ae == "PACS"] == [
        "this peer may not store",
        "the address names no case that takes studies",
    ]
    reporter.close()
    assert len(told) <= 2 * refusals.MOST_KEYS
    assert sum(end.connections for end in told) == 10_002
    assert all(end.address == "" for end in told if "many addresses" in end.why)


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        ("/machine/studies/nonsense", {}, 400),
        ("/machine/studies", {"Content_Type": "multipart/related; type=application/dicom"}, 400),
        ("/machine/studies", {"Content_Type": "text/plain"}, 415),
        ("/machine/studies", {"Accept": "text/html"}, 406),
        ("/machine/studies", {"Content_Length": str(1 << 45)}, 413),
    ],
)
def test_a_peers_request_that_is_refused_by_its_head_stands_in_the_audit(alone, path, fields, code):
    with alone.connect() as link:
        link.sendall(alone.head(path=path, **{"Content_Length": "5", **fields}))
        assert link.recv(65536).startswith(f"HTTP/1.1 {code} ".encode())
    (event,) = refused(alone)
    assert (event.actor, event.address, event.outcome) == ("peer:PACS", "127.0.0.1", "refused")
    assert event.details["called"] == "CONSILIUM"
    assert event.details["why"].startswith(f"STOW-RS: {code}, ")
    assert "nonsense" not in repr(event)


def test_a_peers_request_without_a_place_stands_in_the_audit(tmp_path):
    with machine_server(tmp_path, at_once=1) as served, begun(served, 1000):
        assert served.store(ONE).status == 503
        (event,) = refused(served)
        assert event.details["why"].startswith("STOW-RS: 503, ")


def test_the_audit_names_the_case_that_an_address_stands_for(alone):
    case = alone.house.case()
    path = f"/machine/cases/{case.ref}/studies"
    alone.send(multipart(ONE, b"no DICOM"), path=path)
    alone.send(multipart(ONE), path=path, Accept="text/html")
    alone.send(multipart(ONE), path=path, Authorization="Bearer nobody")
    alone.send(multipart(ONE), path="/machine/cases/PLANTED/studies", Authorization="Bearer nobody")
    told = [
        e for e in alone.house.events() if e.kind.startswith("association_") or e.kind == "instance_refused"
    ]
    assert [(event.kind, event.details["called"]) for event in told] == [
        ("instance_refused", case.ref),
        ("association_ended", case.ref),
        ("association_refused", case.ref),
        ("association_refused", case.ref),
        ("association_refused", ""),
    ]


# bodies that are not taken


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Content_Type": None}, 400),
        ({"Content_Type": "multipart/related; type=application/dicom"}, 400),
        ({"Content_Type": RELATED + "; boundary=two"}, 400),
        ({"Content_Type": 'multipart/related; type="application/dicom+json"; boundary=x'}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+xml"; boundary=x'}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": "multipart/mixed; boundary=x"}, 415),
        ({"Content_Type": "application/dicom+json"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Encoding": "identity, gzip"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "application/dicom+json;q=0"}, 406),
        ({"X_HTTP_Method_Override": "DELETE"}, 400),
        ({"Host": "elsewhere"}, 421),
        ({"X": "x" * 30_000}, 431),
    ],
)
def test_what_is_not_taken_is_said_before_the_body_is_read(served, fields, code):
    with served.connect() as link:
        link.sendall(served.head(Content_Length="1000000", Expect="100-continue", **fields))
        assert link.recv(65536).startswith(f"HTTP/1.1 {code} ".encode())


def test_nothing_can_be_looked_up_here(served):
    for method, path, code in (
        ("GET", "/machine/studies", 405),
        ("HEAD", "/machine/studies", 405),
        ("PUT", "/machine/studies", 405),
        ("DELETE", "/machine/studies/1.2.3", 405),
        ("GET", "/machine/studies/1.2.3/metadata", 404),
        ("GET", "/machine/", 404),
        ("POST", "/machine/studies/", 404),
        ("GET", "/machine/static/x/y.css", 404),
    ):
        with served.connect() as link:
            fields = {"Accept": "text/html", "Content_Length": "0", "Connection": "close"}
            link.sendall(served.head(path=path, method=method, **fields))
            got = b"".join(iter(lambda: link.recv(65536), b""))
        assert got.startswith(f"HTTP/1.1 {code} ".encode()), (method, path)
        assert b"<html" not in got


def test_two_content_types_are_none(served):
    with served.connect() as link:
        head = served.head(Content_Length="0", Connection="close")
        link.sendall(head.replace(b"\r\n\r\n", b"\r\nContent-Type: application/dicom\r\n\r\n"))
        assert link.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_request_over_the_cap_is_refused_unread(served):
    with served.connect() as link:
        link.sendall(served.head(Content_Length=str(1 << 45), Expect="100-continue"))
        assert link.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Length": "6", "Transfer_Encoding": "chunked"},
        {"Transfer_Encoding": "xchunked"},
        {"Content_Length": "+6"},
    ],
)
def test_a_request_that_can_be_read_in_two_ways_stores_nothing(served, fields):
    before = len(served.house.rows("instances"))
    with served.connect() as link:
        link.sendall(served.head(**fields) + b"0\r\n\r\nPOST /machine/studies HTTP/1.1\r\nHost: x\r\n\r\n")
        got = link.recv(65536)
    assert got.startswith((b"HTTP/1.1 4", b""))
    assert b" 200 " not in got
    assert len(served.house.rows("instances")) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"nothing of the kind", 400),
        (b"--a-boundary--", 400),
        (multipart(b"no DICOM"), 409),
        (multipart(b""), 409),
        (multipart(ONE, close=False), 400),
        (multipart(ONE, head="Content-Transfer-Encoding: base64\r\n"), 409),
        (multipart(ONE, head="Content-Type: multipart/related; boundary=inner\r\n"), 409),
        (multipart(ONE, head="Content-Type: application/dicom\r\nContent-Encoding: gzip\r\n"), 409),
        (multipart(ONE, head="X: " + "x" * 20_000 + "\r\n"), 400),
        (multipart(ONE, head=" folded: x\r\n"), 400),
        (b"--a-boundary\n\n" + ONE + b"\n--a-boundary--", 400),
    ],
)
def test_a_body_that_holds_no_object_keeps_nothing_and_says_why(served, body, code):
    before = len(served.house.rows("instances")), served.house.objects()
    answer = served.send(body)
    assert answer.status == code
    if code == 409:
        assert answer.reasons("0008119A") == [0xC000]
    assert (len(served.house.rows("instances")), served.house.objects()) == before
    assert served.drafts() == []


WORDS = [b"--a-boundary", b"--a-boundary--", b"\r\n", b"\r\n\r\n", b"Content-Type: application/dicom", ONE[:200], ONE, b"\0" * 128
         + b"DICM", b"--", b"\r", b"\xff" * 9]  # fmt: skip


def test_no_garbage_brings_the_door_down(served):
    with Browser(served.app, origin=served.url) as sender:

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.sampled_from(WORDS), max_size=12), st.binary(max_size=60))
        def attempt(words, more):
            body = b"".join(words) + more
            answer = sender.send(
                "POST",
                "/machine/studies",
                content=body,
                headers={"Authorization": f"Bearer {served.token}", "Content-Type": RELATED},
            )
            assert answer.status_code in {200, 202, 400, 409}

        attempt()
    assert served.drafts() == []
    assert served.store(ONE).status == 200


# partial failure


def test_one_bad_object_does_not_cost_the_others(alone):
    body = multipart(ONE, b"no DICOM", TWO, ONE[:200], THREE)
    answer = alone.send(body)
    assert answer.status == 202
    assert answer.stored() == [uid(ONE), uid(TWO), uid(THREE)]
    assert answer.reasons("0008119A") + answer.reasons() == [0xC000, 0xC000]
    noted = [event for event in alone.house.events() if event.kind == "instance_refused"]
    assert [event.details["status"] for event in noted] == ["C000", "C000"]
    (ended,) = (event for event in alone.house.events() if event.kind == "association_ended")
    assert ended.outcome == "released"
    assert (ended.details["called"], ended.details["kept"]) == ("CONSILIUM", 3)
    assert ended.details["why"] == "STOW-RS: 2 refused"


def test_a_large_object_that_is_refused_is_read_to_its_end_so_that_the_answer_is_heard(alone):
    for body, content_type in ((bytes(20 << 20), "application/dicom"), (multipart(bytes(20 << 20)), RELATED)):
        answer = alone.send(body, Content_Type=content_type)
        assert (answer.status, answer.reasons("0008119A")) == (409, [0xC000])


def test_an_object_that_never_became_whole_is_not_told_as_kept_whatever_was_made_of_it(alone, monkeypatch):
    def careless(arrival, **_):
        with contextlib.suppress(AssociationOver):
            arrival.stream.read()
        return StoreOutcome(status=0)

    monkeypatch.setattr(transaction, "receive_instance", careless)
    large = factories.ct_instance(1, number=9, size=128)
    assert alone.send(multipart(large, close=False)[:-50]).status == 400
    assert alone.send(multipart(large)).status == 200


def test_what_stands_behind_the_last_part_is_read_and_has_an_end(alone):
    assert alone.send(multipart(ONE) + b"x" * 1000).status == 200
    answer = alone.send(multipart(ONE) + b"x" * 200_000)
    assert (answer.status, answer.stored(), answer.reasons("0008119A")) == (202, [uid(ONE)], [0x0110])


def test_objects_of_another_study_than_the_address_names_are_refused(alone):
    other = factories.ct_instance(1, study=2)
    study = factories.read(ONE).StudyInstanceUID
    answer = alone.send(multipart(ONE, other), path=f"/machine/studies/{study}")
    assert (answer.status, answer.stored(), answer.reasons()) == (202, [uid(ONE)], [0xA901])
    answer = alone.send(multipart(other), path=f"/machine/studies/{study}")
    assert (answer.status, answer.stored(), answer.reasons()) == (409, [], [0xA901])


def test_what_came_whole_before_a_body_broke_is_kept_and_told(alone):
    answer = alone.send(multipart(ONE, TWO, close=False) + b"--a-boundary\r\n folded: x\r\n\r\n" + THREE)
    assert (answer.status, answer.stored()) == (202, [uid(ONE), uid(TWO)])
    assert answer.reasons("0008119A") == [0x0110]
    (ended,) = (event for event in alone.house.events() if event.kind == "association_ended")
    assert (ended.outcome, ended.details["kept"]) == ("malformed", 2)


def test_an_object_that_a_peer_may_not_send_is_refused_by_its_reason(alone):
    ports = alone.house.ports("records", "clock")
    change_peer(ae_title="PACS", changes={"sop_classes": ["1.2.840.10008.5.1.4.1.1.4"]}, by=DESK, **ports)
    assert alone.store(ONE).reasons() == [0x0122]
    change_peer(
        ae_title="PACS",
        changes={"sop_classes": [], "transfer_syntaxes": ["1.2.840.10008.1.2"]},
        by=DESK,
        **ports,
    )
    assert alone.store(ONE).reasons() == [0xC122]
    change_peer(
        ae_title="PACS", changes={"transfer_syntaxes": [], "max_instance_bytes": 10_000}, by=DESK, **ports
    )
    large = factories.ct_instance(1, number=9, size=128)
    answer = alone.store(large)
    assert (answer.status, answer.reasons()) == (413, [0xA700])
    assert alone.drafts() == []
    assert alone.house.rows("instances") == []
    answer = alone.store(large, ONE)
    assert (answer.status, answer.reasons(), answer.stored()) == (202, [0xA700], [uid(ONE)])


def test_a_peer_over_its_quota_of_the_day_is_told_that_there_is_no_room(alone):
    ports = alone.house.ports("records", "clock")
    change_peer(ae_title="PACS", changes={"day_bytes": len(ONE) + 500}, by=DESK, **ports)
    answer = alone.store(ONE, TWO)
    assert (answer.status, answer.stored(), answer.reasons()) == (202, [uid(ONE)], [0xA700])
    assert alone.store(THREE).status == 507
    assert alone.drafts() == []


class Failing:
    """A port of which one method fails."""

    def __init__(self, port, name, error):
        self._port, self._name, self._error = port, name, error

    def __getattr__(self, name):
        if name == self._name:
            raise self._error
        return getattr(self._port, name)


@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreFullError("x"), 507), (UnavailableError("PLANTED"), 503), (KeyError("PLANTED"), 409)],
)
def test_when_the_house_cannot_keep_anything_it_says_so(tmp_path, error, code, capfd):
    house = open_house(tmp_path)
    broken = replace(house.as_house(), store=Failing(house.store, "seal", error))
    with machine_server(tmp_path, house=house, ports=broken) as served:
        answer = served.store(ONE, TWO)
        assert (answer.status, answer.reasons()) == (code, [0xA700, 0xA700])
        assert ("retry-after" in answer.headers) == (code == 503)
        assert house.rows("instances") == []
    assert b"PLANTED" not in answer.body
    assert "PLANTED" not in "".join(capfd.readouterr())


def test_when_the_records_do_not_answer_nobody_is_let_in(tmp_path):
    house = open_house(tmp_path)
    broken = replace(house.as_house(), records=Failing(house.records, "view", UnavailableError("x")))
    with machine_server(tmp_path, house=house, ports=broken) as served:
        answer = served.store(ONE)
        assert answer.status == 503
        assert answer.headers["content-type"] == "application/problem+json"


# cut lines, slow lines, many lines


def test_a_sender_who_goes_in_the_middle_of_an_object_leaves_nothing_behind(alone):
    large = factories.ct_instance(1, number=9, size=512)
    before = alone.house.objects()
    for cut in (10, len(ONE) // 2, len(large) // 2, len(large) + 50):
        with alone.connect() as link:
            body = multipart(large, close=False)[: cut + 60]
            link.sendall(alone.head(Content_Length=str(len(large) + 1000)) + body)
            time.sleep(0.1)
    wait_for(
        lambda: len([e for e in alone.house.events() if e.kind == "association_ended"]) == 4, within_s=10
    )
    ends = [event for event in alone.house.events() if event.kind == "association_ended"]
    assert {event.outcome for event in ends} == {"lost"}
    assert alone.house.objects() == before
    assert alone.drafts() == []
    assert alone.house.rows("instances") == []


def test_objects_that_came_whole_before_a_cut_are_kept(alone):
    with alone.connect() as link:
        link.sendall(alone.head(Content_Length="1000000") + multipart(ONE, TWO, close=False) + b"--a-bound")
        wait_for(lambda: len(alone.house.rows("instances")) == 1, within_s=10)
    wait_for(lambda: "association_ended" in kinds(alone), within_s=10)
    assert len(alone.house.rows("instances")) == 1  # the second one's end was never seen
    assert alone.store(ONE, TWO).status == 200
    assert len(alone.house.rows("instances")) == 2


@pytest.mark.parametrize("patience", [Patience(silence_s=0.3), Patience(slowest_bytes_s=8192, grace_s=0.3)])
def test_a_sender_who_drips_is_cut_off(tmp_path, patience):
    with machine_server(tmp_path, patience=patience) as served, served.connect() as link:
        link.sendall(served.head(Content_Length="100000") + b"--a-boundary\r\n\r\n")
        began, got = time.monotonic(), b""
        link.settimeout(0.05)
        for sign in itertools.cycle(b"x"):
            with contextlib.suppress(OSError):
                if patience.grace_s < 1:
                    link.sendall(bytes([sign]))
                got = link.recv(65536)
                break
            assert time.monotonic() - began < 10
        assert got.startswith(b"HTTP/1.1 408 ")
        (ended,) = (event for event in served.house.events() if event.kind == "association_ended")
        assert ended.outcome == "timeout"
        assert served.drafts() == []


def test_too_many_at_once_are_told_to_wait_and_nobody_takes_every_place(tmp_path):
    with machine_server(tmp_path, at_once=4) as served, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(begun(served, 1000))
        answer = served.store(ONE)
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        served.peer("OTHER")
        assert served.store(ONE).status == 200
        stack.pop_all().close()
        served.peer("THIRD")
        wait_for(lambda: served.store(TWO).status == 200, within_s=10)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_peer_that_is_shut_out_is_stopped_within_a_second_in_the_midst_of_an_object(alone, kept):
    whole = multipart(ONE, factories.ct_instance(1, number=9, size=128))
    first = len(multipart(ONE)) + 100 if kept else 500
    with begun(alone, len(whole)) as link:
        link.sendall(whole[:first])
        wait_for(lambda: len(alone.house.rows("instances")) == kept, within_s=10)
        disable_peer(ae_title="PACS", by=DESK, **alone.house.ports("records", "clock"))
        began = time.monotonic()
        got = link.recv(65536)
        assert time.monotonic() - began < 2
    assert got.startswith(b"HTTP/1.1 202 " if kept else b"HTTP/1.1 403 ")
    assert len(alone.house.rows("instances")) == kept
    assert alone.drafts() == []
    (ended,) = (event for event in alone.house.events() if event.kind == "association_ended")
    assert (ended.outcome, ended.details["kept"]) == ("aborted", kept)


def test_a_body_in_the_smallest_pieces_is_the_same_body(alone):
    body = multipart(ONE, TWO)
    answer = alone.send(body[at : at + 7] for at in range(0, len(body), 7))
    assert answer.stored() == [uid(ONE), uid(TWO)]


def test_twenty_senders_at_once_lose_nothing(alone):
    contents = factories.ct_instances(100)
    answers = []

    def send(batch):
        answers.append(alone.store(*batch))

    threads = [threading.Thread(target=send, args=(contents[n::20],)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.status for answer in answers] == [200] * 20
    assert len(alone.house.rows("instances")) == 100


# what is kept, and what is told


def original(served, instance):
    ref = SealedRef(
        object_id=instance.object_id,
        size_bytes=instance.size_bytes,
        digest=instance.digest,
        generation=instance.generation,
    )
    key = originals_key(served.house.records, instance.holder)
    with served.house.store.open(ref, key=key, kind="original") as reader:
        return reader.read()


def test_a_preamble_that_is_a_program_is_not_kept_and_the_data_set_is_kept_to_the_byte(alone):
    polyglot = b"MZ" + b"\x90" * 126 + ONE[128:]
    assert alone.store(polyglot).status == 200
    (instance,) = alone.house.rows("instances")
    kept = original(alone, instance)
    assert kept[:132] == b"\0" * 128 + b"DICM"
    assert kept.endswith(open_part10(io.BytesIO(polyglot))[1].read())


def test_the_same_object_again_is_kept_once_and_other_bytes_under_its_name_are_held(alone):
    assert alone.store(ONE, ONE).stored() == [uid(ONE)] * 2
    assert len(alone.house.rows("instances")) == 1
    assert alone.store(factories.ct_instance(1, number=1, PatientComments="x")).status == 200
    assert len(alone.house.rows("instances")) == 2
    assert "instance_conflict" in kinds(alone)


def test_nothing_of_an_object_stands_in_a_log_or_in_an_answer(alone, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    hostile = factories.ct_instance(1, number=5, PatientName="PLANTED^NAME", StudyInstanceUID="PLANTED.UID")
    answers = [
        alone.store(hostile),
        alone.store(ONE.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.PLANTED.2")),
        alone.store(b"PLANTED" * 100),
        alone.send(multipart(ONE, head="X: PLANTED\x01\r\n")),
    ]
    said = capfd.readouterr()
    assert all(b"PLANTED" not in answer.body for answer in answers)
    assert "PLANTED" not in said.out + said.err + caplog.text
    assert not [event for event in alone.house.events() if "PLANTED" in repr(event)]


def test_the_capabilities_tell_nothing_of_the_house(served):
    with served.connect() as link:
        link.sendall(served.head(method="OPTIONS", Authorization=None, Content_Type=None, Connection="close"))
        got = b"".join(iter(lambda: link.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"Store Instances" in got
    assert b"Consilium" not in got
    assert b"PACS" not in got


def test_a_door_that_closes_lets_no_thread_hang(tmp_path):
    with machine_server(tmp_path) as served:
        link = socket.create_connection(("127.0.0.1", served.port))
        link.sendall(served.head(Content_Length="1000") + b"--a-boundary\r\n\r\n")
        wait_for(lambda: any(t.name.startswith("stow") for t in threading.enumerate()), within_s=10)
        link.close()
        wait_for(lambda: "association_ended" in kinds(served), within_s=10)
