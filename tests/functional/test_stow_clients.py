"""Real STOW-RS clients against a running exchange: curl, Orthanc's DICOMweb plugin; and what a gigabyte costs."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset

from dicom_node.part10 import file_meta_bytes, open_part10
from gateway.cli.demo.exchange import Exchange
from gateway.compose import compose
from gateway.domain.people import Actor
from gateway.journeys.know_peer import add_peer, change_peer, give_token
from gateway.journeys.open_case import open_case
from gateway.journeys.verify_audit import verify_audit
from gateway.settings import load_settings
from storage import SealedRef
from tests.factories import ct_instance, ct_instances, make_people
from tests.fakes.machine_server import RELATED, multipart
from tests.functional.conftest import descendants, is_alive, wait_for
from tests.unit.dicom_node.peers import CT, EXPLICIT, data_set

pytestmark = [pytest.mark.functional, pytest.mark.timeout(240)]

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
OPERATOR = Actor(kind="operator", id="test")
CURL, ORTHANC = "CURL", "ORTHANC"


class Site:
    """A running exchange with two peers that have tokens, and a look into its records."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.parts = compose(load_settings(exchange.home))
        house = self.parts.house
        self.tokens = {}
        for ae_title in (CURL, ORTHANC):
            add_peer(ae_title=ae_title, hosts=[], by=OPERATOR, records=house.records, clock=house.clock)
            self.tokens[ae_title] = give_token(
                ae_title=ae_title, by=OPERATOR, records=house.records, random=house.random
            )
        self.url = f"{exchange.url}/machine"

    @property
    def web(self) -> int:
        return self.exchange.parts()["web"]

    def kept(self, *contents: bytes, sender: str = "peer:CURL") -> dict[str, bytes]:
        """These objects, as far as they lie in the store, by UID: their data sets."""
        wanted = {uid(one) for one in contents}
        house, found = self.parts.house, {}
        with house.records.view() as view:
            for study in view.studies.find():
                if not study.sender.startswith(sender):
                    continue
                for one in view.instances.find(study_id=study.id):
                    ref = SealedRef(
                        object_id=one.object_id,
                        size_bytes=one.size_bytes,
                        digest=one.digest,
                        generation=one.generation,
                    )
                    key = view.key(one.holder, "originals")
                    name = one.head["sop_instance_uid"]
                    if name in wanted:
                        with house.store.open(ref, key=key, kind="original") as reader:
                            found[name] = data_set_of(reader.read())
        return found

    def drafts(self) -> list[Path]:
        return list((self.exchange.home / "objects" / "tmp").iterdir())


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with Exchange(tmp_path_factory.mktemp("exchange") / "home", quiet_s="3600") as exchange:
        site = Site(exchange)
        yield site
        site.parts.close()
    shutil.rmtree(exchange.home / "objects")  # a gigabyte


def curl(
    site: Site, *arguments: str | Path, path: str = "/studies", stdin: bytes = b"", token: str = ""
) -> tuple[int, bytes]:
    """Call curl; return the status and the body."""
    command = [
        "/usr/bin/curl",
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        "--write-out",
        "\n%{http_code}",
    ]
    command += [
        "-H",
        f"Authorization: Bearer {token or site.tokens[CURL]}",
        *map(str, arguments),
        site.url + path,
    ]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True)
    body, _, code = done.stdout.rpartition(b"\n")
    return int(code), body


def uid(content: bytes) -> str:
    return open_part10(io.BytesIO(content))[0].sop_instance_uid


def data_set_of(content: bytes) -> bytes:
    return open_part10(io.BytesIO(content))[1].read()


def data_sets(contents: list[bytes]) -> dict[str, bytes]:
    return {uid(one): data_set_of(one) for one in contents}


def references(body: bytes) -> list[str]:
    return [
        str(one.ReferencedSOPInstanceUID) for one in Dataset.from_json(json.loads(body)).ReferencedSOPSequence
    ]


def test_curl_stores_a_series_that_lies_in_one_file(site, tmp_path):
    contents = ct_instances(30, seed=11)
    (tmp_path / "body").write_bytes(multipart(*contents))
    code, body = curl(
        site,
        "-H",
        f"Content-Type: {RELATED}",
        "-H",
        "Accept: application/dicom+json",
        "--data-binary",
        f"@{tmp_path / 'body'}",
    )
    assert code == 200
    assert references(body) == [uid(one) for one in contents]
    assert site.kept(*contents) == data_sets(contents)
    assert site.drafts() == []


def test_curl_streams_without_a_length_and_one_object_needs_no_multipart(site):
    chunked, single = ct_instances(2, seed=12)
    code, body = curl(
        site, "-H", f"Content-Type: {RELATED}", "-X", "POST", "-T", "-", stdin=multipart(chunked)
    )
    assert (code, references(body)) == (200, [uid(chunked)])
    code, body = curl(site, "-H", "Content-Type: application/dicom", "--data-binary", "@-", stdin=single)
    assert (code, references(body)) == (200, [uid(single)])
    assert site.kept(chunked, single) == data_sets([chunked, single])


def test_an_address_of_a_case_puts_the_study_into_the_case(site):
    house = site.parts.house
    case = open_case(
        opinion="mdt",
        patient=make_people(13).as_json(),
        by=OPERATOR,
        records=house.records,
        store=house.store,
        clock=house.clock,
        random=house.random,
    )
    content = ct_instance(14)  # of somebody else: the address counts, not the name
    code, _ = curl(
        site,
        "-H",
        "Content-Type: application/dicom",
        "--data-binary",
        "@-",
        path=f"/cases/{case.ref}/studies",
        stdin=content,
    )
    assert code == 200
    with house.records.view() as view:
        (study,) = view.studies.find(case_id=case.id)
    assert (study.instances, study.sender) == (1, f"peer:{CURL}>{case.id}")


def test_who_has_no_token_is_told_before_he_sends(site):
    code, body = curl(
        site, "-H", f"Content-Type: {RELATED}", "-H", "Expect: 100-continue", "--data-binary", "@-", token="wrong", stdin=bytes(30 << 20)
    )  # fmt: skip
    assert code == 401
    assert json.loads(body)["code"] == "token"


@contextmanager
def orthanc(site: Site, folder: Path, *, chunked: bool) -> Iterator[str]:
    """Orthanc with its DICOMweb plugin, which knows the exchange as a server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = {
        "Url": f"{site.url}/",
        "HttpHeaders": {"Authorization": f"Bearer {site.tokens[ORTHANC]}"},
        "ChunkedTransfers": chunked,
        "Timeout": 60,
    }
    configuration = {
        "Name": "SENDER",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Servers": {"consilium": server}},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["/usr/sbin/Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{url}/system"), within_s=30)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(not PLUGIN.exists(), reason="Debian's orthanc-dicomweb is not installed")
@pytest.mark.parametrize("chunked", [True, False])
def test_orthanc_sends_a_study_and_takes_our_answer_for_an_answer(site, tmp_path, chunked):
    contents = ct_instances(25, seed=15 + chunked, size=64)
    with orthanc(site, tmp_path, chunked=chunked) as url:
        for content in contents:
            assert httpx.post(f"{url}/instances", content=content).status_code == 200
        (study,) = httpx.get(f"{url}/studies").json()
        told = httpx.post(
            f"{url}/dicom-web/servers/consilium/stow",
            json={"Resources": [study], "Synchronous": True},
            timeout=60,
        )
        assert told.status_code == 200, (tmp_path / "log").read_text()[-2000:]
    assert site.kept(*contents, sender="peer:ORTHANC") == data_sets(contents)


@pytest.mark.skipif(not PLUGIN.exists(), reason="Debian's orthanc-dicomweb is not installed")
def test_orthanc_learns_that_an_object_was_refused(site, tmp_path):
    house = site.parts.house
    with house.records.view() as view:
        peer = view.peers.first(ae_title=ORTHANC)
    by = {"by": OPERATOR, "records": house.records, "clock": house.clock}
    change_peer(ae_title=ORTHANC, changes={"sop_classes": ["1.2.840.10008.5.1.4.1.1.4"]}, **by)
    try:
        with orthanc(site, tmp_path, chunked=True) as url:
            httpx.post(f"{url}/instances", content=ct_instance(17))
            (study,) = httpx.get(f"{url}/studies").json()
            told = httpx.post(
                f"{url}/dicom-web/servers/consilium/stow",
                json={"Resources": [study], "Synchronous": True},
                timeout=60,
            )
            assert told.status_code >= 400
    finally:
        change_peer(ae_title=ORTHANC, changes={"sop_classes": peer.sop_classes}, **by)


def memory_of(pid: int, name: str = "VmRSS") -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) << 10


def gigabyte(parts: int, size_bytes: int) -> Iterator[bytes]:
    """A body of large objects, made as it is sent."""
    block = bytes(range(256)) * 4096
    for number in range(parts):
        name = f"1.2.3.{os.getpid()}.{number}"
        head = data_set(sop_instance=name, pixels=b"")[:-12]
        yield multipart(b"", close=False)[:-2] + file_meta_bytes(
            sop_class_uid=CT, sop_instance_uid=name, transfer_syntax_uid=EXPLICIT
        )
        yield head + b"\xe0\x7f\x10\x00OW\0\0" + size_bytes.to_bytes(4, "little")
        for _ in range(size_bytes // len(block)):
            yield block
        yield b"\r\n"
    yield multipart()


def test_a_gigabyte_is_received_in_the_memory_of_a_few_buffers(site):
    assert data_set(pixels=b"").endswith(b"OW\0\0\0\0\0\0")
    httpx.options(f"{site.url}/studies")
    curl(site, "-H", "Content-Type: application/dicom", "--data-binary", "@-", stdin=ct_instance(18))
    before, highest, done = memory_of(site.web), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            highest[0] = max(highest[0], memory_of(site.web))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    try:
        answer = httpx.post(
            f"{site.url}/studies",
            content=gigabyte(8, 128 << 20),
            headers={"Authorization": f"Bearer {site.tokens[CURL]}", "Content-Type": RELATED},
            timeout=120,
        )
    finally:
        done.set()
        watcher.join()
    took = time.monotonic() - began
    assert answer.status_code == 200, answer.text
    assert len(references(answer.content)) == 8
    grown = highest[0] - before
    print(f"1 GiB in {took:.1f} s, {1024 / took:.0f} MiB/s, {grown >> 20} MiB more than before")
    assert grown < 48 << 20
    assert site.drafts() == []


def test_what_was_answered_with_200_is_there_after_a_kill(site):
    contents = ct_instances(20, seed=19)
    code, _ = curl(site, "-H", f"Content-Type: {RELATED}", "--data-binary", "@-", stdin=multipart(*contents))
    web = site.web
    os.kill(web, signal.SIGKILL)
    assert code == 200
    wait_for(lambda: not is_alive(web), within_s=10)
    assert site.kept(*contents) == data_sets(contents)
    wait_for(lambda: "web" in site.exchange.parts() and _answers(f"{site.exchange.url}/healthz"), within_s=30)
    assert descendants(site.exchange.pid)


def test_a_kill_in_the_middle_leaves_what_was_whole_and_nothing_in_the_clear(site):
    contents = ct_instances(40, seed=20, size=256)
    whole = multipart(*contents)
    with socket.create_connection(tuple(site.exchange.http.split(":")), timeout=20) as link:
        head = f"POST /machine/studies HTTP/1.1\r\nHost: {site.exchange.http}\r\nContent-Type: {RELATED}\r\n"
        head += f"Authorization: Bearer {site.tokens[CURL]}\r\nContent-Length: {len(whole)}\r\n\r\n"
        link.sendall(head.encode() + whole[: len(whole) * 2 // 3])
        wait_for(lambda: site.kept(contents[10]), within_s=20)
        os.kill(site.web, signal.SIGKILL)
    wait_for(lambda: _answers(f"{site.exchange.url}/healthz"), within_s=30)
    code, body = curl(site, "-H", f"Content-Type: {RELATED}", "--data-binary", "@-", stdin=whole)
    assert (code, len(references(body))) == (200, 40)
    assert site.kept(*contents) == data_sets(contents)


def test_the_trail_of_it_all_verifies(site):
    house = site.parts.house
    verdict = verify_audit(
        by=OPERATOR,
        records=house.records,
        store=house.store,
        witness=house.witness,
        origin=house.policy.tenant,
    )
    assert not verdict.flaws
    with house.records.view() as view:
        ends = [
            event
            for event in view.events()
            if event.kind == "association_ended" and event.details["why"].startswith("STOW-RS: ")
        ]
    assert len(ends) >= 6
