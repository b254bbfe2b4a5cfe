"""What stops an instance, told alike to every sender, whichever network it came by: one table from error to status."""

from __future__ import annotations

from dicom_node import status
from dicom_node.receiver import StoreOutcome
from gateway.domain.errors import (
    ConsiliumError,
    ForbiddenError,
    NotFoundError,
    TooManyError,
    UnavailableError,
    UnknownCaseError,
)
from storage import (
    KeyServiceError,
    StorageError,
    StoreDeniedError,
    StoreFullError,
    StoreKeyError,
    StoreLowError,
    StoreOutageError,
    TooLargeError,
    VolumeAwayError,
    VolumeFailedError,
)

# The status that tells the sender, and the Error Comment that tells her engineer (PS3.4 B.2.3, PS3.18 I.2.2).
# The first row that fits counts.
REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (TooLargeError, status.OUT_OF_RESOURCES, "object is larger than this exchange accepts"),
    (StoreLowError, status.OUT_OF_RESOURCES, "store is low on room and takes nothing new, send again later"),
    (StoreFullError, status.OUT_OF_RESOURCES, "store is full, send again later"),
    (VolumeFailedError, status.OUT_OF_RESOURCES, "store does not take writes, operator is needed"),
    (VolumeAwayError, status.OUT_OF_RESOURCES, "store's volume is not there, send again later"),
    (StoreOutageError, status.OUT_OF_RESOURCES, "store does not answer, send again later"),
    (StoreDeniedError, status.OUT_OF_RESOURCES, "store refuses us, operator is needed"),
    (KeyServiceError, status.OUT_OF_RESOURCES, "key service does not answer, send again later"),
    (StoreKeyError, status.OUT_OF_RESOURCES, "keys cannot be used, operator is needed"),
    (StorageError, status.OUT_OF_RESOURCES, "store failed, send again later"),
    (UnknownCaseError, status.NOT_AUTHORISED, "called AE title names no case that takes studies"),
    (NotFoundError, status.OUT_OF_RESOURCES, "a key or row of ours is gone, send again later"),
    (ForbiddenError, status.NOT_AUTHORISED, "this peer may not store"),
    (TooManyError, status.OUT_OF_RESOURCES, "quota for 24 hours is used up, send again later"),
    (UnavailableError, status.OUT_OF_RESOURCES, "records do not answer, send again later"),
    (ConsiliumError, status.OUT_OF_RESOURCES, "not kept, send again later"),
    (Exception, status.OUT_OF_RESOURCES, "not kept: internal error, send again later"),
)


def refusal_of(error: Exception) -> StoreOutcome:
    """Return what a sender is told of an error: never its text, which may quote what was sent."""
    code, why = next((code, why) for kind, code, why in REFUSALS if isinstance(error, kind))
    return StoreOutcome(status=code, comment=status.comment(why))
