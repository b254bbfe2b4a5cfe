"""The whole main line with Celery and a real Redis as the doorbell, the worker killed while it de-identifies: all done, once."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dicom_node.part10 import open_part10
from dicom_node.requestor import Call
from dicom_node.scu import OutboundInstance, send
from gateway.cli.demo.exchange import Exchange
from gateway.cli.demo.proof import Searcher, check_package, search_folder
from gateway.cli.demo.visitors import Patient
from gateway.compose import compose
from gateway.ports import House
from gateway.settings import host_and_port, load_settings
from storage import SealedRef
from tests.factories import ct_instances, material
from tests.functional.conftest import Commands, descendants, is_alive, wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(400)]
REDIS = Path("/usr/bin/redis-server")
PACS = "KUNGSHOLMEN"
SEED = 4
SLICES = 60
WORK_S = 240


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis that keeps nothing on disk, on a free port, stopped by its process id."""
    if not REDIS.exists():
        pytest.skip("the Debian package redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        REDIS,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        tmp_path,
    ]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), within_s=20)
        yield f"celery+redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)


def test_the_main_line_over_celery_with_the_worker_killed_on_the_way(
    tmp_path: Path, broker: str, consilium: Commands
) -> None:
    given = material(SEED, slices=4)

    def ask(*argv: str, stdin: str = "") -> Any:
        said = consilium("--json", *argv, home=exchange.home, stdin=stdin, doorbell=broker)
        assert said.code == 0, said
        return said.json()

    with (
        Exchange(tmp_path / "home", doorbell=broker, quiet_s="1") as exchange,
        closing(compose(load_settings(tmp_path / "home"))) as looker,
    ):
        ask("peer", "add", PACS)
        reviewer = ask("person", "add", "--role", "reviewer", "--email", "reviewer@consilium.example")
        case = ask("case", "open", "--opinion", "mdt", "--patient", "-", stdin=json.dumps(given.patient_json))
        ref = case["ref"]
        host, port = host_and_port(exchange.dicom, what="the node")
        call = Call(host=host, port=port, called_ae=ref, calling_ae=PACS)
        instances = [*ct_instances(SLICES, SEED, size=64), *given.ct_slices]
        assert all(outcome.kept for outcome in send(call, [_outbound(content) for content in instances]))
        patient = Patient(exchange)
        patient.sign_in(ask("case", "link", ref)["url"])
        for file in given.documents:
            patient.send(file.name, file.category, file.media_type, file.content, lambda _: None)
        assert patient.finish()["files"] == len(given.documents)

        worker = exchange.parts()["worker"]
        family = descendants(worker)
        assert len(family) >= 2, "prefork children"
        house = looker.house
        begun = wait_for(lambda: _is_cleaning(house), within_s=WORK_S, every_s=0.01)
        os.kill(worker, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_for(lambda: not any(map(is_alive, family)), within_s=5)
        wait_for(lambda: exchange.parts().get("worker", worker) != worker, within_s=60)
        back = time.monotonic() - killed_at
        interrupted = _count(house, "copies")
        assert interrupted < len(instances), "it was killed on the way, not after"
        done = wait_for(lambda: _all_done(house), within_s=WORK_S, every_s=0.25)

        shown = ask("case", "show", ref)
        assert shown["instances"]["received"] == len(instances) + len(given.mr_slices)
        assert (
            shown["instances"]["deidentified"] + shown["instances"]["quarantined"]
            == shown["instances"]["received"]
        )
        for finding in ask("finding", "list", ref):
            if finding["state"] == "open":
                ask("finding", "judge", finding["id"], "exclude")
        built = ask("release", "build", ref)
        approved = ask(
            "release", "approve", ref, "--digest", built["digest"], "--reviewer", reviewer["email"]
        )
        assert approved["grants"] == 1
        ask("release", "export", ref, "--to", str(tmp_path / "package.zip"))
        package = (tmp_path / "package.zip").read_bytes()
        assert not check_package(package, given.planted, lambda _: None)[1]
        assert built["instances"] == shown["instances"]["deidentified"]
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            assert (
                sum(archive.read(name)[128:132] == b"DICM" for name in archive.namelist())
                >= built["instances"]
            )
        ask("audit", "checkpoint")
        assert ask("audit", "verify")["ok"]
        _each_was_cleaned_once(house)
    assert not search_folder(exchange.home, Searcher(given.planted), lambda _: None)
    told = {
        "killed": f"{begun:.1f} s after the last file, with {interrupted} copies made",
        "worker back": f"after {back:.1f} s",
        "everything done": f"{done:.1f} s later (a lease lasts 30 s)",
    }
    print(json.dumps(told, indent=1))


def _is_cleaning(house: House) -> bool:
    with house.records.view() as view:
        return bool(view.jobs.count(kind="deidentify_study", state="running")) and view.copies.count() >= 3


def _all_done(house: House) -> bool:
    with house.records.view() as view:
        assert not view.jobs.count(state="failed")
        waiting = view.instances.count(state="received") + view.documents.count(state="received")
        settled = (
            view.studies.count() == view.studies.count(state="settled") == 3
        )  # two pushed, one on the disc
        return settled and not waiting and not view.jobs.count(state=("queued", "running"))


def _count(house: House, shelf: str) -> int:
    with house.records.view() as view:
        return int(getattr(view, shelf).count())


def _each_was_cleaned_once(house: House) -> None:
    """Each instance that was de-identified has one copy that holds, and no copy was made for nothing."""
    with house.records.view() as view:
        copies = view.copies.find(subject_kind=("instance", "document"))
        rows = [*view.instances.find(), *view.documents.find()]
        again = sum(event.kind == "copy_replaced" for event in view.events())
        made = Counter(event.subject for event in view.events() if event.kind == "copy_made")
        holding = Counter(copy.subject_id for copy in copies if copy.state == "verified")
        for row in rows:
            assert row.state != "received"
            assert holding[row.id] == (row.state == "deidentified") or row.state in {
                "quarantined",
                "excluded",
            }
            assert holding[row.id] <= 1
        assert made.total() == len(copies) == holding.total() + again
        for copy in copies:
            ref = SealedRef(
                object_id=copy.object_id,
                size_bytes=copy.size_bytes,
                digest=copy.digest,
                generation=copy.generation,
            )
            house.store.verify(ref, key=view.key(copy.holder, "releases"), kind="copy")


def _outbound(content: bytes) -> OutboundInstance:
    meta, _ = open_part10(io.BytesIO(content))
    return OutboundInstance(
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        open=lambda: io.BytesIO(open_part10(io.BytesIO(content))[1].read()),
    )


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            line.sendall(b"PING\r\n")
            return line.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
