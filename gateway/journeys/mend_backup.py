"""Mending a repository: an object that rotted there is copied again from the house that still has it whole."""

from __future__ import annotations

from gateway.domain.backup import NamedObject
from storage import BYTES_LOST, KeyRefusedError, SealedStore, WrappedKey, replace_object


def mend_object(one: NamedObject, key: WrappedKey, *, source: SealedStore, vault: SealedStore) -> bool:
    """Put the house's copy in the place of a broken one; return whether the house had it whole.

    Its copy is opened to its end first: rot is not mended with rot. A backup never looks further than an object's length,
    so that what rots with its length unchanged would otherwise stay broken in every backup to come. Whoever calls holds
    the repository. Killed midway, the object is missing there, and the next backup copies it.
    """
    try:
        source.verify(one.ref, key=key, kind=one.kind)
        replace_object(source.objects, vault.objects, one.ref.object_id, size_bytes=one.ref.size_bytes)
    except (*BYTES_LOST, KeyRefusedError):
        return False
    return True
