"""Telling twins in a release: one object that came twice enters once, two objects under one UID hold the release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from gateway.domain.case import Case
from gateway.domain.errors import ConflictError
from gateway.domain.people import Actor
from gateway.journeys.compose_package import Member
from gateway.journeys.hold_conflict import conflict_finding
from gateway.ports import Records


def unlike_twins(members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
    """Return the members of which each UID and content is there once, and those that bring other bytes under a UID.

    The same object may come from the archive and from the patient: its copies have the same keyed UID (PS3.5 9).
    """
    first: dict[str, Member] = {}
    kept, unlike = [], []
    for member in members:
        uid = str(member.copy.index.get("SOPInstanceUID", "")) if member.kind == "instance" else ""
        twin = first.setdefault(uid, member) if uid else member
        if twin is member:
            kept.append(member)
        elif twin.copy.index["sha256"] != member.copy.index["sha256"]:
            unlike.append(member)
    return kept, unlike


def hold_twins(unlike: Sequence[Member], *, case: Case, by: Actor, records: Records) -> NoReturn:
    """Hold the later of two objects under one UID with a finding, and refuse the release."""
    with records.change(by=by) as change:
        for member in unlike:
            instance = change.instances.get(member.copy.subject_id)
            change.findings.add(conflict_finding(instance, case.id))
            change.instances.set(instance.id, state="quarantined")
            change.note(
                "quarantined", case_id=case.id, subject=instance.id, outcome="held", code="uid_conflict"
            )
    raise ConflictError(
        f"{len(unlike)} objects came under the identifier of another one with other content",
        next_step="They are held as findings: leave them out on the desk, then build again.",
    )
