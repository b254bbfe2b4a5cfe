"""A case key, unwrapped: what it seals and which keys are derived from it, never a file or a row.

One random 256-bit key per case and purpose is the FLOE key of its objects. Everything else uses keys expanded from it
under labels of ours, which FLOE's own never equal (``docs/spec/sealed-object.md``, "Other keys under the case key").
"""

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from storage.format import canonical
from storage.segments import expand

CASE_KEY_BYTES = 32
DIGEST_BYTES = 32
MOST_DERIVED = 16


class CaseKey:
    """The secret of one wrapped key and the keys under it."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        # Derived now and not when first needed: `cached_property` has a lock, which a fork may leave held for ever.
        self._digest_keys = expand(secret, canonical(b"consilium-digest", 1), 64)
        self._derived: dict[
            tuple[bytes, int], bytes
        ] = {}  # asked for with every instance, and gone with this key

    def digester(self) -> "Digester":
        return Digester(self._digest_keys[:32], self._digest_keys[32:])

    def derive(self, label: bytes, length: int) -> bytes:
        derived = self._derived.get((label, length))
        if derived is None:
            derived = expand(self.secret, canonical(b"consilium-derive", 1, label), length)
            if len(self._derived) < MOST_DERIVED:
                self._derived[label, length] = derived
        return derived


class Digester:
    """Keyed digest of a plaintext, piece by piece: a universal hash, then a pseudorandom function.

    ``HMAC-SHA-256(k2, GMAC(k1, zero IV, plaintext) ‖ length)``. The inner tag never leaves this object, so its fixed
    IV reveals nothing, and two plaintexts up to 2^40 bytes collide with probability below 2^-91 for whoever lacks the
    key. It runs at ten times the speed of HMAC over the plaintext. Whoever *holds* the case key could construct a
    collision: the digest names content within the house, and is no proof to outsiders.
    """

    __slots__ = ("_hashing", "_mac_key", "size_bytes")

    def __init__(self, hash_key: bytes, mac_key: bytes) -> None:
        # The fixed IV is sound here only because the tag is never shown: it is the input of the HMAC below.
        self._hashing = Cipher(algorithms.AES(hash_key), modes.GCM(bytes(12))).encryptor()
        self._mac_key = mac_key
        self.size_bytes = 0

    def update(self, piece: memoryview) -> None:
        self._hashing.authenticate_additional_data(piece)
        self.size_bytes += len(piece)

    def digest(self) -> bytes:
        """The digest; only once, and last."""
        self._hashing.finalize()
        return hmac.digest(self._mac_key, self._hashing.tag + self.size_bytes.to_bytes(8, "big"), "sha256")
