"""Master keys in the Transit engine of Vault or OpenBao, spoken to over HTTP; no key ever leaves it.

Key type ``aes256-gcm96``; a version of ours is a version of Transit's (``vault:vN:…``), and the associated data goes along
(``associated_data``, Vault 1.9 and OpenBao). Whatever is not a clear answer fails closed as `KeyServiceError`, which says
nothing of the keys.

References
----------
https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

import base64
import binascii
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from storage.errors import KeyRefusedError, KeyServiceError
from storage.keys.port import KekRef, Rewrapping
from storage.keys.secret_files import read_secret
from storage.keys.wrapping import refuse_kept, self_test, unknown

KEY_TYPE = "aes256-gcm96"
CURRENT_S = 0.5
TIMEOUT_S = 5.0
BATCH = 500
_BLOB = re.compile(rb"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]{40,}={0,2})")
# What Transit says with status 400, and what it means here; anything else is no clear answer.
_REFUSED = ("message authentication failed", "invalid ciphertext")
_UNKNOWN = ("disallowed by policy", "higher than the latest", "less than the minimum", "no longer available")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAccess:
    """Where the engine is and how we prove ourselves: a token in a file, or AppRole."""

    address: str
    mount: str
    key: str
    token_file: Path | None = None
    role_id: str = ""
    secret_id_file: Path | None = None
    ca_file: Path | None = None
    namespace: str = ""
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, slots=True)
class _State:
    """What the engine says of the key, and until when that is taken as true."""

    current: int
    oldest: int
    trimmed: int
    until: float


class VaultKeys:
    """A `KeyProvider` over one key of Transit."""

    def __init__(self, access: VaultAccess) -> None:
        self._access = access
        self._kek_id = f"transit-{access.mount}/{access.key}"
        self._token = ""
        self._own = threading.local()
        self._state: _State | None = None
        self._read_state()

    def current(self) -> KekRef:
        return self._ref(self._known().current)

    def versions(self) -> tuple[KekRef, ...]:
        state = self._read_state()
        return tuple(self._ref(number) for number in range(state.oldest, state.current + 1))

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return self._encrypt([(plain, aad)], kek)[0]

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return self._decrypt([(blob, aad)], kek)[0]

    def rewrap(self, items: Sequence[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes]:
        """Transit's own ``rewrap`` keeps the associated data, and ours names the version: so it is decrypt and encrypt."""
        out: list[bytes] = []
        for at in range(0, len(items), BATCH):
            part = items[at : at + BATCH]
            plains = self._decrypt([(item.blob, item.aad_old) for item in part], old)
            pairs = [(plain, item.aad_new) for plain, item in zip(plains, part, strict=True)]
            out += self._encrypt(pairs, new)
        return out

    def rotate(self) -> KekRef:
        self._asked(lambda transit: transit.rotate_key(self._access.key, mount_point=self._access.mount))
        return self._ref(self._read_state().current)

    def destroy(self, kek: KekRef) -> None:
        name, mount = self._access.key, self._access.mount
        first = kek.kek_version + 1
        if refuse_kept(kek, self.versions()):
            for floor in (
                "min_encryption_version",
                "min_decryption_version",
            ):  # hvac refuses both in one call
                self._asked(partial(_set_floor, name=name, mount=mount, floor={floor: first}))
        if self._read_state().trimmed < first:  # also where a call before this one was killed between the two
            self._asked(lambda transit: transit.trim_key(name, min_version=first, mount_point=mount))
            self._read_state()

    def probe(self) -> None:
        self._read_state()
        self_test(self)

    def _encrypt(self, pairs: Sequence[tuple[bytes, bytes]], kek: KekRef) -> list[bytes]:
        number = self._number(kek)
        batch = [
            {"plaintext": _text(plain), "associated_data": _text(aad), "key_version": number}
            for plain, aad in pairs
        ]
        results = self._batch("encrypt_data", batch, kek)
        blobs = [str(result.get("ciphertext", "")).encode("ascii", "replace") for result in results]
        for blob in blobs:
            if _version_of(blob) != number:
                raise KeyServiceError(f"it wrapped under another version than {number}")
        return blobs

    def _decrypt(self, pairs: Sequence[tuple[bytes, bytes]], kek: KekRef) -> list[bytes]:
        number = self._number(kek)
        if any(_version_of(blob) != number for blob, _ in pairs):
            raise KeyRefusedError(f"no key wrapped under version {number} looks like this")
        batch = [{"ciphertext": blob.decode("ascii"), "associated_data": _text(aad)} for blob, aad in pairs]
        try:
            return [
                base64.b64decode(result["plaintext"], validate=True)
                for result in self._batch("decrypt_data", batch, kek)
            ]
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise KeyServiceError("its answer cannot be read") from None

    def _batch(self, call: str, batch: list[dict[str, Any]], kek: KekRef) -> list[dict[str, Any]]:
        def ask(transit: Any) -> Any:
            argument = {"plaintext": None} if call == "encrypt_data" else {"ciphertext": None}
            return getattr(transit, call)(
                self._access.key, **argument, batch_input=batch, mount_point=self._access.mount
            )

        answer = self._asked(ask, kek)
        try:
            results = answer["data"]["batch_results"]
            errors = [str(result["error"]) for result in results if result.get("error")]
        except (KeyError, TypeError, AttributeError):
            raise KeyServiceError("its answer cannot be read") from None
        if errors:
            raise _meant(errors[0], kek)
        if len(results) != len(batch):
            raise KeyServiceError("its answer is incomplete")
        return list(results)

    def _asked(self, ask: Callable[[Any], Any], kek: KekRef | None = None) -> Any:
        """Ask once, and once more with a token read anew where the one at hand is refused."""
        import hvac.exceptions  # type: ignore[import-untyped]
        import requests

        for is_last in (False, True):
            try:
                return ask(self._client().secrets.transit)
            except hvac.exceptions.Forbidden:
                self._token = ""
                if is_last:
                    raise KeyServiceError(
                        "it refuses our token; renew the token, or give its policy read, update on"
                        f" {self._access.mount}/{{keys,encrypt,decrypt}}/{self._access.key}"
                    ) from None
            except hvac.exceptions.InvalidRequest as error:
                raise _meant(_words(error), kek) from None
            except hvac.exceptions.InvalidPath:
                raise KeyServiceError(
                    f"there is no key {self._access.key} in the engine {self._access.mount}; make it with:"
                    f" vault write -f {self._access.mount}/keys/{self._access.key} type={KEY_TYPE}"
                ) from None
            except hvac.exceptions.VaultDown:
                raise KeyServiceError("it is sealed or in standby; unseal it") from None
            except (hvac.exceptions.VaultError, requests.RequestException, ValueError) as error:
                raise KeyServiceError(
                    f"{self._access.address} gave no usable answer: {type(error).__name__}"
                ) from None
        raise AssertionError("unreachable")

    def _client(self) -> Any:
        """Return this thread's client; a child that was forked makes its own."""
        import hvac
        import requests

        access = self._access
        if getattr(self._own, "pid", 0) != os.getpid():
            session = requests.Session()
            session.trust_env = False  # no proxy and no .netrc comes between us and the keys
            self._own.client = hvac.Client(
                url=access.address,
                token="",
                verify=str(access.ca_file) if access.ca_file else True,
                timeout=access.timeout_s,
                allow_redirects=False,
                session=session,
                namespace=access.namespace or None,
            )
            session.verify = str(access.ca_file) if access.ca_file else True
            self._own.pid = os.getpid()
        client = self._own.client
        if not self._token:
            self._token = self._new_token(client)
        client.token = self._token
        return client

    def _new_token(self, client: Any) -> str:
        access = self._access
        if access.token_file is not None:
            return read_secret(access.token_file, what="the token file").decode("ascii", "replace")
        if not access.role_id or access.secret_id_file is None:
            raise KeyServiceError("it needs token-file=PATH, or role-id=ID and secret-id-file=PATH")
        secret = read_secret(access.secret_id_file, what="the secret id file").decode("ascii", "replace")
        client.token = ""
        answer = client.auth.approle.login(role_id=access.role_id, secret_id=secret, use_token=False)
        return str(answer["auth"]["client_token"])

    def _known(self) -> _State:
        state = self._state
        return state if state is not None and time.monotonic() < state.until else self._read_state()

    def _read_state(self) -> _State:
        asked_at = time.monotonic()
        name, mount = self._access.key, self._access.mount
        answer = self._asked(lambda transit: transit.read_key(name, mount_point=mount))
        try:
            data = answer["data"]
            kind, current = data["type"], int(data["latest_version"])
            trimmed = int(data.get("min_available_version", 0))
            oldest = max(1, int(data["min_decryption_version"]), trimmed)
        except (KeyError, TypeError, ValueError):
            raise KeyServiceError("its answer cannot be read") from None
        if kind != KEY_TYPE:
            raise KeyServiceError(f"the key {name} is of type {kind}; make one of type {KEY_TYPE}")
        self._state = _State(current, oldest, trimmed, asked_at + CURRENT_S)
        return self._state

    def _number(self, kek: KekRef) -> int:
        if kek.kek_id != self._kek_id:
            raise unknown(kek)
        return kek.kek_version

    def _ref(self, number: int) -> KekRef:
        return KekRef(kek_id=self._kek_id, kek_version=number)


def _set_floor(transit: Any, *, name: str, mount: str, floor: dict[str, int]) -> Any:
    return transit.update_key_configuration(name, mount_point=mount, **floor)


def is_private_address(address: str) -> bool:
    """Tell whether what is said there stays between the two of us: TLS, or this computer's loopback."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in {"127.0.0.1", "::1", "localhost"}


def _version_of(blob: bytes) -> int | None:
    """Return the version that a blob of Transit names; None where no blob looks like this, to the last bit."""
    found = _BLOB.fullmatch(blob)
    if found is None:
        return None
    try:
        canonical = base64.b64encode(base64.b64decode(found[2], validate=True)) == found[2]
    except binascii.Error:
        return None
    return int(found[1]) if canonical else None


def _meant(words: str, kek: KekRef | None) -> Exception:
    told = words.lower()
    if kek is not None and any(word in told for word in _UNKNOWN):
        return unknown(kek)
    if kek is not None and any(word in told for word in _REFUSED):
        return KeyRefusedError()
    if "key not found" in told or "no existing key" in told:
        return KeyServiceError("there is no such key any more; restore it from a backup of the engine")
    return KeyServiceError("it refused the request; see its audit log")


def _words(error: Any) -> str:
    """Return all that an error answer says: of the whole request, or of each item of a batch."""
    told = [str(part) for part in error.errors or ()]
    json = error.json if isinstance(error.json, dict) else {}
    data = json.get("data") if isinstance(json.get("data"), dict) else json
    results = data.get("batch_results") if isinstance(data, dict) else None
    told += [str(result.get("error", "")) for result in results or () if isinstance(result, dict)]
    return " ".join(told)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
