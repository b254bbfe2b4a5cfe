"""A delivery: one release on its way to a reviewer's PACS, instance by instance; nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An approved release sent to a peer by C-STORE.

    ``outcomes`` maps the copy's id to ``[status, comment]``: the status as four hexadecimal digits, empty while no answer came.
    To resume is to send again what has no Success or warning there.
    """

    id: str
    release_id: str
    case_id: str
    peer: str
    state: Literal["queued", "sending", "sent", "incomplete", "stopped"] = "queued"
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None = None
    total: int = 0
    sent: int = 0
    failed: int = 0
    error: str = ""
    outcomes: dict[str, list[str]] = field(default_factory=dict)
