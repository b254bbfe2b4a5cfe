"""What stands in a file of master keys, in the clear or under a passphrase; where the file lies is not known here.

``docs/spec/wrapped-key.md``, "The key file". Under a passphrase: Argon2id (RFC 9106), then AES-256-GCM, the parameters and
names as associated data.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from storage.errors import KeyFileError
from storage.format import canonical
from storage.keys.secret_files import Passphrase
from storage.keys.wrapping import KEK_BYTES, NONCE_BYTES

FILE_FORMAT = "consilium-kek/1"
PROTECTED_FORMAT = "consilium-kek/2"
SALT_BYTES = 16
# What is read may not demand any amount of work: more than this no file of ours ever has.
MOST_MEMORY_KIB, MOST_PASSES, MOST_LANES = 1 << 21, 64, 16
# A file keeps its salt while it keeps its passphrase, so that a process stretches once, and not at each look. What is kept
# opens what this process has open anyway.
_STRETCHED: dict[tuple[bytes, bytes, Hardness], bytes] = {}
MOST_STRETCHED = 8
_MALFORMED = "its content is malformed; bring it back from its backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardness:
    """Argon2id's costs; the default takes some tenths of a second and 128 MiB, twice RFC 9106's second choice."""

    memory_kib: int = 1 << 17
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        sound = (
            8 * self.lanes <= self.memory_kib <= MOST_MEMORY_KIB
            and 1 <= self.passes <= MOST_PASSES
            and 1 <= self.lanes <= MOST_LANES
        )
        if not sound:
            raise ValueError("no such costs")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """The versions of one master key, as a file holds them; `hardness` where a passphrase protects them."""

    kek_id: str
    current: int
    versions: dict[int, bytes] = field(repr=False)
    hardness: Hardness | None = None
    salt: bytes = field(default=b"", compare=False, repr=False)

    def __post_init__(self) -> None:
        sound = (
            isinstance(self.kek_id, str)
            and self.kek_id
            and type(self.current) is int
            and self.current in self.versions
            and all(number >= 1 and len(key) == KEK_BYTES for number, key in self.versions.items())
        )
        if not sound:
            raise KeyFileError(_MALFORMED)


def new_key_file() -> KeyFile:
    """Return a new master key with one random version."""
    return KeyFile(kek_id=f"file-{os.urandom(8).hex()}", current=1, versions={1: os.urandom(KEK_BYTES)})


def encode(file: KeyFile, passphrase: Passphrase | None = None) -> bytes:
    """Return the file's bytes; under a passphrase where `file.hardness` says so."""
    content: dict[str, Any] = {
        "current": file.current,
        "versions": {str(number): _text(key) for number, key in sorted(file.versions.items())},
    }
    if file.hardness is None:
        return _json({"format": FILE_FORMAT, "kek_id": file.kek_id, **content})
    salt, nonce = file.salt or os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    key = _stretched(passphrase, salt, file.hardness)
    sealed = nonce + AESGCM(key).encrypt(nonce, _json(content), _names(file.kek_id, salt, file.hardness))
    kdf = {
        "name": "argon2id", "salt": _text(salt), "memory_kib": file.hardness.memory_kib,
        "passes": file.hardness.passes, "lanes": file.hardness.lanes,
    }  # fmt: skip
    return _json({"format": PROTECTED_FORMAT, "kek_id": file.kek_id, "kdf": kdf, "sealed": _text(sealed)})


def decode(content: bytes, passphrase: Passphrase | None = None) -> KeyFile:
    """Return what the bytes hold.

    Raises
    ------
    KeyFileError
        Malformed, of another format, or the passphrase is missing or wrong.
    """
    try:
        document: Any = json.loads(content)
        if document["format"] == PROTECTED_FORMAT:
            return _opened(document, passphrase)
        if document["format"] != FILE_FORMAT:
            raise KeyFileError("its format is not known to this release")
        return KeyFile(
            kek_id=document["kek_id"], current=document["current"], versions=_versions(document["versions"])
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise KeyFileError(_MALFORMED) from None


def _opened(document: Any, passphrase: Passphrase | None) -> KeyFile:
    kek_id, kdf, sealed = document["kek_id"], document["kdf"], _bytes(document["sealed"])
    if kdf["name"] != "argon2id":
        raise KeyFileError("its format is not known to this release")
    salt = _bytes(kdf["salt"])
    hardness = Hardness(memory_kib=kdf["memory_kib"], passes=kdf["passes"], lanes=kdf["lanes"])
    key = _stretched(passphrase, salt, hardness)
    try:
        names = _names(kek_id, salt, hardness)
        plain = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], names)
    except InvalidTag:
        raise KeyFileError("the passphrase is not its own, or the file was altered") from None
    content: Any = json.loads(plain)
    return KeyFile(
        kek_id=kek_id,
        current=content["current"],
        versions=_versions(content["versions"]),
        hardness=hardness,
        salt=salt,
    )


def _stretched(passphrase: Passphrase | None, salt: bytes, hardness: Hardness) -> bytes:
    if passphrase is None:
        raise KeyFileError(
            "a passphrase protects it; name a file with it in CONSILIUM_KEYS_PASSPHRASE_FILE, give the systemd credential"
            " consilium-keys-passphrase, or call from a terminal"
        )
    secret = passphrase()
    known = hashlib.sha256(secret).digest(), salt, hardness
    if (key := _STRETCHED.get(known)) is None:
        kdf = Argon2id(
            salt=salt,
            length=KEK_BYTES,
            iterations=hardness.passes,
            lanes=hardness.lanes,
            memory_cost=hardness.memory_kib,
        )
        key = kdf.derive(secret)
        if len(_STRETCHED) >= MOST_STRETCHED:
            _STRETCHED.clear()
        _STRETCHED[known] = key
    return key


def _names(kek_id: str, salt: bytes, hardness: Hardness) -> bytes:
    return canonical(
        b"consilium-kek-file",
        2,
        kek_id.encode(),
        salt,
        hardness.memory_kib,
        hardness.passes,
        hardness.lanes,
    )


def _versions(held: Any) -> dict[int, bytes]:
    return {int(number): _bytes(key) for number, key in held.items()}


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode("ascii") + b"\n"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
