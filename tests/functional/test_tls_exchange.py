"""A whole exchange by TLS as an operator sets it up: certificate, pinned peer, both ports on the ready line, DCMTK as the PACS (N1)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.certificates import self_signed
from tests.functional.conftest import Commands

SCRIPT = Path(sys.executable).with_name("consilium")
ECHOSCU = shutil.which("echoscu")
pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(not ECHOSCU, reason="DCMTK is not installed"),
]


def echoes(address: str, *options: object) -> bool:
    host, _, port = address.rpartition(":")
    words = [ECHOSCU, *map(str, options), "-aet", "CT7", "-aec", "CONSILIUM", host, port]
    return subprocess.run(words, capture_output=True, timeout=30).returncode == 0


def test_an_exchange_by_tls_from_certificate_to_echo(consilium: Commands, tmp_path: Path) -> None:
    home = tmp_path / "home"
    refused = consilium(
        "up", "--dicom-tls", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", home=home
    )
    assert refused.code == 2
    assert "consilium certificate new" in refused.err
    assert consilium("certificate", "new", "--name", "127.0.0.1", home=home).code == 0
    modality = self_signed("ct7", tmp_path)
    assert consilium("peer", "add", "CT7", "--certificate", modality.cert_path, home=home).code == 0
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONSILIUM_")}
    process = subprocess.Popen(
        [SCRIPT, "up", "--home", home, "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", "--dicom-tls", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=kept,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = dict(word.split("=", 1) for word in process.stdout.readline().split()[1:])
        assert told["dicom"].startswith("CONSILIUM@127.0.0.1:")
        secure = told["dicom_tls"].partition("@")[2]
        mine = ("+tls", modality.key_path, modality.cert_path, "+cf", home / "tls" / "node.crt")
        assert echoes(secure, *mine)
        assert not echoes(secure)
        assert not echoes(told["dicom"].partition("@")[2])  # a peer with a certificate comes by TLS
        checks = consilium("doctor", "--json", home=home).json()["checks"]
        states = {check["what"]: check["state"] for check in checks}
        assert states["certificate"] == states["dicom"] == states["dicom by TLS"] == "ok"
        # The pin is taken back while the exchange runs.
        pin = modality.spki_sha256
        assert consilium("peer", "pin", "CT7", "--remove", pin, home=home).code == 0
        time.sleep(1)
        assert not echoes(secure, *mine)
        trail = consilium("audit", "list", "--json", home=home)
        assert trail.code == 0
        assert "that is not pinned: CN=ct7" in json.dumps(trail.json())
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
