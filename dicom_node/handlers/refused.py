"""Tells the receiver of a request that the node refused by itself, so that its audit knows; the answer does not depend on it."""

from __future__ import annotations

from dicom_node import status
from dicom_node.failures import note
from dicom_node.receiver import AssociationAttempt, Receiver, StoreOutcome


def tell_refusal(receiver: Receiver, attempt: AssociationAttempt, outcome: StoreOutcome) -> StoreOutcome:
    """Return `outcome`, having told of it if it is a refusal; raises nothing."""
    if status.is_kept(outcome.status):
        return outcome
    try:
        receiver.refused(attempt, outcome)
    except Exception as exc:  # noqa: BLE001 - the peer gets its answer all the same
        note("refused_failed", exc, association=attempt.association_id)
    return outcome
