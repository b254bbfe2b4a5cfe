"""What would leave this computer in clear is refused by name, unless the operator says that it may."""

from __future__ import annotations

import pytest

from gateway.compose import refuse_unsafe
from gateway.domain.addresses import is_loopback
from gateway.domain.errors import InvalidError
from gateway.settings import load_settings

PROXY = {"trusted_proxies": '["10.0.0.7/32"]', "public_url": "https://exchange.example"}


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "[::]", "[2001:db8::1]", "exchange.example"])
def test_http_without_tls_is_for_this_computer_alone(tmp_path, host):
    with pytest.raises(InvalidError, match="HTTP without TLS is for this computer alone") as refused:
        refuse_unsafe(load_settings(tmp_path, http=f"{host}:8080"))
    assert "CONSILIUM_PLAIN_HTTP_ELSEWHERE=true" in refused.value.next_step
    refuse_unsafe(load_settings(tmp_path, http=f"{host}:8080", plain_http_elsewhere="true"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "[::1]"])
def test_http_on_this_computer_is_always_taken(tmp_path, host):
    refuse_unsafe(load_settings(tmp_path, http=f"{host}:8080"))


def test_http_to_a_proxy_elsewhere_is_taken_when_the_proxy_is_named_and_speaks_tls(tmp_path, monkeypatch):
    def given(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"CONSILIUM_{name.upper()}", value)
        return load_settings(tmp_path, http="10.0.0.1:8080")

    with pytest.raises(InvalidError):
        refuse_unsafe(given(trusted_proxies=PROXY["trusted_proxies"]))
    refuse_unsafe(given(**PROXY))
    with pytest.raises(InvalidError):
        refuse_unsafe(given(**PROXY | {"trusted_proxies": "[]"}))


def test_one_permission_is_not_the_other(tmp_path):
    with pytest.raises(InvalidError, match="DICOM"):
        refuse_unsafe(load_settings(tmp_path, dicom="10.0.0.1:104", plain_http_elsewhere="true"))
    with pytest.raises(InvalidError, match="HTTP"):
        refuse_unsafe(load_settings(tmp_path, http="10.0.0.1:80", plain_dicom_elsewhere="true"))


def test_loopback_is_judged_without_looking_up_a_name():
    for host in ("", "0.0.0.0", "::", "localhost.example", "127.0.0.1.example", "::ffff:10.0.0.1"):
        assert not is_loopback(host)
