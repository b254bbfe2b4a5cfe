"""A running exchange is backed up and restored elsewhere: the copy starts as real processes and serves the same release package."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

from dicom_node.requestor import Call
from dicom_node.scu import OutboundInstance, send
from gateway.cli.demo.exchange import Exchange
from tests.factories import ct_instances, make_people
from tests.functional.test_crash import _outbound

PACS = "KUNGSHOLMEN"
INSTANCES = 6
SEED = 2026
WORK_S = 60.0

pytestmark = [pytest.mark.functional, pytest.mark.timeout(240)]


def test_a_restored_exchange_starts_and_serves_the_same_package(tmp_path: Path) -> None:
    repository, people = tmp_path / "repository", make_people(SEED)
    with Exchange(tmp_path / "home", quiet_s="1") as exchange:
        exchange.call("peer", "add", PACS)
        patient = json.dumps(people.as_json())
        ref = exchange.call("case", "open", "--opinion", "mdt", "--patient", "-", stdin=patient)["ref"]
        push(exchange, ct_instances(INSTANCES, SEED), called_ae=ref)
        until_settled(exchange, ref)
        built = exchange.call("release", "build", ref)
        exchange.call("release", "approve", ref, "--digest", built["digest"])
        before = exported(exchange, ref, tmp_path / "before.zip")
        made = exchange.call("backup", "create", "--to", str(repository))
        assert (made["missing"], made["snapshots"]) == ([], 1)
        push(exchange, ct_instances(2 * INSTANCES, SEED)[INSTANCES:], called_ae=ref)
        again = exchange.call("backup", "create", "--to", str(repository))
        assert again["copied"] >= INSTANCES

    new = tmp_path / "new"
    (new / "keys").mkdir(parents=True, mode=0o700)
    new.chmod(0o700)
    shutil.copy(tmp_path / "home" / "keys" / "master.json", new / "keys" / "master.json")
    shutil.move(tmp_path / "home", tmp_path / "lost")  # nothing of the old home can help
    copy = Exchange(new, quiet_s="1")
    began = time.monotonic()
    report = copy.call("backup", "restore", "--from", str(repository), made["id"], "--without-register")
    took = time.monotonic() - began
    assert (report["ok"], report["starts"], report["objects_verified"]) == (True, True, made["objects"])
    with copy:
        doctor = copy.call("doctor")
        assert doctor["ok"], doctor
        assert exported(copy, ref, tmp_path / "after.zip") == before
        assert copy.call("audit", "verify")["ok"]
        push(copy, ct_instances(2 * INSTANCES, SEED)[INSTANCES:], called_ae=ref)  # what was lost comes again
        assert copy.call("backup", "create", "--to", str(repository))["missing"] == []
    print(json.dumps({"objects": report["objects"], "restore, s": round(took, 2)}))


def push(exchange: Exchange, contents: list[bytes], *, called_ae: str) -> None:
    host, _, port = exchange.dicom.rpartition(":")
    call = Call(host=host, port=int(port), called_ae=called_ae, calling_ae=PACS, timeout_s=10)
    instances: list[OutboundInstance] = [_outbound(content) for content in contents]
    assert [outcome.status for outcome in send(call, instances)] == [0] * len(contents)


def until_settled(exchange: Exchange, ref: str) -> None:
    until = time.monotonic() + WORK_S
    while time.monotonic() < until:
        told = exchange.call("case", "show", ref)
        counts, settled = told["instances"], all(study["state"] == "settled" for study in told["studies"])
        if counts["received"] and settled and not counts["waiting"] and not told["working"]:
            break
        time.sleep(0.5)
    assert not told["working"], told
    for finding in exchange.call("finding", "list", ref):
        if finding["state"] == "open":
            exchange.call("finding", "judge", finding["id"], "exclude")


def exported(exchange: Exchange, ref: str, path: Path) -> str:
    exchange.call("release", "export", ref, "--to", str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()
