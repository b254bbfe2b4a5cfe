"""AES-256-GCM wrapping for master keys that this process holds itself (file, memory), not for key services."""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import KeyKeptError, KeyRefusedError, KeyUnknownError
from storage.keys.port import KekRef, KeyProvider, Rewrapping
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
    nonce, sealed = split_blob(blob)
    try:
        return AESGCM(kek).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise KeyRefusedError from None


def split_blob(blob: bytes) -> tuple[bytes, bytes]:
    """Return nonce and ciphertext with tag."""
    if len(blob) <= 1 + NONCE_BYTES + TAG_BYTES or blob[0] != WRAP_VERSION:
        raise KeyRefusedError("no wrapped key looks like this")
    return blob[1 : 1 + NONCE_BYTES], blob[1 + NONCE_BYTES :]


def refuse_kept(kek: KekRef, versions: Sequence[KekRef]) -> bool:
    """Tell whether there is anything to destroy; refuse what must stay. `versions` as the port returns them."""
    if kek not in versions:
        if not versions or kek.kek_id != versions[0].kek_id or kek.kek_version > versions[0].kek_version:
            raise unknown(kek)
        return False
    if kek == versions[-1]:
        raise KeyKeptError(f"{kek.kek_id} version {kek.kek_version} is the current one")
    if kek != versions[0]:
        raise KeyKeptError(
            f"{kek.kek_id} version {versions[0].kek_version} is older than version {kek.kek_version}"
        )
    return True


def self_test(provider: KeyProvider) -> None:
    """Wrap and unwrap a throw-away key under the current version."""
    plain, kek = os.urandom(KEK_BYTES), provider.current()
    blob = provider.wrap(plain, kek=kek, aad=PROBE_AAD)
    if provider.unwrap(blob, kek=kek, aad=PROBE_AAD) != plain:
        raise KeyRefusedError("the wrap and unwrap self-test failed")


def unknown(kek: KekRef) -> KeyUnknownError:
    return KeyUnknownError(f"{kek.kek_id} version {kek.kek_version}")


class HeldKeys:
    """A `KeyProvider` over versions of one master key that lie in this process's memory; how they change is a subclass's affair."""

    def __init__(self, *, kek_id: str, current_version: int, versions: dict[int, bytes]) -> None:
        self._kek_id = kek_id
        self._held: tuple[int, dict[int, bytes]] = (
            current_version,
            dict(versions),
        )  # replaced as one, never changed

    def current(self) -> KekRef:
        return self._ref(self._held[0])

    def versions(self) -> tuple[KekRef, ...]:
        current, versions = self._held
        return tuple(self._ref(number) for number in sorted(versions) if number <= current)

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return wrap_key(self._key(kek), plain, aad)

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        return unwrap_key(self._key(kek), blob, aad)

    def rewrap(self, items: Sequence[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes]:
        from_key, to_key = self._key(old), self._key(new)
        return [
            wrap_key(to_key, unwrap_key(from_key, item.blob, item.aad_old), item.aad_new) for item in items
        ]

    def probe(self) -> None:
        self_test(self)  # type: ignore[arg-type]  # rotate and destroy are the subclasses'

    def _key(self, kek: KekRef) -> bytes:
        key = self._held[1].get(kek.kek_version)
        if kek.kek_id != self._kek_id or key is None:
            raise unknown(kek)
        return key

    def _ref(self, version: int) -> KekRef:
        return KekRef(kek_id=self._kek_id, kek_version=version)
