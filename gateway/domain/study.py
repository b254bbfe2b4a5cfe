"""Studies and instances as they were received: kept apart per sender, never merged on a UID alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

INSTANCE_STATES = ("received", "deidentified", "quarantined", "excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study from one sender. ``holder`` owns the key that seals it: its case's id, or its own until it is matched.

    ``told`` is how many instances its sender says that it has, 0 while it has said nothing.
    """

    id: str
    case_id: str | None
    holder: str
    sender: str
    study_key: str
    state: str = "receiving"
    received_at: datetime
    last_at: datetime
    instances: int = 0
    told: int = 0
    match: dict[str, Any] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP instance. ``conflict_of`` is set when the same UID came before with other bytes (PS3.5 9).

    Both keys are keyed digests of its UID: ``sop_key`` finds it in its study, ``sender_key`` among all that its sender ever
    sent, whatever case it was for. The latter is empty where version 1 kept it, until ``index_originals`` has been there.
    """

    id: str
    study_id: str
    case_id: str | None
    holder: str
    sop_key: str
    sop_class_uid: str
    transfer_syntax_uid: str
    object_id: str
    size_bytes: int
    digest: bytes
    generation: int = 1
    state: str = "received"
    received_at: datetime
    association_id: str = ""
    conflict_of: str | None = None
    sender_key: str = ""
    head: dict[str, str] = field(default_factory=dict)
