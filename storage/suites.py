"""The ciphers that a sealed object may be made with, by the number in its header; a table, and no byte of any format.

References
----------
C2SP FLOE (https://c2sp.org/FLOE), "Parameters"; OWASP ASVS 5.0, 11.1.2 to 11.1.4 (E13).
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One choice of ciphers, named in every header and in the associated data.

    A new one is a new line in `SUITES`, golden files of its own, and `WRITES` pointed at it: what is there opens as
    before, and nothing has to be sealed anew. A suite that has ever written an object stays in the table for ever.
    Keys, IVs and tags are of 32, 12 and 16 bytes in each.

    Attributes
    ----------
    number
        What stands in our prefix, in one byte.
    aead_id, kdf_id
        What FLOE writes into its parameters.
    """

    number: int
    aead_id: int
    kdf_id: int
    aead: type[AESGCM] | type[ChaCha20Poly1305]
    kdf_hash: type[hashes.HashAlgorithm]


FLOE_AES256_GCM_SHA384 = Suite(number=1, aead_id=0, kdf_id=0, aead=AESGCM, kdf_hash=hashes.SHA384)
WRITES = FLOE_AES256_GCM_SHA384
SUITES = {suite.number: suite for suite in (FLOE_AES256_GCM_SHA384,)}
