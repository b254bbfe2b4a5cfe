"""Releases sent to real PACS: DCMTK's storescp with and without TLS, Orthanc, a peer that is killed, and the command line over it all."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from gateway.domain.calls import CallRules
from tests import factories
from tests.fakes.certificates import Authority
from tests.fakes.journey_house import JourneyHouse, open_house
from tests.fakes.sending_house import TO, Sender
from tests.functional.conftest import Commands, wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(180)]

STORESCP, DCMDUMP, ORTHANC = "/usr/bin/storescp", "/usr/bin/dcmdump", "/usr/sbin/Orthanc"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class StoreScp:
    """DCMTK's storage SCP, writing what it receives; it can be killed and started again on its port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.port = folder, options, free_port()
        folder.mkdir()
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [STORESCP, "-aet", TO, "+xa", "-od", str(self.folder), *self.options, str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        wait_for(lambda: listens(self.port), within_s=10)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def received(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., StoreScp]]:
    made: list[StoreScp] = []

    def start(*options: str) -> StoreScp:
        made.append(StoreScp(tmp_path / "received", *options))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JourneyHouse]:
    (tmp_path / "house").mkdir()
    made = open_house(tmp_path / "house")
    yield made
    made.close()


def approved(house: JourneyHouse, port: int, **values: Any) -> Sender:
    sender = Sender(house, port, **values)
    sender.build()
    sender.approve()
    return sender


def whole_and_clean(sender: Sender, files: list[Path]) -> None:
    """Every copy of the case, once, readable by other code, without anything planted."""
    patient = factories.patient()
    planted = [*patient["names"][0].values(), *(one["value"] for one in patient["identifiers"])]
    needles = factories.planted_bytes(tuple(planted))
    for file in files:
        content = file.read_bytes()
        assert not [needle for needle in needles if needle in content], file
        dumped = subprocess.run([DCMDUMP, "-q", str(file)], capture_output=True, text=True, check=True)
        assert "PatientIdentityRemoved" in dumped.stdout
    assert sorted(str(dcmread(file).SOPInstanceUID) for file in files) == sender.uids()


def test_dcmtk_receives_every_copy_and_reads_it(
    house: JourneyHouse, storescp: Callable[..., StoreScp]
) -> None:
    pacs = storescp()
    sender = approved(house, pacs.port, count=8)
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent) == ("sent", 8)
    whole_and_clean(sender, pacs.received())


def test_dcmtk_receives_by_tls_and_only_with_its_own_certificate(
    house: JourneyHouse, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours, others = (authority.issue(name) for name in ("pacs", "consilium", "others"))
    pacs = storescp("+tls", str(theirs.key_path), str(theirs.cert_path), "+cf", str(authority.path), "-rc")
    sender = approved(house, pacs.port, count=4)
    rules = CallRules(certificate=ours.cert_path, key=ours.key_path)
    sender.peer(pacs.port, calls_by_tls=True, certificates=[others.pem])
    row = sender.deliver(sender.ask(calls=rules), calls=rules)
    assert (row.state, row.sent) == ("queued", 0)
    assert "TLS failed" in row.error
    assert pacs.received() == []
    sender.peer(pacs.port, calls_by_tls=True, certificates=[theirs.pem])
    row = sender.deliver(row, calls=rules)
    assert (row.state, row.sent) == ("sent", 4)
    whole_and_clean(sender, pacs.received())


def test_a_peer_is_known_by_a_name_that_its_authority_vouches_for(
    house: JourneyHouse, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours = authority.issue("pacs", sans=("pacs.example",)), authority.issue("consilium")
    pacs = storescp("+tls", str(theirs.key_path), str(theirs.cert_path), "+cf", str(authority.path), "-rc")
    sender = approved(house, pacs.port, count=2)
    rules = CallRules(certificate=ours.cert_path, key=ours.key_path, authorities=authority.path)
    sender.peer(pacs.port, calls_by_tls=True, names=["DNS:other.example"])
    row = sender.deliver(sender.ask(calls=rules), calls=rules)
    assert "not that of REVIEWPACS" in row.error
    sender.peer(pacs.port, calls_by_tls=True, names=["DNS:pacs.example"])
    assert sender.deliver(row, calls=rules).state == "sent"


def test_a_killed_peer_gets_the_rest_when_it_is_back(
    house: JourneyHouse, storescp: Callable[..., StoreScp]
) -> None:
    pacs = storescp()
    sender = approved(house, pacs.port, count=20, size=128)

    def kill() -> None:
        wait_for(lambda: len(pacs.received()) >= 3, within_s=10, every_s=0.001)
        pacs.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    asked = sender.ask()
    row = sender.deliver(asked)
    killer.join()
    assert row.state in {"queued", "sent"}
    before = {file.name: file.stat().st_mtime_ns for file in pacs.received()}
    kept = row.sent
    pacs.start()
    row = sender.deliver(asked)
    assert (row.state, row.sent) == ("sent", 20)
    again = [f for f in pacs.received() if before.get(f.name, f.stat().st_mtime_ns) != f.stat().st_mtime_ns]
    assert len(again) <= len(before) - kept  # what had Success was not sent again
    whole_and_clean(sender, pacs.received())


class Orthanc:
    """Orthanc from Debian, without plugins, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.dicom, http = free_port(), free_port()
        configuration = {
            "Name": TO,
            "DicomAet": TO,
            "DicomPort": self.dicom,
            "DicomCheckCalledAet": True,
            "HttpPort": http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "Plugins": [],
            "DicomModalities": {},
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(configuration), encoding="utf-8")
        self._process = subprocess.Popen(
            [ORTHANC, str(path)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=30)
        wait_for(self._answers, within_s=30)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/system").is_success
        return False

    def instances(self) -> list[dict[str, Any]]:
        ids = self.http.get("/instances").raise_for_status().json()
        return [self.http.get(f"/instances/{one}/simplified-tags").raise_for_status().json() for one in ids]

    def stop(self) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    if not Path(ORTHANC).exists():
        pytest.skip("needs Orthanc")
    made = Orthanc(tmp_path / "orthanc")
    yield made
    made.stop()


def test_orthanc_receives_every_copy_and_takes_it_again(house: JourneyHouse, orthanc: Orthanc) -> None:
    sender = approved(house, orthanc.dicom, count=6)
    row = sender.deliver(sender.ask())
    assert (row.state, row.sent) == ("sent", 6)
    found = orthanc.instances()
    assert sorted(one["SOPInstanceUID"] for one in found) == sender.uids()
    assert {one["PatientIdentityRemoved"] for one in found} == {"YES"}
    family = factories.patient()["names"][0]["family"]
    assert family not in json.dumps(found, ensure_ascii=False)
    # Somebody deleted it there, or wants it once more: a new delivery sends all again.
    assert sender.deliver(sender.ask()).state == "sent"
    assert len(orthanc.instances()) == 6


@pytest.fixture
def parts() -> Iterator[Callable[[Path], str]]:
    """Start the node and a worker of a home, which is all that a delivery needs; returns the node's address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> str:
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "gateway.cli.main", "--home", str(home)]
        environment = {**os.environ, "CONSILIUM_QUIET_S": "1"}
        started.extend(
            subprocess.Popen(
                [*command, *part], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for part in (["dicom", "--dicom", address], ["worker"])
        )
        return address

    yield start
    for one in started:
        one.terminate()
    for one in started:
        one.wait(60)


@pytest.mark.timeout(400)
def test_the_command_line_sends_a_release_that_a_hospital_pushed(
    tmp_path: Path,
    storescp: Callable[..., StoreScp],
    consilium: Commands,
    parts: Callable[[Path], str],
) -> None:
    pacs = storescp()
    patient = tmp_path / "patient.json"
    patient.write_text(json.dumps(factories.patient()), encoding="utf-8")
    files = []
    for number in range(1, 6):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(factories.ct_instance(number=number))
    home = tmp_path / "home"

    def call(*words: str | Path, code: int = 0) -> Any:
        said = consilium(*words, "--json", home=home)
        assert said.code == code, (words, said.out, said.err)
        return said.json()

    ref = call("case", "open", "--opinion", "mdt", "--patient", patient)["ref"]
    call("peer", "add", "PACS")
    call("peer", "add", TO, "--no-store", "--receive", "--address", f"127.0.0.1:{pacs.port}")
    host, _, port = parts(home).rpartition(":")
    wait_for(lambda: listens(int(port)), within_s=120)
    subprocess.run(
        ["/usr/bin/storescu", "-aet", "PACS", "-aec", ref, host, port, *map(str, files)], check=True
    )
    wait_for(lambda: call("case", "show", ref)["instances"]["deidentified"] == 5, within_s=120, every_s=0.5)
    assert "no approved release" in call("release", "send", ref, "--to", TO, code=1)["message"]
    call("release", "build", ref)
    call("release", "approve", ref)
    began = time.monotonic()
    told = call("release", "send", ref, "--to", TO, "--wait")
    print(f"asked, sent and told in {time.monotonic() - began:.1f} s")
    assert (told["state"], told["sent"], told["total"], told["not_kept"]) == ("sent", 5, 5, [])
    (listed,) = call("release", "deliveries", ref)
    assert (listed["id"], listed["state"], listed["number"]) == (told["id"], "sent", 1)
    pacs.kill()
    asked = call("release", "send", ref, "--to", TO)
    assert call("release", "stop-sending", asked["id"][:12])["state"] == "stopped"
    assert "ended already" in call("release", "stop-sending", asked["id"], code=1)["message"]
    pacs.start()
    again = call("release", "resend", asked["id"], "--wait")
    assert (again["state"], again["sent"]) == ("sent", 5)
    call("audit", "verify")
    assert len(pacs.received()) == 5
    needles = factories.planted_bytes((factories.patient()["names"][0]["family"],))
    assert not [f for f in pacs.received() for needle in needles if needle in f.read_bytes()]
