"""FLOE segment cryptography with random access, and nothing that reads or writes files.

This is the half of FLOE that loses its guarantees when a caller misstates a position or which segment is final; it
is therefore used by ``sealing`` and ``reader`` only and never exported.

References
----------
C2SP FLOE (https://c2sp.org/FLOE), "Implementation"; ePrint 2025/2275.
"""

import hmac
import os
import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from storage.errors import SealBrokenError, TooLargeError
from storage.format import (
    AEAD_IV_BYTES,
    AEAD_KEY_BYTES,
    FINAL_LENGTH_BYTES,
    FLOE_HEADER_BYTES,
    FLOE_IV_BYTES,
    HEADER_TAG_BYTES,
    KDF_KEY_BYTES,
    MAX_SEGMENTS,
    NOT_FINAL,
    PARAMETERS,
    SEGMENT_OVERHEAD_BYTES,
    FloeParameters,
)
from storage.suites import FLOE_AES256_GCM_SHA384, Suite

Random = Callable[[int], bytes]

BODY_START = FINAL_LENGTH_BYTES + AEAD_IV_BYTES
POSITION_AND_FINAL = struct.Struct(">QB")
FINAL_LENGTH = struct.Struct(">I")


def expand(key: bytes, info: bytes, length: int, *, suite: Suite = FLOE_AES256_GCM_SHA384) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3) of a key that is already uniform.

    With the hash of the object's suite inside an object; with SHA-384 for everything else under a case key.
    """
    return HKDFExpand(algorithm=suite.kdf_hash(), length=length, info=info).derive(key)


class SegmentCipher:
    """One FLOE message, started: seals or opens its segments one at a time, in any order.

    Not for use by two threads at once.
    """

    __slots__ = ("_aad", "_aead", "_aead_epoch", "_iv", "_message_key", "_random", "parameters")

    def __init__(
        self,
        *,
        parameters: FloeParameters,
        message_key: bytes,
        iv: bytes,
        aad: bytes,
        random: Random = os.urandom,
    ) -> None:
        self.parameters = parameters
        self._message_key = message_key
        self._iv = iv
        self._aad = aad
        self._random = random
        self._aead_epoch = -1
        self._aead: AESGCM | ChaCha20Poly1305

    def seal_into(self, *, position: int, final: bool, plain: memoryview, out: memoryview) -> int:
        """Write one encrypted segment to `out` and return its length; `plain` and `out` must not overlap."""
        if (
            (len(plain) > self.parameters.payload_bytes)
            if final
            else (len(plain) != self.parameters.payload_bytes)
        ):
            raise ValueError("an internal segment is full, the final one at most full")
        if position >= MAX_SEGMENTS:
            raise TooLargeError("more segments than FLOE allows")
        length = len(plain) + SEGMENT_OVERHEAD_BYTES
        iv = self._random(AEAD_IV_BYTES)
        FINAL_LENGTH.pack_into(out, 0, length if final else NOT_FINAL)
        out[FINAL_LENGTH_BYTES:BODY_START] = iv
        self._key_for(position).encrypt_into(
            iv, plain, POSITION_AND_FINAL.pack(position, final), out[BODY_START:length]
        )
        return length

    def open_into(self, *, position: int, final: bool, sealed: memoryview, out: memoryview) -> int:
        """Verify one segment, write its plaintext to `out` and return its length.

        The library writes before it knows whether the tag is right, so until this returns `out` belongs to nobody else.
        When this raises, nothing of the segment is in `out`: what the library wrote is overwritten with zeros (E2).
        """
        length = len(sealed)
        if not (SEGMENT_OVERHEAD_BYTES <= length <= self.parameters.segment_bytes):
            raise SealBrokenError(f"segment {position} has an impossible length")
        if not final and length != self.parameters.segment_bytes:
            raise SealBrokenError(f"segment {position} is short")
        if FINAL_LENGTH.unpack_from(sealed)[0] != (length if final else NOT_FINAL):
            raise SealBrokenError(f"segment {position} states another length")
        count = length - SEGMENT_OVERHEAD_BYTES
        try:
            return self._key_for(position).decrypt_into(
                sealed[FINAL_LENGTH_BYTES:BODY_START],
                sealed[BODY_START:],
                POSITION_AND_FINAL.pack(position, final),
                out[:count],
            )
        except BaseException as error:
            out[:count] = bytes(count)
            if isinstance(error, InvalidTag):
                raise SealBrokenError(f"segment {position} does not verify") from None
            raise

    def _key_for(self, position: int) -> AESGCM | ChaCha20Poly1305:
        """``DERIVE_KEY`` of FLOE: a fresh AEAD key for every 2^20 segments."""
        epoch = position >> self.parameters.rotation_bits
        if epoch != self._aead_epoch:
            first = epoch << self.parameters.rotation_bits
            info = floe_info(self.parameters, self._iv, b"DEK:" + first.to_bytes(8, "big"), self._aad)
            suite = self.parameters.suite
            self._aead = suite.aead(expand(self._message_key, info, AEAD_KEY_BYTES, suite=suite))
            self._aead_epoch = epoch
        return self._aead


def start_sealing(
    *, key: bytes, aad: bytes, parameters: FloeParameters, random: Random = os.urandom
) -> tuple[bytes, SegmentCipher]:
    """``startEncryption`` of FLOE: the header and the cipher of a new message.

    `random` is replaced by golden vectors only; `os.urandom` keeps IVs apart over `fork` (E5).
    """
    iv = random(FLOE_IV_BYTES)
    header = parameters.encoded() + iv + header_tag(key, parameters, iv, aad)
    return header, SegmentCipher(
        parameters=parameters,
        message_key=message_key(key, parameters, iv, aad),
        iv=iv,
        aad=aad,
        random=random,
    )


def start_opening(*, key: bytes, aad: bytes, parameters: FloeParameters, header: bytes) -> SegmentCipher:
    """``startDecryption`` of FLOE: the cipher of a message whose header commits to this key and context (E4)."""
    encoded = parameters.encoded()
    if len(header) != FLOE_HEADER_BYTES or not header.startswith(encoded):
        raise SealBrokenError("the header has other parameters")
    iv = header[PARAMETERS.size : PARAMETERS.size + FLOE_IV_BYTES]
    if not hmac.compare_digest(header[-HEADER_TAG_BYTES:], header_tag(key, parameters, iv, aad)):
        raise SealBrokenError("the header does not belong to this key and context")
    return SegmentCipher(
        parameters=parameters, message_key=message_key(key, parameters, iv, aad), iv=iv, aad=aad
    )


def header_tag(key: bytes, parameters: FloeParameters, iv: bytes, aad: bytes) -> bytes:
    info = floe_info(parameters, iv, b"HEADER_TAG:", aad)
    return expand(key, info, HEADER_TAG_BYTES, suite=parameters.suite)


def message_key(key: bytes, parameters: FloeParameters, iv: bytes, aad: bytes) -> bytes:
    info = floe_info(parameters, iv, b"MESSAGE_KEY:", aad)
    return expand(key, info, KDF_KEY_BYTES, suite=parameters.suite)


def floe_info(parameters: FloeParameters, iv: bytes, purpose: bytes, aad: bytes) -> bytes:
    """The ``info`` of ``FLOE_KDF``; its bytes 6 to 9 are the IV length, where our own labels have letters."""
    return parameters.encoded() + iv + purpose + aad
