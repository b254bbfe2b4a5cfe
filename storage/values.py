"""Sealing of small values for database columns, not of objects.

Every value has a key, an IV and a commitment of its own, expanded from the case key, a random salt and the context
(table, column, row). ``docs/spec/sealed-value.md`` gives the bytes.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import SealBrokenError
from storage.format import canonical
from storage.segments import Random, expand

VERSION = 1
SALT_BYTES = 24
COMMITMENT_BYTES = 32
KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16
PREFIX_BYTES = 1 + SALT_BYTES + COMMITMENT_BYTES
OVERHEAD_BYTES = PREFIX_BYTES + TAG_BYTES


def seal_value(*, secret: bytes, value: bytes, context: bytes, random: Random = os.urandom) -> bytes:
    """Version, salt, commitment, ciphertext, tag; `random` is replaced by golden vectors only."""
    salt = random(SALT_BYTES)
    key, iv, commitment = _keys(secret, salt, context)
    return bytes((VERSION,)) + salt + commitment + AESGCM(key).encrypt(iv, value, context)


def open_value(*, secret: bytes, blob: bytes, context: bytes) -> bytes:
    if len(blob) < OVERHEAD_BYTES or blob[0] != VERSION:
        raise SealBrokenError("no sealed value looks like this")
    salt, commitment = blob[1 : 1 + SALT_BYTES], blob[1 + SALT_BYTES : PREFIX_BYTES]
    key, iv, expected = _keys(secret, salt, context)
    if not hmac.compare_digest(commitment, expected):
        raise SealBrokenError("the value does not belong to this key and context")
    try:
        return AESGCM(key).decrypt(iv, blob[PREFIX_BYTES:], context)
    except InvalidTag:
        raise SealBrokenError("the value does not verify") from None


def _keys(secret: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, IV and commitment; the salt is used once, so the IV need not be random by itself."""
    info = canonical(b"consilium-value", VERSION, salt, context)
    okm = expand(secret, info, KEY_BYTES + IV_BYTES + COMMITMENT_BYTES)
    return okm[:KEY_BYTES], okm[KEY_BYTES : KEY_BYTES + IV_BYTES], okm[KEY_BYTES + IV_BYTES :]
