"""What the house needs from outside, as protocols: who implements them and who wires them is not known here.

Errors: an adapter translates foreign errors into ``gateway.domain.errors.UnavailableError`` unless its docstring says otherwise.
"""

from gateway.ports.house import House
from gateway.ports.outside import (
    Clock,
    Doorbell,
    Mailer,
    Register,
    RoomGauge,
    Sandbox,
    SandboxFailed,
    SandboxResult,
    Scan,
    Scanner,
    Texter,
    Witness,
)
from gateway.ports.records import Change, Jobs, Kept, Records, Shelf, View, WritableShelf

__all__ = [
    "Change",
    "Clock",
    "Doorbell",
    "House",
    "Jobs",
    "Kept",
    "Mailer",
    "Records",
    "Register",
    "RoomGauge",
    "Sandbox",
    "SandboxFailed",
    "SandboxResult",
    "Scan",
    "Scanner",
    "Shelf",
    "Texter",
    "View",
    "Witness",
    "WritableShelf",
]
