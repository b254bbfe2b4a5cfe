"""The one shape that an object's id may have, checked before it becomes part of any path.

20 random digits, then the 12 of a batch: whoever keeps a list of batches can tell later which objects are his, and how old
they are, though nothing else names them. Without such a list the last 12 digits are random as well.
"""

import re
import secrets

ID_PATTERN = re.compile(r"[0-9a-f]{32}")
BATCH_DIGITS = 12
# The batch of what a self-test publishes and removes again: no row ever names one.
PROBE_BATCH = "0" * BATCH_DIGITS


def new_object_id(batch: str = "") -> str:
    """128 random bits, or 80 and the batch's 48: nobody can guess one, and none is ever used twice."""
    if not batch:
        return secrets.token_hex(16)
    return checked_id(secrets.token_hex(16)[:-BATCH_DIGITS] + batch)


def new_batch() -> str:
    """12 random digits, never those of the self-test's batch."""
    while (batch := secrets.token_hex(BATCH_DIGITS // 2)) == PROBE_BATCH:
        pass
    return batch


def batch_of(object_id: str) -> str:
    return checked_id(object_id)[-BATCH_DIGITS:]


def checked_id(object_id: str) -> str:
    if not ID_PATTERN.fullmatch(object_id):
        raise ValueError("an object id is 32 lower-case hexadecimal digits")
    return object_id
