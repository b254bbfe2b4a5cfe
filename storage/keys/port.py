"""The port to master keys (KEK): wraps case keys, never data."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class KekRef:
    """Names one version of one master key."""

    kek_id: str
    kek_version: int


class KeyProvider(Protocol):
    """Master keys in a file, a key service or a module; they are used in place and never handed out.

    Safe for use by many threads and processes at once. Calls may block on the network and fail closed.
    """

    def current(self) -> KekRef:
        """The version that new keys are wrapped under; earlier versions only unwrap."""

    def wrap(self, plain: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        """Encrypt a key of 32 bytes, bound to `aad`, under exactly this version.

        Raises
        ------
        KeyUnknownError
            There is no such version here.
        """

    def unwrap(self, blob: bytes, *, kek: KekRef, aad: bytes) -> bytes:
        """Decrypt what `wrap` returned.

        Raises
        ------
        KeyRefusedError
            The blob or `aad` is not what was wrapped.
        KeyUnknownError
            There is no such version here.
        """

    def probe(self) -> None:
        """Raise what is wrong with the current version and how to mend it (D15)."""
