"""The port to master keys (KEK): wraps case keys, never data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class KekRef:
    """Names one version of one master key."""

    kek_id: str
    kek_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapping:
    """A wrapped key that goes from one version to another; the version is part of the associated data, so that has two values."""

    blob: bytes
    aad_old: bytes
    aad_new: bytes


class KeyProvider(Protocol):
    """Master keys in a file, a key service or a module; they are used in place and never handed out.

    Safe for use by many threads and processes at once, and over `fork`. Calls may block: on the network with a deadline, in
    the module of a token as long as that takes, since no call into it can be given up. They fail closed: every method raises
    `KeyServiceError` where the provider does not answer as it should, which says nothing of the keys.
    """

    def current(self) -> KekRef:
        """The version that new keys are wrapped under; earlier versions only unwrap.

        What another process rotated is seen within a second.
        """

    def versions(self) -> tuple[KekRef, ...]:
        """All versions that unwrap here, the oldest first, the current one last."""

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

    def rewrap(self, items: Sequence[Rewrapping], *, old: KekRef, new: KekRef) -> list[bytes]:
        """Unwrap under `old` and wrap under `new`: all of them, in order, or raise as `unwrap` and `wrap` do."""

    def rotate(self) -> KekRef:
        """Make a new version and return it: durable first, current then.

        Not idempotent, except after a kill between the two: then the version that was begun becomes the current one.
        """

    def destroy(self, kek: KekRef) -> None:
        """Destroy a version for good; what it wrapped and was not rewrapped is lost. Idempotent.

        Raises
        ------
        KeyKeptError
            It is the current version, or not the oldest: some key services can only destroy from the oldest on.
        """

    def probe(self) -> None:
        """Raise what is wrong with the current version and how to mend it (D15)."""
