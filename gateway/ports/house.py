"""All ports of one running house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.calls import CallRules
from gateway.domain.policy import Policy
from gateway.domain.room import EndlessRoom
from gateway.ports.outside import (
    Clock,
    Mailer,
    Register,
    RoomGauge,
    Sandbox,
    Scanner,
    Texter,
    Witness,
)
from gateway.ports.records import Jobs, Records
from storage import SealedStore


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """All ports of one running house, bundled for the doors; a journey still takes the few that it uses, by name."""

    records: Records
    jobs: Jobs
    store: SealedStore
    clock: Clock
    random: Callable[[int], bytes]
    texter: Texter
    mailer: Mailer
    scanner: Scanner
    sandbox: Sandbox
    witness: Witness
    register: Register
    policy: Policy
    calls: CallRules = field(default_factory=CallRules)
    room: RoomGauge = field(default_factory=EndlessRoom)
