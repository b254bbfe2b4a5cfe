"""``consilium certificate`` and what ``doctor`` says of it: made, renewed with its key, asked for, shown, judged by its days."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from gateway.cli.certificate import certificate_health, lists_health
from gateway.cli.main import command_line, hoisted
from gateway.compose import _call_rules as call_rules
from gateway.compose import refuse_unsafe
from gateway.domain.errors import InvalidError
from gateway.settings import load_settings
from tests.fakes.certificates import Authority

app = command_line()


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("CONSILIUM_HOME", raising=False)

    def call(*words, code=0):
        done = CliRunner().invoke(app, hoisted(["--home", str(tmp_path), *words]))
        assert done.exit_code == code, done.output
        return done

    yield call
    structlog.reset_defaults()  # the runner's standard error is gone


def shown(run):
    return json.loads(run("certificate", "show", "--json").stdout)


def test_a_new_certificate_serves_both_directions_and_is_for_its_owner_alone(run, tmp_path):
    run("certificate", "new", "--name", "gw.hospital.example", "--name", "10.0.0.7", "--days", "90")
    folder = tmp_path / "tls"
    assert {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()} == {
        "node.crt": 0o600,
        "node.key": 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    made = x509.load_pem_x509_certificate((folder / "node.crt").read_bytes())
    assert made.public_key().curve.name == "secp256r1"
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {use._name for use in usage} == {"serverAuth", "clientAuth"}
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "node.crt", folder / "node.key")
    told = shown(run)
    assert told["names"] == ["DNS:gw.hospital.example", "IP:10.0.0.7"]
    assert told["days_left"] == 89
    assert told["key_matches"]
    assert len(told["fingerprint_sha256"]) == len(told["spki_sha256"]) == 64


def test_an_existing_certificate_is_never_lost_by_accident(run):
    run("certificate", "new", "--name", "a.example")
    before = shown(run)
    assert "--renew" in run("certificate", "new", "--name", "a.example", code=1).stderr
    assert shown(run) == before
    run("certificate", "new", "--name", "a.example", "--renew")
    renewed = shown(run)
    assert renewed["spki_sha256"] == before["spki_sha256"]
    assert renewed["fingerprint_sha256"] != before["fingerprint_sha256"]
    run("certificate", "new", "--name", "a.example", "--replace")
    assert shown(run)["spki_sha256"] != before["spki_sha256"]


def test_a_request_keeps_the_key_here_and_carries_the_names(run, tmp_path):
    told = json.loads(run("certificate", "request", "--name", "gw.hospital.example", "--json").stdout)
    asked = x509.load_pem_x509_csr(told["request"].encode())
    assert asked.is_signature_valid
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gw.hospital.example"]
    key = serialization.load_pem_private_key((tmp_path / "tls" / "node.key").read_bytes(), None)
    assert key.public_key() == asked.public_key()
    again = json.loads(run("certificate", "request", "--name", "gw.hospital.example", "--json").stdout)
    assert x509.load_pem_x509_csr(again["request"].encode()).public_key() == asked.public_key()


@pytest.mark.parametrize("name", ["", "a b", "http://x", "x/y", "x" * 64 + ".example", "ü" * 70])
def test_a_name_that_is_none_is_refused_before_anything_is_written(run, tmp_path, name):
    run("certificate", "new", "--name", name, code=2)
    assert not (tmp_path / "tls").exists()


def test_what_is_missing_is_said_with_the_command_that_makes_it(run):
    assert "consilium certificate new --name" in run("certificate", "show", code=3).stderr


def health(tmp_path, **when):
    return certificate_health(load_settings(tmp_path).tls_files, datetime.now(UTC) + timedelta(**when))


def test_doctor_warns_thirty_seven_and_one_day_before_the_end(run, tmp_path):
    run("certificate", "new", "--name", "a.example", "--days", "100")
    expected = {
        0: "ok",
        69: "ok",
        71: "soon",
        92: "soon",
        94: "this week",
        98: "this week",
        99.5: "today",
        101: "expired",
    }
    for days, word in expected.items():
        state, told = health(tmp_path, days=days)
        assert (state, word in told) in {("ok", False), ("warning", True), ("wrong", True)}, (days, told)
        assert (state == "ok") == (word == "ok")
    assert health(tmp_path, days=-1)[0] == "wrong"


def test_doctor_sees_a_key_of_another_certificate(run, tmp_path):
    run("certificate", "new", "--name", "a.example")
    other = Authority(tmp_path / "x").issue("other")
    (tmp_path / "tls" / "node.key").write_text(other.key_pem)
    assert health(tmp_path)[0] == "wrong"
    assert not shown(run)["key_matches"]
    (tmp_path / "tls" / "node.key").write_text("no key")
    assert "Put both PEM files in place" in run("certificate", "show", code=2).stderr


def test_plain_dicom_elsewhere_is_refused_and_tls_is_not(tmp_path):
    with pytest.raises(InvalidError, match="for this computer alone"):
        refuse_unsafe(load_settings(tmp_path, dicom="10.0.0.1:104"))
    refuse_unsafe(load_settings(tmp_path, dicom_tls="0.0.0.0:2762"))
    refuse_unsafe(load_settings(tmp_path, dicom="10.0.0.1:104", plain_dicom_elsewhere="true"))


def test_the_files_lie_in_the_home_unless_they_are_named(tmp_path):
    usual = load_settings(tmp_path).tls_files
    assert usual.certificate == tmp_path / "tls" / "node.crt"
    assert not usual.lists_expected
    named = load_settings(tmp_path, dicom_revoked="/etc/pki/crl.pem", dicom_key="/etc/pki/k.pem").tls_files
    assert (str(named.revoked), str(named.key), named.lists_expected) == (
        "/etc/pki/crl.pem",
        "/etc/pki/k.pem",
        True,
    )


def lists(tmp_path, **given):
    return lists_health(load_settings(tmp_path, **given).tls_files, datetime.now(UTC))


def test_doctor_misses_revocation_lists_that_were_there_once(tmp_path):
    """Their absence is an alarm, until the operator says in the settings that none are used."""
    authority = Authority(tmp_path / "ca", "Region")
    (tmp_path / "tls").mkdir()
    usual, mark = tmp_path / "tls" / "revoked.pem", tmp_path / "revocation-lists.seen"
    assert lists(tmp_path) is None  # never any
    usual.write_bytes(authority.crl(days=5).read_bytes())
    state, told = lists(tmp_path)
    assert (state, "CN=Region" in told) == ("ok", True)
    assert not mark.exists()  # who only looks leaves nothing behind
    mark.touch()
    usual.unlink()
    state, told = lists(tmp_path)
    assert state == "wrong"
    assert "revoked.pem is gone" in told
    assert "CONSILIUM_DICOM_REVOKED=none" in told
    state, told = lists(tmp_path, dicom_revoked="none")
    assert (state, "let in again" in told) == ("warning", True)
    mark.unlink()
    assert lists(tmp_path, dicom_revoked="none") is None
    assert lists(tmp_path, dicom_revoked=str(tmp_path / "named.pem"))[0] == "wrong"


def test_doctor_sees_lists_that_are_over_damaged_or_none(tmp_path):
    authority = Authority(tmp_path / "ca", "Region")
    (tmp_path / "tls").mkdir()
    usual = tmp_path / "tls" / "revoked.pem"
    began, ended = datetime.now(UTC) - timedelta(days=9), datetime.now(UTC) - timedelta(days=2)
    usual.write_bytes(authority.crl(this_update=began, next_update=ended).read_bytes())
    state, told = lists(tmp_path)
    assert (state, f"ended on {ended:%Y-%m-%d}" in told) == ("wrong", True)
    for content in ("", "no list", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
        usual.write_text(content)
        assert lists(tmp_path)[0] == "wrong", content


def test_lists_are_used_unless_the_operator_says_none_and_calls_go_by_the_same(tmp_path):
    usual = load_settings(tmp_path).tls_files
    assert (usual.revoked, usual.lists_mark) == (
        tmp_path / "tls" / "revoked.pem",
        tmp_path / "revocation-lists.seen",
    )
    assert load_settings(tmp_path, dicom_revoked="none").tls_files.revoked is None
    for given in ({}, {"dicom_revoked": "none"}, {"dicom_revoked": "/etc/pki/crl.pem"}):
        settings = load_settings(tmp_path, **given)
        rules, files = call_rules(settings), settings.tls_files
        assert (rules.revoked, rules.lists_expected, rules.lists_mark) == (
            files.revoked,
            files.lists_expected,
            files.lists_mark,
        )
