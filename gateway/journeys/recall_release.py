"""Recalling a release in which something identifying was found later: nobody can open it from that commit on."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.errors import ConsiliumError
from gateway.domain.finding import Finding
from gateway.domain.ids import new_id
from gateway.domain.release import Copy, Release
from gateway.journeys.end_delivery import end_deliveries
from gateway.journeys.make_copy import RECALLED
from gateway.journeys.open_release import opened_manifest
from gateway.ports import Change
from storage import SealedStore, StorageError

REASON = (
    "A release was withdrawn, because something that identifies the patient was found in this later. "
    "Look at the new copy, then build and approve a new release."
)


def recall_releases(change: Change, copy: Copy, *, store: SealedStore, now: datetime) -> list[Release]:
    """Withdraw every built or approved release whose manifest names this copy, in the change that marks it leaking.

    An approved one that is taken back leaves a finding: the coordinator looks at the new copy and knows that the
    reviewers wait for a new version. What was downloaded before stands in the audit.
    """
    recalled = []
    for release in change.releases.find(case_id=copy.case_id, state=("built", "approved")):
        if not _names(change, release, copy, store=store):
            continue
        change.releases.set(release.id, state="withdrawn", withdrawn_at=now)
        change.note(
            "release_withdrawn",
            case_id=release.case_id,
            subject=release.id,
            outcome="recalled",
            number=release.number,
            copy=copy.id,
        )
        end_deliveries(change, release.id, now=now)
        recalled.append(release)
    if copy.subject_kind != "release" and any(release.state == "approved" for release in recalled):
        change.findings.add(
            Finding(
                id=new_id(),
                case_id=copy.case_id,
                subject_kind=copy.subject_kind,
                subject_id=copy.subject_id,
                code=RECALLED,
                reason=REASON,
                found_at=now,
            )
        )
    return recalled


def _names(change: Change, release: Release, copy: Copy, *, store: SealedStore) -> bool:
    """Tell whether a release holds a copy; one whose manifest cannot be read is taken to hold it."""
    try:
        manifest = opened_manifest(release, key=change.key(release.holder, "releases"), store=store)
    except (ConsiliumError, StorageError):
        return True
    return any(entry.content.copy_id == copy.id for entry in manifest.entries)
