"""What lies in deploy/ and the Makefile says what the programs know."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from gateway.settings import Settings

ROOT = Path(__file__).parents[3]


def example():
    lines = (ROOT / "deploy" / "consilium.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_of_the_environment_names_every_setting_with_its_default():
    fields = {name: field for name, field in Settings.model_fields.items() if name != "home"}
    written = {name.removeprefix("CONSILIUM_").lower(): value for name, value in example().items()}
    assert written.keys() == fields.keys()
    for name, field in fields.items():
        read = TypeAdapter(field.annotation)
        value = (
            read.validate_json(written[name])
            if written[name].startswith("[")
            else read.validate_python(written[name])
        )
        assert value == field.default, name


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_understood_and_confined(tmp_path):
    unit = tmp_path / "consilium.service"
    text = (ROOT / "deploy" / "consilium.service").read_text()
    unit.write_text(text.replace("/opt/consilium/.venv/bin/consilium up", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "consilium.service" not in checked.stderr, checked.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=25", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_the_proxy_configuration_is_understood(tmp_path):
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    site = (ROOT / "deploy" / "nginx.conf.example").read_text()
    site = site.replace("/etc/ssl/exchange.example.org", str(tmp_path))
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {site} }}")
    checked = subprocess.run(["nginx", "-t", "-c", str(main)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_make_lists_every_target_with_one_line():
    listed = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {line.split()[1] for line in listed} >= {
        *("install", "dev", "demo", "up", "test", "check", "lock", "crash", "screenshots", "clean", "help")
    }
    assert all(len(line) < 120 for line in listed)
