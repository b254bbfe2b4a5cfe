"""Vault's outages, refusals and limits, against a stand-in of its HTTP interface: all fail closed, and none is taken for a loss."""

import re

import pytest

from storage import KeyRefusedError, KeyServiceError, KeyUnknownError, MemoryObjects, SealedStore
from storage.errors import KeyFileError
from storage.keys.opening import open_keys
from storage.keys.vault import is_private_address
from tests.fakes.vault import TransitKey, Vault


@pytest.fixture
def vault():
    server = Vault()
    server.keys["house"] = TransitKey()
    yield server
    server.close()


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("root\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def opening(vault, token):
    def open_(**options):
        asked = {"token-file": str(token), "timeout-s": "0.5"} | options
        return open_keys(
            f"vault+{vault.address}/transit/house?" + "&".join(f"{k}={v}" for k, v in asked.items() if v)
        )

    return open_


def spoil(vault, how):
    if how == "sealed":
        vault.is_sealed = True
    elif how == "gone":
        vault.close()
    elif how == "slow":
        vault.delay_s = 2
    elif how == "denied":
        vault.tokens.clear()
    elif how == "no key":
        vault.keys.clear()
    elif how == "no json":
        vault.body = b"<html>"
    elif how == "other json":
        vault.body = b'{"data": []}'
    else:
        vault.status = int(how)


WRONG = (
    "sealed",
    "gone",
    "slow",
    "denied",
    "no key",
    "no json",
    "other json",
    "429",
    "472",
    "473",
    "500",
    "502",
    "503",
    "307",
)


@pytest.mark.parametrize("how", WRONG)
def test_whatever_is_no_clear_answer_is_an_outage_and_no_loss(vault, opening, how):
    keys = opening()
    kek = keys.current()
    blob = keys.wrap(bytes(32), kek=kek, aad=b"row")
    spoil(vault, how)
    keys._state = None
    for act in (
        keys.current,
        keys.versions,
        keys.probe,
        keys.rotate,
        lambda: keys.wrap(bytes(32), kek=kek, aad=b"row"),
        lambda: keys.unwrap(blob, kek=kek, aad=b"row"),
    ):
        with pytest.raises(KeyServiceError) as caught:
            act()
        assert re.search(r"mend|seal|token|make it|restore", str(caught.value))
        assert "root" not in str(caught.value)
    with pytest.raises(KeyServiceError):
        opening()


def test_unwrapped_key_serves_through_an_outage_for_five_minutes_at_most(vault, opening):
    store = SealedStore(objects=MemoryObjects(), keys=opening(), tenant="north", segment_bytes=4096)
    key = store.new_key(holder="case", purpose="originals")
    blob = store.seal_value(b"value", key=key, context=b"x")
    spoil(vault, "sealed")
    assert store.open_value(blob, key=key, context=b"x") == b"value"
    entry = store._cache._entries[key]
    store._cache._entries[key] = (entry[0] - 300, *entry[1:])
    with pytest.raises(KeyServiceError, match="sealed"):
        store.open_value(blob, key=key, context=b"x")
    vault.is_sealed = False
    assert store.open_value(blob, key=key, context=b"x") == b"value"


def test_renewed_token_is_read_again(vault, opening, token):
    keys = opening()
    vault.tokens = {"renewed"}
    token.write_text("renewed")
    assert keys.unwrap(
        keys.wrap(bytes(32), kek=keys.current(), aad=b""), kek=keys.current(), aad=b""
    ) == bytes(32)


def test_exposed_token_file_is_refused(opening, token):
    token.chmod(0o644)
    with pytest.raises(KeyFileError, match="not private"):
        opening()


def test_approle_signs_in_and_again_when_its_token_ends(vault, opening, tmp_path):
    vault.roles["consilium"] = "s3cret"
    secret = tmp_path / "secret-id"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    keys = opening(**{"token-file": "", "role-id": "consilium", "secret-id-file": str(secret)})
    vault.tokens.clear()
    keys.probe()
    secret.write_text("wrong")
    vault.tokens.clear()
    with pytest.raises(KeyServiceError):
        keys.probe()


def test_namespace_goes_along(token):
    server = Vault(namespace="hospital/north")
    server.keys["house"] = TransitKey()
    try:
        address = f"vault+{server.address}/transit/house?token-file={token}"
        open_keys(f"{address}&namespace=hospital/north").probe()
        with pytest.raises(KeyServiceError):
            open_keys(address)
    finally:
        server.close()


def test_key_of_another_type_is_refused(vault, opening):
    vault.keys["house"].type = "rsa-4096"
    with pytest.raises(KeyServiceError, match="aes256-gcm96"):
        opening()


def test_refusals_of_the_engine_are_told_apart(vault, opening):
    keys = opening()
    old = keys.current()
    blob = keys.wrap(bytes(32), kek=old, aad=b"row")
    with pytest.raises(KeyRefusedError):
        keys.unwrap(blob, kek=old, aad=b"another row")
    keys.rotate()
    vault.keys["house"].min_decryption = 2
    with pytest.raises(KeyUnknownError, match="version 1"):
        keys.unwrap(blob, kek=old, aad=b"row")
    vault.keys["house"].min_encryption = 2
    with pytest.raises(KeyUnknownError, match="version 1"):
        keys.wrap(bytes(32), kek=old, aad=b"row")


def test_destruction_killed_between_its_steps_is_finished(vault, opening):
    keys = opening()
    old, new = keys.current(), keys.rotate()
    vault.keys["house"].min_encryption = vault.keys["house"].min_decryption = 2  # killed before the trim
    assert keys.versions() == (new,)
    assert set(vault.keys["house"].versions) == {1, 2}
    keys.destroy(old)
    assert set(vault.keys["house"].versions) == {2}


def test_batch_with_one_damaged_key_says_so(vault, opening):
    keys = opening()
    kek = keys.current()
    good = keys.wrap(bytes(32), kek=kek, aad=b"row")
    with pytest.raises(KeyRefusedError):
        keys._decrypt([(good, b"row"), (good, b"other")], kek)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("vault+http://vault.example.org:8200/transit/house?token-file=/x", "TLS"),
        ("vault+https://vault.example.org:8200/house?token-file=/x", "write vault"),
        ("vault+https://u:p@vault.example.org/transit/house?token-file=/x", "secret does not belong"),
        ("vault+https://vault.example.org/transit/house?token=root", "token"),
        ("vault+https://vault.example.org/transit/house?timeout-s=x", "timeout"),
        ("vault+ftp://vault.example.org/transit/house", "write vault"),
        ("pkcs11:token=a", "write pkcs11"),
        ("pkcs11:token=a;object=b?module-path=/x&pin-value=1234", "pin-value"),
        ("aws-kms:x", "write file:"),
    ],
)
def test_address_that_cannot_be_read_says_what_to_write(address, says):
    with pytest.raises(ValueError, match=says) as caught:
        open_keys(address)
    assert "1234" not in str(caught.value)


def test_only_tls_and_loopback_are_private():
    assert is_private_address("https://vault.example.org")
    assert is_private_address("http://127.0.0.1:8200")
    assert is_private_address("http://[::1]:8200")
    assert not is_private_address("http://10.0.0.1:8200")
    assert not is_private_address("http://localhost.example.org")
