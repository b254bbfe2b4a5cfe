"""Storage commitment with real clients: Orthanc as a sender, pynetdicom's SCU, and our own processes killed in between."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, Association, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from gateway.cli.demo.exchange import Exchange
from gateway.compose import compose
from gateway.domain.commitment import Commitment
from gateway.domain.peer import Peer
from gateway.domain.people import Actor
from gateway.settings import load_settings
from tests import factories
from tests.functional.conftest import wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(180)]

ORTHANC = "/usr/sbin/Orthanc"
INSTANCE = "1.2.840.10008.1.20.1.1"
BOTH = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Site:
    """One exchange, with a look into its records."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._parts = compose(load_settings(exchange.home))
        self.host, _, port = exchange.dicom.rpartition(":")
        self.port = int(port)

    def add_peer(self, ae_title: str, *, port: int | None = None) -> None:
        peer = Peer(
            ae_title=ae_title, address=f"127.0.0.1:{port}" if port else "", created_at=datetime.now(UTC)
        )
        with self._parts.house.records.change(by=Actor(kind="operator", id="test")) as change:
            if change.peers.count(ae_title=ae_title):
                change.peers.put(peer)
            else:
                change.peers.add(peer)
            change.note("peer_added", subject=ae_title)

    def commitments(self, peer: str) -> list[Commitment]:
        with self._parts.house.records.view() as view:
            return view.commitments.find(peer=peer, order="asked_at")

    def newest_objects(self, count: int) -> list[Path]:
        with self._parts.house.records.view() as view:
            rows = view.instances.pick(("object_id",), order="-received_at", limit=count)
        return [next((self.exchange.home / "objects").rglob(object_id)) for (object_id,) in rows]

    def close(self) -> None:
        self._parts.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Exchange(tmp_path_factory.mktemp("commitment") / "home", quiet_s="1") as exchange:
        made = Site(exchange)
        yield made
        made.close()


class Listener:
    """A sender's own N-EVENT-REPORT SCP: keeps what it is told."""

    def __init__(self, ae_title: str, *, status: int = 0, port: int = 0) -> None:
        self.told: list[tuple[int, Dataset]] = []
        self.status = status
        self.ae = AE(ae_title)
        self.ae.add_supported_context(StorageCommitmentPushModel, BOTH, scu_role=True, scp_role=True)
        self.ae.add_supported_context(Verification)
        self.port = port or free_port()
        self._server: Any = None

    def handle(self, event: Any) -> tuple[int, None]:
        self.told.append((event.event_type, event.event_information))
        return self.status, None

    def start(self) -> None:
        self._server = self.ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.handle)]
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()


@pytest.fixture
def listener() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def start(ae_title: str, **values: Any) -> Listener:
        made.append(Listener(ae_title, **values))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


@contextlib.contextmanager
def association(site: Site, ae_title: str, *handlers: Any) -> Iterator[Association]:
    ae = AE(ae_title)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.add_requested_context(StorageCommitmentPushModel, BOTH)
    made = ae.associate(site.host, site.port, ae_title="CONSILIUM", evt_handlers=list(handlers))
    assert made.is_established
    try:
        yield made
    finally:
        if made.is_established:
            made.release()


def store(assoc: Association, *contents: bytes) -> list[tuple[str, str]]:
    pairs = []
    for content in contents:
        data_set = dcmread(io.BytesIO(content))
        assert assoc.send_c_store(data_set).Status == 0
        pairs.append((str(data_set.SOPClassUID), str(data_set.SOPInstanceUID)))
    return pairs


def action(pairs: list[tuple[str, str]], transaction_uid: str) -> Dataset:
    data_set = Dataset()
    data_set.TransactionUID = transaction_uid
    data_set.ReferencedSOPSequence = []
    for sop_class, uid in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        data_set.ReferencedSOPSequence.append(item)
    return data_set


def ask(
    assoc: Association, pairs: list[tuple[str, str]], transaction_uid: str = "", action_type: int = 1
) -> int:
    data_set = action(pairs, transaction_uid or generate_uid())
    answer, _ = assoc.send_n_action(data_set, action_type, StorageCommitmentPushModel, INSTANCE)
    return int(answer.Status)


def told(data_set: Dataset, name: str) -> list[tuple[str, ...]]:
    found = []
    for item in data_set.get(name, []):
        reason = (f"{item.FailureReason:04X}",) if "FailureReason" in item else ()
        found.append((item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, *reason))
    return found


def test_the_answer_comes_on_the_association_that_asked_while_it_is_open(site: Site) -> None:
    site.add_peer("SAME")
    heard: list[tuple[int, Dataset]] = []

    def handle(event: Any) -> tuple[int, None]:
        heard.append((event.event_type, event.event_information))
        return 0, None

    with association(site, "SAME", (evt.EVT_N_EVENT_REPORT, handle)) as assoc:
        pairs = store(assoc, *(factories.ct_instance(11, number=n) for n in range(1, 6)))
        transaction = generate_uid()
        assert ask(assoc, pairs, transaction) == 0
        waited_s = wait_for(lambda: heard, within_s=10)
        wait_for(lambda: site.commitments("SAME")[0].state == "reported", within_s=5)
    print(f"answered on the same association after {waited_s:.2f} s")
    ((event_type, data_set),) = heard
    assert (event_type, data_set.TransactionUID) == (1, transaction)
    assert told(data_set, "ReferencedSOPSequence") == pairs
    assert "RetrieveAETitle" not in data_set
    assert "FailedSOPSequence" not in data_set


def test_the_answer_comes_on_an_association_of_ours_when_the_sender_has_gone(
    site: Site, listener: Callable[..., Listener]
) -> None:
    heard = listener("GONE")
    site.add_peer("GONE", port=heard.port)
    with association(site, "GONE") as assoc:
        pairs = store(assoc, factories.ct_instance(12))
        assert ask(assoc, pairs) == 0
    waited_s = wait_for(lambda: heard.told, within_s=15)
    print(f"answered on a new association after {waited_s:.2f} s")
    ((event_type, data_set),) = heard.told
    assert event_type == 1
    assert told(data_set, "ReferencedSOPSequence") == pairs
    wait_for(lambda: site.commitments("GONE")[0].state == "reported", within_s=5)


def test_a_peer_without_an_address_hears_it_on_its_next_association(site: Site) -> None:
    site.add_peer("SHY")
    heard: list[int] = []

    def handle(event: Any) -> tuple[int, None]:
        heard.append(event.event_type)
        return 0, None

    with association(site, "SHY") as assoc:
        pairs = store(assoc, factories.ct_instance(13))
        assert ask(assoc, pairs) == 0
    wait_for(lambda: site.commitments("SHY")[0].state == "decided", within_s=10)
    time.sleep(3)  # long enough for the job to find that there is nobody to call
    with association(site, "SHY", (evt.EVT_N_EVENT_REPORT, handle)):
        wait_for(lambda: heard, within_s=5)
    assert heard == [1]
    wait_for(lambda: site.commitments("SHY")[0].state == "reported", within_s=5)


def test_a_repeated_question_is_one_and_a_second_use_of_its_uid_is_refused(
    site: Site, listener: Callable[..., Listener]
) -> None:
    heard = listener("TWICE")
    site.add_peer("TWICE", port=heard.port)
    with association(site, "TWICE") as assoc:
        pairs = store(assoc, factories.ct_instance(14), factories.ct_instance(14, number=2))
        transaction = generate_uid()
        assert ask(assoc, pairs, transaction) == 0
        assert ask(assoc, pairs, transaction) == 0
        assert ask(assoc, pairs[:1], transaction) == 0x0131
    wait_for(lambda: site.commitments("TWICE")[0].state == "reported", within_s=15)
    with association(site, "TWICE") as assoc:
        assert ask(assoc, pairs, transaction) == 0x0131
    assert len(heard.told) == 1


def test_wrong_questions_get_their_exact_status(site: Site) -> None:
    site.add_peer("WRONG")
    pair = [(str(CTImageStorage), "1.2.3.4")]
    with association(site, "WRONG") as assoc:
        assert ask(assoc, pair, action_type=2) == 0x0123
        assert ask(assoc, []) == 0x0115
        answer, _ = assoc.send_n_action(action(pair, "1.2.3"), 1, StorageCommitmentPushModel, "1.2.3.4")
        assert answer.Status == 0x0112
        empty = Dataset()
        empty.TransactionUID = "1.2.3"
        answer, _ = assoc.send_n_action(empty, 1, StorageCommitmentPushModel, INSTANCE)
        assert answer.Status == 0x0115
        assert answer.ErrorComment
    assert site.commitments("WRONG") == []


def test_ten_thousand_references_are_taken_on_and_answered_within_seconds(
    site: Site, listener: Callable[..., Listener]
) -> None:
    heard = listener("MANY")
    site.add_peer("MANY", port=heard.port)
    with association(site, "MANY") as assoc:
        pairs = store(assoc, *(factories.ct_instance(15, number=n) for n in range(1, 21)))
        others = [(str(CTImageStorage), f"1.2.826.0.1.3680043.9.7433.3.{n}") for n in range(9_980)]
        data_set = action([*pairs, *others], generate_uid())
        began = time.monotonic()
        answer, _ = assoc.send_n_action(data_set, 1, StorageCommitmentPushModel, INSTANCE)
        took_s = time.monotonic() - began
        assert answer.Status == 0
    print(f"10,000 references: N-ACTION answered in {took_s:.2f} s")
    assert took_s < 10
    wait_for(lambda: site.commitments("MANY")[0].failed == 9_980, within_s=40)
    print(f"and looked up after {time.monotonic() - began:.2f} s")
    # What is not here may be on its way, and is waited for: here the clock is put forward.
    backdate(site, "MANY")
    wait_for(lambda: heard.told, within_s=40)
    ((event_type, report),) = heard.told
    assert event_type == 2
    assert told(report, "ReferencedSOPSequence") == pairs
    assert told(report, "FailedSOPSequence") == [(*pair, "0112") for pair in others]


def backdate(site: Site, peer: str, commitment_id: str = "") -> None:
    """As if the question had been asked long ago."""
    records = site._parts.house.records
    held = next(c for c in site.commitments(peer) if c.id == commitment_id or not commitment_id)
    with records.change(by=Actor(kind="operator", id="test")) as change:
        change.commitments.set(held.id, asked_at=datetime(2026, 1, 1, tzinfo=UTC))
        for row in change.studies.find(sender=f"peer:{peer}"):
            change.studies.set(row.id, last_at=datetime(2026, 1, 1, tzinfo=UTC))
        change.owe("decide_commitment", held.id, due_at=datetime.now(UTC))
        change.note("commitment_asked", subject=held.id, outcome="test")


class Orthanc:
    """A sender from the Debian package, with its own folder and ports."""

    def __init__(self, folder: Path, ae_title: str, site: Site) -> None:
        self.dicom, http = free_port(), free_port()
        folder.mkdir()
        configuration = {
            "Name": ae_title,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [],
            "HttpPort": http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": ae_title,
            "DicomPort": self.dicom,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": False,
            "DicomModalities": {
                "consilium": {
                    "AET": "CONSILIUM",
                    "Host": site.host,
                    "Port": site.port,
                    "AllowStorageCommitment": True,
                }
            },
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

    def push(self, *contents: bytes) -> str:
        """Take objects in, send them with storage commitment, and return the transaction's name."""
        ids = [
            self.http.post("/instances", content=content).raise_for_status().json()["ID"]
            for content in contents
        ]
        body = {"Resources": ids, "StorageCommitment": True, "Synchronous": True}
        done = self.http.post("/modalities/consilium/store", json=body).raise_for_status()
        return str(done.json()["StorageCommitmentTransactionUID"])

    def report(self, transaction: str) -> dict[str, Any]:
        return dict(self.http.get(f"/storage-commitment/{transaction}").raise_for_status().json())

    def ask_for(self, pairs: list[tuple[str, str]]) -> str:
        """Ask for commitment of objects that need not be here."""
        body = {"DicomInstances": [list(pair) for pair in pairs]}
        done = self.http.post("/modalities/consilium/storage-commitment", json=body).raise_for_status()
        return str(done.json()["ID"])

    def stop(self) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def orthanc(tmp_path: Path, site: Site) -> Iterator[Callable[[str], Orthanc]]:
    if not Path(ORTHANC).exists():
        pytest.skip("needs Orthanc")
    made: list[Orthanc] = []

    def start(ae_title: str) -> Orthanc:
        made.append(Orthanc(tmp_path / ae_title, ae_title, site))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def test_orthanc_sends_a_study_and_hears_that_it_is_committed(
    site: Site, orthanc: Callable[[str], Orthanc]
) -> None:
    sender = orthanc("ORTHANC")
    site.add_peer("ORTHANC", port=sender.dicom)
    transaction = sender.push(*(factories.ct_instance(21, number=n) for n in range(1, 13)))
    waited_s = wait_for(lambda: sender.report(transaction)["Status"] != "Pending", within_s=20)
    print(f"Orthanc knew after {waited_s:.2f} s")
    report = sender.report(transaction)
    assert report["Status"] == "Success", report
    assert len(report["Success"]) == 12
    wait_for(lambda: site.commitments("ORTHANC")[0].state == "reported", within_s=5)


def test_orthanc_hears_which_objects_are_not_committed(site: Site, orthanc: Callable[[str], Orthanc]) -> None:
    sender = orthanc("ORTHANC2")
    site.add_peer("ORTHANC2", port=sender.dicom)
    transaction = sender.push(factories.ct_instance(22))
    wait_for(lambda: sender.report(transaction)["Status"] == "Success", within_s=20)
    (kept,) = [
        (str(r["SOPClassUID"]), str(r["SOPInstanceUID"])) for r in sender.report(transaction)["Success"]
    ]
    transaction = sender.ask_for([kept, (kept[0], "1.2.3.404"), ("1.2.840.10008.5.1.4.1.1.4", kept[1])])
    wait_for(lambda: len(site.commitments("ORTHANC2")) == 2, within_s=10)
    held = next(c for c in site.commitments("ORTHANC2") if c.transaction_uid == transaction)
    wait_for(lambda: sum(looked(site, held.id)) == 3, within_s=10)
    backdate(site, "ORTHANC2", held.id)
    wait_for(lambda: sender.report(transaction)["Status"] != "Pending", within_s=20)
    report = sender.report(transaction)
    assert report["Status"] == "Failure", report
    assert len(report["Success"]) == 1
    reasons = " ".join(sorted(failure["Description"] for failure in report["Failures"]))
    assert "was not available" in reasons  # 0112
    assert "did not correspond to the SOP class" in reasons  # 0119


def looked(site: Site, commitment_id: str) -> tuple[int, int]:
    with site._parts.house.records.view() as view:
        held = view.commitments.get(commitment_id)
    return held.committed, held.failed


def test_a_question_survives_the_death_of_the_node_and_of_the_worker(
    site: Site, listener: Callable[..., Listener]
) -> None:
    heard = listener("KILLED")
    site.add_peer("KILLED", port=heard.port)
    parts = site.exchange.parts()
    with association(site, "KILLED") as assoc:
        pairs = store(assoc, *(factories.ct_instance(31, number=n) for n in range(1, 4)))
        os.kill(parts["worker"], signal.SIGSTOP)  # so that it dies with the question before it
        assert ask(assoc, pairs) == 0
        os.kill(parts["dicom"], signal.SIGKILL)
        os.kill(parts["worker"], signal.SIGKILL)
    wait_for(lambda: heard.told, within_s=60)
    ((event_type, data_set),) = heard.told
    assert event_type == 1
    assert told(data_set, "ReferencedSOPSequence") == pairs
    wait_for(lambda: site.commitments("KILLED")[0].state == "reported", within_s=10)
    wait_for(lambda: {"dicom", "worker"} <= site.exchange.parts().keys(), within_s=30)


def test_a_listener_that_is_down_is_told_when_it_is_back(
    site: Site, listener: Callable[..., Listener]
) -> None:
    port = free_port()
    site.add_peer("AWAY", port=port)
    with association(site, "AWAY") as assoc:
        assert ask(assoc, store(assoc, factories.ct_instance(32))) == 0
    wait_for(lambda: site.commitments("AWAY")[0].report_attempts == 1, within_s=20)
    wait_for(lambda: site.commitments("AWAY")[0].error, within_s=10)
    (row,) = site.exchange.call("commitment", "list", "--open", "--peer", "AWAY")
    assert (row["state"], row["committed"]) == ("decided", 1)
    assert "refused" in row["error"]
    heard = listener("AWAY", port=port)
    site.exchange.call("commitment", "retry", row["id"][:12])
    wait_for(lambda: heard.told, within_s=20)
    wait_for(lambda: site.commitments("AWAY")[0].state == "reported", within_s=10)
    shown = site.exchange.call("commitment", "show", row["id"], "--uids")
    assert (shown["state"], shown["failures"], len(shown["references"])) == ("reported", [], 1)
    assert site.exchange.call("commitment", "list", "--open", "--peer", "AWAY") == []


def test_an_object_that_was_damaged_on_disk_is_reported_as_failed(
    site: Site, listener: Callable[..., Listener]
) -> None:
    heard = listener("ROT")
    site.add_peer("ROT", port=heard.port)
    with association(site, "ROT") as assoc:
        pairs = store(assoc, factories.ct_instance(33, number=1), factories.ct_instance(33, number=2))
        (newest,) = site.newest_objects(1)
        content = bytearray(newest.read_bytes())
        content[len(content) // 2] ^= 1
        newest.chmod(0o600)
        newest.write_bytes(content)
        assert ask(assoc, pairs) == 0
    wait_for(lambda: heard.told, within_s=20)
    ((event_type, data_set),) = heard.told
    assert event_type == 2
    assert told(data_set, "ReferencedSOPSequence") == pairs[:1]
    assert told(data_set, "FailedSOPSequence") == [(*pairs[1], "0110")]
