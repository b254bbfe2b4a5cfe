"""What the house needs besides its records: clock, bell, post, scanner, sandbox, witness, room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.domain.room import Lack, Told


class Doorbell(Protocol):
    """The hint that work is due. ``ring`` never raises and never blocks for long: a lost bell costs a minute."""

    def ring(self, job_id: str) -> None:
        """Tell a worker."""


class Clock(Protocol):
    """Aware UTC."""

    def now(self) -> datetime:
        """Return the time."""


class Texter(Protocol):
    """Sends a short text to a telephone number: the one-time code's own channel. Raises ``UnavailableError``."""

    name: str

    def send(self, *, to: str, text: str) -> None:
        """Send; returns when the provider has taken it."""


class Mailer(Protocol):
    """Sends a message without personal data to an address. Raises ``UnavailableError``."""

    name: str

    def send(self, *, to: str, subject: str, text: str) -> None:
        """Send; returns when the next server has taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What the malware scanner said: clean, found (``what``) or unscanned (no scanner, too large, no answer)."""

    verdict: str
    what: str = ""


class Scanner(Protocol):
    """Looks for malware. Never raises: what cannot be scanned is «unscanned», and a human decides."""

    name: str

    def scan(self, chunks: Iterable[bytes]) -> Scan:
        """Scan one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """What a sandboxed task made: a small JSON value and bytes."""

    meta: dict[str, Any]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFailed:
    """The task was killed, crashed or hit a limit; ``reason`` stands in the coordinator's words."""

    code: str
    reason: str


class Sandbox(Protocol):
    """Runs a parser of untrusted bytes in a child without files, network or keys (F4). Never raises for what the bytes do."""

    def run(
        self, task: str, payload: bytes | memoryview, options: Mapping[str, Any]
    ) -> SandboxResult | SandboxFailed:
        """Run one task from the child's table and wait for it."""

    def describe(self) -> dict[str, Any]:
        """Tell which confinements are in force here."""


class Witness(Protocol):
    """Keeps signed checkpoints of the audit trail apart from the records."""

    def publish(self, note: str) -> None:
        """Append a note durably."""

    def notes(self) -> Sequence[str]:
        """Return all notes, oldest first."""


class RoomGauge(Protocol):
    """How much room there is where the house writes (D13). Never raises; measures at most twice a second, else costs nothing."""

    @property
    def told_of(self) -> Told:
        """What the audit was told last; it outlives the process."""

    @property
    def well_s(self) -> float:
        """For how many seconds there has been room."""

    def lack(self, wanted_bytes: int = 0) -> Lack | None:
        """Return what there is too little of to take in anything, or so many bytes more; None where there is room."""

    def refused(self) -> None:
        """Hear that a write found no room, whatever the volume says: nothing is let in for some seconds, then one may try."""

    def tend(self) -> None:
        """Make the ballast again where there is room for it."""

    def tell_of(self, told: Told) -> None:
        """Remember what the audit was told."""


class Register(Protocol):
    """Keeps the register of what was forgotten apart from the records, so that a restored backup forgets it again."""

    def append(self, lines: Sequence[str]) -> None:
        """Append lines durably."""

    def lines(self) -> list[str]:
        """Return all lines, oldest first; none where nothing was ever forgotten."""
