"""The bytes of a sealed object, its sizes and its associated data, and no cryptography.

A sealed object is a prefix of ours followed by one FLOE ciphertext. The layout is written down in
``docs/spec/sealed-object.md``; this module and that page change together.

References
----------
C2SP FLOE (https://c2sp.org/FLOE), "FLOE Ciphertext Layout".
"""

import struct
from dataclasses import dataclass

from storage.errors import SealBrokenError
from storage.suites import SUITES, WRITES, Suite

MAGIC = b"CSEAL\x00"
FORMAT_VERSION = 1
PREFIX_BYTES = len(MAGIC) + 2

AEAD_KEY_BYTES, AEAD_IV_BYTES, AEAD_TAG_BYTES = 32, 12, 16
KDF_KEY_BYTES = 48
FLOE_IV_BYTES = 32
HEADER_TAG_BYTES = 32
ROTATION_BITS = 20  # AEAD_ROTATION_MASK
MAX_SEGMENTS = 1 << 40  # AEAD_MAX_SEGMENTS
FINAL_LENGTH_BYTES = 4
NOT_FINAL = 0xFFFFFFFF
SEGMENT_OVERHEAD_BYTES = FINAL_LENGTH_BYTES + AEAD_IV_BYTES + AEAD_TAG_BYTES

PARAMETERS = struct.Struct(">BBII")
FLOE_HEADER_BYTES = PARAMETERS.size + FLOE_IV_BYTES + HEADER_TAG_BYTES
HEADER_BYTES = PREFIX_BYTES + FLOE_HEADER_BYTES

MIN_SEGMENT_BYTES = 64
MAX_SEGMENT_BYTES = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class FloeParameters:
    """What a FLOE ciphertext may vary: suite, length of a segment (and, in published vectors only, the rotation)."""

    segment_bytes: int
    rotation_bits: int = ROTATION_BITS
    suite: Suite = WRITES

    def __post_init__(self) -> None:
        if not SEGMENT_OVERHEAD_BYTES < self.segment_bytes <= MAX_SEGMENT_BYTES:
            raise ValueError(f"segment_bytes must lie in {SEGMENT_OVERHEAD_BYTES + 1}..{MAX_SEGMENT_BYTES}")

    @property
    def payload_bytes(self) -> int:
        return self.segment_bytes - SEGMENT_OVERHEAD_BYTES

    def encoded(self) -> bytes:
        """``PARAM_ENCODE`` of FLOE: ten bytes."""
        return PARAMETERS.pack(self.suite.aead_id, self.suite.kdf_id, self.segment_bytes, FLOE_IV_BYTES)

    def prefix(self) -> bytes:
        """What we put before a FLOE ciphertext: eight bytes."""
        return MAGIC + bytes((FORMAT_VERSION, self.suite.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything lies in a sealed object of one plaintext size: the ``f(length)`` of the specification.

    A full payload always becomes an internal segment, so the final one is shorter than a payload and may be empty.
    The object's length therefore follows from the plaintext's, and any other length is refused.
    """

    parameters: FloeParameters
    size_bytes: int

    @property
    def final_position(self) -> int:
        return self.size_bytes // self.parameters.payload_bytes

    @property
    def sealed_bytes(self) -> int:
        return HEADER_BYTES + self.size_bytes + (self.final_position + 1) * SEGMENT_OVERHEAD_BYTES

    def segment_offset(self, position: int) -> int:
        return HEADER_BYTES + position * self.parameters.segment_bytes

    def payload_bytes(self, position: int) -> int:
        if position == self.final_position:
            return self.size_bytes % self.parameters.payload_bytes
        return self.parameters.payload_bytes


def canonical(*fields: bytes | str | int) -> bytes:
    """Join fields so that no two lists of fields give the same bytes.

    Each field is preceded by its length in four bytes, big-endian. Text is UTF-8, a number is eight bytes, big-endian.
    """
    out = bytearray()
    for field in fields:
        if isinstance(field, int):
            value = field.to_bytes(8, "big")
        elif isinstance(field, str):
            value = field.encode("utf-8")
        else:
            value = field
        out += len(value).to_bytes(4, "big")
        out += value
    return bytes(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectNames:
    """What a sealed object is bound to: bytes moved to another place, case, kind or generation do not open (E3)."""

    tenant: str
    holder: str
    object_id: str
    kind: str
    generation: int

    def context(self, suite: Suite) -> bytes:
        """Associated data; it names the suite, so that no header can be turned into another suite's."""
        return canonical(
            b"consilium-object",
            FORMAT_VERSION,
            suite.number,
            self.tenant,
            self.holder,
            self.object_id,
            self.kind,
            self.generation,
        )


def key_context(*, tenant: str, holder: str, purpose: str, kek_id: str, kek_version: int) -> bytes:
    """Associated data of a wrapped key: a key moved to another row does not open."""
    return canonical(b"consilium-key", 1, tenant, holder, purpose, kek_id, kek_version)


def parse_header(header: bytes) -> tuple[FloeParameters, bytes]:
    """Split a sealed object's first bytes into its parameters and its FLOE header; refuse what we never wrote."""
    if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
        raise SealBrokenError("no sealed object starts like this")
    version, number = header[len(MAGIC) : PREFIX_BYTES]
    suite = SUITES.get(number)
    if version != FORMAT_VERSION or suite is None:
        raise SealBrokenError(f"format {version}, suite {number} is not known to this release")
    floe_header = header[PREFIX_BYTES:]
    aead, kdf, segment_bytes, iv_bytes = PARAMETERS.unpack_from(floe_header)
    if (aead, kdf, iv_bytes) != (suite.aead_id, suite.kdf_id, FLOE_IV_BYTES):
        raise SealBrokenError("the header names another suite")
    if not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise SealBrokenError("the header names an impossible segment length")
    return FloeParameters(segment_bytes=segment_bytes, suite=suite), floe_header
