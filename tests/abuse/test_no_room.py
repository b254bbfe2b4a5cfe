"""Room that runs out, on a file system that is really full: refused early and in words, nothing acknowledged lost, healed by itself.

D13, D4, D2; #10; day-one test 11. The house runs in a process of its own on 48 MiB of ext4; senders are outside.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path

import httpx
import pytest

from dicom_node.dial import Call
from dicom_node.scu import echo
from tests import factories
from tests.fakes.small_disk import fill, small_disk, use_up_files
from tests.fakes.strace_house import HOST, PACS, LiveHouse, prepare
from tests.fakes.strace_oracle import REJECTED, TUS, Oracle
from tests.functional.conftest import wait_for
from tests.unit.dicom_node.peers import RawPeer, data_set

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(120)]

MIB = 1 << 20
RULES = {"room_bytes": str(8 * MIB), "ballast": "true"}


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path) as where:
        yield where


@pytest.fixture
def told(disk):
    home = disk / "home"
    home.mkdir(mode=0o700)
    return prepare(home, **RULES)


def oracle_of(told, *, count=4, size=16, document=30_000):
    contents = factories.ct_instances(2 * count, 7, size=size)
    return Oracle(
        token=told["token"],
        session=told["session"],
        instances=contents[:count],
        stowed=contents[count:],
        document=os.urandom(document),
    )


def call(house):
    return Call(host=HOST, port=house.dicom, called_ae="CONSILIUM", calling_ae=PACS, timeout_s=5)


def rejection(house):
    """What an association is answered: result, source and reason (PS3.8 9.3.4), or None where it is accepted."""
    with RawPeer(house.dicom) as peer:
        kind, body = peer.associate(calling=PACS)
        return tuple(body[1:4]) if kind == 0x03 else None


def test_below_the_reserve_each_door_says_so_and_heals_when_room_returns(disk, told):
    home, sender = disk / "home", oracle_of(told)
    with LiveHouse(home, **RULES) as house:
        sender.instances, late = sender.instances[:2], sender.instances[2:]
        sender.everything(house)
        assert sender.is_done
        with RawPeer(house.dicom) as peer:
            peer.associate(calling=PACS)
            assert not house.ask("watch")
            hog = fill(disk, leave_bytes=6 * MIB)
            time.sleep(0.6)
            # an association that stands: A700 with words, and it goes on standing
            status, comment = peer.store(data_set())[:2]
            assert (status, "low on room" in comment) == (0xA700, True)
            assert len(comment) <= 64
            # a new one: transient, presentation layer, temporary congestion
            assert rejection(house) == (2, 3, 1)
            # the web: 507 as problem+json, to programs and to the patient's browser
            before = len(sender.answers)
            sender.place, sender.offset = "", 0
            sender.upload(house)
            sender.stowed = sender.stowed + factories.ct_instances(1, 9)
            sender.stow(house)
            assert sender.answers[before:] == [507, 507]
            answer = patient(house, told, "POST", "/p/files/", **{"Upload-Length": "100"})
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "store_low"
            assert "förlorat" in answer.json()["detail"]
            assert house.ask("watch")
            assert house.ask("watch")
            # reading goes on, and so does what the database must say
            assert patient(house, told, "GET", "/p/case").status_code == 200
            hog.unlink()
            wait_for(lambda: peer.store(data_set())[0] == 0, within_s=3)
        sender.instances += late
        sender.document = os.urandom(20_000)
        sender.everything(house)
        assert sender.is_done
        wait_for(lambda: not house.ask("watch"), within_s=5, every_s=0.3)
        events = house.ask("events")
        assert (events.count("room_low"), events.count("room_back")) == (1, 1)


def patient(house, told, method, path, **headers):
    return httpx.request(
        method,
        house.url + path,
        headers={
            "Cookie": f"consilium-patient=s.{told['session']}",
            "Origin": house.url,
            "Accept": "text/html" if method == "GET" else "application/json",
            "Accept-Language": "sv",
            **TUS,
            **headers,
        },
        timeout=10,
    )


def test_what_was_announced_and_cannot_fit_is_refused_before_a_byte_of_it(disk, told):
    with LiveHouse(disk / "home", **RULES) as house:
        assert (
            patient(house, told, "POST", "/p/files/", **{"Upload-Length": str(200 * MIB)}).status_code == 507
        )
        assert patient(house, told, "POST", "/p/files/", **{"Upload-Length": str(MIB)}).status_code == 201
        link = http.client.HTTPConnection(HOST, house.http, timeout=10)
        link.putrequest("POST", "/machine/studies")
        for name, value in {
            "Authorization": f"Bearer {told['token']}",
            "Content-Type": "application/dicom",
            "Content-Length": str(300 * MIB),
        }.items():
            link.putheader(name, value)
        link.endheaders()
        began = time.monotonic()
        answer = link.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (507, "30")
        assert json.loads(answer.read())["code"] == "store_low"
        link.close()
        assert time.monotonic() - began < 2
        assert echo(call(house)).reached, "one large file is no reason to shut anybody out"


@pytest.mark.parametrize("lack", ["bytes", "files"])
def test_pushed_until_the_volume_is_truly_full_nothing_acknowledged_is_lost(disk, told, lack):
    """The reserve is 0 here, so that every refusal is the kernel's own (ENOSPC), in the store and in the records."""
    home, rules = disk / "home", {"room_bytes": "0", "ballast": "true"}
    sender = oracle_of(told, count=40, size=256, document=300_000)
    with LiveHouse(home, **rules) as house:
        house.ask("watch")
        time.sleep(0.6)
        house.ask("watch")
        assert house.ask("ballast") >= 4 * MIB
        hog = fill(disk, leave_bytes=2 * MIB) if lack == "bytes" else use_up_files(disk, leave=12)
        for _ in range(3):
            sender.everything(house)
        refused = [answer for answer in sender.answers if answer not in {0, 200, 201, 204}]
        assert refused, "the disk was never full"
        assert set(refused) <= {0xA700, REJECTED, 507, 503, 202, 409, None}
        assert len(sender.acknowledged) < 80
        house.kill()  # no better moment
    with LiveHouse(home, **rules) as house:
        hog.unlink() if lack == "bytes" else [*map(Path.unlink, hog.iterdir()), hog.rmdir()]
        wait_for(lambda: sender.everything(house) or sender.is_done, within_s=30, every_s=0.5)
        assert not sender.violations(house.ask("facts"))


def test_the_ballast_lets_the_records_say_what_happened_and_comes_back(disk, told):
    home = disk / "home"
    with LiveHouse(home, **RULES) as house:
        house.ask("watch")
        time.sleep(0.6)
        house.ask("watch")
        held = house.ask("ballast")
        assert held >= 4 * MIB
        hog = fill(disk)
        time.sleep(0.6)
        assert not echo(call(house)).reached
        assert house.ask("watch"), "a full volume kept the audit from saying so"
        assert house.ask("ballast") == 0
        assert house.ask("events").count("room_low") == 1
        hog.unlink()
        wait_for(lambda: not house.ask("watch") and house.ask("ballast") == held, within_s=8, every_s=0.3)
        assert house.ask("events").count("room_back") == 1


def test_what_was_told_is_remembered_over_a_restart(disk, told):
    with LiveHouse(disk / "home", **RULES) as house:
        house.ask("watch")
        hog = fill(disk, leave_bytes=2 * MIB)
        time.sleep(0.6)
        assert house.ask("watch")
        house.kill()
    with LiveHouse(disk / "home", **RULES) as house:
        assert house.ask("watch")
        hog.unlink()
        wait_for(lambda: not house.ask("watch"), within_s=6, every_s=0.3)
        assert [kind for kind in house.ask("events") if kind.startswith("room_")] == ["room_low", "room_back"]
