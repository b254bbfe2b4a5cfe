"""Addresses and access keys of buckets: what is refused before anything is sent, and that no secret is ever shown."""

import pytest

from storage import StoreDeniedError
from storage.objects.s3_address import S3Address, S3Credentials, read_credential

SECRET = "wJalrXUtnFEMI-example"


def test_every_part_of_an_address_is_read():
    address = S3Address.parse(
        "s3+https://s3.region.example:8443/bucket/one/two?region=eu-north-1&ca=/etc/ca.pem"
    )
    assert (address.endpoint, address.bucket, address.prefix) == (
        "s3.region.example:8443",
        "bucket",
        "one/two/",
    )
    assert (address.region, str(address.authority), address.secure) == ("eu-north-1", "/etc/ca.pem", True)


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost", "[::1]:9000", "127.9.9.9"])
def test_without_tls_this_computer_is_allowed(host):
    assert S3Address.parse(f"s3+http://{host}/bucket").secure is False


@pytest.mark.parametrize("host", ["10.0.0.1", "s3.example", "localhost.example", "[2001:db8::1]", "0.0.0.0"])
def test_without_tls_nobody_else_is(host):
    with pytest.raises(StoreDeniedError, match="this computer alone"):
        S3Address.parse(f"s3+http://{host}/bucket")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://host/bucket",
        "https://host/bucket",
        "s3+https:///bucket",
        "s3+https://host",
        "s3+https://host/",
        "s3+https://host/UPPER",
        "s3+https://host/a",
        "s3+https://host/-no",
        "s3+https://host:99999/bucket",
        "s3+https://host:x/bucket",
        "s3+https://host/bucket#part",
        "s3+https://host/bucket?secret_key=x",
        "s3+https://host/bucket?region",
        "s3+https://[::1/bucket",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(StoreDeniedError):
        S3Address.parse(url)


@pytest.mark.parametrize(
    "url", [f"s3+https://key:{SECRET}@host/bucket", f"s3+https://{SECRET}@/", f"s3+ftp://x:{SECRET}@h/b"]
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(StoreDeniedError) as refused:
        S3Address.parse(url)
    assert SECRET not in str(refused.value)


def test_authority_that_is_none_is_refused_by_name(tmp_path):
    for path in (tmp_path / "none.pem", tmp_path / "junk.pem"):
        if path.name == "junk.pem":
            path.write_text("junk")
        with pytest.raises(StoreDeniedError, match=path.name):
            S3Address.parse(f"s3+https://host/bucket?ca={path}").tls()


def test_a_secret_is_never_in_a_repr():
    assert SECRET not in repr(S3Credentials(access_key="key", secret_key=SECRET))


def test_a_credential_file_is_read_only_where_nobody_else_reads_it(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    assert read_credential(file) == SECRET
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(StoreDeniedError, match="chmod 600"):
            read_credential(file)


def test_a_missing_or_empty_credential_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "empty").chmod(0o600)
    for name in ("none", "empty"):
        with pytest.raises(StoreDeniedError, match=name):
            read_credential(tmp_path / name)
    with pytest.raises(StoreDeniedError, match="missing"):
        S3Credentials(access_key="key", secret_key="")
