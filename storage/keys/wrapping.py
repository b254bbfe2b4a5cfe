"""AES-256-GCM wrapping for master keys that this process holds itself (file, memory), not for key services."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import KeyRefusedError, KeyUnknownError
from storage.keys.port import KekRef
from storage.segments import Random

WRAP_VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16
KEK_BYTES = 32
PROBE_AAD = b"consilium-probe"


def wrap_key(kek: bytes, plain: bytes, aad: bytes, *, random: Random = os.urandom) -> bytes:
    """Version, nonce, ciphertext, tag (``docs/spec/wrapped-key.md``); `random` is replaced by golden vectors only."""
    nonce = random(NONCE_BYTES)
    return bytes((WRAP_VERSION,)) + nonce + AESGCM(kek).encrypt(nonce, plain, aad)


def unwrap_key(kek: bytes, blob: bytes, aad: bytes) -> bytes:
    if len(blob) <= 1 + NONCE_BYTES + TAG_BYTES or blob[0] != WRAP_VERSION:
        raise KeyRefusedError("no wrapped key looks like this")
    try:
        return AESGCM(kek).decrypt(blob[1 : 1 + NONCE_BYTES], blob[1 + NONCE_BYTES :], aad)
    except InvalidTag:
        raise KeyRefusedError from None


class HeldKeys:
    """A `KeyProvider` over versions of one master key that lie in this process's memory."""

    def __init__(self, *, kek_id: str, current_version: int, versions: dict[int, bytes]) -> None:
        self._kek_id = kek_id
        self._current = KekRef(kek_id=kek_id, kek_version=current_version)
        self._versions = dict(versions)

    def current(self) -> KekRef:
        return self._current

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return wrap_key(self._key(kek), plain, aad)

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return unwrap_key(self._key(kek), blob, aad)

    def probe(self) -> None:
        plain = os.urandom(KEK_BYTES)
        blob = self.wrap(plain, kek=self._current, aad=PROBE_AAD)
        if self.unwrap(blob, kek=self._current, aad=PROBE_AAD) != plain:
            raise KeyRefusedError("the wrap and unwrap self-test failed")

    def _key(self, kek: KekRef) -> bytes:
        if kek.kek_id != self._kek_id or kek.kek_version not in self._versions:
            raise KeyUnknownError(f"{kek.kek_id} version {kek.kek_version}")
        return self._versions[kek.kek_version]
