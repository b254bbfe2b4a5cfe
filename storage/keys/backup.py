"""A backup of the file of master keys, apart from the data: sealed under a random key that only enough custodians have together.

The key of 256 bits is split by SLIP-39 into shares of 33 words, of which a threshold is needed; fewer tell nothing. The
sealed file may lie with any of them (``docs/spec/key-backup.md``).

References
----------
SLIP-0039, Shamir's Secret-Sharing for Mnemonic Codes; NIST SP 800-57 part 1 rev. 5, 8.2.2.1 (backup of keys).
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import shamir_mnemonic  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from shamir_mnemonic import MnemonicError

from storage.errors import KeyBackupError
from storage.format import canonical
from storage.keys.key_file import KeyFile, decode, encode
from storage.keys.wrapping import KEK_BYTES, NONCE_BYTES

BACKUP_FORMAT = "consilium-key-backup/1"
MOST_SHARES = 16
# SLIP-39 may stretch a passphrase over the shares; there is none, so its work would protect nothing.
_NO_PASSPHRASE = b""
_WORK = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBackup:
    """The sealed file, and one line of words for each custodian."""

    sealed: bytes
    shares: tuple[str, ...]
    threshold: int
    fingerprint: str
    kek_id: str
    kek_version: int


def make_backup(file: KeyFile, *, shares: int, threshold: int) -> KeyBackup:
    """Seal what the key file holds and split the key; every call has a key of its own."""
    if not 2 <= threshold <= shares <= MOST_SHARES:
        raise ValueError(f"two shares at least are needed, and {MOST_SHARES} are the most there can be")
    secret, nonce = os.urandom(KEK_BYTES), os.urandom(NONCE_BYTES)
    names = _names(file.kek_id, file.current, threshold, shares)
    sealed = nonce + AESGCM(secret).encrypt(nonce, encode(file), names)
    document = {
        "format": BACKUP_FORMAT,
        "kek_id": file.kek_id,
        "current": file.current,
        "threshold": threshold,
        "shares": shares,
        "fingerprint": _fingerprint(secret),
        "sealed": base64.b64encode(sealed).decode("ascii"),
    }
    ((*words,),) = shamir_mnemonic.generate_mnemonics(
        1, [(threshold, shares)], secret, _NO_PASSPHRASE, iteration_exponent=_WORK
    )
    return KeyBackup(
        sealed=json.dumps(document, indent=1).encode("ascii") + b"\n",
        shares=tuple(words),
        threshold=threshold,
        fingerprint=_fingerprint(secret),
        kek_id=file.kek_id,
        kek_version=file.current,
    )


def open_backup(sealed: bytes, shares: Sequence[str]) -> KeyFile:
    """Open a sealed file with just so many shares as are needed.

    Raises
    ------
    KeyBackupError
        Too few or too many shares, one of another backup, a word that was misread, or a file that was altered.
    """
    document = _document(sealed)
    try:
        secret = shamir_mnemonic.combine_mnemonics(list(shares), _NO_PASSPHRASE)
    except (MnemonicError, ValueError) as error:
        raise KeyBackupError(str(error)) from None
    if not hmac.compare_digest(_fingerprint(secret), document["fingerprint"]):
        raise KeyBackupError("these shares belong to another backup; compare the fingerprints")
    blob = document["blob"]
    names = _names(document["kek_id"], document["current"], document["threshold"], document["shares"])
    try:
        content = AESGCM(secret).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], names)
    except (InvalidTag, ValueError):
        raise KeyBackupError("the sealed file was altered") from None
    return decode(content)


def fingerprint_of(sealed: bytes) -> str:
    """Return the name of a backup, as its sheets have it too; not authenticated before it is opened."""
    return str(_document(sealed)["fingerprint"])


def every_set(sealed: bytes, shares: Sequence[str]) -> list[tuple[int, ...]]:
    """Return every choice of as many of these shares as are needed, as their places in the list."""
    threshold = _document(sealed)["threshold"]
    if len(shares) < threshold:
        raise KeyBackupError(f"{threshold} shares are needed at least")
    return list(combinations(range(len(shares)), threshold))


def read_words(text: str) -> str:
    """Return the words of a share as a custodian's sheet has them: numbered lines, or just words; the rest of the sheet does not count."""
    lines = [line.strip() for line in text.splitlines()]
    numbered = [
        parts[1] for line in lines if len(parts := line.split()) == 2 and parts[0].rstrip(".").isdecimal()
    ]
    words = numbered or text.split()
    if any(not (word.isascii() and word.isalpha()) for word in words) or not words:
        raise KeyBackupError("a share consists of words and nothing else; give the sheet as it was made")
    return " ".join(word.lower() for word in words)


def _document(sealed: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(sealed)
        if document["format"] != BACKUP_FORMAT:
            raise KeyBackupError("its format is not known to this release")
        typed = {
            name: document[name]
            for name, kind in (
                ("kek_id", str),
                ("current", int),
                ("threshold", int),
                ("shares", int),
                ("fingerprint", str),
            )
            if type(document[name]) is kind
        }
        typed["blob"] = base64.b64decode(document["sealed"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise KeyBackupError("the sealed file is malformed") from None
    if (
        len(typed) != 6
        or typed["current"] < 0
        or not 1 <= typed["threshold"] <= typed["shares"] <= MOST_SHARES
    ):
        raise KeyBackupError("the sealed file is malformed")
    return typed


def _fingerprint(secret: bytes) -> str:
    """Name the key of a backup by 64 bits that tell nothing of it."""
    digest = hashlib.sha256(canonical(b"consilium-key-backup-fingerprint", 1, secret)).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 16, 4))


def _names(kek_id: str, current: int, threshold: int, shares: int) -> bytes:
    return canonical(b"consilium-key-backup", 1, kek_id, current, threshold, shares)
