"""Reading an original's sealed bytes for the sandbox; what cannot be read is held by itself, and stops nothing else."""

from __future__ import annotations

from gateway.journeys.sandboxed import Held
from storage import (
    BYTES_LOST,
    SealedRef,
    SealedStore,
    WrappedKey,
)


def read_original(ref: SealedRef, *, key: WrappedKey, store: SealedStore) -> bytes | Held:
    """Return the bytes as they were received, or why this one object must be held.

    A failure of the whole volume or of the keys is no fault of one object: it is raised, and the job is tried again.
    """
    try:
        with store.open(ref, key=key, kind="original") as reader:
            return reader.read()
    except BYTES_LOST:
        return Held(
            code="unreadable_object",
            reason="What was stored of this is missing or damaged. Have it restored from a backup, or leave it out.",
        )
